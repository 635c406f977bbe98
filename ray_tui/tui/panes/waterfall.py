"""Each test alert on its way to a person: where it stands in people's words, hop by hop, against the time allowed."""

from collections.abc import Sequence
from itertools import pairwise

from ray_tui.analysis.hops import percentile
from ray_tui.core.facts import ProbeProblem
from ray_tui.core.state import Probe
from ray_tui.core.untrusted import cell_width
from ray_tui.tui.lines import Line, Row, Span, columns, crop, left_of, short_seconds, width_of, within
from ray_tui.tui.panes.actions import blank, heading
from ray_tui.tui.view import View, ack_deadlines, newest_probes, pending

HOPS = ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8")
HOP_NAMES = {
    "t0": "fired", "t1": "accepted", "t2": "active", "t3": "sent", "t4": "delivered", "t5": "notified",
    "t6": "acked", "t7": "escalated", "t8": "cleared",
}  # fmt: skip
SHORT_HOPS = {"t1": "acpt", "t2": "actv", "t3": "sent", "t4": "dlvd", "t5": "ntfd", "t6": "acked", "t7": "escal",
              "t8": "clrd"}  # fmt: skip
HEADS = {"lost": "lost", "late": "late", "duplicate": "paged twice", "auto_ack": "answered by a machine",
         "suppressed": "held back", "peer_down": "Alertmanager peer down", "unsent": "not sent"}  # fmt: skip
"""Problems whose words begin with one word to see from afar."""
MAIN_HOPS = ("t3", "t4", "t5", "t6")
BY_CODE = "answer where it arrived, or: ray-tui acknowledge CODE (from its message)"
SOME, ALL = 66, 112
"""Cells of a pane from which on the main hops have a column each, and all of them."""


def rows(view: View, width: int) -> list[Row]:
    """One row a path, a track of the time allowed under those that are waited for, and what they took together.

    In a small pane, where tracks would push other paths out of sight, only the one that has the least time left is
    drawn: the others say in words how much of it is used.
    """
    probes = newest_probes(view.state)
    if not probes:
        return []
    hops = tuple(SHORT_HOPS) if width >= ALL else (MAIN_HOPS if width >= SOME else ())
    sla = -5 if width >= ALL else 0
    longest = max(width_of(((_label(probe), ""),)) for _, probe in probes)
    name = max(12, min(24 if width >= ALL or not hops else 20, longest))
    widths = (1, name, *(-5 for _ in hops), sla, 0)
    used = sum(abs(one) + 1 for one in widths if one)
    widths = (*widths[:-1], max(10, width - used))
    soonest = next((probe for _, probe in ack_deadlines(view.state)), None)
    out = [blank()]
    began = view.step("2.2").started_at
    if began is not None and all(probe.intended.starts_at < began for _, probe in probes):
        out.append(Row((("fired at an attempt before this one; at this one nothing was, yet", "warn"),)))
    if hops:
        named = (SHORT_HOPS[hop] for hop in hops)
        out.append(heading("", "alert path", *named, "SLA", "where it stands", widths=widths))
    for probe_id, probe in probes:
        mark, whole, style = stands(view, probe, widths[-1])
        said, below = _split(whole, widths[-1]) if mark == "✗" else (whole, "")
        allowed = probe.intended.sla_seconds
        cells: list[Span | str] = [(mark, style), (_label(probe), ""), *(_hop(probe, hop) for hop in hops),
                                   (within(allowed, allowed) if allowed else "–", "dim"), (said, style)]  # fmt: skip
        out.append(Row(columns(cells, widths), f"probe:{probe_id}"))
        if below:
            out.append(Row(crop((("  └ ", "dim"), (below, style)), width), f"probe:{probe_id}"))
        waits = pending(probe) and allowed > 0 and probe.intended.purpose == "acknowledge"
        if waits and (view.roomy or probe is soonest):
            out.append(Row(_track(view, probe, width), f"probe:{probe_id}"))
            if not probe.intended.pages and "t4" in probe.hops:
                out.append(Row(crop((("  ", ""), (BY_CODE, "dim")), width), f"probe:{probe_id}"))
    return [*out, *(Row(line) for line in _together([probe for _, probe in probes], width))]


def _split(said: str, room: int) -> tuple[str, str]:
    """What went wrong as the last column has room for it, and what stands under the row: what it leaves out, or all."""
    if cell_width(said) <= room:
        return said, ""
    first, _, who = said.partition(" (")
    return (first, who.removesuffix(")")) if who and cell_width(first) <= room else (said, said)


def _label(probe: Probe) -> str:
    return probe.intended.receiver + (" ↑" if probe.intended.purpose == "escalate" else "")


def _hop(probe: Probe, hop: str) -> Span:
    seen = probe.hops.get(hop)
    if seen is not None:
        return short_seconds(max(0.0, seen.latest - probe.intended.starts_at)), "good" if hop in ("t6", "t7") else ""
    if hop < "t5" and (later := [at for name, at in probe.hops.items() if hop < name < "t6"]):
        # What came after it was seen, so it happened; only when is not known. A receiver may have no sign of its own.
        return f"≤{short_seconds(max(0.0, min(at.latest for at in later) - probe.intended.starts_at))}", "dim"
    never = hop == ("t7" if probe.intended.purpose == "acknowledge" else "t6") or probe.cleared is not None
    return ("–" if never else "·"), "dim"


# --- in words --------------------------------------------------------------------------------------------------------


def stands(view: View, probe: Probe, room: int = 200) -> tuple[str, str, str]:
    """(glyph, words, style): where this path stands, as its facts say; the longest wording that has room."""
    blocking = [problem for problem in probe.problems if problem.blocks]
    if blocking:
        return "✗", problem_words(blocking[-1], probe), "bad"
    wanted, word = ("t6", "acked") if probe.intended.purpose == "acknowledge" else ("t7", "escalated")
    done = probe.hops.get(wanted)
    if done is not None:
        took = short_seconds(done.latest - probe.intended.starts_at)
        who = f"{'by' if wanted == 't6' else 'to'} {done.who}" if done.who else ""
        if probe.cleared is not None and not probe.cleared.clean:
            return "!", f"{word} {took}; not cleared: {', '.join(probe.cleared.left)}", "bad"
        wordings = (f"{word} {took} {who}".rstrip(), who, who.partition(" <")[0])
        return "✓", next((said for said in wordings if said and cell_width(said) <= room), wordings[-1]), "good"
    if probe.cleared is not None:
        return "?", f"cleared, not {word}", "warn"
    since, allowed = _clock(probe)
    time, style = f"{short_seconds(max(0.0, view.now - since))} so far", "run"
    if allowed:
        time, style = left_of(since + allowed - view.now, allowed)
    brief = time.partition(" of ")[0]
    if wanted == "t7":  # the pager acts: there is nobody to hurry
        time, style = brief, style if view.now - since > allowed > 0 else ""
    sayings = (f"{words}, {when}" for words in _waiting(probe) for when in (time, brief))
    return "▶", next((said for said in sayings if cell_width(said) <= room), brief), style


def _clock(probe: Probe) -> tuple[float, float]:
    """(since when, how long): what this path is measured against; 0 s where nothing is."""
    intended, arrived = probe.intended, probe.hops.get("t4") or probe.hops.get("t5")
    limit = intended.sla_seconds if intended.purpose == "acknowledge" else 0.0
    if arrived is None and intended.delivery_seconds:  # later than this it counts as lost, whatever is left of the SLA
        limit = min(limit or intended.delivery_seconds, intended.delivery_seconds)
    if arrived is not None and intended.purpose == "escalate" and intended.escalation_seconds:
        return arrived.latest, intended.escalation_seconds
    return intended.starts_at, limit


def _waiting(probe: Probe) -> Sequence[str]:
    """What this path waits for, from the whole sentence to the shortest."""
    seen = probe.hops
    people = _people(probe)
    first = people[0] if people else f"anybody on {' or '.join(probe.intended.integrations) or probe.intended.receiver}"
    second = people[1] if people[1:] else "level 2"
    if "t4" not in seen and "t5" not in seen:
        if "t3" in seen:
            return ("sent, waiting for it to arrive", "sent")
        return ("accepted, waiting for it to arrive", "not arrived yet") if "t1" in seen else ("being sent", "sending")
    if probe.intended.purpose == "escalate":
        return (f"{first} leaves it unanswered, escalation to {second}", f"escalation to {second}", f"to {second}")
    if "t5" not in seen and probe.intended.pages:
        return (f"arrived, waiting until {first} is notified", f"{first} not notified yet", "arrived")
    return (f"waiting for {first} to acknowledge", f"waiting for {first}", f"for {people[0] if people else 'anybody'}")


def _people(probe: Probe) -> tuple[str, ...]:
    """Who is called, level by level: as the pager told, else as was expected."""
    notified = probe.hops.get("t5")
    expected = [page.rsplit(" (", 1)[0] for page in probe.intended.pages]
    if notified is not None and notified.who:
        expected[:1] = [notified.who]
    return tuple(expected)


def problem_words(problem: ProbeProblem, probe: Probe) -> str:
    """What went wrong, for a person: no ids of problems or hops."""
    if problem.problem == "not_acknowledged":
        people = _people(probe)
        notified = f" ({people[0]} was notified)" if people and "t5" in probe.hops else ""
        return f"nobody acknowledged within {_allowed(probe.intended.sla_seconds)}{notified}"
    said = problem.detail or problem.problem.replace("_", " ")
    head = HEADS.get(problem.problem, "")
    return f"{head}: {said}" if head else said


def _allowed(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


# --- against the clock -----------------------------------------------------------------------------------------------


def _track(view: View, probe: Probe, width: int) -> Line:
    """The time allowed as a line: a ● for each hop that was seen, ▶ for now, the end of it at the right."""
    sla, start = probe.intended.sla_seconds, probe.intended.starts_at
    left, style = left_of(start + sla - view.now, sla)
    room = max(8, min(48, width - width_of(((left, ""),)) - 6))

    def at(when: float) -> int:
        return max(0, min(room - 1, int((when - start) / sla * room)))

    here = at(view.now)
    cells: list[Span] = [("━", style) if n < here else ("─", "dim") for n in range(room)]
    cells[here] = ("▶", style)
    for hop, seen in probe.hops.items():
        if hop not in ("t0", "t8"):
            cells[at(seen.latest)] = ("●", "strong")
    spans: list[Span] = [("  ├", "dim")]
    for text, of in cells:
        if spans[-1][1] == of:
            spans[-1] = (spans[-1][0] + text, of)
        else:
            spans.append((text, of))
    return (*spans, ("┤ ", "dim"), (left, style))


def _together(probes: Sequence[Probe], width: int) -> list[Line]:
    """How many have arrived at a person, their median and 95th percentile, and which hop was the slowest, and where."""
    acked = [probe for probe in probes if probe.intended.purpose == "acknowledge"]
    took = [probe.hops["t6"].latest - probe.intended.starts_at for probe in acked if "t6" in probe.hops]
    if not took:
        return []
    escalations = [probe for probe in probes if probe.intended.purpose == "escalate"]
    called = sum("t7" in probe.hops for probe in escalations)
    p50, p95 = percentile(took, 50), percentile(took, 95)
    line: list[Span] = [(f"{len(took)} of {len(acked)} acknowledged", "strong"),
                        (f"  p50 {short_seconds(p50 or 0)}  p95 {short_seconds(p95 or 0)}", "")]  # fmt: skip
    if escalations:
        line.append((f"  {called} of {len(escalations)} escalated", ""))
    slow = _slowest(acked)
    out: list[Line] = [(), tuple(line)]
    if slow:
        if width_of(tuple(line)) + width_of(((slow, ""),)) + 2 <= width:
            out[-1] = (*line, (f"  {slow}", "dim"))
        else:
            out.append(((slow, "dim"),))
    return [crop(line, width) for line in out]


def _slowest(probes: Sequence[Probe]) -> str:
    """The longest time between two hops that follow each other, to the acknowledgement at most; and whose."""
    found: list[tuple[float, str]] = []
    for probe in probes:
        seen = sorted((hop for hop in probe.hops if hop < "t7"), key=lambda hop: (probe.hops[hop].latest, hop))
        for before, after in pairwise(seen):
            took = probe.hops[after].latest - probe.hops[before].latest
            hops = f"{HOP_NAMES[before]} → {HOP_NAMES[after]}"
            found.append((took, f"{hops} {short_seconds(took)} ({probe.intended.receiver})"))
    return f"slowest hop: {max(found)[1]}" if found else ""
