"""Phase 3 on the screen: who checks what and when from now on, which alerts are noise, and the scorecard."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, columns, number
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import VERDICT_STYLES, View, mapping, mappings

GOOD = {"ok", "passed", "met", "good", "kept", "installed", "on-target"}
BAD = {"failed", "missed", "noisy", "below", "degraded", "unresolved", "breached", "error"}


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 3, width)
    out += _schedule(mappings(mapping(view.step("3.1").data).get("entries")), width)
    out += _tuning(mapping(view.step("3.2").data), width)
    out += _scorecard(mappings(mapping(view.step("3.3").data).get("rows")), width)
    return out


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


def _schedule(entries: list[dict[str, Any]], width: int) -> list[Row]:
    if not entries:
        return []
    next_run, state = (11 if width >= 58 else 0), (9 if width >= 86 else 0)
    owner = 14 if width < 100 else 22
    fixed = 1 + 12 + owner + next_run + state + 6
    widths = (1, max(12, min(60, width - fixed)), 12, next_run, owner, state)
    out = [blank(), heading("", "checked from now on", "cadence", "next, UTC", "owner", "", widths=widths)]
    for index, entry in enumerate(entries):
        whole = bool(entry.get("owner_ok", True)) and bool(entry.get("installed"))
        whose: Span = (str(entry.get("owner") or "nobody"), "" if entry.get("owner_ok", True) else "bad")
        cells: list[Span | str] = [("✓", "good") if whole else ("✗", "bad"), str(entry.get("asset", "")),
                 str(entry.get("cadence", "")),
                 (str(entry.get("next_run", ""))[5:16].replace("T", " "), "dim"), whose,
                 ("installed", "good") if entry.get("installed") else ("written", "warn")]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.1/entries/{index}"))
    return out


def _tuning(data: Mapping[str, Any], width: int) -> list[Row]:
    found = mappings(data.get("rules"))
    out: list[Row] = []
    name = max(14, min(36, width - (62 if width >= 66 else 50)))
    if found:
        widths = (name, -4, -4, -9, 11 if width >= 66 else 0, -4, -4, 13)
        out += [
            blank(),
            heading("alert rule", "n", "true", "precision", "95% interval", "dup", "flap", "", widths=widths),
        ]
    for index, rule in enumerate(found):
        interval = f"{_share(rule.get('low'))}–{_share(rule.get('high'))}"
        cells: list[Span | str] = [str(rule.get("rule", "")), number(rule.get("n")), number(rule.get("true")),
                 (_share(rule.get("precision")), "strong"), (interval, "dim"), number(rule.get("duplicates")),
                 number(rule.get("flaps")), status_span(rule.get("status"))]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.2/rules/{index}"))
    for index, item in enumerate(mappings(data.get("proposals"))):
        before, after = number(item.get("pages_before")), number(item.get("pages_after"))
        state = _accepted(item.get("accepted"))
        cells = [
            ("→", "say"),
            str(item.get("rule", "")),
            f"{item.get('change', '')}  {before} → {after} pages/week",
            state,
        ]
        out.append(Row(columns(cells, (1, name, max(10, width - name - 16), 10)), f"data:3.2/proposals/{index}"))
    for index, missed in enumerate(mappings(data.get("missed"))):
        said = str(missed.get("title") or missed.get("id") or missed.get("incident") or "")
        out.append(Row((("✗ missed incident ", "bad"), (said, "")), f"data:3.2/missed/{index}"))
    return out


def _accepted(value: object) -> Span:
    if value is None:
        return "? open", "warn"
    return ("✓ accepted", "good") if value is True else ("– rejected", "dim")


def _share(value: object) -> str:
    return f"{value * 100:.0f}%" if isinstance(value, int | float) and value == value else "–"


def _scorecard(found: list[dict[str, Any]], width: int) -> list[Row]:
    if not found:
        return []
    name = max(16, min(32, width - 42))
    widths = (name, -12, -12, max(8, width - name - 28))
    out = [blank(), heading("scorecard", "target", "actual", "status", widths=widths)]
    for index, row in enumerate(found):
        cells: list[Span | str] = [str(row.get("metric", "")), (number(row.get("target")), "dim"),
                 (number(row.get("actual")), "strong"),
                 status_span(row.get("status"))]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.3/rows/{index}"))
    return out
