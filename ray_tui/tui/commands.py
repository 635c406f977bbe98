"""The command palette: everything that can be done or looked at now, by name."""

from collections.abc import Callable
from typing import cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from ray_tui.core import plan
from ray_tui.core.untrusted import line
from ray_tui.tui.stage import Stage
from ray_tui.tui.widgets.painted import literal

Item = tuple[str, str, Callable[[], object]]


class RunCommands(Provider):
    """Commands, steps, receivers, services and themes of this run."""

    @property
    def ray(self) -> Stage:
        return cast("Stage", self.app)

    async def discover(self) -> Hits:
        for name, says, do in items(self.ray):
            yield DiscoveryHit(literal(name), do, text=name, help=says)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, says, do in items(self.ray):
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, literal(name), do, text=name, help=says)


def items(app: Stage) -> list[Item]:
    """(name, what it does, how) in the order in which they are most wanted."""
    do = app.deeds()
    out: list[Item] = []
    if app.handle.transport is None and not app.handle.read_only:
        out += [
            ("Open questions", "what waits for a decision", do["prompts"]),
            ("Add a note", "into the journal, with your name", do["note"]),
            ("Take the driver's seat", "or ask for it", do["take_seat"]),
            ("Give the seat away", "to someone who is here", do["grant_seat"]),
            ("Retry", "the halted or chosen step; asks first", do["retry"]),
            ("Waive a criterion", "needs a second person", do["waive"]),
            ("Record manual validation", "what you saw yourself", do["manual"]),
            ("Abort the run", "asks you to type it", do["abort"]),
        ]
        out += [
            (f"Decline {action.id} {action.title}", "a guideline; asks for a reason", _call(app.decline, action.id))
            for action in plan.ACTIONS
            if not action.must and not app.state.steps[action.id].settled
        ]
    out += [
        ("Overview", "all phases, following the run", do["overview"]),
        ("Zoom", "one pane, or all again", do["zoom"]),
        ("Jump", "letters on all that can be opened; type them", do["jump"]),
        ("Filter the log", "", do["filter_log"]),
        ("Help", "every key as it is bound now", do["help"]),
        ("Mission", "what this is for", do["mission"]),
        ("Detach", "the run goes on", do["detach"]),
    ]
    if app.state.completed is not None and app.state.completed.next_command:
        out.append(("Copy the next protocol's command", app.state.completed.next_command, do["copy_next"]))
    out += [
        (f"Step {plan.title(step)}", "why is it so?", _call(app.open_detail, f"step:{step}")) for step in plan.STEPS
    ]
    out += [
        (
            f"Receiver {line(probe.intended.receiver, 80)}",
            "its probe, hop by hop",
            _call(app.open_detail, f"probe:{name}"),
        )
        for name, probe in list(app.state.probes.items())[-100:]
    ]
    out += [
        (f"Service {name}", "its coverage", _call(app.open_detail, f"service:{name}")) for name in app.service_names()
    ]
    out += [(f"Theme {name}", "", _call(app.choose_theme, name)) for name in app.theme_names]
    return out


def _call(do: Callable[[str], object], what: str) -> Callable[[], object]:
    return lambda: do(what)
