"""Everything that a pane paints from, at one moment: the run's state, live values, and who is looking."""

import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ray_tui.core import facts as f
from ray_tui.core import plan, rules, views, whom
from ray_tui.core.handle import Link, Transport
from ray_tui.core.presence import Look, phase_of
from ray_tui.core.readings import Gauges
from ray_tui.core.state import Probe, RunState, Step
from ray_tui.core.together import asked, asked_together, named
from ray_tui.core.untrusted import line
from ray_tui.core.value import Changing, field
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.tui.lines import Span, left_of, short_seconds, width_of

NAMES = {
    "prerequisites": "Prerequisites", "1.1": "Review deployment", "1.2": "Coverage", "1.3": "Baseline",
    "2.1": "Dashboards, alerts", "2.2": "Alert paths", "2.3": "Runbooks", "3.1": "Schedule", "3.2": "Correlate",
    "3.3": "Scorecard", "4.1": "Package", "4.2": "Approval", "4.3": "Backlog", "completion": "Completion",
}  # fmt: skip
SHORT_PHASES = ("Instrumentation", "Alert validation", "Assurance", "Handoff")
VERDICT_STYLES = {
    Verdict.PASSED: "good", Verdict.FAILED: "bad", Verdict.INCONCLUSIVE: "warn", Verdict.ERROR: "bad",
    Verdict.WAIVED: "warn",
}  # fmt: skip

ANYBODY = "anybody"


class View(Changing, dict=True):
    """One look at the run. ``now`` is the replay's time in a replay."""

    state: RunState = field(default_factory=RunState)
    gauges: Gauges = field(default_factory=Gauges)
    now: float = 0.0
    person: str = ""
    console: str = ""
    read_only: bool = False
    link: Link = Link.LIVE
    silent_seconds: float = 0.0
    """How long the host has not been heard, where that is too long."""
    unanswered: int = 0
    """Commands that the host has not answered."""
    transport: Transport | None = None
    looks: Sequence[Look] = ()
    """Where the other consoles look."""
    signing: str = ""
    """Whether what is approved here gets signed, and with which key."""
    roomy: bool = False
    """The pane has the screen for itself."""

    @cached_property
    def book(self) -> rules.Rulebook:
        """What the host's facts tell of its rules; the host has the last word."""
        return rules.book_of(self.state)

    @property
    def actor(self) -> f.Actor:
        return f.Actor(person=self.person, console=self.console)

    @property
    def decides(self) -> bool:
        """Whether anything can be decided here: not in a replay, nor with --observe, nor by somebody unknown."""
        return not self.read_only and self.transport is None and not rules.stranger(self.person, self.book)

    @property
    def drives(self) -> bool:
        return self.decides and rules.drives(self.state, self.actor)

    @property
    def demo(self) -> bool:
        return self.state.opened is not None and self.state.opened.demo

    def step(self, name: str) -> Step:
        return self.state.steps.get(name) or Step()

    def data(self, name: str) -> dict[str, Any]:
        """A step's data; until it is answered, what its question shows stands in for what is not there yet."""
        found = dict(mapping(self.step(name).data))
        asked = [prompt.raised.data for prompt in self.state.unanswered if prompt.raised.step == name]
        for data in asked:
            found.update({key: data[key] for key in ("plan", "entries") if data.get(key)})
        proposals = [data["proposal"] for data in asked if data.get("proposal")]
        if proposals and not found.get("proposals"):
            found["proposals"] = proposals
        return found

    def datum(self, path: str) -> Any:
        """What stands in a step's data: ``1.3/kpis/0``. Raises LookupError where nothing does."""
        step, *keys = path.split("/")
        value: Any = self.data(step)
        for key in keys:
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (ValueError, TypeError) as exc:
                raise LookupError(path) from exc
        return value

    def verdict(self, name: str) -> Verdict | None:
        return views.verdict_of(self.state, name, self.now) if name in self.state.steps else None

    def may_answer(self, prompt: f.PromptRaised) -> bool:
        """Whether the question should open here by itself."""
        return self.decides and rules.may_answer(prompt, self.actor, self.state, self.book) is None

    def mark(self, name: str) -> Span:
        """A step's glyph and style."""
        step = self.step(name)
        verdict = self.verdict(name)
        glyph = views.glyph(step, verdict)
        if step.status == "running":
            return (glyph, "run") if self.state.aborted is None else ("✗", "bad")
        if step.status in ("waiting", "declined") or verdict is None:
            return glyph, "dim"
        return glyph, VERDICT_STYLES[verdict]

    def phase_mark(self, number: int) -> Span:
        word, _, _ = views.phase_status(self.state, number)
        if word in ("halted", "aborted"):
            return "✗", "bad"
        if word == "running":
            return "▶", "run"
        return ("✓", "good") if word == "done" else ("·", "dim")


def released_at(view: View) -> float:
    """When the release was deployed, in unix seconds: as 1.1 found it, else as the run was opened; 0 where unknown."""
    found = mapping(view.step("1.1").data).get("deployed_at")
    opened = view.state.opened.deployed_at if view.state.opened else 0.0
    return float(found) if isinstance(found, int | float) and found > 0 else max(0.0, opened)


def lookers(view: View, pane: int, step: str = "") -> str:
    """A quiet mark for each other console that looks at this pane (5: the event log), or at this step of it."""
    here = [look.person for look in view.looks if look.console in view.state.consoles and phase_of(look.place) == pane
            and (not step or look.place == step)]  # fmt: skip
    names = {_plain_name(name) for name in (*(look.person for look in view.looks), view.person) if name}
    return "".join(f"◦{_shortest(_plain_name(person), names)}" for person in dict.fromkeys(here))


def _plain_name(person: str) -> str:
    return line(person.removeprefix("uid:"), 40)


def _shortest(name: str, among: Set[str]) -> str:
    """So much of the name that it is nobody else's; two letters at least."""
    others = among - {name}
    lengths = (n for n in range(2, len(name)) if not any(other.startswith(name[:n]) for other in others))
    return name[: next(lengths, len(name))]


def name_of(step: str) -> str:
    """A step's short name: ``2.2 Alert paths``, ``Gate 2``."""
    if step.startswith("gate."):
        return f"Gate {plan.gate(step).number}"
    short = NAMES.get(step, step)
    return f"{step} {short}" if step[:1].isdigit() else short


def wall(at: float) -> str:
    """``12:04:31`` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def day(at: float | None) -> str:
    """``2026-11-22`` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") if at else "–"


def mappings(value: Any) -> list[dict[str, Any]]:
    """The dicts of a list from a step's data; anything else is left out, so that a pane never crashes on a shape."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, Sequence) else []


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def pending(probe: Probe) -> bool:
    """Whether this probe is still waited for."""
    if probe.cleared is not None or any(problem.blocks for problem in probe.problems):
        return False
    return ("t6" if probe.intended.purpose == "acknowledge" else "t7") not in probe.hops


def newest_probes(state: RunState) -> list[tuple[str, Probe]]:
    """(id, probe) of each path: a receiver that was tested again counts as it stands now."""
    newest = {(probe.intended.receiver, probe.intended.purpose): name for name, probe in state.probes.items()}
    return [(name, probe) for name, probe in state.probes.items() if name in newest.values()]


def path_words(state: RunState) -> tuple[int, int, str]:
    """(paths that are settled, all of them, in words) of the test alerts as they stand, not as was last announced."""
    probes = [probe for _, probe in newest_probes(state)]
    done = sum(not pending(probe) for probe in probes)
    said = []
    for purpose, hop, word in (("acknowledge", "t6", "acknowledged"), ("escalate", "t7", "escalated")):
        of = [probe for probe in probes if probe.intended.purpose == purpose]
        if of:
            said.append(f"{sum(hop in probe.hops for probe in of)} of {len(of)} {word}")
    return done, len(probes), ", ".join(said)


def ack_deadlines(state: RunState) -> list[tuple[float, Probe]]:
    """(unix time, probe) of every acknowledgement that is still waited for, soonest first."""
    waiting = [
        (probe.intended.starts_at + probe.intended.sla_seconds, probe)
        for probe in state.probes.values()
        if probe.intended.purpose == "acknowledge" and probe.intended.sla_seconds > 0 and pending(probe)
    ]
    return sorted(waiting, key=lambda pair: pair[0])


_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")
_CLAUSE_END = re.compile(r" \[\w+ at t\d|; ")


def measured(view: View, gate: plan.Gate) -> str:
    """A judged gate in a few cells: how much of it fails, or the figure that it is about."""
    step = view.step(gate.id)
    if step.verdict is None:
        return ""
    stopping = sum(not rules.effective(view.state, gate.id, c, view.now).lets_go_on for c in step.criteria)
    if stopping:
        return f"{stopping} of {len(step.criteria)}"
    if gate.key == "alert_validation":
        slowest = slowest_ack(view.state)
        if slowest is not None:
            return f"ack {short_seconds(slowest)}"
    found = _PERCENT.search(step.summary)
    if found is not None:
        return f"{float(found.group(1)):g}%"
    passed = sum(c.verdict is Verdict.PASSED for c in step.criteria)
    waived = f", {len(step.criteria) - passed} w" if passed < len(step.criteria) else ""
    return f"{passed}/{len(step.criteria)}{waived}" if step.criteria else ""


def slowest_ack(state: RunState) -> float | None:
    """Seconds of the slowest acknowledgement of the newest probes; None where nobody has acknowledged."""
    took = [probe.hops["t6"].latest - probe.intended.starts_at for probe in state.probes.values() if "t6" in probe.hops]
    return max(took) if took else None


def asks_whom(view: View, prompt: f.PromptRaised) -> str:
    """Whose answer a step waits for, as this console's person reads it."""
    if view.may_answer(prompt):
        return "you"
    return whom.asked(prompt, view.state)


def _still_out(view: View) -> tuple[Span, ...]:
    """The page whose time runs out first, where one is out while the run is halted."""
    for at, probe in ack_deadlines(view.state)[:1]:
        return ((f"; ack {probe.intended.receiver} ", ""), left_of(at - view.now, probe.intended.sla_seconds))
    return ()


def _paged(probe: Probe) -> str:
    """Whose turn it is where a page is out: who was notified, else whom it will page, else anybody."""
    notified = probe.hops["t5"].who if "t5" in probe.hops else ""
    people = [name for name in (notified, *(page.split(" (")[0] for page in probe.intended.pages)) if name]
    return people[0] if people else ANYBODY


def _acknowledgements(view: View, deadlines: Sequence[tuple[float, Probe]], room: int) -> tuple[Span, ...]:
    """Who must acknowledge what, the soonest first, and how long is left; the longest wording that has room."""
    (at, probe), *others = deadlines
    left = left_of(at - view.now, probe.intended.sla_seconds)
    by: Span = (f"  by {wall(at)}Z", "dim")
    more = f" and {len(others)} more" if others else ""
    who, where = _paged(probe), _where(probe)
    after = [probe for _, probe in others[:1]]
    second = "".join(f", {'' if _paged(one) == who else f'{_paged(one)} '}{one.intended.receiver}{_where(one)}"
                     for one in after)  # fmt: skip
    rest = f" and {len(others) - 1} more" if others[1:] else ""
    wordings = ((where + second + rest, (by,)), (where + second + rest, ()), (where + more, (by,)), (where + more, ()),
                (more, (by,)), (more, ()))  # fmt: skip
    for also, when in wordings:
        what = (f"ack {probe.intended.receiver}{also}: ", "strong")
        said = ((f"{who} must ", "warn"), what, left, *when)
        if width_of(said) <= room:
            break
    return said


def _where(probe: Probe) -> str:
    """By what a test alert reaches a person who is not named: that is where it is acknowledged."""
    kinds = probe.intended.integrations
    return f" ({' or '.join(kinds)})" if kinds and _paged(probe) == ANYBODY else ""


def waits_for(view: View, prompt: f.PromptRaised) -> tuple[Span, ...]:
    """Who must answer, as this console's person reads it."""
    if view.may_answer(prompt):
        roles = " or ".join(prompt.roles)
        return (("you must answer", "warn"), (f" as {roles}: " if roles else ": ", "dim"))
    return ((f"waiting for {asks_whom(view, prompt)} to answer: ", "warn"),)


def badge(view: View) -> Span:
    """Is the release watched? In one word."""
    state = view.state
    if state.aborted is not None:
        return "✗ ABORTED", "bad"
    if state.completed is not None:
        return "✓ WATCHED", "good"
    if state.halt is not None:
        return "✗ HALTED", "bad"
    if state.open_prompts:
        mine = any(view.may_answer(prompt.raised) for prompt in state.open_prompts)
        return ("? YOUR ANSWER", "warn") if mine else ("? WAITS", "warn")
    return ("▶ RUNNING", "run") if state.running() else ("· NOT YET", "dim")


def leaving(view: View) -> str:
    """What becomes of the run when this console leaves."""
    if view.transport is not None:
        return "close"
    return "leave, the run is over" if view.state.ended else f"leave, the run {without_us(view.state)}"


def without_us(state: RunState) -> str:
    """What a run that is not over does while nobody is at this console."""
    if state.halt is not None:
        return "stays halted"
    return "waits" if state.open_prompts else "goes on"


def short_name(criterion: Criterion) -> str:
    """What a criterion is about, where it is one of many of its kind; else all of its title."""
    return criterion.id.partition(":")[2] or criterion.title


def gist(view: View, halt: f.Halted) -> str:
    """What stopped the run, the measurement first: what a narrow screen cuts off is the rest of the list."""
    blocks = rules.blocking(view.state, halt.step, view.now)
    if not blocks:
        return halt.reason
    first = blocks[0]
    said = f"{_CLAUSE_END.split(first.actual)[0]}: {short_name(first)}"
    return f"{said} and {len(blocks) - 1} more" if blocks[1:] else said


def next_line(view: View, room: int = 200) -> tuple[Span, ...]:
    """Who must act, on what, and how long is left; what takes more than ``room`` cells is shortened where it can be."""
    state = view.state
    if state.aborted is not None:
        return (("aborted: ", "bad"), (state.aborted.reason, ""))
    if state.completed is not None:
        return (("nothing: protocol complete", "good"), (f"; for incidents: {state.completed.next_command}", "dim"))
    second = _second_person(view)
    if state.halt is not None:
        if second and (not view.drives or _all_asked(view, state.halt.step)):
            return second
        who = "you" if view.drives else whom.driver(state)
        settled = f" ({progress})" if (progress := settled_words(view, state.halt.step)) else ""
        on = f" on {name_of(state.halt.step)}{settled}"
        return ((f"{who} must decide", "bad"), (on, ""), *_still_out(view), (f": {gist(view, state.halt)}", ""))
    if deadlines := ack_deadlines(state):
        return _acknowledgements(view, deadlines, room)
    if state.open_prompts:
        prompt = state.open_prompts[0]
        return (*waits_for(view, prompt.raised), (prompt.raised.title, ""))
    if second:
        return second
    running = state.running()
    if running is not None:
        step = state.steps[running]
        done, total, doing = step.done, step.total, step.progress
        if running == "2.2" and state.probes:
            done, total, doing = path_words(state)
        count = f" {done}/{total}" if done is not None and total else ""
        return ((f"{name_of(running)}{count}", "run"), (f"  {doing}", "dim"))
    return (("·  waiting", "dim"),)


def settled_words(view: View, step: str) -> str:
    """``1 of 5 waived`` where what stopped a step is being settled piece by piece; empty before the first."""
    stopped = [criterion for criterion in view.step(step).criteria if not criterion.verdict.lets_go_on]
    now = [rules.effective(view.state, step, criterion, view.now) for criterion in stopped]
    settled = sum(verdict.lets_go_on for verdict in now)
    word = "waived" if all(verdict is Verdict.WAIVED for verdict in now if verdict.lets_go_on) else "settled"
    return f"{settled} of {len(stopped)} {word}" if settled else ""


def _all_asked(view: View, step: str) -> bool:
    """Whether a waiver is asked for of everything that stops a step: then a second person is all that it waits for."""
    open_ = asked(view.state, step)
    return all(criterion.id in open_ for criterion in rules.blocking(view.state, step, view.now))


def _second_person(view: View) -> tuple[Span, ...]:
    """Who must confirm the oldest waiver that is proposed; empty where none is."""
    oldest = next(iter(asked_together(view.state)), ())
    if not oldest:
        return ()
    mine = may_confirm(view, oldest[0].operator)
    whom = "you must confirm: " if mine else f"waiting for another person than {oldest[0].operator} to confirm: "
    return ((whom, "warn"), (named(oldest), ""))


def may_confirm(view: View, operator: str) -> bool:
    """Whether this console's person can be the second of a waiver; the host has the last word."""
    return view.decides and not rules.no_second(operator, view.person, rules.roles_of(view.person, view.book))
