"""The command palette: everything that can be done or looked at now, by name."""

from collections.abc import Callable
from functools import partial
from typing import cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from ray_tui.core import plan, rules
from ray_tui.core.handle import Marker, Transport
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Finding
from ray_tui.tui.lines import clock_text
from ray_tui.tui.panes import baseline
from ray_tui.tui.panes.phases import said
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import mappings, name_of, without_us
from ray_tui.tui.widgets.painted import literal

Item = tuple[str, str, Callable[[], object]]
"""(name, what it does, how)."""
NAME_CELLS = 80
MOST = 100
"""Of runs, receivers, findings, KPIs, dashboards and alert rules each."""


class RunCommands(Provider):
    """Gathered once, when the palette opens: what is typed only chooses among them."""

    async def startup(self) -> None:
        self._items = items(cast("Stage", self.app))

    async def discover(self) -> Hits:
        for name, says, do in self._items:
            yield DiscoveryHit(literal(name), do, text=name, help=says)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, says, do in self._items:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, literal(name), do, text=name, help=says)


def items(app: Stage) -> list[Item]:
    """In the order in which they are most wanted."""
    transport = app.handle.transport
    begun = _decisions(app) if transport is None and not app.handle.read_only else []
    played = _replay(app, transport) if transport is not None else []
    return [
        *begun, *played, *_looks(app), *_findings(app), *_steps(app), *_receivers(app), *_services(app), *_figures(app),
        *_configured(app), *_runs(app),
        *[(f"Theme {name}", "", partial(app.choose_theme, name)) for name in app.theme_names],
    ]  # fmt: skip


def _decisions(app: Stage) -> list[Item]:
    do = app.deeds()
    return [
        ("Open questions", "what waits for a decision", do["prompts"]),
        ("Add a note", "into the journal, with your name", do["note"]),
        ("Take the driver's seat", "or ask for it", do["take_seat"]),
        ("Give the seat away", "to someone who is here", do["grant_seat"]),
        ("Retry", "the halted or chosen step; asks first", do["retry"]),
        ("Waive a criterion", "needs a second person", do["waive"]),
        ("Record manual validation", "what you saw yourself", do["manual"]),
        ("Abort the run", "asks you to type it", do["abort"]),
        *[(f"Decline {action.id} {action.title}", "a guideline; asks for a reason", partial(app.decline, action.id))
          for action in plan.ACTIONS if not action.must and not app.state.steps[action.id].settled],
    ]  # fmt: skip


def _replay(app: Stage, transport: Transport) -> list[Item]:
    do = app.deeds()

    def seek(marker: Marker) -> None:
        transport.seek(marker.seq)
        app.repaint_soon()

    return [
        ("Pause" if transport.playing else "Play", "the replay", do["replay_play"]),
        ("Step", "one entry on, and pause", do["replay_step"]),
        ("Next mark", "an action, gate, halt or waiver", do["replay_next"]),
        ("Mark before", "the same, back", do["replay_previous"]),
        ("Faster", f"speed is {transport.speed:g}", do["replay_faster"]),
        ("Slower", f"speed is {transport.speed:g}", do["replay_slower"]),
        ("Seek", "a time, seq, step or gate", do["seek"]),
        ("Along the bar", "left, right, Tab, then Enter", do["bar"]),
        *[(f"Go to {_named(marker)}", clock_text(marker.at), partial(seek, marker)) for marker in transport.markers],
    ]  # fmt: skip


def _named(marker: Marker) -> str:
    if marker.kind == "action" or marker.kind == "gate":
        return plan.title(marker.id)
    return marker.label if marker.kind != "waiver" else f"waiver {marker.label}"


def _looks(app: Stage) -> list[Item]:
    do = app.deeds()
    out = [
        ("Overview", "all phases, following the run", do["overview"]),
        *[(f"Phase {phase.number} {phase.title}", "its pane", do[f"phase_{phase.number}"]) for phase in plan.PHASES],
        ("Event log", "what happened, line by line", do["event_log"]),
        ("Filter the log", "", do["filter_log"]),
        ("Show the whole log", "without its filter", do["clear_filter"]),
        ("Zoom", "one pane, or all again", do["zoom"]),
        ("Jump", "letters on all that can be opened; type them", do["jump"]),
        ("Copy", "the chosen row", do["copy"]),
        ("Copy as", "its query, or as a command", do["copy_as"]),
        ("Help", "every key as it is bound now", do["help"]),
        ("Mission", "what this is for", do["mission"]),
        ("Choose a theme", "", do["theme"]),
    ]
    over = app.handle.transport is not None or app.state.ended
    out.append(("Leave", "nothing is carried out here", do["detach"]) if over else
               ("Detach", f"the run {without_us(app.state)}", do["detach"]))  # fmt: skip
    if app.state.completed is not None and app.state.completed.next_command:
        out.append(("Copy the next protocol's command", app.state.completed.next_command, do["copy_next"]))
    return out


def _findings(app: Stage) -> list[Item]:
    """What did not pass, what is worse than its baseline, and what stands in the backlog."""
    view = app.view()
    criteria: list[Item] = [
        (f"Finding {line(criterion.title, NAME_CELLS)}", line(f"{name_of(step)}: {criterion.actual}", NAME_CELLS),
         partial(app.open_detail, f"step:{step}"))
        for step in plan.STEPS for criterion in rules.blocking(app.state, step, view.now)
    ]  # fmt: skip
    figures: list[Item] = [
        (f"Finding {line(f'{figure.service} {figure.name}', NAME_CELLS)}", f"its baseline: {line(figure.finding, 20)}",
         partial(app.open_detail, figure.target))
        for figure in baseline.figures_of(view) if figure.finding != Finding.OK
    ]  # fmt: skip
    backlog: list[Item] = [
        (f"Backlog {line(gap.title, NAME_CELLS)}", line(f"{gap.owner}, {gap.due}", NAME_CELLS),
         partial(app.open_detail, f"gap:{name}"))
        for name, gap in app.state.backlog.items() if gap.status == "open"
    ]  # fmt: skip
    return [*criteria[:MOST], *figures[:MOST], *backlog[:MOST]]


def _steps(app: Stage) -> list[Item]:
    return [(f"Step {plan.title(step)}", "why is it so?", partial(app.open_detail, f"step:{step}"))
            for step in plan.STEPS]  # fmt: skip


def _receivers(app: Stage) -> list[Item]:
    """The newest probe of each alert path."""
    newest = {(probe.intended.receiver, probe.intended.purpose): name for name, probe in app.state.probes.items()}
    return [
        (f"Receiver {line(receiver, NAME_CELLS)}" + (", escalation" if purpose == "escalate" else ""),
         "its probe, hop by hop", partial(app.open_detail, f"probe:{name}"))
        for (receiver, purpose), name in list(newest.items())[-MOST:]
    ]  # fmt: skip


def _services(app: Stage) -> list[Item]:
    return [(f"Service {name}", "its coverage", partial(app.open_detail, f"service:{name}"))
            for name in app.service_names()]  # fmt: skip


def _figures(app: Stage) -> list[Item]:
    """Every KPI, as it is now."""
    view = app.view()
    return [(f"KPI {line(f'{figure.service} {figure.name}', NAME_CELLS)}", line(said(view, figure.target), NAME_CELLS),
             partial(app.open_detail, figure.target)) for figure in baseline.figures_of(view)[:MOST]]  # fmt: skip


def _configured(app: Stage) -> list[Item]:
    """The dashboards and the alert rules of 2.1."""
    data = app.view().data("2.1")
    return [
        (f"{word} {line(str(found.get(name, '?')), NAME_CELLS)}", says,
         partial(app.open_detail, f"data:2.1/{key}/{index}"))
        for word, key, name, says in (("Dashboard", "dashboards", "title", "its score, its panels and their queries"),
                                      ("Alert rule", "alerts", "name", "its expression, receivers and issues"))
        for index, found in enumerate(mappings(data.get(key))[:MOST])
    ]  # fmt: skip


def _runs(app: Stage) -> list[Item]:
    """A console shows one run: of another it copies the line that opens it in a terminal."""
    return [(f"Run {name}", f"copies: {opens}", partial(app.copy, opens)) for name, opens in app.other_runs()[:MOST]]
