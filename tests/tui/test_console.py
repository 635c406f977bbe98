"""The screen itself: what it shows at which size, what it survives, how rarely it repaints, how it is left."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.segment import Segment
from textual._compositor import LayoutUpdate
from textual.color import Color

from ray_tui.core import announcements, plan
from ray_tui.core import facts as f
from ray_tui.core.errors import JournalError
from ray_tui.core.handle import Link
from ray_tui.core.readings import Reading
from ray_tui.core.verdicts import Verdict
from ray_tui.tui import over
from ray_tui.tui.app import ControlFilter, RayApp, run_console
from ray_tui.tui.options import ConsoleExit, ConsoleOptions
from ray_tui.tui.screens import console as console_module
from ray_tui.tui.screens.dialog import FormDialog
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.widgets.painted import Painted
from tests.tui.fake_handle import (
    ENDS,
    T0,
    FakeHandle,
    StillClock,
    configured,
    coverage,
    done,
    failed,
    live_values,
    mid_run,
    opened,
    probe,
    until,
)
from tests.tui.on_screen import console, dialog, notices, shows, text_of

EVIL = "x[/nope]\x1b]52;c;aGk=\x07\x9b2J\u202e\u200b[@click=app.quit]y"


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (160, 48), (200, 60)])
async def test_the_first_questions_are_answered_at_every_size(size):
    """Is it watched, what is wrong, who must act, how long is left: on the first three rows, cut nowhere."""
    async with console(FakeHandle(*mid_run()), size) as (app, _):
        await shows(app, "late: no acknowledgement")
        rows = text_of(app).split("\n")
        assert len(rows) == size[1]
        assert all(len(row) == size[0] for row in rows)
        assert "▶ RUNNING" in rows[0]
        assert ("checkout v2.4.1 → production" if size[0] >= 80 else "checkout v2") in rows[0]
        assert "● live" in rows[0]
        assert "G1 ✓" in rows[1]
        assert "must ack pd-payments: 3:48 left of 5:00" in rows[2]
        assert "slack-rele" in text_of(app)


async def test_below_120_columns_one_pane_is_shown_and_above_all_four():
    """Wide shows all phases; narrow shows the one that is open."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, _):
        await shows(app, "4 Handoff")
        assert "1 Instrumentation ─" in text_of(app)
    async with console(FakeHandle(*mid_run()), (100, 30)) as (app, pilot):
        await shows(app, "2 Alert validation")
        assert "Assurance" not in text_of(app)
        await pilot.press("3")
        await shows(app, "3 Assurance")
        await pilot.press("left", "left")
        await shows(app, "1 Instrumentation")
        await shows(app, "38/39")
        await pilot.press("0")
        await shows(app, "2 Alert validation")


async def test_panes_wait_where_nothing_is_known():
    """A run that has only begun shows waiting everywhere and crashes nowhere."""
    async with console(FakeHandle(*opened()), (200, 60)) as (app, _):
        await shows(app, "checkout v2.4.1")
        assert text_of(app).count("waiting") >= 12


@pytest.mark.parametrize(
    "data",
    [
        {"cells": None},
        {"cells": ["x", 3]},
        {"kpis": [{}]},
        {"plan": "no", "alerts": [{}]},
        {"entries": [{"owner": None}]},
        {"rules": [{"precision": "NaN"}], "proposals": [{}]},
        {"rows": [{}]},
        {"files": [{}]},
        {"cells": [{"service": "a", "verdict": "odd"}]},
    ],
)
async def test_panes_tolerate_any_shape_of_data(data):
    """A step's data in a shape that a pane does not know is left out, never a crash."""
    facts = [
        fact for step in ("1.2", "1.3", "2.1", "2.3", "3.1", "3.2", "3.3", "4.1") for fact in done(step, "odd", data)
    ]
    async with console(FakeHandle(*opened(), *facts), (200, 60)) as (app, _):
        await until(lambda: text_of(app).count("odd") >= 7, "every summary")
        assert app.crash is None


async def test_every_table_reaches_the_screen():
    """Schedule, tuning, scorecard, package, approvals, waivers and backlog are shown from their data."""
    facts = [
        *opened(),
        *done(
            "3.1",
            "all owned",
            {
                "entries": [
                    {
                        "asset": "dash:checkout",
                        "cadence": "daily",
                        "next_run": "2026-11-23T06:00",
                        "owner": "jo",
                        "owner_ok": True,
                        "installed": True,
                    }
                ]
            },
        ),
        *done(
            "3.2",
            "one tuned",
            {
                "rules": [
                    {
                        "rule": "PaymentsLatency",
                        "n": 12,
                        "true": 9,
                        "precision": 0.75,
                        "low": 0.47,
                        "high": 0.91,
                        "duplicates": 2,
                        "flaps": 1,
                        "status": "noisy",
                    }
                ],
                "proposals": [
                    {
                        "id": "p1",
                        "rule": "PaymentsLatency",
                        "change": "for 5m → 10m",
                        "pages_before": 6,
                        "pages_after": 2,
                        "accepted": True,
                    }
                ],
            },
        ),
        *done(
            "3.3",
            "met",
            {"rows": [{"metric": "SLO attainment", "target": "99.9%", "actual": "99.95%", "status": "met"}]},
        ),
        *done(
            "4.1",
            "sealed",
            {
                "files": [
                    {
                        "name": "alert-test-results.json",
                        "sha256": "a" * 64,
                        "size": 4096,
                        "required": True,
                        "action": "2.2",
                    }
                ]
            },
        ),
        f.PackageSealed(
            sha256="d" * 64, size=9_000, through_seq=40, journal_head="e" * 64, manifest_sha256="f" * 64, files=14
        ),
        f.ApprovalRecorded(
            role="sre-lead", person="jo", subject="MONITORING-PACKAGE.zip", given_at=T0, assurance="unsigned"
        ),
        f.Waived(
            id="W1",
            criterion="coverage.cell:search/traces",
            step="1.2",
            reason="traces come next week",
            operator="mira",
            approver="jo",
            expires_at=T0 + 400 + 3.5 * 86400,
            evidence_sha256="0" * 64,
        ),
        f.GapFound(id="g1", step="1.2", title="search has no traces", owner="search-team", due="2026-12-06"),
    ]
    async with console(FakeHandle(*facts), (200, 60)) as (app, pilot):
        await pilot.press("3", "z")
        for wanted in ("dash:checkout", "installed", "75%", "47%–91%", "6 → 2 pages/week", "accepted", "99.95%"):
            await shows(app, wanted)
        await pilot.press("4")
        for wanted in (
            "14 files",
            "dddddddddddddddd",
            "sre-lead",
            "unsigned",
            "3.5 days",
            "search has no traces",
            "search-team",
            "All prerequisites were met",
            "handoff",
        ):
            await shows(app, wanted)


async def test_live_values_are_drawn_beside_the_baseline():
    """A series of readings becomes a sparkline in its row, with the value and the shift from the record."""
    handle = FakeHandle(*mid_run())
    handle.read(*live_values())
    async with console(handle, (200, 60)) as (app, _):
        await until(
            lambda: any(
                "checkout" in row and "280 ms" in row and "┆" in row and "▁" in row for row in text_of(app).split("\n")
            ),
            "a sparkline",
        )


async def test_outside_text_is_never_markup_nor_an_escape():
    """A service, a receiver, a note and a release with markup and escapes are shown harmless, in every view."""
    data = coverage()
    data["services"].append({"name": EVIL, "critical": True, "changed": True})
    data["cells"].append({"service": EVIL, "signal": "metrics", "verdict": "failed", "why": EVIL, "query": EVIL})
    plans = configured()
    plans["alerts"].append({"name": EVIL, "receivers": [EVIL], "issues": [EVIL]})
    facts = [
        f.RunOpened(run_id="r-7f3a", release=EVIL, environment=EVIL, deployed_at=T0, config_digest="c"),
        f.ConsoleAttached(console="c-mira", person="mira"),
        f.SeatTaken(person="mira", console="c-mira"),
        *done("1.2", EVIL, data),
        *done("2.1", EVIL, plans),
        *probe("p1", EVIL, T0 + 390, t5=(1, EVIL)),
        f.NoteAdded(text=EVIL),
        f.GapFound(id="g", step="1.2", title=EVIL, owner=EVIL, due=EVIL),
        f.PromptRaised(
            id="q", step="2.1", prompt="choose", title=EVIL, text=EVIL, options=(EVIL,), data={EVIL: [{EVIL: EVIL}]}
        ),
    ]
    async with console(FakeHandle(*facts), (200, 60)) as (app, pilot):
        await dialog(app)
        await shows(app, "x[/nope]\\u{1b}]52")
        await pilot.press("escape")
        for keys in (["1", "tab", "tab", "enter"], ["escape", "2", "enter"], ["escape", "5", "enter"], ["escape", "4"]):
            await pilot.press(*keys)
            await until(lambda: not app._opening, "settled")
            shown = text_of(app)
            assert not any(char in shown for char in "\x1b\x07\x9b\u202e\u200b")
        app.say(EVIL)
        await until(lambda: "[@click=app.quit]" in notices(app), "the notice")
        assert app.crash is None


def test_the_last_net_catches_what_somebody_painted_directly():
    """The line filter shows control characters and leaves control segments of Textual's own alone."""
    own = Segment("\x1b[2J", None, [(1,)])  # type: ignore[list-item]
    out = ControlFilter().apply([Segment("a\x1bb"), Segment("fine"), own], Color.parse("black"))
    assert [segment.text for segment in out] == ["a\\u{1b}b", "fine", "\x1b[2J"]


async def test_announcements_and_gate_blocks_stand_in_the_log_to_the_letter():
    """[RAY ERROR] and the whole [RAY GATE FAILED] block can be read line by line in the log. (P80) (P82)"""
    gate = plan.gate("alert_validation")
    block = announcements.gate_failed(gate, "lowest dashboard 71; slack-release late")
    error = announcements.error("2.2 Test Alert Paths", "slack-release was late")
    facts = [*opened(), f.Announced(text=block, step=gate.id), f.Announced(text=error, step="2.2")]
    async with console(FakeHandle(*facts), (120, 40)) as (app, _):
        await shows(app, "[RAY ERROR]")
        shown = text_of(app)
        for line in [*block.split("\n"), error]:
            assert line in shown


async def test_the_log_is_filtered():
    """Only lines with the wanted part stay; an empty filter brings the rest back."""
    async with console(FakeHandle(*mid_run(), f.NoteAdded(text="sam looks at slack")), (120, 40)) as (app, pilot):
        await shows(app, "sam looks at slack")
        await pilot.press("slash")
        await dialog(app)
        await pilot.press(*"LOOKS", "enter")
        await until(
            lambda: "Events with 'LOOKS'" in text_of(app) or "Events with" in text_of(app), "the filter's title"
        )
        log = [row.line for row in app.console_screen.event_log._rows]
        assert len(log) == 1
        app.console_screen.event_log.set_filter("", app.state)
        assert len(app.console_screen.event_log._rows) > 10


async def test_enter_says_why():
    """The detail of a gate names criteria, evidence, remedy and the journal's seq."""
    criterion = announcements.plan.GATES[0]
    facts = [*mid_run()]
    async with console(FakeHandle(*facts), (120, 40)) as (app, pilot):
        await pilot.press("1", "tab", "tab", "tab", "enter")
        top = await dialog(app)
        assert top.dialog_title == criterion.title
        assert "journal seq" in top.text_shown()
        assert criterion.pass_threshold in top.text_shown()


async def test_a_probes_detail_gives_every_hop_as_an_interval():
    """Hops are intervals with their source; unseen hops say so."""
    async with console(FakeHandle(*mid_run())) as (app, _):
        app.open_detail("probe:7f3a-a1-1")
        top = await dialog(app)
        assert "40.90–41.00 s" in top.text_shown()
        assert "t7 escalated not seen" in top.text_shown()


async def test_the_first_screen_that_is_sent_is_the_run_as_it_is(monkeypatch):
    """No empty panes come first, and the pane of the running phase is the wide one at once."""
    sent: list[str] = []
    display = RayApp._display

    def noted(self, screen, renderable):
        if isinstance(renderable, LayoutUpdate) and not self._batch_count:
            sent.append("\n".join("".join(part.text for part in row) for row in renderable.strips))
        display(self, screen, renderable)

    monkeypatch.setattr(RayApp, "_display", noted)
    async with console(FakeHandle(*mid_run()), (120, 40)):
        for word in ("checkout v2.4.1", "late: no acknowledgement within 5 min", "3:48 left of 5:00  │", "Events"):
            assert word in sent[0]


async def test_a_flood_of_readings_costs_few_repaints():
    """5,000 readings are painted at most at 2 Hz, and touch the metric pane alone."""
    handle = FakeHandle(*mid_run())
    async with console(handle, (160, 48)) as (app, _):
        await shows(app, "3:48 left")
        log, before = app.console_screen.event_log.repaints, app.paints
        started = asyncio.get_running_loop().time()
        handle.read(*(Reading(series=f"s{i % 40}/p99", at=T0 + i, value=float(i)) for i in range(5_000)))
        await until(lambda: sum(len(g.points) for g in app.gauges.series.values()) >= 5_000, "all readings")
        await until(lambda: app._reading_timer is None, "the last paint")
        seconds = asyncio.get_running_loop().time() - started
        assert app.paints - before <= 2 * seconds + 2 + seconds + 1  # 2 Hz for readings, 1 Hz for the ticking SLA
        assert app.console_screen.event_log.repaints == log


async def test_a_flood_of_facts_is_painted_in_batches():
    """2,000 facts are painted at most ten times a second."""
    handle = FakeHandle(*opened())
    async with console(handle, (120, 40)) as (app, _):
        before, started = app.paints, asyncio.get_running_loop().time()
        handle.feed(*(f.NoteAdded(text=f"note {i}") for i in range(2_000)))
        await shows(app, "note 1999")
        seconds = asyncio.get_running_loop().time() - started
        assert app.paints - before <= 10 * seconds + 2


async def test_of_a_run_that_waits_only_the_clock_moves():
    """Two ticks change the header and nothing else; a run that is over costs no paint at all, not even a tick."""
    clock = StillClock()
    async with console(FakeHandle(*opened()), (120, 40), clock=clock) as (app, _):
        await until(lambda: app._paint_timer is None, "settled")
        painted = {widget.id: widget.repaints for widget in app.screen.query(Painted)}
        clock.at[0] += 2
        await shows(app, "6:41")
        changed = {w.id for w in app.screen.query(Painted) if w.repaints != painted[w.id]}
        assert changed == {"header"}
    async with console(FakeHandle(*opened(), f.RunAborted(reason="wrong release")), (120, 40)) as (app, _):
        await until(lambda: app._paint_timer is None, "settled")
        before = app.paints
        await asyncio.sleep(2.2)  # two ticks: the absence of paint is what is tested
        assert app.paints == before


async def test_the_sla_ticks_once_a_second_and_only_its_lines_change():
    """While a page is out the time left moves, and the log is left alone."""
    clock = StillClock()
    async with console(FakeHandle(*mid_run()), (120, 40), clock=clock) as (app, _):
        await shows(app, "3:48 left")
        log = app.console_screen.event_log.repaints
        clock.at[0] += 8
        await shows(app, "3:40 left")
        assert app.console_screen.event_log.repaints == log


async def test_q_detaches_and_says_how_to_come_back():
    """q leaves at once, code 0; the run goes on."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, pilot):
        await pilot.press("q")
        await until(lambda: app.return_value is not None, "the exit")
    assert app.return_value == ConsoleExit("detached", 0, "Detached; the run goes on. Come back: ray-tui attach 7f3a")
    assert handle.submitted == []


async def test_ctrl_c_ends_nothing():
    """Ctrl-C only says how to leave."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, pilot):
        await pilot.press("ctrl+c")
        await until(lambda: "q: leave, the run goes on" in notices(app), "the notice")
        assert app.return_value is None
        assert handle.submitted == []


async def test_who_has_gone_to_a_phase_is_told_how_to_follow_the_run_again():
    """The run may go on in another pane: the way back stands first, and is gone when it was taken."""
    async with console(FakeHandle(*mid_run()), (80, 24)) as (app, pilot):
        assert "follow the run" not in text_of(app)
        await pilot.press("4")
        await shows(app, "0 follow the run")
        await pilot.press("0")
        await until(lambda: "follow the run" not in text_of(app), "the usual keys")


async def test_a_finished_run_is_left_as_ended():
    """After completion the badge says watched, and leaving reports the end."""
    handle = FakeHandle(*opened(), f.RunCompleted(boxes={}, next_command=plan.NEXT_PROTOCOL))
    async with console(handle) as (app, pilot):
        await shows(app, "✓ WATCHED")
        await shows(app, plan.NEXT_PROTOCOL)
        await pilot.press("q")
        await until(lambda: app.return_value is not None, "the exit")
    assert app.return_value is not None
    assert app.return_value.how == "ended"


@pytest.mark.parametrize("width", [60, 80, 160])
async def test_a_silent_host_is_shown_with_its_seconds_and_said_once(width):
    """Not lost, not live: for how long, what is unanswered, and once what that means; a note says that it waits."""
    handle = FakeHandle(*mid_run())
    handle.silent_seconds, handle.unanswered = 0.0, 0
    async with console(handle, (width, 24)) as (app, pilot):
        await shows(app, "● live")
        handle.link, handle.silent_seconds = Link.SILENT, 12.0
        await shows(app, "○ SILENT 12 s")
        await until(lambda: "its process (1) is stopped or hangs" in notices(app), "what it means")
        app.clear_notifications()
        handle.silent_seconds = 14.0
        await shows(app, "○ SILENT 14 s")
        assert "stopped" not in notices(app)
        await pilot.press("n")
        await dialog(app, FormDialog)
        handle.unanswered = 1
        await pilot.press(*"hello", "enter")
        await until(lambda: "it stays unanswered until the host wakes" in notices(app), "that the note waits")
        if width == 160:
            await shows(app, "○ SILENT 14 s, 1 unanswered")
        handle.link, handle.silent_seconds, handle.unanswered = Link.LIVE, 0.0, 0
        await shows(app, "● live")
        await until(lambda: "heard again" in notices(app), "that it is heard again")


async def test_a_lost_link_is_shown_and_reported():
    """The header says so within a second, and leaving says how to try again."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, pilot):
        handle.link = Link.LOST
        await shows(app, "LOST")
        handle.link = Link.LIVE
        await shows(app, "● live")
        handle.break_link(JournalError("the host went away"))
        await until(lambda: "the host went away" in notices(app), "the notice")
        await shows(app, "LOST")
        await pilot.press("q")
        await until(lambda: app.return_value is not None, "the exit")
    assert app.return_value is not None
    assert app.return_value.how == "lost"


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (Link.LIVE, "Detached; the run goes on. Come back: x"),
        (Link.SILENT, "Detached; the host is silent. Come back: x"),
        (Link.LOST, "The host does not answer. Come back: x"),
        (Link.ENDED, "The host does not answer. Come back: x"),
    ],
)
async def test_leaving_says_what_is_known_of_the_host_and_the_way_back(link, said):
    """That the run goes on is said only where somebody was heard who carries it out."""
    handle = FakeHandle(*mid_run())
    async with console(handle, way_back=lambda: "Come back: x") as (app, pilot):
        handle.link = link
        await pilot.press("q")
        await until(lambda: app.return_value is not None, "the exit")
    assert app.return_value is not None
    assert app.return_value.message == said


async def test_the_end_of_the_entries_is_no_crash():
    """A handle that ends leaves the screen as it was."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, _):
        handle._entries.put_nowait(ENDS)
        await shows(app, "checkout v2.4.1")
        assert app.crash is None


async def test_a_crash_is_one_line_without_locals(monkeypatch, tmp_path, capfd):
    """A pane that raises ends the console with a code, one line and how to come back; no secret of its locals."""

    def broken(view, width):
        secret = "hunter2" + str(width)
        assert secret
        raise RuntimeError("a pane broke \x1b[2J")

    monkeypatch.setattr(console_module, "PHASES", (broken,) * 4)
    handle = FakeHandle(*mid_run())
    log = tmp_path / "crash.txt"
    options = ConsoleOptions(clock=StillClock(), show_mission=False, environment={}, crash_log=log)
    left = await asyncio.wait_for(run_console(handle, options, headless=True), 20)
    assert (left.how, left.code != 0, handle.closed) == ("crashed", True, True)
    assert "RuntimeError: a pane broke \\u{1b}[2J" in left.message
    assert "the run goes on" in left.message
    assert "ray-tui attach 7f3a" in left.message
    printed = "".join(capfd.readouterr())
    assert "hunter2" not in printed + left.message + log.read_text()
    assert "a pane broke" in log.read_text()
    assert handle.submitted == []


async def test_ascii_only_shows_nothing_else():
    """With --ascii every cell of the screen is ASCII, dialogs included."""
    async with console(FakeHandle(*mid_run()), (120, 40), ascii=True) as (app, pilot):
        await shows(app, "3:48 left")
        assert text_of(app).isascii(), sorted({c for c in text_of(app) if not c.isascii()})
        await shows(app, "|*> 2.2 Alert paths")  # the cursor is not the sign of what runs
        await pilot.press("question_mark")
        await dialog(app)
        await shows(app, "Decide")
        assert text_of(app).isascii(), sorted({c for c in text_of(app) if not c.isascii()})
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console again")
        await pilot.press("ctrl+p")
        await shows(app, "what waits for a decision")
        assert text_of(app).isascii(), sorted({c for c in text_of(app) if not c.isascii()})


async def test_animations_are_off_over_ssh_and_can_be_forced():
    """SSH_CONNECTION turns them off; the option overrules it."""
    ssh = {"SSH_CONNECTION": "10.0.0.1 22 10.0.0.2 22"}
    handle = FakeHandle()
    assert RayApp(handle, ConsoleOptions(environment=ssh)).animation_level == "none"
    assert RayApp(handle, ConsoleOptions(environment=ssh, animations=True)).animation_level != "none"
    assert RayApp(handle, ConsoleOptions(environment={}, animations=False)).animation_level == "none"


async def test_the_palette_finds_steps_receivers_and_themes():
    """Everything has a name in the palette, and choosing a step opens why it is so."""
    from ray_tui.tui.commands import items

    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, _):
        named = {name: do for name, _, do in items(app)}
        for wanted in (
            "Step 2.2 Test Alert Paths",
            "Receiver pd-payments",
            "Service checkout",
            "Theme ray-light",
            "Abort the run",
        ):
            assert wanted in named
        named["Step 2.2 Test Alert Paths"]()
        assert (await dialog(app)).dialog_title == "2.2 Test Alert Paths"


async def test_the_palette_has_no_two_commands_of_one_name():
    """A receiver that is probed for both levels, and again after a retry, is found once for each level."""
    from ray_tui.tui.commands import items

    again = [*probe("7f3a-a2-1", "pd-payments", T0 + 400), *probe("7f3a-a2-2", "mail-audit", T0 + 400)]
    async with console(FakeHandle(*mid_run(), *again)) as (app, _):
        names = [name for name, _, _ in items(app)]
        assert len(names) == len(set(names))
        assert {"Receiver pd-payments", "Receiver mail-audit", "Receiver mail-audit, escalation"} <= set(names)


async def test_the_palette_has_every_finding():
    """What did not pass opens the step that it belongs to; a KPI that is not as before and an open backlog entry open
    themselves."""
    from ray_tui.tui.commands import items

    late = failed("2.2.ack", "pd-payments is acknowledged in time", "escalated after 5 min")
    async with console(FakeHandle(*mid_run(), *done("2.2", "1 late", None, late)), (120, 40)) as (app, pilot):
        found = {name: (says, do) for name, says, do in items(app)}
        assert found["Finding payments errors"][0] == "its baseline: degraded"
        assert "Finding checkout p99" not in found
        found["Backlog search has no traces"][1]()
        assert (await dialog(app)).dialog_title == "search has no traces"
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        says, do = found["Finding pd-payments is acknowledged in time"]
        assert says == "2.2 Alert paths: escalated after 5 min"
        do()
        assert (await dialog(app)).dialog_title == "2.2 Test Alert Paths"


async def test_the_palette_copies_what_opens_another_run(tmp_path):
    """This run is not among them."""
    from ray_tui.tui.commands import items

    handle = FakeHandle(*mid_run())
    runs = [(handle.run_id, "ray-tui attach this"), ("2026-11-21T1000Z-old-1234", "ray-tui replay old")]
    async with console(handle, runs=lambda: runs, copy_folder=tmp_path) as (app, _):
        found = {name: do for name, _, do in items(app) if name.startswith("Run ")}
        assert list(found) == ["Run 2026-11-21T1000Z-old-1234"]
        found["Run 2026-11-21T1000Z-old-1234"]()
        await until((tmp_path / "copied.txt").exists, "the copy")
        assert (tmp_path / "copied.txt").read_text() == "ray-tui replay old"


async def test_the_palette_goes_where_the_keys_go():
    """Phases and the event log by name, and the chosen row copied."""
    from ray_tui.tui.commands import items

    async with console(FakeHandle(*mid_run())) as (app, _):
        named = {name: do for name, _, do in items(app)}
        for name, active in (("Phase 3 Continuous Observability Assurance", 3), ("Event log", 5)):
            named[name]()
            assert app.console_screen.active == active
        assert {"Copy", "Copy as", "Show the whole log", "Choose a theme"} <= set(named)


async def test_a_read_only_console_offers_no_decision():
    """The palette of a watcher has nothing that changes the run, and p opens nothing."""
    from ray_tui.tui.commands import items

    handle = FakeHandle(*mid_run(), read_only=True)
    async with console(handle) as (app, pilot):
        assert "Abort the run" not in {name for name, _, _ in items(app)}
        await pilot.press("p")
        await until(lambda: "Nothing waits" in notices(app), "the notice")


async def test_copying_without_a_clipboard_writes_a_file(tmp_path):
    """y copies the chosen row; the file holds it where the terminal may not."""
    async with console(FakeHandle(*mid_run()), copy_folder=tmp_path) as (app, pilot):
        await pilot.press("1", "y")
        await until((tmp_path / "copied.txt").exists, "the file")
        assert "1.1 Review deployment" in (tmp_path / "copied.txt").read_text()
        await until(lambda: "clipboard" in notices(app), "the notice")


START = """
import asyncio, json, pathlib, sys
sys.path.insert(0, {root!r})
from tests.tui.fake_handle import FakeHandle, StillClock, mid_run
from textual.drivers.linux_driver import LinuxDriver
from ray_tui.tui.app import RayApp
from ray_tui.tui.options import ConsoleOptions
app = RayApp(FakeHandle(*mid_run()), ConsoleOptions(show_mission=False, clock=StillClock()))
wrote, loaded, sizes = LinuxDriver.write, [], []

def write(driver, data):
    if sizes or "RUNNING" in data:
        loaded[:] = loaded or sys.modules
        sizes.append(len(data))
    wrote(driver, data)

def tick():
    ticks.append(len(sizes))
    if len(ticks) == 2:
        pathlib.Path({report!r}).write_text(json.dumps(dict(loaded=loaded, sizes=sizes)))
    ticked()

LinuxDriver.write = write
ticks, ticked, app._tick = [], app._tick, tick
asyncio.run(app.run_async())
"""
"""Tells, once the clock has gone twice, which modules the first screen had loaded and how much each write sent."""


async def test_a_start_sends_one_screen_and_loads_no_dialog_for_it(tmp_path):
    """What opens over the console is loaded after it; a run in which nothing happens is not sent twice."""
    script, report = tmp_path / "console.py", tmp_path / "report"
    script.write_text(START.format(root=str(Path(__file__).parents[2]), report=str(report)))
    await _in_a_pty(script, lambda text: report.exists() and report.read_text(), signal.SIGTERM)
    told = json.loads(report.read_text())
    assert "ray_tui.tui.screens.console" in told["loaded"]
    assert {f"ray_tui.tui.{name}" for name in over.PIECES}.isdisjoint(told["loaded"])
    screen, *more = told["sizes"]
    assert screen > 5_000
    assert sum(more) < screen / 10


async def test_the_bar_beside_the_log_stands_where_the_log_stands():
    """At its end from the first screen on, as the newest line is the one that is shown."""
    async with console(FakeHandle(*mid_run())) as (app, _):
        log = app.console_screen.event_log
        assert log.scroll_offset.y > 0
        assert log.vertical_scrollbar.position == log.scroll_offset.y


async def test_a_dialog_opens_by_the_first_key(monkeypatch):
    """Also by one that is typed before anything of it was loaded."""

    async def load(self: over.Over) -> None:
        """Not yet."""

    monkeypatch.setattr(over.Over, "load", load)
    app = RayApp(FakeHandle(*mid_run()), ConsoleOptions(show_mission=False, environment={}))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.paints > 0, "a first paint")
        await pilot.press("question_mark")
        assert isinstance(await dialog(app), ReadDialog)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_detaches_cleanly_in_a_real_terminal(number, tmp_path):
    """SIGTERM and SIGHUP restore the terminal, close the handle and report a detach."""
    script = tmp_path / "console.py"
    report = tmp_path / "report"
    root = Path(__file__).parents[2]
    script.write_text(
        "import asyncio, pathlib, sys\n"
        f"sys.path.insert(0, {str(root)!r})\n"
        "from tests.tui.fake_handle import FakeHandle, mid_run\n"
        "from ray_tui.tui.app import run_console\n"
        "from ray_tui.tui.options import ConsoleOptions\n"
        "handle = FakeHandle(*mid_run())\n"
        "left = asyncio.run(run_console(handle, ConsoleOptions(show_mission=False)))\n"
        "said = f'{left.how} {left.code} {handle.closed} {handle.submitted}'\n"
        f"pathlib.Path({str(report)!r}).write_text(said)\n"
    )
    screen = await _in_a_pty(script, lambda text: "ack pd-payments" in text or "RUNNING" in text, number)
    await until(report.exists, "the report")
    assert report.read_text() == f"detached {128 + number} True []"
    assert "\x1b[?1049l" in screen


async def _in_a_pty(script, ready, number) -> str:
    import pty

    master, slave = pty.openpty()
    os.set_blocking(master, False)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    seen = ""

    def read() -> bool:
        nonlocal seen
        try:
            while chunk := os.read(master, 65536):
                seen += chunk.decode(errors="replace")
        except (BlockingIOError, OSError):
            pass
        return True

    try:
        await until(lambda: read() and ready(seen), "the console in the pty")
        process.send_signal(number)
        await until(lambda: read() and process.returncode is not None, "the end")
        read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)
    return seen


async def test_every_verdict_has_its_glyph_on_screen():
    """Passed, failed, inconclusive, error: each gate light carries glyph and word."""
    facts = [*opened()]
    for gate, verdict in zip(
        plan.GATES, (Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR), strict=True
    ):
        facts += [f.StepStarted(step=gate.id), f.GateJudged(gate=gate.key, verdict=verdict, actual="seen")]
    async with console(FakeHandle(*facts), (160, 48)) as (app, _):
        await shows(app, "G1 ✓")
        for light in ("G2 ✗", "G3 ?", "G4 !"):
            assert light in text_of(app)
        for word in ("failed seen", "inconclusive seen", "error seen"):
            assert word in text_of(app)
