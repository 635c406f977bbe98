"""Phase 2 on the screen: the plan, the test alerts on their way, dashboards, alert rules and runbooks."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, columns
from ray_tui.tui.panes import waterfall
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import View, mapping, mappings

SHOWN = ("ok", "live", "passed")
"""States of a panel that shows what it should."""


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 2, width)
    out += waterfall.rows(view, width)
    out += _configured(mapping(view.step("2.1").data), width)
    out += _runbooks(mapping(view.step("2.3").data), width)
    return out


def _configured(data: Mapping[str, Any], width: int) -> list[Row]:
    out: list[Row] = []
    name = max(12, min(34, width - 34))
    plan = mappings(data.get("plan"))
    if plan:
        counts: dict[str, int] = {}
        for item in plan:
            counts[str(item.get("action", "?"))] = counts.get(str(item.get("action", "?")), 0) + 1
        said = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        out += [blank(), Row((("plan  ", "dim"), (said, "")), "data:2.1/plan")]
        signs = {"create": ("+", "good"), "update": ("~", "warn"), "delete": ("-", "bad")}
        for index, item in enumerate(plan):
            sign = signs.get(str(item.get("action", "")))
            if sign:
                cells: list[Span | str] = [
                    sign,
                    str(item.get("kind", "")),
                    str(item.get("name", "")),
                    (str(item.get("detail", "")), "dim"),
                ]
                out.append(Row(columns(cells, (1, 10, name, max(6, width - name - 16))), f"data:2.1/plan/{index}"))
    boards = mappings(data.get("dashboards"))
    if boards:
        out += [blank(), heading("", "dashboard", "score", "panels", widths=(1, name, -6, width - name - 12))]
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
        out.append(Row(columns(cells, (1, name, -6, width - name - 12)), f"data:2.1/dashboards/{index}"))
    return out + _rules(mappings(data.get("alerts")), name, width)


def _rules(alerts: list[dict[str, Any]], name: int, width: int) -> list[Row]:
    if not alerts:
        return []
    out = [blank(), heading("", "alert rule", "receivers and issues", widths=(1, name, width - name - 5))]
    for index, alert in enumerate(alerts):
        issues = alert.get("issues") or []
        said = "; ".join(str(i) for i in issues) if isinstance(issues, list) else str(issues)
        receivers = alert.get("receivers")
        to = ", ".join(str(r) for r in receivers) if isinstance(receivers, list) else str(receivers or "")
        mark = ("✗", "bad") if said else ("✓", "good")
        cells: list[Span | str] = [mark, str(alert.get("name", "")), (said or to, "bad" if said else "dim")]
        out.append(Row(columns(cells, (1, name, width - name - 5)), f"data:2.1/alerts/{index}"))
    return out


def _runbooks(data: Mapping[str, Any], width: int) -> list[Row]:
    books = mappings(data.get("runbooks") or data.get("alerts"))
    if not books:
        return []
    out = [blank(), heading("", "runbook", "", widths=(1, 26, max(8, width - 31)))]
    for index, book in enumerate(books):
        try:
            verdict = Verdict(str(book.get("verdict")))
            mark: Span = (GLYPHS[verdict], "good" if verdict is Verdict.PASSED else "bad")
        except ValueError:
            mark = ("·", "dim")
        said = str(book.get("why") or book.get("runbook") or book.get("url") or "")
        key = "runbooks" if data.get("runbooks") else "alerts"
        cells: list[Span | str] = [mark, str(book.get("alert") or book.get("name") or ""), (said, "dim")]
        out.append(Row(columns(cells, (1, 26, max(8, width - 31))), f"data:2.3/{key}/{index}"))
    return out
