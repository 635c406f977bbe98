"""What the demo's Alertmanager sends to each integration, and what its event recorder writes of it."""

import hashlib
import html
import json
import re
import smtplib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ray_tui.clock import iso
from ray_tui.demo.alertmanager_alerts import ZERO_TIME, Alert
from ray_tui.demo.alertmanager_config import Integration, Labels, Yaml

SEND_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Notification:
    """One group's news for one receiver, at one time. ``alerts`` are pairs of alert and whether it is resolved."""

    receiver: str
    group_key: str
    group_labels: Labels
    alerts: tuple[tuple[Alert, bool], ...]
    external_url: str

    @property
    def status(self) -> str:
        return "resolved" if all(resolved for _, resolved in self.alerts) else "firing"

    @property
    def common_labels(self) -> dict[str, str]:
        return _common([alert.labels for alert, _ in self.alerts])

    @property
    def common_annotations(self) -> dict[str, str]:
        return _common([alert.annotations for alert, _ in self.alerts])

    @property
    def title(self) -> str:
        """The default subject: ``[FIRING:1] group values (other common values)``."""
        count = sum(not resolved for _, resolved in self.alerts)
        head = f"[FIRING:{count}]" if self.status == "firing" else "[RESOLVED]"
        names = sorted(self.group_labels, key=lambda name: (name != "alertname", name))
        others = [value for name, value in sorted(self.common_labels.items()) if name not in self.group_labels]
        text = f"{head} {' '.join(self.group_labels[name] for name in names)}"
        return f"{text} ({' '.join(others)})" if others else f"{text} "

    @property
    def view_url(self) -> str:
        return f"{self.external_url}/#/alerts?receiver={quote(self.receiver)}"


def _common(sets: Sequence[Labels]) -> dict[str, str]:
    first = sets[0] if sets else {}
    return {name: first[name] for name in sorted(first) if all(each.get(name) == first[name] for each in sets)}


_EXPRESSION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")


def render(template: str, news: Notification) -> str:
    """The demo's part of Go templates: ``.CommonLabels.x``, ``.CommonAnnotations.x``, ``.GroupLabels.x``, ``.Status``.

    Anything else stays as it is written.
    """

    def value(found: re.Match[str]) -> str:
        head, _, name = found.group(1).partition(".")[2].partition(".")
        maps = {
            "CommonLabels": news.common_labels,
            "CommonAnnotations": news.common_annotations,
            "GroupLabels": news.group_labels,
        }
        if head == "Status" and not name:
            return news.status
        return maps[head].get(name, "") if head in maps and name else found.group()

    return _EXPRESSION.sub(value, template)


def webhook_body(news: Notification) -> dict[str, Any]:
    """Webhook payload version 4."""
    return {
        "receiver": news.receiver,
        "status": news.status,
        "alerts": [
            {
                "status": "resolved" if resolved else "firing",
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": iso(alert.starts_at),
                "endsAt": iso(alert.ends_at) if resolved else ZERO_TIME,
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
            }
            for alert, resolved in news.alerts
        ],
        "groupLabels": dict(news.group_labels),
        "commonLabels": news.common_labels,
        "commonAnnotations": news.common_annotations,
        "externalURL": news.external_url,
        "version": "4",
        "groupKey": news.group_key,
        "truncatedAlerts": 0,
    }


def pagerduty_body(news: Notification, settings: Yaml) -> dict[str, Any]:
    """Events API v2, as 0.25 sends it: the dedup key is a hash of the group key; counts are strings."""
    firing = [alert for alert, resolved in news.alerts if not resolved]
    resolved = [alert for alert, resolved in news.alerts if resolved]
    return {
        "routing_key": str(settings.get("routing_key", "")),
        "dedup_key": hashlib.sha256(news.group_key.encode()).hexdigest(),
        "event_action": "trigger" if news.status == "firing" else "resolve",
        "payload": {
            "summary": render(settings["description"], news) if "description" in settings else news.title,
            "source": "Alertmanager",
            "severity": render(str(settings.get("severity", "error")), news),
            "custom_details": {
                "firing": _as_text(firing),
                "num_firing": str(len(firing)),
                "num_resolved": str(len(resolved)),
                "resolved": _as_text(resolved),
                **{name: render(str(text), news) for name, text in (settings.get("details") or {}).items()},
            },
        },
        "client": "Alertmanager",
        "client_url": news.view_url,
    }


def _as_text(alerts: Sequence[Alert]) -> str:
    lines: list[str] = []
    for alert in alerts:
        lines.append("Labels:")
        lines.extend(f" - {name} = {value}" for name, value in sorted(alert.labels.items()))
        lines.append("Annotations:")
        lines.extend(f" - {name} = {value}" for name, value in sorted(alert.annotations.items()))
        lines.append(f"Source: {alert.generator_url}")
    return "".join(f"{line}\n" for line in lines)


def slack_body(news: Notification, settings: Yaml) -> dict[str, Any]:
    """What goes to a Slack incoming webhook."""
    title = render(settings["title"], news) if "title" in settings else news.title
    return {
        "channel": str(settings.get("channel", "")),
        "username": "Alertmanager",
        "attachments": [
            {
                "title": title,
                "title_link": news.view_url,
                "text": render(str(settings.get("text", "")), news),
                "fallback": f"{title} | {news.view_url}",
                "callback_id": "",
                "footer": "",
                "color": "danger" if news.status == "firing" else "good",
                "mrkdwn_in": ["fallback", "pretext", "text"],
            }
        ],
    }


def mail_message(news: Notification, settings: Yaml, now: float) -> EmailMessage:
    """text/html inside multipart/alternative, and no plain text: as the real one's default."""
    message = EmailMessage()
    message["Subject"] = news.title
    message["To"] = str(settings.get("to", ""))
    message["From"] = str(settings.get("from", ""))
    message["Message-Id"] = f"<{int(now * 1e9)}.{uuid.uuid4().int >> 66}@alertmanager>"
    message["Date"] = datetime.fromtimestamp(now, UTC)
    message.make_alternative()
    blocks = []
    for alert, resolved in news.alerts:
        pairs = [("Labels", alert.labels), ("Annotations", alert.annotations)]
        blocks.append(f"<strong>{'Resolved' if resolved else 'Firing'}</strong><br>")
        for head, values in pairs:
            rows = "".join(f"{html.escape(f'{name} = {value}')}<br>\n" for name, value in sorted(values.items()))
            blocks.append(f"<strong>{head}</strong><br>\n{rows}")
        blocks.append(f'<a href="{html.escape(alert.generator_url)}">Source</a><br>')
    view = f'<a href="{html.escape(news.view_url)}">View in Alertmanager</a>'
    page = f"<!DOCTYPE html>\n<html><head><title>{html.escape(news.title)}</title></head>\n<body>\n{view}<br>\n"
    message.add_alternative(page + "\n".join(blocks) + "\n</body></html>\n", subtype="html", cte="quoted-printable")
    return message


def is_here(host: str | None) -> bool:
    """Whether a host is this machine. The demo's Alertmanager talks to nobody else: it must never page anybody."""
    return host in {"127.0.0.1", "localhost", "::1"}


def send_mail(message: EmailMessage, settings: Yaml) -> None:
    """Blocking. Raises OSError (smtplib's errors are OSErrors) when the smarthost does not take it."""
    host, _, port = str(settings.get("smarthost", "")).rpartition(":")
    if not is_here(host):
        raise ConnectionRefusedError(f"the demo sends no mail to {host}")
    with smtplib.SMTP(host, int(port), timeout=SEND_TIMEOUT_SECONDS) as smtp:
        if settings.get("auth_username"):
            smtp.login(str(settings["auth_username"]), str(settings.get("auth_password", "")))
        smtp.send_message(message)


def notification_event(
    news: Notification, told: Sequence[tuple[Alert, bool]], integration: Integration, instance: str, at: float
) -> dict[str, Any]:
    """What the event recorder writes once a receiver has taken a notification: protobuf's JSON, its second schema.

    Zero values are left out, and 64-bit integers are strings, as protobuf has it.
    """

    def shown(alert: Alert, resolved: bool) -> dict[str, Any]:
        row = {
            "fingerprint": str(int(alert.fingerprint, 16)), "name": alert.labels.get("alertname", ""),
            "labels": dict(alert.labels), "annotations": dict(alert.annotations), "startsAt": iso(alert.starts_at),
            "endsAt": iso(alert.ends_at),
        }  # fmt: skip
        return {**row, "resolved": True} if resolved else row

    firing = [shown(alert, False) for alert, resolved in told if not resolved]
    gone = [shown(alert, True) for alert, resolved in told if resolved]
    index = {"index": str(integration.index)} if integration.index else {}
    return {
        "@timestamp": iso(at),
        "instance": instance,
        "data": {
            "notification": {
                "alerts": [*firing, *gone],
                **({"firingAlerts": firing} if firing else {}),
                **({"resolvedAlerts": gone} if gone else {}),
                "groupInfo": {
                    "groupKey": news.group_key, "groupLabels": dict(news.group_labels),
                    "groupId": hashlib.sha256(news.group_key.encode()).hexdigest(), "receiverName": news.receiver,
                },
                "reason": "NOTIFY_REASON_FIRST_NOTIFICATION" if firing else "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
                "integration": {"name": integration.kind, **index},
            }
        },
    }  # fmt: skip


def append(path: Path, event: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event, ensure_ascii=False) + "\n")
