"""What a tired reader needs: tables in questions, what else a row can be copied as, who waits, and a theme that follows
its file."""

import asyncio

import pytest

from ray_tui.core import facts as f
from ray_tui.core.commands import Accepted, AddNote, Refused
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.app import run_console
from ray_tui.tui.copies import copies
from ray_tui.tui.options import ConsoleOptions
from ray_tui.tui.screens import console as console_module
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.subject import prompt_lines
from ray_tui.tui.view import View, measured, plan
from tests.tui.fake_handle import (
    T0,
    FakeHandle,
    FakeTransport,
    StillClock,
    done,
    failed,
    mid_run,
    opened,
    until,
)
from tests.tui.on_screen import console, dialog, notices, shows, text_of

PAGES = [
    {"count": 2, "level": 1, "person": "Mira Okafor", "receiver": "pd-checkout", "until": None},
    {"count": 1, "level": 2, "person": "Tom Brandt", "receiver": "pd-checkout", "until": "2026-11-28T00:00:00.000Z"},
]


def words(lines):
    return "\n".join("".join(text for text, _ in line) for line in lines)


def raised(prompt, text="", **data):
    return f.PromptRaised(id="q#1:x", step="2.2", prompt=prompt, title="Shall we?", text=text, data=data)


def test_a_page_prompt_is_a_table_of_people():
    """Person, level, receiver and count stand in columns, with the total; the prose that repeats them is left out."""
    text = "Alerts go to pd-checkout.\nMira Okafor (level 1): at most 2 × for pd-checkout."
    shown = words(prompt_lines(raised("typed", text, pages=PAGES, over_budget=[]), 70))
    assert "Mira Okafor   1     pd-checkout   2 pages" in shown
    assert "Tom Brandt    2     pd-checkout    1 page" in shown
    assert "at most 3 pages to 2 people" in shown
    assert "Alerts go to pd-checkout." in shown
    assert "at most 2 ×" not in shown


def test_at_80_columns_a_page_prompt_begins_with_the_total_and_keeps_until_when():
    """What must not be below the fold stands first; the date gives up its year before it gives up its hour."""
    many = [{**PAGES[1], "person": f"Person Number {n}"} for n in range(5)]
    lines = words(prompt_lines(raised("typed", pages=many), 69)).strip().split("\n")
    assert lines[0] == "at most 5 pages to 5 people"
    assert lines[1].rstrip().endswith("on call until")
    assert lines[2].rstrip().endswith("2026-11-28 00:00")
    narrow = words(prompt_lines(raised("typed", pages=many), 58)).strip().split("\n")
    assert narrow[2].rstrip().endswith("  1 page 11-28 00:00")


@pytest.mark.parametrize(
    "expects", ["page Mira Okafor", "page Mira Okafor, Tom Brandt, Priya Nair, Sam Ito, Jo Lindqvist"]
)
async def test_what_must_be_typed_is_said_in_full_on_a_small_screen(expects):
    """The text gives way to the message; what is wrong is never cut."""
    question = f.PromptRaised(
        id="q#1:x", step="2.2", prompt="typed", title="Shall we?", text="x\n" * 40, expects=expects
    )
    async with console(FakeHandle(*opened(), question), (80, 24)) as (app, pilot):
        await dialog(app)
        await pilot.press("x", "enter")
        await until(
            lambda: " ".join(text_of(app).replace("│", " ").split()).count(expects) == 2, "the label and the error"
        )


async def test_an_open_dialog_is_laid_out_again_when_the_terminal_changes():
    """Its tables take the new width, and the hint to read on comes where the text no longer fits."""
    question = f.PromptRaised(id="q#1:x", step="2.2", prompt="confirm", title="Shall we?", text="many words " * 100)
    async with console(FakeHandle(*opened(), question), (120, 40)) as (app, pilot):
        top = await dialog(app)
        assert max(map(len, top.text_shown().split("\n"))) > 80
        assert "PgDn" not in text_of(app)
        await pilot.resize_terminal(80, 24)
        await until(lambda: max(map(len, top.text_shown().split("\n"))) <= 69, "lines of the new width")
        await shows(app, "PgDn: read on")
        await pilot.resize_terminal(120, 40)
        await until(lambda: "PgDn" not in text_of(app), "all of it again")


async def test_notices_stand_one_at_a_time_on_one_line_above_the_keys():
    """The newest takes the place of the one before; log lines and keys stay readable, in a dialog its last line too."""
    async with console(FakeHandle(*mid_run()), (80, 24), notices_shown=True) as (app, _):
        await shows(app, "by 12:05:28Z")
        await shows(app, "waiting for Tom")
        before = text_of(app).split("\n")
        for text in ("Copied once.", "Copied.", "Copied."):
            app.say(text)
        await shows(app, "Copied.")
        rows = text_of(app).split("\n")
        assert notices(app) == "Copied."
        assert [row for row, text in enumerate(rows) if "Copied" in text] == [22]
        assert (rows[19:22], rows[23]) == (before[19:22], before[23])
        app.open_help()
        await dialog(app)
        app.say("Copied again.")
        await shows(app, "Copied again.")
        assert "q or Esc: close" in text_of(app)


async def test_a_notice_in_a_replay_stands_above_its_bar():
    """The bar and the keys stay in sight."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(has_graphs=False))
    async with console(handle, (80, 24), notices_shown=True) as (app, _):
        await shows(app, "This replay has no live graphs")
        rows = text_of(app).split("\n")
        assert "├" in rows[22]
        assert "q close" in rows[23]


async def test_how_far_several_decisions_came_is_said_with_why():
    """One notice: the second of two refused, and what is left."""
    handle = FakeHandle(*mid_run())
    handle.reply = lambda command: Accepted(0) if len(handle.submitted) < 2 else Refused("sam drives now.")
    async with console(handle) as (app, _):
        app.desk.submit_all([AddNote(text="one"), AddNote(text="two"), AddNote(text="three")], "taken")
        await until(lambda: notices(app) == "sam drives now. 1 of 3 taken; p shows what is left.", "how far, and why")


def test_an_approval_names_subject_hash_release_and_limits():
    """What exactly is approved stands in rows; the thresholds of the run with their units."""
    given = raised("approve", "Really?", subject="package", sha256="ab" * 32, release="v2", role="sre-lead")
    shown = words(prompt_lines(given, 98, {"coverage": 0.95, "ack_sla_seconds": 300.0, "dashboard_score": 90.0}))
    for part in ("subject  package", "ab" * 32, "release  v2", "coverage ≥ 95%, ack ≤ 300 s, dashboards ≥ 90"):
        assert part in shown


def test_a_plan_is_shown_as_a_diff_with_signs():
    """Added and removed lines keep their sign, and carry the style of it."""
    lines = prompt_lines(raised("confirm", "+ rules a.yml: new", diff="--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new"), 60)
    styles = {"".join(text for text, _ in line): line[-1][1] for line in lines if line}
    assert (styles["+new"], styles["-old"], styles["@@ -1 +1 @@"]) == ("good", "bad", "run")
    assert styles["+ rules a.yml: new"] == "good"


async def test_a_dialog_keeps_the_rail_and_the_deadline_in_sight():
    """While a question is open, badge, gate lights and the time left stand above it."""
    question = f.PromptRaised(id="q#1:x", step="2.2", prompt="confirm", title="Shall we?", text="x\n" * 200)
    async with console(FakeHandle(*mid_run(), question), (80, 24)) as (app, pilot):
        await dialog(app)
        await shows(app, "3:48 left")
        rows = text_of(app).split("\n")
        assert "YOUR ANSWER" in rows[0]
        assert "G1 ✓ 97.4%" in rows[1]
        await shows(app, "Yes  go on")
        assert "PgDn" in text_of(app)
        before = app.screen.query_one("#text").scroll_offset.y
        await pilot.press("pagedown")
        await until(lambda: app.screen.query_one("#text").scroll_offset.y > before, "the text to move")


async def test_a_question_for_somebody_else_is_shown_as_waiting_for_them():
    """Without the role the question does not open; p shows it, whom it waits for, and offers no answer."""
    question = f.PromptRaised(
        id="q#1:x", step="4.2", prompt="approve", title="Approve?", text="the package", roles=("release-manager",)
    )
    handle = FakeHandle(*opened(), question)
    async with console(handle) as (app, pilot):
        await shows(app, "waiting for sam or lee (release-manager) to answer: Approve?")
        assert "? WAITS" in text_of(app)
        await pilot.press("p")
        top = await dialog(app, ReadDialog)
        assert "waiting for sam or lee (release-manager) to answer; mira cannot" in top.text_shown()
        assert "answered by release-manager: sam or lee" in top.text_shown()
        await pilot.press("enter")
        assert handle.submitted == []


async def test_a_proposed_waiver_waits_for_a_second_person():
    """Its initiator reads that it waits and cannot confirm it; another person with a role is asked."""
    proposal = f.WaiverProposed(
        id="W1", criterion="coverage.completeness", step="1.2", reason="traces come next week", operator="mira",
        expires_at=T0 + 86_400 * 7, evidence_sha256="e" * 64,
    )  # fmt: skip
    async with console(FakeHandle(*opened(), proposal)) as (app, pilot):
        await shows(app, "waiting for another person than mira to confirm")
        await pilot.press("p")
        top = await dialog(app, ReadDialog)
        assert "you proposed it" in top.text_shown()
    async with console(FakeHandle(*opened(), proposal, person="jo")) as (app, _):
        assert (await dialog(app)).dialog_title == "Confirm waiver W1?"


@pytest.mark.parametrize(("read_only", "said"), [(True, "Only its driver can end the run."), (False, "ctrl+p, Abort.")])
async def test_ctrl_c_names_only_what_this_console_can_do(read_only, said):
    """A watcher's palette has no Abort."""
    async with console(FakeHandle(*mid_run(), read_only=read_only)) as (app, pilot):
        await pilot.press("ctrl+c")
        await until(lambda: said in notices(app), "how to leave")


async def test_an_observer_is_marked_read_only():
    """The header says so, in a word."""
    async with console(FakeHandle(*mid_run(), read_only=True), (120, 40)) as (app, _):
        await shows(app, "READ-ONLY")


def test_gate_lights_carry_the_figure_that_they_are_about():
    """Coverage in percent, the slowest acknowledgement, and how many criteria stop it."""
    view = View(now=T0)
    step = view.state.steps["gate.instrumentation"]
    step.verdict, step.summary = Verdict.PASSED, "46 of 46 required cells (98.4%)"
    assert measured(view, plan.GATES[0]) == "98.4%"
    step.verdict = Verdict.FAILED
    step.criteria = (failed("a", "A", "no"), failed("b", "B", "yes", Verdict.PASSED))
    assert measured(view, plan.GATES[0]) == "1 of 2"


def test_a_cell_is_copied_as_promtool_and_curl_lines():
    """The query is quoted for a shell; logs and traces get the tools of theirs; probes get amtool."""
    from ray_tui.core.state import apply

    view = View(now=T0)
    handle = FakeHandle(*mid_run())
    while not handle._entries.empty():
        apply(view.state, handle._entries.get_nowait())
    found = dict(copies(view, "service:checkout"))
    assert found["metrics: query"] == 'up{job="checkout"}'
    assert found["metrics: promtool"] == "promtool query instant $PROMETHEUS_URL 'up{job=\"checkout\"}'"
    assert found["metrics: curl"].endswith("--data-urlencode 'query=up{job=\"checkout\"}'")
    assert found["logs: logcli"].startswith("logcli query")
    assert dict(copies(view, "probe:7f3a-a1-1"))["amtool: is it active"].endswith("alertname=RayProbe")
    assert dict(copies(view, "step:gate.handoff"))["ray-tui: judge it offline"] == "ray-tui gate handoff --json"


async def test_a_row_is_copied_as_a_command(tmp_path):
    """Y offers what a row can be copied as; the chosen line lands in the clipboard's file."""
    async with console(FakeHandle(*mid_run()), copy_folder=tmp_path) as (app, pilot):
        app.copy_as("service:checkout", "text")
        await dialog(app)
        await pilot.press("down", "enter")
        await until((tmp_path / "copied.txt").exists, "the file")
        assert (tmp_path / "copied.txt").read_text().startswith("promtool query instant")


async def test_the_detail_of_a_service_names_query_and_last_sample():
    """Why is this red: the verdict, the query that was asked, and the journal line behind it."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, _):
        app.open_detail("service:search")
        top = await dialog(app)
        for part in ("? inconclusive  traces", 'up{job="search"}', "journal seq"):
            assert part in top.text_shown()


async def test_the_detail_of_a_step_names_its_journal_lines():
    """The newest entries about it stand there by seq."""
    facts = [
        *opened(),
        *done("1.2", "1 of 2", None, failed("c", "Coverage", "1 of 2", required="all", remedy="mend it")),
    ]
    async with console(FakeHandle(*facts), (120, 40)) as (app, _):
        app.open_detail("step:1.2")
        top = await dialog(app)
        for part in ("measured  1 of 2", "required  all", "remedy    mend it", "seq 6"):
            assert part in top.text_shown()


async def test_a_saved_theme_file_is_used_at_once(tmp_path):
    """The colours change without a restart; a broken file is said and changes nothing."""
    text = "name = 'mine'\nprimary = '#111111'\naccent = '#222222'\nbackground = '#000000'\nforeground = '#ffffff'\n"
    path = tmp_path / "mine.toml"
    path.write_text(text)
    async with console(FakeHandle(*mid_run()), theme="mine", theme_folders=(tmp_path,)) as (app, _):
        path.write_text(text.replace("'#000000'", "'#000080'"))
        await until(lambda: app.current_theme.background == "#000080", "the new background")
        await until(lambda: app.screen.styles.background.hex == "#000080", "the screen in it")
        path.write_text(text.replace("'#111111'", "'nocolour'"))
        await until(lambda: any("mine.toml: primary" in n.message for n in app._notifications), "the notice")
        assert app.current_theme.background == "#000080"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_a_crash_in_any_pane_ends_the_console_and_not_the_run(number, monkeypatch, capfd):
    """An exception in a pane: a code that is not 0, one line, no locals, and nothing submitted."""

    def broken(view, width):
        secret = f"hunter2 {width}"
        raise RuntimeError(f"pane {number} broke", len(secret))

    panes = [*console_module.PHASES]
    panes[number - 1] = broken
    monkeypatch.setattr(console_module, "PHASES", tuple(panes))
    monkeypatch.setattr(console_module, "WIDE", 60)  # all four panes are painted
    handle = FakeHandle(*mid_run())
    options = ConsoleOptions(clock=StillClock(), show_mission=False, environment={})
    left = await asyncio.wait_for(run_console(handle, options, headless=True), 20)
    assert (left.how, left.code != 0, handle.closed, handle.submitted) == ("crashed", True, True, [])
    assert f"pane {number} broke" in left.message
    assert "hunter2" not in left.message + "".join(capfd.readouterr())


@pytest.mark.parametrize("where", ["header", "rail", "next_row", "keys_row"])
async def test_a_crash_around_the_panes_is_as_clean(where, monkeypatch):
    """Header, rail, next line and footer: the same."""

    def broken(*_):
        raise RuntimeError("it broke")

    monkeypatch.setattr(console_module.frame, where, broken)
    handle = FakeHandle(*mid_run())
    options = ConsoleOptions(clock=StillClock(), show_mission=False, environment={})
    left = await asyncio.wait_for(run_console(handle, options, headless=True), 20)
    assert (left.how, left.code != 0, handle.submitted) == ("crashed", True, [])
