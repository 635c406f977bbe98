"""The keys that help and footer offer are those that do something now; the ends of a list are a key away."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core.presence import Look
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.commands import items
from ray_tui.tui.screens.read import DetailDialog, HelpDialog
from tests.tui.fake_handle import FakeHandle, failed, late_run, mid_run, until
from tests.tui.on_screen import console, dialog, shows, text_of

PROVEN = failed("alert_paths.ack:slack", "Acknowledgement by slack", "none within 5 min")
UNKNOWN = failed("alert_paths.peers", "Every peer took it", "am-2 answered 503", Verdict.ERROR)


def halted(*criteria):
    return [
        *mid_run(),
        f.StepFinished(step="2.2", verdict=Verdict.FAILED, summary="late", criteria=criteria),
        f.Halted(step="2.2", reason="slack was not acknowledged"),
    ]


async def help_of(app, pilot):
    await pilot.press("question_mark")
    said = (await dialog(app, HelpDialog)).text_shown()
    await pilot.press("escape")
    await until(lambda: app.screen is app.console_screen, "the console")
    return said


async def test_help_says_what_enter_and_the_copies_do_with_the_chosen_row():
    """Of a service, of a line of the log: each in its own words."""
    async with console(FakeHandle(*mid_run())) as (app, pilot):
        await pilot.press("1")
        app.console_screen.pane(1).choose("service:search")
        said = await help_of(app, pilot)
        for words in ("On the chosen row", "each signal with its query", "copy: search: metrics passed",
                      "copy as: metrics: query, metrics: promtool"):  # fmt: skip
            assert words in said
        await pilot.press("5")
        assert "the fact as the journal holds it" in await help_of(app, pilot)


async def test_the_keys_of_a_halt_stand_apart_while_nothing_is_halted():
    """Not among the decisions; where a run is halted, those that can settle it are."""
    async with console(FakeHandle(*mid_run())) as (app, pilot):
        said = await help_of(app, pilot)
        decide, _, later = said.partition("When a run is halted")
        assert "retry the halted step" not in decide
        assert "retry the halted step" in later
    async with console(FakeHandle(*halted(PROVEN))) as (app, pilot):
        await dialog(app)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        said = await help_of(app, pilot)
        assert "When a run is halted" not in said
        assert "retry the halted step" in said
        assert "record manual validation" not in said


@pytest.mark.parametrize(("criterion", "offered"), [(PROVEN, False), (UNKNOWN, True)])
async def test_the_footer_offers_manual_validation_only_where_it_can_settle_something(criterion, offered):
    """A proven failure cannot be seen otherwise by a person."""
    async with console(FakeHandle(*halted(criterion)), (160, 40)) as (app, pilot):
        await dialog(app)
        await pilot.press("escape")
        await shows(app, "w waive")
        assert ("m manual" in text_of(app)) is offered


def many():
    return [*mid_run(), *(f.NoteAdded(text=f"note {n}") for n in range(60))]


@pytest.mark.parametrize(("newest", "oldest"), [("end", "home"), ("G", "home")])
async def test_the_ends_of_the_log_are_a_key_away(newest, oldest):
    """Home to the oldest line; End or G to the newest, and what comes is followed again."""
    handle = FakeHandle(*many())
    async with console(handle, (120, 40)) as (app, pilot):
        log = app.console_screen.event_log
        await pilot.press("5", oldest)
        await until(lambda: log.scroll_offset.y == 0 and log.newer, "the oldest line")
        assert log.chosen == log._rows[0].target
        await pilot.press(newest)
        await until(lambda: not log.newer and "note 59" in text_of(app), "the newest line")
        handle.feed(f.NoteAdded(text="one more"))
        await shows(app, "one more")
        assert not log.newer


async def test_the_overview_follows_the_log_again():
    """0: nothing newer stays below, and what comes is seen."""
    handle = FakeHandle(*many())
    async with console(handle, (120, 40)) as (app, pilot):
        log = app.console_screen.event_log
        await pilot.press("5", *["pageup"] * 3)
        await until(lambda: log.newer, "older lines")
        await pilot.press("0")
        await until(lambda: not log.newer and "note 59" in text_of(app), "the newest line")
        handle.feed(f.NoteAdded(text="one more"))
        await shows(app, "one more")
        assert "newer" not in text_of(app)


async def test_half_a_page_up_and_down():
    """ctrl+u and ctrl+d, in a list and in a text that is read."""
    handle = FakeHandle(*many())
    async with console(handle, (120, 40)) as (app, pilot):
        log = app.console_screen.event_log
        await pilot.press("5", "z", "home")
        await until(lambda: log.chosen == log._rows[0].target, "the oldest line")
        await pilot.press("ctrl+d")
        await until(lambda: log._targets().index(log.chosen) == log.size.height // 2, "half a page on")
        await pilot.press("ctrl+u")
        await until(lambda: log.chosen == log._rows[0].target, "and back")
        app.open_help()
        top = await dialog(app, HelpDialog)
        text = top.query_one("#text")
        await until(lambda: text.max_scroll_y > 0, "a text that goes on")
        await pilot.press("end")
        await until(lambda: text.scroll_offset.y == text.max_scroll_y, "its end")
        await pilot.press("ctrl+u")
        await until(lambda: text.scroll_offset.y < text.max_scroll_y, "half a page back")
        await pilot.press("home")
        await until(lambda: text.scroll_offset.y == 0, "its beginning")


async def test_figures_dashboards_and_rules_are_found_by_name():
    """The palette opens what a pane shows of them."""
    async with console(FakeHandle(*late_run())) as (app, _):
        named = {name: (says, do) for name, says, do in items(app)}
        for name, shown in (("Dashboard Checkout RED", "96"), ("Alert rule PaymentsLatency", "pd-payments"),
                            ("KPI payments errors", "degraded")):  # fmt: skip
            named[name][1]()
            top = await dialog(app, DetailDialog)
            assert shown in top.text_shown()
            app.pop_screen()
            await until(lambda: app.screen is app.console_screen, "the console")
        assert named["KPI checkout p99"][0].startswith("231 ms checkout p99 ok")


async def test_in_ascii_a_looker_is_no_letter_of_a_word():
    """Who looks at a pane is marked by a sign that no name begins with."""
    async with console(FakeHandle(*mid_run()), ascii=True) as (app, _):
        app._looks = (Look("c-sam", "sam", "2.2"),)
        app.repaint()
        await shows(app, "@sa")
        assert text_of(app).isascii()
