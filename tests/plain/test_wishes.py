"""What is typed between the questions of a line-by-line console: the full screen's words, and its commands."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core.commands import AddNote, Decline, GrantSeat, KeepSeat, RequestSeat, RunStep, TakeSeat
from ray_tui.core.untrusted import cell_width
from ray_tui.plain import named, wishes
from tests.tui.fake_handle import done, late_run, mid_run, opened, view_of


@pytest.fixture
def view():
    """The run of the pictures: 2.2 waits for acknowledgements, mira drives."""
    return view_of(mid_run())


@pytest.fixture
def late():
    """The same run in phase 4: correlated, packaged, with a waiver."""
    return view_of(late_run())


def said(view, typed):
    lines = wishes.granted(view, typed)
    assert isinstance(lines, list)
    return "\n".join(lines)


def test_status_says_where_it_stands_who_drives_and_who_must_act(view):
    """The three first rows of the full screen."""
    text = said(view, "s")
    assert "RUNNING" in text
    assert "driving: mira (you)" in text
    assert "G1 ✓" in text
    assert "must ack" in text


def test_every_pane_can_be_read(view):
    """Coverage, alert paths, schedule, package: the same rows."""
    assert "checkout" in said(view, "show 1")
    assert "2.2 Alert paths" in said(view, "show 2")
    assert "3.1 Schedule" in said(view, "show 3")
    assert "4.1 Package" in said(view, "show 4")


@pytest.mark.parametrize(
    ("typed", "has"),
    [
        ("why 1.2", "1.2"), ("why gate 1", "criteria"), ("why G1", "criteria"), ("why checkout", "query"),
        ("why pd-payments", "t1"), ("why seq 3", "journal seq 3"), ("why 3", "journal seq 3"),
    ],
)  # fmt: skip
def test_why_shows_the_facts_behind_a_step_a_gate_a_service_a_receiver_or_a_line(view, typed, has):
    """What Enter opens on the full screen."""
    assert has.casefold() in said(view, typed).casefold()


@pytest.mark.parametrize(
    ("typed", "has"),
    [
        ("why payments p99", ["390", "412"]), ("why Checkout RED", ["score  96", "Rate"]),
        ("why CheckoutErrorBudgetBurn", ["receivers", "pd-checkout"]),
        ("why waivers", ["Waiver W1", "nobody reads it at night"]), ("why w1", ["Waiver W1"]),
        ("why CartHighErrorRatio", ["precision  0.29"]), ("why tuning", ["pages_before"]),
        ("why boxes", ["All quality gates passed"]), ("why files", ["alert-test-results.json"]),
    ],
)  # fmt: skip
def test_why_shows_a_kpi_a_dashboard_a_rule_and_the_waivers(late, typed, has):
    """Everything that a row of a pane opens has a name to type."""
    text = said(late, typed)
    assert [part for part in has if part not in text] == []


def test_what_a_run_has_none_of_is_said(view):
    """Not that the word is unknown."""
    with pytest.raises(named.Unknown, match=r"no waivers \(yet\)"):
        wishes.granted(view, "why waivers")


@pytest.mark.parametrize(
    ("typed", "has"),
    [
        ("copy checkout", ["promtool query instant $PROMETHEUS_URL", "curl -sG $PROMETHEUS_URL/api/v1/query"]),
        ("copy pd-payments", ["amtool alert query --alertmanager.url=$ALERTMANAGER_URL alertname=RayProbe"]),
        ("copy gate 2", ["ray-tui gate alerts --json"]),
    ],
)
def test_a_row_s_query_and_commands_can_be_copied(view, typed, has):
    """The same that the full screen copies."""
    text = said(view, typed)
    assert [part for part in has if part not in text] == []


def test_what_has_no_command_says_where_to_look(view):
    """Nothing is printed that could be taken for one."""
    with pytest.raises(named.Unknown, match=r"why 2\.2 shows"):
        wishes.granted(view, "copy 2.2")


@pytest.mark.parametrize("pane", ["1", "2", "3", "4"])
def test_what_a_pane_has_no_room_for_is_wrapped(late, pane):
    """No line is cut, none is wider than a terminal of a hundred columns."""
    lines = wishes.granted(late, f"show {pane}")
    assert max(map(cell_width, lines)) <= wishes.WIDTH
    assert [line for line in lines if "…" in line] == []


def test_long_words_of_a_pane_are_all_there():
    """A summary of several lines stands below its row, indented."""
    long = "the lowest score of all dashboards is 12 because " + "of a panel without data, " * 6 + "and that is all"
    text = said(view_of([*opened(), *done("2.1", long)]), "show 2")
    assert "and that is all" in text
    assert "\n      " in text


def test_the_words_that_only_look_can_be_typed_at_a_question(view):
    """What asks something of the run has to wait."""
    assert "RUNNING" in "\n".join(wishes.looked(view, "status"))
    assert wishes.looked(view, "retry 1.2") is None
    assert wishes.looked(view, "7") is None


def test_a_note_in_the_log_says_whose_it_is():
    """Where the log is filtered, too."""
    assert "all is well (mira)" in said(
        view_of([*opened(), f.NoteAdded(text="all is well")], person="mira"), "grep well"
    )


def test_a_name_that_is_nothing_says_what_there_is(view):
    """A dead end names the way on."""
    with pytest.raises(named.Unknown, match=r"gate 2.*a service \(checkout.*a KPI \(.*a dashboard \(Checkout RED"):
        wishes.granted(view, "why nosuch")
    with pytest.raises(named.Unknown, match="lists what is"):
        wishes.granted(view, "frobnicate")
    with pytest.raises(named.Unknown, match="which phase"):
        wishes.granted(view, "show 7")


def test_the_log_is_filtered(view):
    """By text, kind, step or person, in any case; nothing found is said."""
    assert "mira drives" in said(view, "grep MIRA")
    assert "none of" in said(view, "grep nowhere")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("n all is well", AddNote(text="all is well")),
        ("seat ask", RequestSeat()),
        ("seat take", TakeSeat()),
        ("seat give tom", GrantSeat(person="tom")),
        ("seat keep tom", KeepSeat(person="tom")),
        ("retry 1.2", RunStep(step="1.2")),
        ("decline 3.3 published by another team", Decline(step="3.3", reason="published by another team")),
    ],
)
def test_what_the_full_screen_can_ask_for_can_be_typed(view, typed, command):
    """The host decides; here nothing is refused."""
    assert wishes.granted(view, typed) == command


def test_help_names_every_wish_once():
    """In the order in which they are needed."""
    lines = wishes.help_lines()
    assert len(lines) == len({line.split()[0] for line in lines})
    assert any("why WHAT" in line for line in lines)
