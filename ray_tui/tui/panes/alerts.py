"""Phase 2 on the screen: the plan, the test alerts on their way, dashboards, alert rules and runbooks."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, crop
from ray_tui.tui.panes import waterfall
from ray_tui.tui.panes.actions import action_rows, blank
from ray_tui.tui.table import Cells, Column, table
from ray_tui.tui.view import View, mapping, mappings

SHOWN = ("ok", "live", "passed")
"""States of a panel that shows what it should."""


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 2, width)
    out += waterfall.rows(view, width)
    out += _configured(view.data("2.1"), width)
    out += _runbooks(mapping(view.step("2.3").data), width)
    return out


def _configured(data: Mapping[str, Any], width: int) -> list[Row]:
    out: list[Row] = []
    plan = mappings(data.get("plan"))
    if plan:
        counts: dict[str, int] = {}
        for item in plan:
            counts[str(item.get("action", "?"))] = counts.get(str(item.get("action", "?")), 0) + 1
        said = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        out += [blank(), Row(crop((("plan  ", "dim"), (said, "")), width), "data:2.1/plan")]
        signs = {"create": ("+", "good"), "update": ("~", "warn"), "delete": ("-", "bad")}
        changes: list[tuple[Cells, str]] = []
        for index, item in enumerate(plan):
            sign = signs.get(str(item.get("action", "")))
            if sign:
                cells: list[Span | str] = [
                    sign,
                    str(item.get("kind", "")),
                    str(item.get("name", "")),
                    (str(item.get("detail", "")), "dim"),
                ]
                changes.append((cells, f"data:2.1/plan/{index}"))
        out += table((Column(), Column("", 9), Column("", 18), Column("", 6)), changes, width)[1]
    boards = mappings(data.get("dashboards"))
    listed: list[tuple[Cells, str]] = []
    for index, board in enumerate(boards):
        panels = mappings(board.get("panels"))
        broken = [str(p.get("title", "?")) for p in panels if str(p.get("state", "")) not in SHOWN]
        score = board.get("score")
        states = Counter(str(p.get("state") or "?") for p in panels)
        said = ", ".join(f"{count} {state}" for state, count in states.most_common()) or "no panels"
        said += f": {', '.join(broken)}" if broken else ""
        mark = ("✗", "bad") if broken else ("✓", "good")
        shown = f"{score:.0f}" if isinstance(score, int | float) else "–"
        cells = [mark, str(board.get("title", "")), (shown, "strong"), (said, "bad" if broken else "dim")]
        listed.append((cells, f"data:2.1/dashboards/{index}"))
    if listed:
        head, scored = table((Column(), Column("dashboard", 14), Column("score", 5, right=True), Column("panels", 12)),
                             listed, width)  # fmt: skip
        out += [blank(), head, *scored]
    return out + _rules(mappings(data.get("alerts")), width)


def _rules(alerts: list[dict[str, Any]], width: int) -> list[Row]:
    if not alerts:
        return []
    found: list[tuple[Cells, str]] = []
    for index, alert in enumerate(alerts):
        issues = alert.get("issues") or []
        said = "; ".join(str(i) for i in issues) if isinstance(issues, list) else str(issues)
        receivers = alert.get("receivers")
        to = ", ".join(str(r) for r in receivers) if isinstance(receivers, list) else str(receivers or "")
        mark = ("✗", "bad") if said else ("✓", "good")
        cells: list[Span | str] = [mark, str(alert.get("name", "")), (said or to, "bad" if said else "dim")]
        found.append((cells, f"data:2.1/alerts/{index}"))
    head, listed = table((Column(), Column("alert rule", 24), Column("receivers and issues", 12)), found, width)
    return [blank(), head, *listed]


def _runbooks(data: Mapping[str, Any], width: int) -> list[Row]:
    books = mappings(data.get("runbooks") or data.get("alerts"))
    if not books:
        return []
    found: list[tuple[Cells, str]] = []
    for index, book in enumerate(books):
        try:
            verdict = Verdict(str(book.get("verdict")))
            mark: Span = (GLYPHS[verdict], "good" if verdict is Verdict.PASSED else "bad")
        except ValueError:
            mark = ("·", "dim")
        said = str(book.get("why") or book.get("runbook") or book.get("url") or "")
        key = "runbooks" if data.get("runbooks") else "alerts"
        cells: list[Span | str] = [mark, str(book.get("alert") or book.get("name") or ""), (said, "dim")]
        found.append((cells, f"data:2.3/{key}/{index}"))
    head, listed = table((Column(), Column("runbook", 24), Column("", 8)), found, width)
    return [blank(), head, *listed]
