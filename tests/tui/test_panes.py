"""What each pane shows of a run: tuning with its pages, the package with its hashes, panels by state, sizes."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan, views
from ray_tui.core.handle import Link
from ray_tui.core.plan import ACTIONS
from ray_tui.core.presence import Look
from ray_tui.core.state import apply
from ray_tui.core.verdicts import Verdict
from ray_tui.tui import charts
from ray_tui.tui.about import about, seq_of
from ray_tui.tui.panes import alerts, assurance, baseline, frame, handoff, instrumentation, waterfall
from ray_tui.tui.panes.actions import action_rows
from ray_tui.tui.view import View, lookers, measured
from tests.tui.fake_handle import (
    T0,
    FakeHandle,
    configured,
    coverage,
    done,
    failed,
    mid_run,
    opened,
    probe,
    until,
    view_of,
)
from tests.tui.fake_handle import baseline as fake_baseline
from tests.tui.on_screen import console, dialog, shows, text_of

PROPOSAL = {"rule": "CartHighErrorRatio", "change": "> 0.05 for 2m → > 0.0653 for 2m", "pages_before": 3.0,
            "pages_after": 1.0, "precision_before": 1 / 3, "precision_after": 1.0, "accepted": None,
            "state": "proposed"}  # fmt: skip
RULES = [{"rule": "Fine", "n": 12, "true": 12, "precision": 1.0, "low": 0.75, "high": 1.0, "duplicates": 0, "flaps": 0,
          "status": "ok"},
         {"rule": "CartHighErrorRatio", "n": 14, "true": 4, "precision": 4 / 14, "low": 0.12, "high": 0.55,
          "duplicates": 0, "flaps": 0, "status": "noisy"}]  # fmt: skip


def painted(rows):
    return ["".join(text for text, _ in row.line).rstrip() for row in rows]


def with_data(**steps):
    view = View(now=T0 + 500)
    for name, data in steps.items():
        view.state.steps[name.replace("_", ".")[1:]].data = data
    return view


@pytest.mark.parametrize(
    ("accepted", "state", "said"),
    [(None, "proposed", "? open"), (True, "accepted", "✓ accepted"), (False, "rejected", "– rejected"),
     (None, "put off: later", "? later")],
)  # fmt: skip
def test_a_tuning_proposal_shows_pages_a_week_before_and_after(accepted, state, said):
    """The rule, the change, what it does to a week's pages, and what was decided; before the calm tables."""
    view = with_data(s3_2={"rules": RULES, "proposals": [{**PROPOSAL, "accepted": accepted, "state": state}]})
    rows = painted(assurance.rows(view, 100))
    line = next(row for row in rows if row.startswith("→"))
    assert "CartHighErrorRatio" in line
    assert "> 0.05 for 2m → > 0.0653 for 2m" in line
    assert "3 → 1" in line
    assert said in line
    assert any("precision 33% → 100%" in row for row in rows)
    assert rows.index(line) < next(n for n, row in enumerate(rows) if row.startswith("alert rule"))


def test_a_proposal_that_is_asked_about_says_which_key_answers():
    """While the question is open the row leads to it."""
    view = with_data(s3_2={"proposals": [PROPOSAL]})
    prompt = f.PromptRaised(id="q", step="3.2", prompt="choose", title="Tune?", text="Tune?", options=("accept",))
    apply(view.state, f.Entry(seq=1, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=prompt))
    assert any("? answer: p" in row for row in painted(assurance.rows(view, 100)))


def test_noisy_rules_stand_first_and_decisions_are_told():
    """What is wrong is above what is well; what was decided of a need stands under the rules."""
    decided = [{"subject": "CartHighErrorRatio", "state": "put off: later", "why": "4 of 14 episodes"}]
    rows = painted(assurance.rows(with_data(s3_2={"rules": RULES, "decisions": decided}), 100))
    assert next(n for n, row in enumerate(rows) if row.startswith("CartHigh")) < next(
        n for n, row in enumerate(rows) if row.startswith("Fine")
    )
    assert "? CartHighErrorRatio: put off: later  4 of 14 episodes" in rows


def entry(n, **more):
    return {"asset": f"dashboard:{n:02}", "cadence": "*/30 * * * *", "next_run": "2026-11-22T23:30:00Z", "owner": "sre",
            "owner_ok": True, "installed": True, **more}  # fmt: skip


def test_a_schedule_shows_next_run_and_owner_and_never_hides_what_nobody_runs():
    """In a small pane some of the calm ones are left out, and counted; all stand in a large one."""
    view = with_data(s3_1={"entries": [*(entry(n) for n in range(20)), entry(99, owner="", owner_ok=False)]})
    small = painted(assurance.rows(view, 90))
    assert "dashboard:99" in small[next(n for n, row in enumerate(small) if "checked from now on" in row) + 1]
    assert any("nobody" in row for row in small)
    assert any("19 more, all owned and installed" in row for row in small)
    assert any("11-22 23:30" in row and "sre" in row for row in small)
    view.roomy = True
    assert sum("dashboard:" in row for row in painted(assurance.rows(view, 90))) == 21


def test_the_package_is_a_tree_of_files_with_hashes():
    """Under each phase its files, by the step that each comes from: its size and its hash; one without is a cross."""
    files = [{"name": "a.json", "action": "2.2", "sha256": "ab" * 32, "size": 37257, "required": True},
             {"name": "w.json", "action": "gate.handoff", "sha256": "cd" * 32, "size": 5, "required": False},
             {"name": "c.json", "action": "2.1", "sha256": "ef" * 32, "size": 6, "required": True},
             {"name": "journal.jsonl", "action": "", "sha256": "ef" * 32, "size": 7, "required": True},
             {"name": "lost.md", "action": "4.1", "sha256": "", "size": None}]  # fmt: skip
    found = handoff.rows(with_data(s4_1={"files": files}), 90)
    rows = painted(found)
    at = {name: next(n for n, row in enumerate(rows) if name in row) for name in
          ("journal.jsonl", "2 Alert validation  2 files", "c.json", "a.json", "4 Handoff  2 files",
               "lost.md",
           "w.json")}  # fmt: skip
    assert sorted(at, key=lambda name: at[name]) == list(at)
    row = rows[at["a.json"]]
    assert row.startswith("└ ✓ 2.2 a.json")
    assert "37,257" in row
    assert "abababababab" in row
    assert rows[at["c.json"]].startswith("├ ✓ 2.1 c.json")
    assert any("└ ✓ G4  w.json" in row and "optional" in row for row in rows)
    assert any(row.startswith("├ ✗ 4.1 lost.md") and "no hash" in row for row in rows)
    assert found[at["w.json"]].target == "data:4.1/files/1"


LONG = "SLO attainment: checkout/requests-that-were-served"
APPROVALS = [f.ApprovalRecorded(role="security-compliance", person="mira-okafor", subject="package",
                             subject_sha256="ab" * 32, assurance="signed", given_at=T0)]  # fmt: skip


def full_view():
    """Something in every table, each with names that are too long for a narrow pane."""
    view = with_data(
        s1_2=coverage(), s1_3=fake_baseline(), s2_1=configured(),
        s2_3={"runbooks": [{"alert": "CheckoutHighErrorRatio", "verdict": "passed", "why": "docs/runbooks/a.md"}]},
        s3_1={"entries": [entry(n, asset=f"dashboard:{LONG}") for n in range(9)]},
        s3_2={"rules": [*RULES, {**RULES[0], "rule": "CheckoutHighLatency", "status": "insufficient"}],
              "proposals": [PROPOSAL], "decisions": [{"subject": LONG, "state": "put off: later", "why": LONG}],
              "missed": [{"title": LONG + LONG}]},
        s3_3={"rows": [{"metric": LONG, "target": "99.900%", "actual": "99.970% over 30 days",
                         "status": "insufficient"}]},
        s4_1={"files": [{"name": f"{LONG}.json", "action": "2.2", "sha256": "ab" * 32, "size": 37_257}]},
    )  # fmt: skip
    view.state.approvals = APPROVALS
    view.state.waivers["W1"] = f.Waived(
        id="W1", criterion=LONG, step="2.2", reason="r", operator="mira", approver="jo", evidence_sha256="e",
        expires_at=view.now + 9 * 86_400, assurance="signed",
    )  # fmt: skip
    view.state.backlog["g"] = f.GapFound(id="g", step="1.2", title=LONG, owner="search-team", due="2026-12-06")
    return view


@pytest.mark.parametrize("width", range(44, 121, 4))
@pytest.mark.parametrize("pane", [instrumentation, alerts, assurance, handoff])
def test_no_row_is_cut_without_an_ellipsis(pane, width):
    """At every width of a pane its tables fit in it: what has no room ends in an ellipsis, never at the frame."""
    too_wide = [row for row in painted(pane.rows(full_view(), width)) if len(row) > width]
    assert too_wide == []


@pytest.mark.parametrize(("width", "said"), [(60, "CheckoutHighLatency"), (116, LONG), (76, "> 0.0653 for 2m")])
def test_names_get_the_room_that_a_pane_has(width, said):
    """Rules in the overview of a wide screen, metrics in the zoomed scorecard, a new threshold at 80 columns."""
    assert any(said in row for row in painted(assurance.rows(full_view(), width)))


def test_a_waiver_shows_the_days_that_are_left():
    """And says so when there are none."""
    view = with_data()
    for name, days in (("W1", 6.5), ("W2", -1)):
        view.state.waivers[name] = f.Waived(
            id=name, criterion=f"x.{name}", step="2.2", reason="r", operator="mira", approver="jo",
            evidence_sha256="e", expires_at=view.now + days * 86_400, assurance="signed",
        )  # fmt: skip
    rows = painted(handoff.rows(view, 90))
    assert any("x.W1" in row and "6.5 days" in row and "mira, jo (signed)" in row for row in rows)
    assert any("x.W2" in row and "expired" in row for row in rows)


def test_panels_are_counted_by_state_and_broken_ones_named():
    """How many show what they should, how many do not, and which."""
    states = {"Rate": "ok", "Errors": "no data", "P99": "ok"}
    panels = [{"title": title, "state": state} for title, state in states.items()]
    board = {"title": "Checkout RED", "score": 61.0, "panels": panels}
    rows = painted(alerts.rows(with_data(s2_1={"dashboards": [board]}), 90))
    assert any("✗ Checkout RED" in row and "61" in row and "2 ok, 1 no data: Errors" in row for row in rows)


def test_a_waived_criterion_does_not_count_as_passed_on_the_rail():
    """What was waived stands beside the count, never in it."""
    waived = failed("alert_validation.score", "Score", "61", Verdict.WAIVED)
    passed = [failed(f"alert_validation.{n}", n, "fine", Verdict.PASSED) for n in "abc"]
    view = View(now=T0)
    step = view.state.steps["gate.alert_validation"]
    step.verdict, step.status, step.criteria = Verdict.WAIVED, "finished", (waived, *passed)
    assert measured(view, plan.gate("gate.alert_validation")) == "3/4, 1 w"
    step.criteria = tuple(passed)
    assert measured(view, plan.gate("gate.alert_validation")) == "3/3"


def looked_at(*people, place="1.1"):
    view = View(now=T0, person="mo")
    view.looks = [Look(f"c-{name}", name, place) for name in people]
    for name in people:
        view.state.consoles[f"c-{name}"] = f.ConsoleAttached(console=f"c-{name}", person=name)
    return view


@pytest.mark.parametrize(("place", "number"), [("1.1", 1), ("2.1", 2), ("2.3", 2), ("4.3", 4)])
def test_who_looks_at_an_action_is_never_cut(place, number):
    """A long name of an action gives way to the mark of who looks at it."""
    rows = painted(action_rows(looked_at("jo", "sam", place=place), number, 100))
    assert any(row[2:].startswith(place) and "◦jo◦sa" in row for row in rows)


def test_two_people_have_two_marks():
    """As many letters as tell a person from the others who are here."""
    assert lookers(looked_at("mira", "mike", "jo"), 1) == "◦mir◦mik◦jo"
    assert lookers(looked_at("uid:1000", "uid:1001"), 1) == "◦1000◦1001"


def test_a_figure_is_said_against_its_past():
    """``vs … before``: nobody reads it as a rise to what it was."""
    figure = baseline.Figure("checkout", "rate", "reqps", 40.9, 38.4, 40.9 / 38.4 - 1, "ok", (), None)
    assert baseline.against(figure) == f"+7% vs {charts.value_text(38.4, 'reqps')} before"


async def test_a_handoff_box_opens_with_its_whole_reason():
    """Enter on a box: everything that keeps it open, cut nowhere."""
    async with console(FakeHandle(*opened()), (80, 24)) as (app, pilot):
        await pilot.press("4")
        app.console_screen.pane(4).choose("box:1")
        await pilot.press("enter")
        await dialog(app)
        await shows(app, views.handoff_boxes(app.state, T0)[1].title)
        assert "Computed from what this run has recorded" in text_of(app)


async def test_the_rail_marks_no_phase_while_the_log_has_the_keys():
    """The bracket stands where the keys go; in the log they go to no phase."""
    async with console(FakeHandle(*mid_run()), (80, 24)) as (app, pilot):
        await pilot.press("4")
        await shows(app, "[4")
        await pilot.press("5")
        await until(lambda: "[" not in text_of(app).split("\n")[1], "no bracket")


def test_a_probes_detail_keeps_its_columns():
    """What is too long for a hop goes on under where it began; what has no words has no colon."""
    view = View(now=T0 + 500)
    facts = [*mid_run(), f.ProbeCleared(id="7f3a-a1-1", clean=True)]
    for seq, fact in enumerate(facts, start=1):
        apply(view.state, f.Entry(seq=seq, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=fact))
    rows = ["".join(text for text, _ in line).rstrip() for line in about(view, "probe:7f3a-a1-1", 40)[1]]
    assert "cleared clean" in rows
    hops = rows[rows.index("") + 1 : rows.index("cleared clean")]
    assert all(row[:2] in {f"t{n}" for n in range(9)} or row.startswith(" " * 29) for row in hops)
    assert all(len(row) <= 40 for row in rows)


async def test_a_pane_shows_its_chosen_row_after_every_change_of_layout():
    """Zoomed, back, another pane and the overview: the active pane shows its cursor, the others begin at the top."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, pilot):
        screen = app.console_screen
        await pilot.press("1", *["down"] * 16)
        await until(lambda: screen.pane(1).scroll_offset.y > 0, "scrolled down")
        chosen = screen.pane(1).chosen
        for key in ("z", "z", "2", "1"):
            await pilot.press(key)
            await pilot.pause()
        await until(lambda: "▸" in text_of(app), "the cursor")
        assert screen.pane(1).chosen == chosen
        await pilot.press("2")
        await until(lambda: screen.pane(1).scroll_offset.y == 0, "the beginning of pane 1")
        await shows(app, "1.1 Review deployment")


async def test_e_goes_from_a_detail_to_the_journal_line_behind_it():
    """Why is it so: the detail, its line in the log, and there the fact as the journal holds it, made harmless."""
    handle = FakeHandle(*mid_run(), f.NoteAdded(text="a note \u202e\x1b[31m"))
    async with console(handle, (120, 40)) as (app, pilot):
        await pilot.press("1")
        app.console_screen.pane(1).choose("step:1.2")
        seq = app.state.steps["1.2"].seq
        await pilot.press("enter")
        await dialog(app)
        await pilot.press("e")
        await until(lambda: app.screen is app.console_screen, "the console again")
        log = app.console_screen.event_log
        await until(lambda: app.console_screen.active == 5 and log.chosen == f"entry:{seq}", "the line")
        await until(lambda: any(row.target == log.chosen for row in log.in_sight), "the line in sight")
        await pilot.press("enter")
        await dialog(app)
        await shows(app, '"kind": "StepFinished"')
        assert '"step": "1.2"' in text_of(app)
    said = "".join(text for line in about(app.view(), f"entry:{handle.seq}", 80)[1] for text, _ in line)
    assert '"kind": "NoteAdded"' in said
    assert "\u202e" not in said
    assert "\x1b" not in said


async def test_the_key_that_leads_to_the_journal_line_is_named_at_80_columns():
    """Of all keys it is the last to give way to those that say how to leave."""
    async with console(FakeHandle(*mid_run()), (80, 24)) as (app, pilot):
        await pilot.press("1", "j", "j", "j", "enter")
        await dialog(app)
        await shows(app, "e journal line")


def test_every_kind_of_row_knows_the_journal_line_behind_it():
    """A probe, a service, a datum, a gap: the seq of the fact that they come from; a computed box has none."""
    view = View(now=T0 + 500)
    for seq, fact in enumerate(mid_run(), start=1):
        apply(view.state, f.Entry(seq=seq, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=fact))
    kinds = {seq: fact.kind for seq, fact in enumerate(mid_run(), start=1)}
    wanted = {"probe:7f3a-a1-1": "ProbeIntended", "service:search": "StepFinished", "data:1.3/kpis/0": "StepFinished",
              "gap:g1": "GapFound", "step:gate.instrumentation": "GateJudged"}  # fmt: skip
    assert {target: kinds[seq_of(view, target)] for target in wanted} == wanted
    assert seq_of(view, "box:1") == 0


def asking(step, **more):
    view = View(now=T0)
    prompt = f.PromptRaised(id=f"{step}#1:x", step=step, prompt="confirm", title="Shall we?", text="?", **more)
    for seq, fact in enumerate((*opened(), f.StepStarted(step=step), prompt), start=1):
        apply(view.state, f.Entry(seq=seq, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=fact))
    return view


@pytest.mark.parametrize(("roles", "whom"), [((), "mira"), (("sre-lead",), "mira or jo (sre-lead)")])
def test_a_step_that_asks_says_whom_it_waits_for(roles, whom):
    """Not what it did before it asked: whose answer it waits for."""
    rows = painted(action_rows(asking("2.1", roles=roles), 2, 90))
    assert any("2.1" in row and f"waits for {whom}: Shall we?" in row for row in rows)


def test_a_run_that_was_aborted_asks_nobody_anything():
    """The question was never answered, and no longer waits; nothing else waits either."""
    view = asking("4.2")
    aborted = f.RunAborted(reason="rolled back")
    apply(view.state, f.Entry(seq=9, at=T0, mono=T0, actor=f.ENGINE, fact=aborted))
    shown = painted(action_rows(view, 4, 90))
    assert not any("wait" in row for row in shown)
    assert any("4.2" in row and "not done" in row for row in shown)


def test_the_plan_and_the_proposal_are_shown_while_they_are_asked_about():
    """From the question's own data, before the step has any; and their rows can be opened."""
    item = {"kind": "rule", "name": "CheckoutBurn", "action": "create", "detail": "14.4x"}
    view = asking("2.1", data={"plan": [item]})
    found = alerts.rows(view, 76)
    row = next(row for row in found if row.target == "data:2.1/plan/0")
    assert "CheckoutBurn" in painted([row])[0]
    assert about(view, row.target, 76)[0] == "CheckoutBurn"
    view = asking("3.2", data={"proposal": PROPOSAL})
    assert any("CartHighErrorRatio" in row and "? answer: p" in row for row in painted(assurance.rows(view, 76)))


def test_on_the_console_of_who_must_answer_the_step_waits_for_you():
    """As the row above the panes says it; not one's own name, which reads as somebody else's turn."""
    view = asking("2.1")
    apply(view.state, f.Entry(seq=9, at=T0, mono=T0, actor=f.Actor(person="mira", console="c1"),
                              fact=f.SeatTaken(console="c1", person="mira", how="first")))  # fmt: skip
    view.person, view.console = "mira", "c1"
    assert any("waits for you: Shall we?" in row for row in painted(action_rows(view, 2, 90)))


def services(*names, unseen=""):
    known = [{"name": name, "critical": name in ("auth", "checkout"), "changed": name in ("checkout", "search")}
             for name in names]  # fmt: skip
    cells = [{"service": name, "signal": "metrics", "verdict": "failed" if name == unseen else "passed"}
             for name in names]  # fmt: skip
    return {"services": known, "cells": cells}


def test_where_few_services_are_listed_they_are_those_that_the_release_has_changed():
    """The critical ones of them first; an unseen one before all."""
    names = ("auth", "billing", "checkout", "search")
    calm = painted(instrumentation.rows(with_data(s1_2=services(*names)), 70))
    assert [row.split()[0] for row in calm if row.split()[:1] and row.split()[0] in names] == ["checkout", "search"]
    missed = painted(instrumentation.rows(with_data(s1_2=services(*names, unseen="billing")), 70))
    assert [row.split()[0] for row in missed if row.split()[:1] and row.split()[0] in names] == ["billing", "checkout"]


@pytest.mark.parametrize(("unseen", "first"), [("", "baseline"), ("cart", "service")])
def test_what_is_wrong_stands_above_what_is_right(unseen, first):
    """A degraded figure comes before a coverage that misses nothing; a coverage that misses something comes first."""
    data = {"s1_2": services("cart", "search", unseen=unseen), "s1_3": fake_baseline()}
    rows = painted(instrumentation.rows(with_data(**data), 76))
    headings = [row.split()[0] for row in rows if row.startswith(("service", "baseline"))]
    assert headings[0] == first


def test_a_hop_that_a_finished_path_never_had_does_not_wait():
    """A mail notifies nobody by a pager: while the path is open that is ·, when it is cleared –."""
    view = View(now=T0 + 60)
    facts = [*opened(), *probe("p1", "mail-audit", T0, t3=(0.7, ""), t4=(0.8, ""), t6=(2.0, "Lee"))]
    for seq, fact in enumerate(facts, start=1):
        apply(view.state, f.Entry(seq=seq, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=fact))

    def notified():
        row = next(row for row in painted(waterfall.rows(view, 76)) if "mail-audit" in row)
        return row.split()[4]

    assert notified() == "·"
    cleared = f.ProbeCleared(id="p1", clean=True)
    apply(view.state, f.Entry(seq=99, at=T0 + 5, mono=T0, actor=f.Actor(person="engine"), fact=cleared))
    assert notified() == "–"


@pytest.mark.parametrize(
    ("relative", "said"), [(0.004, "0%"), (-0.004, "0%"), (0.07, "+7%"), (-0.03, "-3%"), (2.0, "+3×")]
)
def test_a_shift_of_nothing_has_no_sign(relative, said):
    """There is no -0%."""
    assert baseline.shift(relative) == said


@pytest.mark.parametrize("width", [46, 58, 76])
def test_next_run_and_owner_are_whole_in_every_pane(width):
    """The cadence gives way before them: it can be told from nothing but it is not what a night asks for."""
    view = with_data(s3_1={"entries": [entry(n, owner="platform-team") for n in range(9)]})
    row = next(row for row in painted(assurance.rows(view, width)) if "dashboard:00" in row)
    assert "11-22 23:30" in row
    assert "platform-te" in row
    assert "*/30 * * * *" in row or "*/30" not in row


def test_the_schedule_is_shown_while_it_is_asked_about():
    """With a sign that says that it is not there yet, and not that it failed."""
    entry = {"id": "a", "asset": "dashboard:checkout", "cadence": "*/30 * * * *", "owner": "platform-team"}
    rows = painted(assurance.rows(asking("3.1", data={"entries": [entry]}), 90))
    assert any(row.startswith("? dashboard:checkout") and "asked" in row for row in rows)


def test_in_a_small_pane_the_schedule_the_rules_and_the_scorecard_all_have_rows():
    """What is calm is counted; all of it stands in a large pane."""
    rule, met = {**RULES[0]}, {"metric": "SLO", "target": "99%", "actual": "99.9%", "status": "ok"}
    view = with_data(s3_1={"entries": [entry(n) for n in range(20)]}, s3_3={"rows": [met] * 24},
                     s3_2={"rules": [{**rule, "rule": f"Rule{n}"} for n in range(7)]})  # fmt: skip
    rows = painted(assurance.rows(view, 70))
    for wanted in ("18 more, all owned and installed", "5 more, none of them noisy", "22 more, none of them missed"):
        assert any(wanted in row for row in rows[:20]), wanted
    view.roomy = True
    assert len(assurance.rows(view, 70)) > 50


@pytest.mark.parametrize("status", ["below", "ok"])
def test_the_part_of_phase_3_in_which_something_is_wrong_comes_first(status):
    """A missed objective is not below twenty checks that run, nor below the objectives that are kept."""
    kept = {"metric": "kept", "target": "99%", "actual": "99.9%", "status": "ok"}
    missed = {**kept, "metric": "the last of them", "status": status}
    view = with_data(s3_1={"entries": [entry(n) for n in range(20)]}, s3_3={"rows": [*[kept] * 9, missed]})
    found = assurance.rows(view, 90)
    rows = painted(found)
    first, second = (next(n for n, row in enumerate(rows) if head in row) for head in ("scorecard", "checked from"))
    assert (first < second) == (status == "below")
    assert any("the last of them" in row for row in rows) == (status == "below")
    if status == "below":
        assert found[first + 1].target == "data:3.3/rows/9"


async def test_zoomed_a_pane_has_all_of_the_screen():
    """At every width: no row of it is the log's; and the log is back with the other panes."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, pilot):
        await pilot.press("2", "z")
        await until(lambda: app.console_screen.pane(2).size.height == 40 - 4 - 2, "the whole screen")
        await pilot.press("z")
        await shows(app, "Events")


def header_of(width, **more):
    view = View(now=T0 + 400, person="jo", console="c-jo", **more)
    for seq, fact in enumerate(mid_run(), start=1):
        apply(view.state, f.Entry(seq=seq, at=T0, mono=T0, actor=f.Actor(person="engine"), fact=fact))
    return "".join(text for text, _ in frame.header(view, width))


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120])
def test_the_header_shortens_the_release_before_it_leaves_anything_out(width):
    """Run id, elapsed time, who drives and that others are here, down to 60 columns."""
    said = header_of(width)
    assert len(said) <= width
    for wanted in ("RUNNING", "checkout", "7f3a", "6:40", "● live", "mira"):
        assert wanted in said
    assert "jo, sam" in said or "+2" in said


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("link", [Link.LIVE, Link.LOST])
def test_read_only_is_never_cut(width, link):
    """An observer's console says that it is one, whole, whatever else has no room."""
    said = header_of(width, read_only=True, link=link)
    assert len(said) <= width
    assert " READ-ONLY " in said
    assert "…READ" not in said


async def test_a_cell_drills_down_to_query_and_last_sample_and_copies_its_query(tmp_path):
    """Enter on a service: query and last sample of each signal. Y: its queries and cells, to choose from."""
    data = coverage()
    data["cells"][0]["last_seen_at"] = T0
    handle = FakeHandle(*opened(), *done("1.2", "seen", data))
    async with console(handle, (120, 40), copy_folder=tmp_path) as (app, pilot):
        await pilot.press("1")
        app.console_screen.pane(1).choose("service:checkout")
        await pilot.press("enter")
        await dialog(app)
        await shows(app, 'up{job="checkout"}')
        assert "last sample" in text_of(app)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console again")
        await pilot.press("Y")
        await dialog(app)
        await shows(app, "metrics: query")
        await pilot.press("enter")
        await until(lambda: any('up{job="checkout"}' in p.read_text() for p in tmp_path.iterdir()), "the copy")


@pytest.mark.parametrize(("width", "panes"), [(120, 4), (160, 4), (119, 1), (80, 1), (60, 1)])
async def test_from_120_columns_two_by_two_with_the_active_pane_wider_else_one(width, panes):
    """Wide: all four, the active one wider than its neighbour, whichever it is. Narrow: one, and the rail."""
    async with console(FakeHandle(*mid_run()), (width, 40)) as (app, pilot):
        screen = app.console_screen
        for number, beside in ((1, 2), (2, 1), (3, 4), (4, 3)):
            await pilot.press(str(number))
            await until(lambda number=number: screen.active == number, f"pane {number}")
            await until(lambda: sum(screen._visible(n) for n in range(1, 5)) == panes, "the panes")
            if panes == 4:
                await until(
                    lambda one=number, other=beside: (
                        screen.pane(one).size.width > screen.pane(other).size.width * 1.3
                        and screen.pane(one).size.height >= screen.pane(other).size.height
                    ),
                    f"pane {number} wider than {beside}",
                )
            else:
                assert screen.pane(number).size.width == width - 2
                assert f"[{number}" in text_of(app).split("\n")[1]


@pytest.mark.parametrize("size", [(59, 24), (80, 19), (40, 12)])
async def test_below_60_by_20_there_is_a_notice_that_still_says_what_matters(size):
    """Is it watched, who must act, what size is needed, how to leave; and all is back when there is room again."""
    async with console(FakeHandle(*mid_run()), size) as (app, pilot):
        await shows(app, "▶ RUNNING")
        shown = " ".join(text_of(app).split())
        assert f"{size[0]}×{size[1]}" in shown
        assert "60×20" in shown
        assert "Instrumentation" not in shown
        await pilot.press("f")
        assert app.console_screen.jump is None
        await pilot.resize_terminal(80, 24)
        await shows(app, "2.2 Alert paths")
        assert "60×20" not in text_of(app)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_at_60_by_20_each_pane_is_usable(number):
    """Its actions, its gate and its state are on the screen, and nothing is wider than it."""
    async with console(FakeHandle(*mid_run()), (60, 20)) as (app, pilot):
        await pilot.press(str(number))
        first = next(action.id for action in ACTIONS if action.id.startswith(f"{number}."))
        await shows(app, first)
        await shows(app, f"Gate {number}")
        assert all(len(row) == 60 for row in text_of(app).split("\n"))


def test_a_note_under_a_dialog_says_whose_it_is():
    """As in the event log that the dialog hides."""
    noted = view_of([*opened(), f.NoteAdded(text="rolling back at noon")], person="sam")
    assert "rolling back at noon (sam)" in "".join(text for line in frame.last_events(noted, 80) for text, _ in line)
