"""What a question decides, as tables that can be read at night: who is paged, what is approved, what changes. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.core.facts import PromptRaised
from ray_tui.tui.about import describe, diff_lines, paragraph
from ray_tui.tui.lines import Line, Span, columns, number
from ray_tui.tui.view import View, mappings

SHOWN_ELSEWHERE = ("sign", "text", "draft", "diff", "pages", "receivers", "entries", "role", "subject", "sha256",
                   "release", "config_digest", "desired_sha256", "runbooks", "next", "over_budget")  # fmt: skip
"""Keys of a prompt's data that a table shows already, or that are not for reading."""


def prompt_lines(
    raised: PromptRaised, width: int, thresholds: Mapping[str, Any] | None = None, answered_by: str = "",
    signing: Sequence[Line] = (),
) -> list[Line]:  # fmt: skip
    """The question, who may answer it, and what it decides; of an approval first what is signed, and with what."""
    pages = mappings(raised.data.get("pages"))
    entries = mappings(raised.data.get("entries"))
    draft = str(raised.data.get("text") or raised.data.get("draft") or "") if raised.prompt == "edit" else ""
    out: list[Line] = [*signed_table(raised, width), *signing, ()] if raised.prompt == "approve" else []
    for text in [] if draft and raised.text.strip() in draft else raised.text.split("\n"):
        if not ((pages and " (level " in text) or (entries and _names_an_entry(text, entries))):
            out += paragraph(text, width, _SIGNS.get(text[:2], ""))
    if answered_by:
        out += paragraph(answered_by, width, "strong", "answered by ")
    for table in (
        page_table(pages, width),
        _over_budget(raised.data.get("over_budget"), width),
        approval_table(raised, width, thresholds or {}) if raised.prompt == "approve" else [],
        schedule_table(entries, width),
        _runbooks(raised.data.get("runbooks"), width),
        describe(raised.data, width, skip=(*SHOWN_ELSEWHERE, *(("plan",) if raised.data.get("diff") else ()))),
        diff_lines(str(raised.data.get("diff") or ""), width),
    ):
        if table:
            out += [(), *table]
    return out


def _names_an_entry(text: str, entries: Sequence[Mapping[str, Any]]) -> bool:
    return any(str(entry.get("asset", "")) and f"  {entry['asset']}  " in text for entry in entries)


_SIGNS = {"+ ": "good", "- ": "bad", "~ ": "warn"}
"""What a line of a plan does stands in its first character; the colour repeats it."""


def page_table(pages: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    """Who will be paged: person, level, receiver, how often at most, and until when they are on call."""
    if not pages:
        return []
    person = min(28, max([13, *(len(str(page.get("person", ""))) for page in pages)]))
    receiver = min(24, max([10, *(len(str(page.get("receiver", ""))) for page in pages)]))
    room = width - person - receiver - 5 - 9 - 5
    until = 16 if room >= 16 else 11 if room >= 11 else 0
    if not any(page.get("until") for page in pages):
        until = 0
    widths = (person, 5, receiver, -9, until)
    total = sum(page["count"] for page in pages if isinstance(page.get("count"), int))
    people = len({str(page.get("person")) for page in pages})
    out: list[Line] = [((f"at most {total} pages to {people} people", "warn"),)]
    head = ("will be paged", "level", "by", "at most", "on call until" if until == 16 else "until")
    out.append(columns([(name, "dim") for name in head], widths))
    for page in pages:
        count = page.get("count")
        at = str(page.get("until") or "–")[:16].replace("T", " ")
        cells: list[Span | str] = [(str(page.get("person", "?")), "strong"), number(page.get("level")),
                 str(page.get("receiver", "")), (f"{number(count)} page{'' if count == 1 else 's'}", "warn"),
                 (at[-until:] if until else "", "dim")]  # fmt: skip
        out.append(columns(cells, widths))
    return out


def _over_budget(found: object, width: int) -> list[Line]:
    if not isinstance(found, list) or not found:
        return []
    return paragraph("over the hourly budget: " + ", ".join(str(one) for one in found), width, "bad", "! ")


def approval_table(raised: PromptRaised, width: int, thresholds: Mapping[str, Any]) -> list[Line]:
    """What else the approval holds for: the release, the role, the configuration, the thresholds."""
    data = raised.data
    rows = [("release", str(data.get("release") or ""), ""), ("as", str(data.get("role") or ""), ""),
            ("config", str(data.get("config_digest") or "")[:16], "dim"),
            ("limits", limits(thresholds), "dim")]  # fmt: skip
    return _named_rows(rows, width)


def signed_table(raised: PromptRaised, width: int) -> list[Line]:
    """What exactly is approved: the subject and its hash."""
    rows = [("subject", str(raised.data.get("subject") or raised.title), "strong"),
            ("sha256", str(raised.data.get("sha256") or ""), "")]  # fmt: skip
    return _named_rows(rows, width)


def _named_rows(rows: Sequence[tuple[str, str, str]], width: int) -> list[Line]:
    return [line for name, text, style in rows if text for line in paragraph(text, width, style, f"{name:<9}")]


def signing_line(view: View, width: int) -> list[Line]:
    """Whether a yes given here carries a signature."""
    if not view.signing and view.demo:
        return paragraph("not signed: a demo stamps its approvals demo", width, "dim", "signing  ")
    said = view.signing or "not signed: start with --sign-with KEY"
    return paragraph(said, width, "good" if said.startswith("signed") else "warn", "signing  ")


def limits(thresholds: Mapping[str, Any]) -> str:
    """The thresholds that a reader asks for first, with their units."""
    said = (("coverage", "coverage ≥ {:.0%}"), ("ack_sla_seconds", "ack ≤ {:g} s"),
            ("delivery_seconds", "delivery ≤ {:g} s"), ("dashboard_score", "dashboards ≥ {:g}"),
            ("manifest_completeness", "manifest ≥ {:.0%}"))  # fmt: skip
    known = ((text, thresholds.get(key)) for key, text in said)
    return ", ".join(text.format(value) for text, value in known if isinstance(value, int | float))


def schedule_table(entries: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    """What will be checked from now on, when, and whose it is."""
    if not entries:
        return []
    asset = max(16, min(52, width - 36))
    widths = (asset, 14, max(8, width - asset - 18))
    out = [columns([(name, "dim") for name in ("will be checked", "cadence", "owner")], widths)]
    for entry in entries:
        owner = str(entry.get("owner") or "")
        out.append(columns([str(entry.get("asset", "")), (str(entry.get("cadence", "")), "dim"),
                            (owner or "nobody", "" if owner else "bad")], widths))  # fmt: skip
    return out


def _runbooks(found: object, width: int) -> list[Line]:
    if not isinstance(found, list) or not found:
        return []
    return [((f"{len(found)} files will be written", "dim"),),
            *(line for one in found for line in paragraph(str(one), width, "", "+ "))]  # fmt: skip
