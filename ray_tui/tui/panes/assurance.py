"""Phase 3 on the screen: who checks what and when from now on, which alerts are noise, and the scorecard."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, crop, fit, number
from ray_tui.tui.panes.actions import action_rows, blank
from ray_tui.tui.table import Cells, Column, table
from ray_tui.tui.view import VERDICT_STYLES, View, mappings

GOOD = {"ok", "passed", "met", "good", "kept", "installed", "on-target"}
COMPACT = 2
"""Rows of a table in a small pane; those that tell of something wrong are always among them."""
BAD = {"failed", "missed", "noisy", "below", "degraded", "unresolved", "breached", "error"}
Part = tuple[bool, list[Row]]
"""Whether something is wrong in it, and its rows."""


def rows(view: View, width: int) -> list[Row]:
    """What wants a decision, then the parts in which something is wrong, then the others."""
    tuning = view.data("3.2")
    parts = (_schedule(view, mappings(view.data("3.1").get("entries")), width), _tuning(view, tuning, width),
             _scorecard(view, mappings(view.data("3.3").get("rows")), width))  # fmt: skip
    out = action_rows(view, 3, width) + _proposals(view, mappings(tuning.get("proposals")), width)
    return out + [row for _, part in sorted(parts, key=lambda part: not part[0]) for row in part]


def status_span(word: object) -> Span:
    """A status word with its glyph; the colour only repeats it."""
    text = str(word or "·")
    try:
        verdict = Verdict(text)
        return f"{GLYPHS[verdict]} {text}", VERDICT_STYLES[verdict]
    except ValueError:
        pass
    if text.lower() in GOOD:
        return f"✓ {text}", "good"
    return (f"✗ {text}", "bad") if text.lower() in BAD else (text, "dim")


def _rank(status: object) -> int:
    """What is wrong comes before what is not known, and that before what is well."""
    word = str(status).lower()
    return 0 if word in BAD else 2 if word in GOOD else 1


def _listed(view: View, shape: Sequence[Column], found: Sequence[tuple[Cells, str]], wrong: int, rest: str,
            width: int) -> list[Row]:  # fmt: skip
    """A table; in a small pane its first rows, all that are ``wrong`` at least, and how many more there are."""
    shown = found if view.roomy else found[: max(COMPACT, wrong)]
    head, listed = table(shape, shown, width)
    left = len(found) - len(shown)
    more = [Row(crop(((f"… {left} more, {rest}; z shows them", "dim"),), width))] if left else []
    return [blank(), head, *listed, *more] if listed else []


def _schedule(view: View, entries: list[dict[str, Any]], width: int) -> Part:
    """Every check with its next run and its owner: those that nobody runs, then those that run next."""
    asked = any(prompt.raised.step == "3.1" for prompt in view.state.open_prompts)
    shape = (Column(), Column("checked from now on", 18), Column("cadence", 12, drop=1), Column("next, UTC", 11),
             Column("owner", 12), Column("", 9, drop=2))  # fmt: skip
    found: list[tuple[Cells, str]] = []
    for index, entry in sorted(enumerate(entries), key=lambda pair: (_watched(pair[1]), str(pair[1].get("next_run")))):
        mark: Span = ("✓", "good") if _watched(entry) else ("?", "warn") if asked else ("✗", "bad")
        state: Span = (str(entry.get("state") or ("asked" if asked else "written")), "warn")
        whose: Span = (str(entry.get("owner") or "nobody"), "" if entry.get("owner_ok", True) else "bad")
        cells: list[Span | str] = [mark, str(entry.get("asset", "")), str(entry.get("cadence", "")),
                 (str(entry.get("next_run", ""))[5:16].replace("T", " "), "dim"), whose,
                 ("installed", "good") if entry.get("installed") else state]  # fmt: skip
        found.append((cells, f"data:3.1/entries/{index}"))
    wrong = 0 if asked else sum(not _watched(entry) for entry in entries)
    return wrong > 0, _listed(view, shape, found, wrong, "asked about" if asked else "all owned and installed", width)


def _watched(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("owner_ok", True)) and bool(entry.get("installed"))


def _proposals(view: View, found: list[dict[str, Any]], width: int) -> list[Row]:
    """What another threshold would do to the pages of a week, and what was decided about it."""
    if not found:
        return []
    asked = any(prompt.raised.step == "3.2" for prompt in view.state.open_prompts)
    wide = width >= 86
    pages = "before → after" if wide else "pages/week"
    shape = (Column(), Column("tuning", 10), Column("change", 34), Column(pages, 7), Column("decision", 8))
    listed: list[tuple[Cells, str]] = []
    for index, item in enumerate(found):
        before, after = number(item.get("pages_before")), number(item.get("pages_after"))
        word, style = _accepted(item.get("accepted"))
        state = str(item.get("state") or "")
        if item.get("accepted") is None:
            word = "? answer: p" if asked else (f"? {state.split(': ')[-1]}" if state not in ("", "proposed") else word)
        cells: list[Span | str] = [("→", "say"), str(item.get("rule", "")), str(item.get("change", "")),
                 (f"{before} → {after}{' pages/week' * wide}", "strong"), (word, style)]  # fmt: skip
        listed.append((cells, f"data:3.2/proposals/{index}"))
    head, decided = table(shape, listed, width)
    out = [blank(), head]
    for row, item in zip(decided, found, strict=True):
        out.append(row)
        precise = f"precision {_share(item.get('precision_before'))} → {_share(item.get('precision_after'))}"
        if width >= 60 and item.get("precision_after") is not None:
            said = f"  on weeks that it was not tuned on: {precise}; Enter shows why"
            out.append(Row(((fit(said, width), "dim"),)))
    return out


def _tuning(view: View, data: Mapping[str, Any], width: int) -> Part:
    found, missed = mappings(data.get("rules")), mappings(data.get("missed"))
    shape = (Column("alert rule", 22), Column("n", 2, right=True), Column("true", 4, drop=1, right=True),
             Column("precision", 9, right=True), Column("95% range", 9, drop=2), Column("dup", 3, drop=3, right=True),
             Column("flap", 4, drop=4, right=True), Column("", 13))  # fmt: skip
    listed: list[tuple[Cells, str]] = []
    for index, rule in sorted(enumerate(found), key=lambda pair: _rank(pair[1].get("status"))):
        interval = f"{_share(rule.get('low'))}–{_share(rule.get('high'))}"
        cells: list[Span | str] = [str(rule.get("rule", "")), number(rule.get("n")), number(rule.get("true")),
                 (_share(rule.get("precision")), "strong"), (interval, "dim"), number(rule.get("duplicates")),
                 number(rule.get("flaps")), status_span(rule.get("status"))]  # fmt: skip
        listed.append((cells, f"data:3.2/rules/{index}"))
    wrong = sum(_rank(rule.get("status")) == 0 for rule in found)
    out = _listed(view, shape, listed, wrong, "none of them noisy", width)
    for index, made in enumerate(mappings(data.get("decisions"))):
        said = f"{made.get('subject', '')}: {made.get('state', '')}"
        out.append(Row(crop((("? ", "warn"), (said, ""), (f"  {made.get('why', '')}", "dim")), width),
                       f"data:3.2/decisions/{index}"))  # fmt: skip
    for index, incident in enumerate(missed):
        said = str(incident.get("title") or incident.get("id") or incident.get("incident") or "")
        out.append(Row(crop((("✗ missed incident ", "bad"), (said, "")), width), f"data:3.2/missed/{index}"))
    return bool(wrong or missed), out


def _accepted(value: object) -> Span:
    if value is None:
        return "? open", "warn"
    return ("✓ accepted", "good") if value is True else ("– rejected", "dim")


def _share(value: object) -> str:
    return f"{value * 100:.0f}%" if isinstance(value, int | float) and value == value else "–"


def _scorecard(view: View, found: list[dict[str, Any]], width: int) -> Part:
    shape = (Column("scorecard", 30), Column("target", 6, right=True), Column("actual", 6, right=True),
             Column("status", 12))  # fmt: skip
    listed: list[tuple[Cells, str]] = []
    for index, row in sorted(enumerate(found), key=lambda pair: _rank(pair[1].get("status"))):
        cells: list[Span | str] = [str(row.get("metric", "")), (number(row.get("target")), "dim"),
                 (number(row.get("actual")), "strong"),
                 status_span(row.get("status"))]  # fmt: skip
        listed.append((cells, f"data:3.3/rows/{index}"))
    wrong = sum(_rank(row.get("status")) == 0 for row in found)
    return wrong > 0, _listed(view, shape, listed, wrong, "none of them missed", width)
