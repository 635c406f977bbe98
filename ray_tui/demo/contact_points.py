"""How the demo's Grafana really delivers a contact point's test: each integration over its own wire."""

import asyncio
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

import httpx

Model = Mapping[str, Any]
State = Literal["ok", "failed", "timeout", "invalid"]
Fault = Literal["failed", "timeout", "swallowed"]
"""It fails, times out, or says ok and delivers nothing."""
_NEEDED = {"webhook": "url", "discord": "url", "teams": "url", "email": "addresses", "pagerduty": "integrationKey"}
FROM = "grafana@shop.example"


@dataclass(frozen=True)
class Outside:
    """What Grafana's own configuration names: Slack's Web API and the mail server (``host:port``)."""

    slack_api: str = ""
    smarthost: str = ""


class Refused(Exception):
    """A system took the test badly; its text is what Grafana says of it."""


async def deliver(kind: str, settings: Model, alert: Model, outside: Outside, seconds: float) -> tuple[State, str]:
    """One integration's outcome, and why. Without a server, Slack's and mail's settings are only looked at."""
    needed = _NEEDED.get(kind, "recipient or url" if kind == "slack" else "")
    if not needed or not any(settings.get(name) for name in needed.split(" or ")):
        return "invalid", f"failed to validate integration of type {kind}: {needed or 'type'} is missing"
    try:
        async with asyncio.timeout(seconds):
            await _deliver(kind, settings, alert, outside)
    except (TimeoutError, httpx.TimeoutException):
        return "timeout", "context deadline exceeded"
    except Refused as error:
        return "failed", str(error)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return "failed", str(error)
    return "ok", ""


async def _deliver(kind: str, settings: Model, alert: Model, outside: Outside) -> None:
    text = _text(alert)
    if kind == "pagerduty":
        event = {
            "routing_key": settings["integrationKey"], "event_action": "trigger", "dedup_key": _key(alert),
            "payload": {
                "summary": _title(alert), "source": "Grafana", "severity": settings.get("severity", "critical"),
                "custom_details": {"firing": text, "num_firing": "1"},
            },
        }  # fmt: skip
        await _post(str(settings.get("url") or "https://events.pagerduty.com/v2/enqueue"), event)
    elif kind == "email":
        if outside.smarthost:
            addresses = str(settings["addresses"]).replace(";", ",")
            await asyncio.to_thread(_mail, outside.smarthost, addresses, _title(alert), text)
    elif kind == "slack":
        message = {"text": _title(alert), "attachments": [{"title": _title(alert), "text": text}]}
        if settings.get("url"):
            await _post(str(settings["url"]), {**message, "channel": settings.get("recipient") or None})
        elif outside.slack_api:
            said = await _post(
                f"{outside.slack_api}/chat.postMessage", {**message, "channel": settings["recipient"]},
                Authorization=f"Bearer {settings.get('token', '')}",
            )  # fmt: skip
            if not said.get("ok"):
                raise Refused(f"failed to make Slack API request: {said.get('error')}")
    elif kind == "discord":
        await _post(str(settings["url"]), {"content": f"{_title(alert)}\n{text}", "username": "Grafana"})
    else:
        await _post(str(settings["url"]), {"receiver": "", "status": "firing", "alerts": [alert], "message": text})


async def _post(url: str, body: Model, **headers: str) -> Any:
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:  # noqa: S113 (the caller's deadline counts)
        answer = await client.post(url, json=body, headers=headers)
    if not answer.is_success:
        raise Refused(f"webhook response status {answer.status_code} {answer.reason_phrase}")
    return answer.json() if "json" in answer.headers.get("content-type", "") else {}


def _mail(smarthost: str, addresses: str, title: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = FROM, addresses, title
    message.set_content(text)
    host, _, port = smarthost.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=10) as smtp:
        smtp.send_message(message)


def _title(alert: Model) -> str:
    """Grafana's default title: the values of the labels stand in it."""
    values = " ".join(value for name, value in alert["labels"].items() if name != "alertname")
    return f"[FIRING:1] {alert['labels']['alertname']} {values}"


def _text(alert: Model) -> str:
    labels = "\n".join(f" - {name} = {value}" for name, value in alert["labels"].items())
    annotations = "\n".join(f" - {name} = {value}" for name, value in alert["annotations"].items())
    return f"**Firing**\n\nLabels:\n{labels}\nAnnotations:\n{annotations}"


def _key(alert: Model) -> str:
    return "-".join(alert["labels"].values())[:255]
