"""Test alerts on their way: in words, against the clock, counted as they come."""

import pytest

from ray_tui.core import facts as f
from ray_tui.tui.panes import waterfall
from ray_tui.tui.view import View, newest_probes, path_words
from tests.tui.fake_handle import T0, FakeHandle, StillClock, folded, mid_run, opened, until
from tests.tui.on_screen import console, shows, text_of

SEEN = {"t0": 0.0, "t1": 0.1, "t2": 0.2, "t3": 0.4, "t4": 0.5, "t5": 0.6, "t6": 2.0, "t7": 3.4}


def text(line):
    return "".join(part for part, _ in line)


def path(*hops, purpose="acknowledge", receiver="pd-payments", pages=("Priya Nair (level 1)", "Tom Brandt (level 2)"),
         who=None, name="x-a1-1", sla=15.0, escalation=0.0, delivery=0.0):  # fmt: skip
    """The facts of one path that was seen at these hops."""
    intended = f.ProbeIntended(
        id=name, step="2.2", receiver=receiver, purpose=purpose, labels={}, starts_at=T0, ends_at=T0 + 90, pages=pages,
        sla_seconds=sla, escalation_seconds=escalation, delivery_seconds=delivery,
    )  # fmt: skip
    who = {"t5": "Priya Nair", "t6": "Priya Nair", "t7": "Tom Brandt"} if who is None else who
    return [intended, *(f.ProbeHopSeen(id=name, hop=hop, earliest=T0, latest=T0 + SEEN[hop], source="s",
                                       who=who.get(hop, "")) for hop in hops)]  # fmt: skip


def view_of(*facts, now=T0 + 7):
    return View(state=folded(*facts), now=now)


def problem(name, detail, hop="t6", blocks=True):
    return f.ProbeProblem(id="x-a1-1", hop=hop, problem=name, detail=detail, blocks=blocks)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (path(), "being sent, 8 s left of 15 s"),
        (path("t0", "t1"), "accepted, waiting for it to arrive, 8 s left of 15 s"),
        (path("t0", "t1", "t3"), "sent, waiting for it to arrive, 8 s left of 15 s"),
        (path("t0", "t1", delivery=10.0), "accepted, waiting for it to arrive, 3 s left of 10 s"),
        (path("t0", "t1", "t4", delivery=10.0), "arrived, waiting until Priya Nair is notified, 8 s left of 15 s"),
        (path("t0", "t1", purpose="escalate", delivery=10.0), "accepted, waiting for it to arrive, 3 s left"),
        (path("t0", "t4"), "arrived, waiting until Priya Nair is notified, 8 s left of 15 s"),
        (path("t0", "t4", "t5"), "waiting for Priya Nair to acknowledge, 8 s left of 15 s"),
        (path("t0", "t4", pages=()), "waiting for anybody on pd-payments to acknowledge, 8 s left of 15 s"),
        (path("t0", "t4", "t5", who={"t5": "Sam Ito"}), "waiting for Sam Ito to acknowledge, 8 s left of 15 s"),
        (path("t4", "t5", purpose="escalate"),
         "Priya Nair leaves it unanswered, escalation to Tom Brandt, 7.0s so far"),
        (path("t4", "t5", purpose="escalate", escalation=10.0),
         "Priya Nair leaves it unanswered, escalation to Tom Brandt, 4 s left"),
        (path("t1", purpose="escalate", escalation=10.0), "accepted, waiting for it to arrive, 7.0s so far"),
        (path("t4", purpose="escalate", pages=("Priya Nair (level 1)",)),
         "Priya Nair leaves it unanswered, escalation to level 2, 7.0s so far"),
        (path("t0", "t4", "t5", "t6"), "acked 2.0s by Priya Nair"),
        (path("t4", "t5", "t7", purpose="escalate"), "escalated 3.4s to Tom Brandt"),
    ],
)  # fmt: skip
def test_a_path_says_in_words_where_it_stands(facts, said):
    """Who is waited for, for what, and how much of the time is used."""
    view = view_of(*opened(), *facts)
    assert waterfall.stands(view, view.state.probes["x-a1-1"])[1] == said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([*path("t4", "t5"), problem("not_acknowledged", "SLA of 15 s expired: no person acknowledged on pagerduty")],
         "nobody acknowledged within 15 s (Priya Nair was notified)"),
        ([*path("t4", sla=300.0), problem("not_acknowledged", "SLA of 5 min expired: no person acknowledged on slack")],
         "nobody acknowledged within 5 min"),
        ([*path("t1"), problem("lost", "nothing arrived on pagerduty in time", "t4")],
         "lost: nothing arrived on pagerduty in time"),
        ([*path("t4"), problem("auto_ack", "acknowledged by bot, which is not a person")],
         "answered by a machine: acknowledged by bot, which is not a person"),
        ([*path("t4"), problem("not_notified", "the incident was opened, and nobody was notified of it", "t5")],
         "the incident was opened, and nobody was notified of it"),
        ([*path("t4"), problem("peer_unknown", "", "t1")], "peer unknown"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_said_without_ids(facts, said):
    """No name of a hop or of a problem: words that a person uses."""
    view = view_of(*opened(), *facts)
    glyph, words, style = waterfall.stands(view, view.state.probes["x-a1-1"])
    assert (glyph, words, style) == ("✗", said, "bad")
    assert "t6" not in words
    assert "_" not in words


def test_the_longest_wording_that_fits_is_taken_and_keeps_the_time():
    """In a narrow pane the sentence gets shorter; how much time is used stays."""
    view = view_of(*opened(), *path("t4", "t5"))
    probe = view.state.probes["x-a1-1"]
    for room in (80, 50, 40, 30, 12):
        said = waterfall.stands(view, probe, room)[1]
        assert len(said) <= room
        assert "8 s left" in said
    assert waterfall.stands(view, probe, 36)[1] == "waiting for Priya Nair, 8 s left"


def test_the_name_of_who_is_waited_for_is_kept_longer_than_the_limit():
    """Where both have no room it is the limit that gives way: it is the same for all, and stands in the track."""
    view = view_of(*opened(), *path("t4", "t5", who={"t5": "Mira Okafor-Brandt"}))
    assert waterfall.stands(view, view.state.probes["x-a1-1"], 34)[1] == "for Mira Okafor-Brandt, 8 s left"


def test_that_somebody_is_to_be_called_is_kept_longer_than_the_limit():
    """Of an escalation the short name alone would read like a page to be acknowledged; nobody is told to hurry."""
    view = view_of(*opened(), *path("t4", "t5", purpose="escalate", escalation=13.0))
    probe = view.state.probes["x-a1-1"]
    assert waterfall.stands(view, probe, 50)[1:] == ("escalation to Tom Brandt, 7 s left", "")
    assert waterfall.stands(view, probe, 28)[1] == "to Tom Brandt, 7 s left"
    late = view_of(*opened(), *path("t4", "t5", purpose="escalate", escalation=5.0))
    assert waterfall.stands(late, late.state.probes["x-a1-1"], 50)[1:] == (
        "escalation to Tom Brandt, 1 s past the limit",
        "bad",
    )


@pytest.mark.parametrize(
    ("facts", "told"), [(path("t4", pages=()), True), (path("t1", pages=()), False), (path("t4"), False)]
)
def test_how_to_acknowledge_stands_under_what_waits_for_anybody(facts, told):
    """A pager asks by itself; a message in a mailbox or a webhook does not say on this screen what to do with it."""
    rows = waterfall.rows(view_of(*opened(), *facts), 100)
    assert any("ray-tui acknowledge CODE" in "".join(text for text, _ in row.line) for row in rows) is told


def test_a_hop_without_a_sign_of_its_own_is_bounded_by_the_next_that_was_seen():
    """Alertmanager does not always tell when it sent; that it did is certain once the page is there."""
    view = view_of(*opened(), *path("t0", "t1", "t4", "t5"))
    row = next(row for row in waterfall.rows(view, 120) if row.target == "probe:x-a1-1")
    cells = "".join(text for text, _ in row.line).split()
    assert cells[2:7] == [
        "0.1s",
        f"≤{SEEN['t4']:.1f}s",
        f"≤{SEEN['t4']:.1f}s",
        f"{SEEN['t4']:.1f}s",
        f"{SEEN['t5']:.1f}s",
    ]
    lost = view_of(*opened(), *path("t0", "t1"))
    assert waterfall.HOP_NAMES["t3"] == "sent"
    cells = "".join(text for text, _ in next(r for r in waterfall.rows(lost, 120) if r.target).line).split()
    assert cells[3:6] == ["·", "·", "·"]


@pytest.mark.parametrize(("roomy", "tracks"), [(False, 1), (True, 3)])
def test_in_a_small_pane_only_the_path_with_the_least_time_left_has_a_track(roomy, tracks):
    """All paths stay in sight; who zooms sees the track of each. When it is acknowledged the next one has it."""
    paths = [fact for n, name in enumerate(("pd-a", "pd-b", "mail"), start=1)
             for fact in path("t4", receiver=name, name=f"x-a1-{n}")]  # fmt: skip
    acked = f.ProbeHopSeen(id="x-a1-1", hop="t6", earliest=T0, latest=T0 + 6, source="s", who="Priya Nair")

    def rows(*facts):
        view = view_of(*opened(), *paths, *facts)
        view.roomy = roomy
        return [text(row.line) for row in waterfall.rows(view, 76)]

    before, after = rows(), rows(acked)
    assert sum("├" in row for row in before) == tracks
    assert "├" in before[next(n for n, row in enumerate(before) if "pd-a" in row) + 1]
    assert "├" in after[next(n for n, row in enumerate(after) if "pd-b" in row) + 1]


def test_what_the_row_says_of_a_failure_is_not_said_again_under_it():
    """Where only who was notified has no room, only that stands below."""
    facts = [*path("t4", "t5"), problem("not_acknowledged", "")]
    rows = [text(row.line).rstrip() for row in waterfall.rows(view_of(*opened(), *facts), 76)]
    assert any(row.endswith("nobody acknowledged within 15 s") for row in rows)
    assert "  └ Priya Nair was notified" in rows


def test_the_track_ticks_towards_the_limit():
    """Hops that were seen, now, and the end of the time allowed; past it, it says so."""
    early, late = (
        next(text(row.line) for row in waterfall.rows(view_of(*opened(), *path("t1", "t4", "t5"), now=T0 + at), 80)
             if "├" in text(row.line)) for at in (3, 12)
    )  # fmt: skip
    assert early.index("▶") < late.index("▶") < late.index("┤")
    assert "●" in early
    assert "12 s left of 15 s" in early
    assert "3 s left of 15 s" in late
    over = [text(row.line) for row in waterfall.rows(view_of(*opened(), *path("t4", "t5"), now=T0 + 20), 80)]
    assert any("5 s past the limit of 15 s" in row for row in over)
    still = waterfall.rows(view_of(*opened(), *path("t4", "t5", "t6")), 80)
    assert not any("├" in text(row.line) for row in still)


def test_what_an_earlier_attempt_fired_is_said_to_be_of_it():
    """Attempt 2 was refused before anything was sent: the table must not read as if it were its own."""
    before = [f.StepStarted(step="2.2"), *path("t4", "t5", "t6")]
    first = [text(row.line) for row in waterfall.rows(view_of(*opened(), *before), 80)]
    state = view_of(*opened(), *before)
    state.state.steps["2.2"].started_at = T0 + 60
    again = [text(row.line) for row in waterfall.rows(state, 80)]
    assert not any("an attempt before" in row for row in first)
    assert any("an attempt before" in row for row in again)


def test_what_the_paths_took_together_and_the_slowest_hop_by_name():
    """Median and 95th percentile over the receivers; the slowest hop with its receiver."""
    facts = [*path("t0", "t4", "t5", "t6"), *path("t0", "t4", "t6", receiver="mail", name="x-a1-2", pages=()),
             *path("t0", "t4", receiver="slack", name="x-a1-3"),
             *path("t4", "t7", purpose="escalate", name="x-a1-4")]  # fmt: skip
    said = "\n".join(text(row.line) for row in waterfall.rows(view_of(*opened(), *facts), 110))
    assert "2 of 3 acknowledged  p50 2.0s  p95 2.0s  1 of 1 escalated" in said
    assert "slowest hop: delivered → acked 1.5s (mail)" in said
    alone = "\n".join(text(row.line) for row in waterfall.rows(view_of(*opened(), *path("t4")), 110))
    assert "p50" not in alone


def test_a_receiver_that_is_tested_again_is_one_path():
    """The newest test of a receiver counts; the attempt before it is gone from the screen and from the count."""
    facts = [*path("t4"), problem("not_acknowledged", "no"), *path("t4", "t6", name="x-a2-1")]
    view = view_of(*opened(), *facts)
    assert [name for name, _ in newest_probes(view.state)] == ["x-a2-1"]
    assert path_words(view.state) == (1, 1, "1 of 1 acknowledged")


@pytest.mark.parametrize("width", [38, 56, 70, 78, 97, 120, 180])
def test_rows_keep_their_width(width):
    """At every width of a pane; hop columns only where there is room."""
    facts = [*path("t1", "t4", "t5"), *path("t4", purpose="escalate", name="x-a1-2"), *path("t4", "t6", name="x-a1-3",
             receiver="a-receiver-with-a-very-long-name-indeed")]  # fmt: skip
    rows = waterfall.rows(view_of(*opened(), *facts), width)
    assert max(len(text(row.line)) for row in rows) <= width + 1
    assert any("where it stands" in text(row.line) for row in rows) is (width >= 66)


def test_why_a_path_failed_is_whole_beside_its_hops():
    """What the last column cannot hold stands under the row."""
    facts = [*path("t4", "t5", sla=300.0), problem("not_acknowledged", "no")]
    rows = [text(row.line) for row in waterfall.rows(view_of(*opened(), *facts), 68)]
    assert "  └ nobody acknowledged within 5 min (Priya Nair was notified)" in rows


HOPS_OF_A_PANE = [(44, []), (65, []), (66, ["sent", "dlvd", "ntfd", "acked"]), (76, ["sent", "dlvd", "ntfd", "acked"]),
                  (112, ["acpt", "actv", "sent", "dlvd", "ntfd", "acked", "escal", "clrd"]),
                  (116, ["acpt", "actv", "sent", "dlvd", "ntfd", "acked", "escal", "clrd"])]  # fmt: skip


@pytest.mark.parametrize(("width", "hops"), HOPS_OF_A_PANE)
def test_hop_by_hop_from_the_width_of_an_active_pane(width, hops):
    """The main hops at 80 columns and in the active pane of 120, all of them zoomed at 120; kept once acknowledged."""
    rows = waterfall.rows(view_of(*opened(), *path("t1", "t3", "t4", "t5", "t6")), width)
    head = next((text(row.line) for row in rows if "where it stands" in text(row.line)), "")
    assert [word for word in head.split() if word in waterfall.SHORT_HOPS.values()] == hops
    row = next(text(row.line) for row in rows if "pd-payments" in text(row.line))
    if hops:
        assert row[: head.index("acked") + 5].endswith(" 2.0s")
    assert row.rstrip().endswith("by Priya Nair")


def test_an_address_gives_way_before_the_name():
    """Where the column is narrow a person's name stays whole, and the time stands in its own column."""
    facts = path("t4", "t5", "t6", who={"t6": "Lee Moreau <lee@shop.example>"})
    row = next(text(row.line) for row in waterfall.rows(view_of(*opened(), *facts), 68) if "pd-" in text(row.line))
    assert row.rstrip().endswith("  2.0s by Lee Moreau")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_hops_are_on_the_screen_at_usual_sizes(size):
    """Where the test of the alert paths runs, each hop has its column without a key being pressed."""
    handle = FakeHandle(*opened(), f.StepStarted(step="2.2"), *path("t1", "t3", "t4", "t5"))
    async with console(handle, size, clock=StillClock(at=[T0 + 7])) as (app, _):
        await until(lambda: all(hop in text_of(app) for hop in ("sent", "dlvd", "ntfd", "acked")), "the hops")


async def test_acknowledged_paths_are_counted_as_they_come():
    """The running step counts what has arrived, not what was last announced."""
    clock = StillClock(at=[T0 + 7])
    handle = FakeHandle(*opened(), f.StepStarted(step="2.2"), f.Progressed(step="2.2", text="waiting", done=0, total=2),
                        *path("t4", "t5"), *path("t4", receiver="mail", name="x-a1-2", pages=()))  # fmt: skip
    async with console(handle, (120, 40), clock=clock) as (app, _):
        await shows(app, "0/2 0 of 2 acknowledged")
        handle.feed(f.ProbeHopSeen(id="x-a1-1", hop="t6", earliest=T0, latest=T0 + 6, source="s", who="Priya Nair"))
        await shows(app, "1/2 1 of 2 acknowledged")
        assert "acked 6.0s by Priya Nair" in text_of(app)
        assert "for anybody, 8 s left of 15 s" in text_of(app)
        clock.at[0] = T0 + 9
        await shows(app, "for anybody, 6 s left of 15 s")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_who_is_waited_for_is_on_the_screen_at_every_size(size):
    """Receiver, person and time left, cut nowhere."""
    clock = StillClock(at=[T0 + 7])
    handle = FakeHandle(*opened(), f.StepStarted(step="2.2"), *path("t1", "t4", "t5"))
    async with console(handle, size, clock=clock) as (app, _):
        await until(lambda: "Priya Nair" in text_of(app) and "8 s left" in text_of(app), "the person and the time")
        assert any("pd-payments" in row and "Priya Nair" in row for row in text_of(app).split("\n"))


async def test_the_detail_of_a_path_says_what_went_wrong_in_words():
    """Enter on a path: its hops as intervals, and no id of a problem."""
    async with console(FakeHandle(*mid_run()), (100, 40)) as (app, _):
        app.open_detail("probe:7f3a-a1-3")
        await shows(app, "late: no acknowledgement within 5 min")
        assert "at t6" not in text_of(app)
