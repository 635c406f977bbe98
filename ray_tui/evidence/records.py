"""What is written from the run itself rather than by an action: who said what, who waived what, what is left to do."""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ray_tui.clock import iso
from ray_tui.core.state import RunState
from ray_tui.evidence import text

SCHEMA = 1


def twin(artifact: str, state: RunState, step: str, body: Mapping[str, Any], **head: Any) -> bytes:
    """The JSON form of an artifact: what it is about at the top, its content in ``body``; canonical bytes."""
    opened = state.opened
    assert opened is not None
    whole = {
        "artifact": artifact,
        "schema": SCHEMA,
        "run_id": opened.run_id,
        "release": opened.release,
        "environment": opened.environment,
        "step": step,
        "demo": opened.demo,
        **head,
        "body": body,
    }
    return text.dumps(whole)


def communication_log(state: RunState) -> bytes:
    """``communication-log.jsonl``: every announcement, in order."""
    return b"".join(
        json.dumps({"at": iso(at), "step": step, "text": said}, sort_keys=True).encode("ascii") + b"\n"
        for at, step, said in state.announced
    )


def waivers(state: RunState) -> bytes:
    """``waivers.json``: every waiver and every manual validation, with what each is bound to."""
    body = {
        "waivers": [{**waiver.to_json(), "expires": iso(waiver.expires_at)} for waiver in state.waivers.values()],
        "manual": [manual.to_json() for manual in state.manuals.values()],
        "declined": dict(sorted(state.declined.items())),
    }
    return twin("waivers.json", state, "", body)


def backlog(state: RunState) -> tuple[bytes, bytes]:
    """(``improvement-backlog.json``, ``improvement-backlog.md``)."""
    entries = [gap.to_json() for gap in sorted(state.backlog.values(), key=lambda gap: gap.id)]
    opened = state.opened
    assert opened is not None
    rows = [
        [gap[key] for key in ("id", "title", "subject", "owner", "due", "severity", "status", "reference")]
        for gap in entries
    ]
    body = [
        f"# Improvement backlog: {text.cell(opened.release)} in {text.cell(opened.environment)}",
        f"Run {text.cell(opened.run_id)}. {len(entries)} entries.",
    ]
    if rows:
        body.append(text.table(["Id", "Task", "Subject", "Owner", "Due", "Severity", "Status", "Reference"], rows))
    else:
        body.append("No gap was found in this run.")
    return twin("improvement-backlog.json", state, "4.3", {"entries": entries}), ("\n\n".join(body) + "\n").encode()


def manual_sheet(state: RunState) -> str:
    """``manual-alert-tests.csv``: every alert test that people made by hand; no cell can run as a formula."""
    headers = (
        "receiver", "fired", "delivered", "acknowledged by", "acknowledged", "id", "criterion", "operator", "note"
    )  # fmt: skip
    rows = [
        (test.receiver, test.fired, test.delivered, test.acknowledged_by, test.acknowledged,
         manual.id, manual.criterion, manual.operator, manual.note)
        for manual in state.manuals.values()
        for test in manual.alert_tests
    ]  # fmt: skip
    return text.csv_text(headers, rows)


def attachment_file(attachment: Mapping[str, str]) -> str:
    """The name under which what was attached is kept: its own, and by what it holds, so that two never share one."""
    name = PurePath(attachment.get("name") or attachment.get("path") or "attachment")
    return f"{name.stem}-{attachment.get('sha256', '')[:12]}{name.suffix}"


def manual_log(state: RunState) -> str:
    """``manual-validation-log.md``: what people saw where automation could not judge."""
    opened = state.opened
    assert opened is not None
    lines = [f"# Manual validation log: {text.cell(opened.release)} in {text.cell(opened.environment)}"]
    if not state.manuals:
        lines.append("Nothing was validated by hand in this run.")
    for manual in state.manuals.values():
        lines.append(f"## {text.cell(manual.id)}: {text.cell(manual.criterion)} ({text.cell(manual.step)})")
        lines.append(f"By {text.cell(manual.operator)}. {text.cell(manual.note)}")
        if manual.alert_tests:
            lines.append(f"{len(manual.alert_tests)} alert tests, in manual-alert-tests.csv")
        lines.extend(
            f"- {text.cell(attachment_file(attachment))} sha256 {text.cell(attachment.get('sha256', ''))}"
            for attachment in manual.attachments
        )
    return "\n\n".join(lines) + "\n"
