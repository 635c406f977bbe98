"""Letters on everything that can be opened: which, where, what typing them does, and what they cost."""

from itertools import pairwise

import pytest

from ray_tui.core.presence import Look
from ray_tui.tui.jump import LETTERS, Jump, Spot, labelled
from ray_tui.tui.screens.read import ReadDialog
from tests.tui.fake_handle import FakeHandle, FakeTransport, mid_run, until
from tests.tui.on_screen import console, dialog, shows, text_of


@pytest.mark.parametrize("count", [0, 1, 26, 27, 51, 60, 200, 676, 900])
def test_no_label_begins_another_and_every_spot_has_one(count):
    """Single letters first; pairs only where they must be; up to 676 spots."""
    spots = [Spot(n % 5 + 1, f"data:{n}") for n in range(count)]
    labels = labelled(spots)
    assert len(labels) == min(count, len(LETTERS) ** 2)
    assert len(set(labels.values())) == len(labels)
    names = sorted(labels)
    assert not any(b.startswith(a) for a, b in pairwise(names))
    if count <= len(LETTERS):
        assert all(len(name) == 1 for name in names)


def test_typing_narrows_and_a_wrong_letter_is_passed_over():
    """The first of two letters leaves only the labels that it begins; an unknown one changes nothing."""
    jump = Jump(labelled([Spot(1, f"data:{n}") for n in range(40)]))
    pair = next(label for label in jump.spots if len(label) == 2)
    assert jump.type("7") is None
    assert jump.typed == ""
    assert jump.type(pair[0]) is None
    single = next(spot for label, spot in jump.spots.items() if len(label) == 1)
    assert jump.label(single.pane, single.target) == ""
    assert jump.type(pair[1].upper()) == jump.spots[pair]
    jump.erase()
    assert jump.typed == pair[0]


async def still(app):
    """The screen's text, once every row is there and it has not changed for a while."""
    last, since = "", 0

    def same():
        nonlocal last, since
        now = text_of(app)
        since, last = (since + 1 if now == last else 0), now
        return since >= 10 and "mail-audit (escalation) delivered" in now

    await until(same, "a still screen")
    return last


def spot_label(app, pane, target=""):
    assert app.console_screen.jump is not None
    return app.console_screen.jump.at[Spot(pane, target)]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_letters_stand_on_panes_rows_and_log_lines_and_open_them(size):
    """f, then the letters of a row: its pane has the focus, the row is chosen, and its detail is open."""
    async with console(FakeHandle(*mid_run()), size) as (app, pilot):
        before = await still(app)
        await pilot.press("f")
        await until(lambda: app.console_screen.jump is not None, "the letters")
        label = spot_label(app, 2, "step:2.2")
        row = next(row for row in text_of(app).split("\n") if "2.2 Alert paths" in row)
        assert f"│{label}" in row
        assert any(spot.pane == 5 and spot.target.startswith("entry:") for spot in app.console_screen.jump.at)
        assert "Esc stay here" in text_of(app) or "esc stay here" in text_of(app)
        await pilot.press(*label)
        top = await dialog(app, ReadDialog)
        assert "2.2" in str(top.dialog_title)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console again")
        assert app.console_screen.active == 2
        assert app.console_screen.listing.chosen == "step:2.2"
        assert app.console_screen.jump is None
        assert "G1 ✓" in before


async def test_a_letter_of_a_title_focuses_the_pane_and_esc_leaves_all_as_it_was():
    """The letters of a title go to the pane; Esc takes them away and changes nothing; while they are shown no key
    does what it does otherwise."""
    handle = FakeHandle(*mid_run())
    async with console(handle, (120, 40)) as (app, pilot):
        before = await still(app)
        await pilot.press(";")
        await until(lambda: app.console_screen.jump is not None, "the letters")
        await pilot.press("escape")
        await until(lambda: app.console_screen.jump is None and text_of(app) == before, "as before")
        await pilot.press("f")
        await until(lambda: app.console_screen.jump is not None, "the letters again")
        await pilot.press(spot_label(app, 4))
        await until(lambda: app.console_screen.active == 4 and app.console_screen.jump is None, "pane 4")
        await pilot.press("f")
        await until(lambda: app.console_screen.jump is not None, "the letters")
        await pilot.press("1", "0")
        assert app.console_screen.active == 4
        assert handle.submitted == []
        assert app.screen is app.console_screen


async def test_letters_that_come_in_one_go_with_the_key_are_letters():
    """Over a slow link several keys arrive at once: those after f are letters, not what they do otherwise."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, pilot):
        await shows(app, "2.2 Alert paths")
        await pilot.press("f", "d")
        await until(lambda: app.console_screen.active == 3, "pane 3, whose letter is the third")


async def test_letters_repaint_only_the_cells_that_they_stand_on():
    """No storm: each row changes at its first cells, and nothing is laid out anew."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, _):
        await still(app)
        screen = app.console_screen
        pane = screen.pane(2)
        regions = []
        refresh = pane.refresh
        pane.refresh = lambda *areas, **more: (regions.extend(areas), refresh(*areas, **more))[1]  # type: ignore[method-assign]
        screen.begin_jump()
        rows = [area for area in regions if area.y >= 0]
        titles = [area for area in regions if area.y < 0]
        assert len(rows) == len(screen.jump.spots and pane.spots(2)) > 5
        assert max(area.width for area in rows) <= 8
        assert [area.height for area in titles] == [1]


async def test_letters_work_in_ascii_and_in_a_replay():
    """The ASCII set has nothing else on the screen while letters are shown; a replay jumps, too."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport())
    async with console(handle, (80, 24), ascii=True) as (app, pilot):
        await shows(app, "2.2 Alert paths")
        await pilot.press("f")
        await until(lambda: app.console_screen.jump is not None, "the letters")
        assert text_of(app).isascii()


async def test_jump_is_in_the_palette_and_moves_with_the_keymap():
    """A binding id of its own: shown, moved and found like the others."""
    from ray_tui.tui.commands import items

    async with console(FakeHandle(*mid_run()), (120, 40), keymap={"jump": "ctrl+j"}) as (app, pilot):
        assert "Jump" in [name for name, _, _ in items(app)]
        await pilot.press("f")
        await pilot.press("ctrl+j")
        await until(lambda: app.console_screen.jump is not None, "the letters")


class Paired(FakeHandle):
    """A handle with others on it."""

    looks: tuple[Look, ...] = ()

    def __init__(self, *facts):
        super().__init__(*facts)
        self.told = []

    def look_at(self, place):
        self.told.append(place)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_others_focus_is_a_quiet_mark_and_goes_with_them(size):
    """◦jo at what jo looks at, in the title or on the rail; gone when jo looks away; a console that is not attached
    is shown nowhere."""
    handle = Paired(*mid_run())
    async with console(handle, size) as (app, pilot):
        await shows(app, "2.2 Alert paths")
        handle.looks = (Look("c-jo", "jo", "3.1"), Look("c-eve", "eve", "2.2"))
        await shows(app, "◦jo")
        assert "◦ev" not in text_of(app)
        handle.looks = (Look("c-jo", "jo", "2.2"),)
        await shows(app, "2.2 Alert paths ◦jo")
        handle.looks = ()
        await until(lambda: "◦" not in text_of(app), "the mark is gone")
        await until(lambda: handle.told == ["2.2"], "our own place")
        await pilot.press("5")
        await until(lambda: handle.told == ["2.2", "log"], "our new place")
