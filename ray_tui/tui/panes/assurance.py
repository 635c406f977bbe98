"""Phase 3 on the screen: who checks what and when from now on, which alerts are noise, and the scorecard."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, columns, crop, fit, number
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import VERDICT_STYLES, View, mapping, mappings

GOOD = {"ok", "passed", "met", "good", "kept", "installed", "on-target"}
COMPACT = 6
"""Scheduled checks that are listed in a small pane; those that nobody runs are always among them."""
BAD = {"failed", "missed", "noisy", "below", "degraded", "unresolved", "breached", "error"}


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 3, width)
    tuning = mapping(view.step("3.2").data)
    out += _proposals(view, mappings(tuning.get("proposals")), width)
    out += _tuning(tuning, width)
    out += _scorecard(mappings(mapping(view.step("3.3").data).get("rows")), width)
    out += _schedule(view, mappings(mapping(view.step("3.1").data).get("entries")), width)
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


def _schedule(view: View, entries: list[dict[str, Any]], width: int) -> list[Row]:
    """Every check with its next run and its owner; in a small pane those that nobody runs, and some of the rest."""
    if not entries:
        return []
    next_run, state = (11 if width >= 58 else 0), (9 if width >= 86 else 0)
    owner = 14 if width < 100 else 22
    fixed = 1 + 12 + owner + next_run + state + 6
    widths = (1, max(12, min(60, width - fixed)), 12, next_run, owner, state)
    out = [blank(), heading("", "checked from now on", "cadence", "next, UTC", "owner", "", widths=widths)]
    ordered = sorted(enumerate(entries), key=lambda pair: _watched(pair[1]))
    shown = ordered if view.roomy else ordered[: max(COMPACT, sum(not _watched(entry) for entry in entries))]
    for index, entry in shown:
        whose: Span = (str(entry.get("owner") or "nobody"), "" if entry.get("owner_ok", True) else "bad")
        cells: list[Span | str] = [("✓", "good") if _watched(entry) else ("✗", "bad"), str(entry.get("asset", "")),
                 str(entry.get("cadence", "")),
                 (str(entry.get("next_run", ""))[5:16].replace("T", " "), "dim"), whose,
                 ("installed", "good") if entry.get("installed")
                 else (str(entry.get("state") or "written"), "warn")]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.1/entries/{index}"))
    if len(shown) < len(entries):
        out.append(Row(((f"… {len(entries) - len(shown)} more, all owned and installed; z shows them", "dim"),)))
    return out


def _watched(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("owner_ok", True)) and bool(entry.get("installed"))


def _proposals(view: View, found: list[dict[str, Any]], width: int) -> list[Row]:
    """What another threshold would do to the pages of a week, and what was decided about it."""
    if not found:
        return []
    asked = any(prompt.raised.step == "3.2" for prompt in view.state.open_prompts)
    name = max(14, min(26, width // 3))
    wide = width >= 86
    pages, decision = (20 if wide else 11), 14
    change = max(10, min(60, width - name - pages - decision - 5))
    widths = (1, name, change, pages, decision)
    heads = ("", "tuning", "change", "before → after" if wide else "pages/week", "decision")
    out = [blank(), heading(*heads, widths=widths)]
    for index, item in enumerate(found):
        before, after = number(item.get("pages_before")), number(item.get("pages_after"))
        word, style = _accepted(item.get("accepted"))
        state = str(item.get("state") or "")
        if item.get("accepted") is None:
            word = "? answer: p" if asked else (f"? {state.split(': ')[-1]}" if state not in ("", "proposed") else word)
        cells: list[Span | str] = [("→", "say"), str(item.get("rule", "")), str(item.get("change", "")),
                 (f"{before} → {after}{' pages/week' * wide}", "strong"), (word, style)]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.2/proposals/{index}"))
        precise = f"precision {_share(item.get('precision_before'))} → {_share(item.get('precision_after'))}"
        if width >= 60 and item.get("precision_after") is not None:
            said = f"  on weeks that it was not tuned on: {precise}; Enter shows why"
            out.append(Row(((fit(said, width), "dim"),)))
    return out


def _tuning(data: Mapping[str, Any], width: int) -> list[Row]:
    found = mappings(data.get("rules"))
    out: list[Row] = []
    name = max(14, min(36, width - (62 if width >= 66 else 50)))
    if found:
        widths = (name, -4, -4, -9, 11 if width >= 66 else 0, -4, -4, 13)
        out += [
            blank(),
            heading("alert rule", "n", "true", "precision", "95% range", "dup", "flap", "", widths=widths),
        ]
    for index, rule in sorted(enumerate(found), key=lambda pair: str(pair[1].get("status")).lower() not in BAD):
        interval = f"{_share(rule.get('low'))}–{_share(rule.get('high'))}"
        cells: list[Span | str] = [str(rule.get("rule", "")), number(rule.get("n")), number(rule.get("true")),
                 (_share(rule.get("precision")), "strong"), (interval, "dim"), number(rule.get("duplicates")),
                 number(rule.get("flaps")), status_span(rule.get("status"))]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:3.2/rules/{index}"))
    for index, made in enumerate(mappings(data.get("decisions"))):
        said = f"{made.get('subject', '')}: {made.get('state', '')}"
        out.append(Row(crop((("? ", "warn"), (said, ""), (f"  {made.get('why', '')}", "dim")), width),
                       f"data:3.2/decisions/{index}"))  # fmt: skip
    for index, missed in enumerate(mappings(data.get("missed"))):
        said = str(missed.get("title") or missed.get("id") or missed.get("incident") or "")
        out.append(Row(crop((("✗ missed incident ", "bad"), (said, "")), width), f"data:3.2/missed/{index}"))
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
