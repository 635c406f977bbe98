"""The "Updated Signals" block of a runbook: how it is proposed, edited as one text for all, and kept in its file."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import clean, line

LONGEST = 100_000
HEADING = "### Updated Signals"
_FILE = re.compile(r"^<!-- runbook: (?P<path>.+?) -->\s*$", re.MULTILINE)
_MARK = re.compile(r"^<!-- /?ray-tui .*?-->\s*$", re.MULTILINE)


def proposal(alerts: Sequence[Mapping[str, Any]]) -> str:
    """The block for one runbook: an ``Alert`` and a ``Response`` line for each of its alerts."""
    rows = [HEADING]
    for one in alerts:
        rows += [f"- Alert: {_signal(one)}", f"- Response: {_response(one)}"]
    return "\n".join(rows)


def _signal(alert: Mapping[str, Any]) -> str:
    bound = " and ".join(dict.fromkeys(map(str, alert.get("thresholds") or ())))
    waits = f"({alert['for']})" if alert.get("for") not in ("", "0s", None) else ""
    severity = str(alert.get("severity") or "none")
    said = " ".join(part for part in (str(alert["name"]), bound, waits) if part)
    return _literal(f"{said}, {'no severity' if severity.lower() == 'none' else severity}")


def _response(alert: Mapping[str, Any]) -> str:
    summary = str(alert.get("summary") or "").strip().rstrip(".")
    what = f"{summary}: follow" if summary and "{{" not in summary else "Follow"
    owner = f"; {alert['owner']} answers for it" if alert.get("owner") else ""
    return _literal(f"{what} the mitigation above{owner}")


def _literal(text: str) -> str:
    """Outside text on one line of Markdown, without HTML and without links."""
    return line(text).replace("&", "&amp;").replace("<", "&lt;").replace("[", "\\[")


def together(blocks: Mapping[str, str]) -> str:
    """All blocks as the one text that a person edits; a comment before each says which runbook it goes into."""
    return "\n\n".join(f"{part_of(path)}\n{block}" for path, block in blocks.items()) + "\n"


def part_of(path: str) -> str:
    """The comment before a runbook's block."""
    return f"<!-- runbook: {path} -->"


def apart(text: str, known: Sequence[str]) -> dict[str, str]:
    """Path -> block of an edited text. Raises InputError where a block names no runbook that was asked about."""
    text = clean(text.replace("\r\n", "\n"), LONGEST)
    marks = list(_FILE.finditer(text))
    before = text[: marks[0].start()] if marks else text
    if before.strip():
        if not marks and len(known) == 1:
            return {known[0]: _tidy(before)}
        raise InputError("the text begins with words that belong to no runbook; keep the <!-- runbook: … --> lines")
    found: dict[str, str] = {}
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        path = mark.group("path").strip()
        if path not in known:
            raise InputError(f"the text names runbook {line(path)!r}, which is none of: {', '.join(known)}")
        block = _tidy(text[mark.end() : after.start() if after else len(text)])
        if block:
            found[path] = f"{found[path]}\n\n{block}" if path in found else block
    return found


def _tidy(block: str) -> str:
    """The block without what would look like our own marks."""
    return _MARK.sub("", block).strip()


# --- in the file -----------------------------------------------------------------------------------------------------


def _marked(release: str) -> re.Pattern[str]:
    begin, end = re.escape(opening(release)), re.escape(closing(release))
    return re.compile(rf"^{begin}\n(?P<block>.*?)\n?^{end}[ \t]*\n?", re.MULTILINE | re.DOTALL)


def opening(release: str) -> str:
    return f"<!-- ray-tui {release} -->"


def closing(release: str) -> str:
    return f"<!-- /ray-tui {release} -->"


def kept(content: str, release: str) -> str | None:
    """The block that the file holds for this release; None where it holds none."""
    found = _marked(release).search(content)
    return None if found is None else found.group("block").strip()


def with_block(content: str, release: str, block: str) -> str:
    """The file with this release's block at its end, or in the place where it stood; twice is once."""
    written = f"{opening(release)}\n{block}\n{closing(release)}\n"
    found = _marked(release).search(content)
    if found is not None:
        return content[: found.start()] + written + content[found.end() :]
    ending = "" if not content or content.endswith("\n\n") else "\n" if content.endswith("\n") else "\n\n"
    return content + ending + written
