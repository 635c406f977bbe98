"""Phase 2 on the screen: what was configured, and each page on its way to a person, hop by hop."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.state import Probe
from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Line, Row, Span, bar, clock_text, columns, short_seconds
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import View, mapping, mappings, pending

HOPS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8")
HOP_NAMES = {
    "t0": "fired", "t1": "accepted", "t2": "active", "t3": "sent", "t4": "delivered", "t5": "notified",
    "t6": "acked", "t7": "escalated", "t8": "cleared",
}  # fmt: skip
SHORT_HOPS = {"t1": "acpt", "t2": "actv", "t3": "sent", "t4": "dlvd", "t5": "ntfd", "t6": "acked", "t7": "escal",
              "t8": "clrd"}  # fmt: skip


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 2, width)
    out += _waterfall(view, width)
    out += _configured(mapping(view.step("2.1").data), width)
    out += _runbooks(mapping(view.step("2.3").data), width)
    return out


def _waterfall(view: View, width: int) -> list[Row]:
    probes = list(view.state.probes.items())
    if not probes:
        return []
    wide = width >= 72
    hops = ("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8") if width >= 118 else ("t1", "t4", "t5")
    name = max(12, min(26, width - 46)) if not wide else max(14, min(24, width - 7 * len(hops) - 36))
    out = [blank()]
    if wide:
        widths = (1, name, *(-6 for _ in hops), -5, max(10, width - name - 7 * len(hops) - 10))
        out.append(heading("", "alert path", *(SHORT_HOPS[h] for h in hops), "SLA", "", widths=widths))
    for probe_id, probe in probes:
        target = f"probe:{probe_id}"
        if wide:
            out.append(Row(_wide_row(view, probe, hops, widths), target))
        else:
            out.append(Row(_narrow_row(view, probe, name, width), target))
        if pending(probe) and probe.intended.sla_seconds > 0:
            out.append(Row(_sla_bar(view, probe, width)))
    return out


def _wide_row(view: View, probe: Probe, hops: tuple[str, ...], widths: tuple[int, ...]) -> Line:
    mark, said, style = outcome(view, probe)
    cells: list[Span | str] = [(mark, style), (_label(probe), "")]
    for hop in hops:
        seen = probe.hops.get(hop)
        text = short_seconds(seen.latest - probe.intended.starts_at) if seen else _absent(probe, hop)
        cells.append((text, "good" if hop in ("t6", "t7") and seen else ("" if seen else "dim")))
    sla = probe.intended.sla_seconds
    cells += [(clock_text(sla) if sla else "–", "dim"), (said, style)]
    return columns(cells, widths)


def _absent(probe: Probe, hop: str) -> str:
    other = "t7" if probe.intended.purpose == "acknowledge" else "t6"
    return "–" if hop == other else "·"


def _narrow_row(view: View, probe: Probe, name: int, width: int) -> Line:
    mark, said, style = outcome(view, probe)
    return columns([(mark, style), (_label(probe), ""), (said, style)], (1, name, max(10, width - name - 3)))


def _label(probe: Probe) -> str:
    return probe.intended.receiver + (" ↑" if probe.intended.purpose == "escalate" else "")


def outcome(view: View, probe: Probe) -> tuple[str, str, str]:
    """(glyph, words, style): where this probe stands, as its facts say."""
    blocking = [problem for problem in probe.problems if problem.blocks]
    if blocking:
        said = blocking[-1]
        words = f"{said.problem}: {said.detail}" if said.problem.isalpha() else said.detail or said.problem
        return "✗", words, "bad"
    wanted, word = ("t6", "acked") if probe.intended.purpose == "acknowledge" else ("t7", "escalated")
    done = probe.hops.get(wanted)
    if done is not None:
        took = short_seconds(done.latest - probe.intended.starts_at)
        who = f"by {done.who}" if wanted == "t6" else f"to {done.who}"
        unclean = probe.cleared is not None and not probe.cleared.clean
        if unclean:
            return "!", f"{word} {took}; not cleared: {', '.join(probe.cleared.left) if probe.cleared else ''}", "bad"
        return "✓", f"{word} {took} {who if done.who else ''}".rstrip(), "good"
    if probe.cleared is not None:
        return "?", f"cleared, not {word}", "warn"
    last = next((hop for hop in reversed(HOPS) if hop in probe.hops), None)
    waited = clock_text(max(0.0, view.now - probe.intended.starts_at))
    return "▶", f"{HOP_NAMES[last] if last else 'intended'}, waiting {waited}", "run"


def _sla_bar(view: View, probe: Probe, width: int) -> Line:
    sla = probe.intended.sla_seconds
    used = view.now - probe.intended.starts_at
    full, empty = bar(used / sla, max(8, min(48, width - 34)))
    style = "bad" if used > sla else ("warn" if used > sla * 0.7 else "run")
    left = sla - used
    words = f" {clock_text(left)} left of {clock_text(sla)}" if left >= 0 else f" {clock_text(-left)} past the SLA"
    pages = f"  pages {', '.join(probe.intended.pages)}" if probe.intended.pages else ""
    return (("  ", ""), (full, style), (empty, "dim"), (words, style), (pages, "dim"))


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
        broken = [str(p.get("title", "?")) for p in panels if str(p.get("state", "")) not in ("ok", "live", "passed")]
        score = board.get("score")
        said = f"broken: {', '.join(broken)}" if broken else f"{len(panels)} ok"
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
