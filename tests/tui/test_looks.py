"""Themes and keys that people bring: what works, and how what does not work is said."""

import os
import tomllib

import pytest
from textual.color import Color

from ray_tui.tui import keys, theme
from tests.tui.fake_handle import FakeHandle, mid_run, until
from tests.tui.on_screen import console, dialog, notices, shows, text_of

BARE = "name = 'x'\naccent = 'red'\nbackground = 'red'\nforeground = 'red'"
COLOURED = ("dusk-tide", "ember", "fjord", "high-contrast", "ray-dark", "ray-light")
ANSI = ("ansi-16", "ansi-light")
SHIPPED = (*ANSI, *COLOURED)
TEXT = ("good", "bad", "warn", "run", "say", "dim", "strong")


def test_six_themes_and_two_ansi_ones_are_shipped_and_none_has_a_problem():
    """Every file in themes/ loads; one of the six is light, and the terminal's own colours are there for both."""
    loaded, problems = theme.load()
    assert problems == []
    assert tuple(sorted(found.name for found in loaded)) == SHIPPED
    assert [found.name for found in theme.themes()] == [found.name for found in loaded]
    assert tuple(sorted(found.name for found in loaded if found.theme.ansi)) == ANSI
    assert {found.name for found in loaded if not found.theme.dark} == {"ray-light", "ansi-light"}


@pytest.mark.parametrize("name", ANSI)
def test_an_ansi_theme_uses_the_terminals_colours_alone(name):
    """No exact colour in it, so that sixteen are enough."""
    colours = tomllib.loads((theme.shipped_folder() / f"{name}.toml").read_text())
    used = [colour for colour in [*colours.values(), *colours["variables"].values()] if isinstance(colour, str)]
    assert {colour for colour in used if not colour.startswith("ansi")} == set()


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def luminance(text: str) -> float:
        channels = [part / 255 for part in Color.parse(text).rgb]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", COLOURED)
def test_everything_can_be_read_in_every_theme(name):
    """4.5:1 for every text and badge (7:1 in high contrast), and 3:1 on the chosen row."""
    found = next(loaded.theme for loaded in theme.themes() if loaded.name == name)
    ours = {key: found.variables[f"ray-{key}"] for key in (*TEXT, "cursor", "badge-text")}
    least = 7.0 if name == "high-contrast" else 4.5
    texts = {"foreground": str(found.foreground), **{key: ours[key] for key in TEXT}}
    background = str(found.background)
    assert {key for key, colour in texts.items() if contrast(colour, background) < least} == set()
    assert {key for key, colour in texts.items() if contrast(colour, ours["cursor"]) < 3.0} == set()
    badges = ("good", "bad", "warn", "run", "dim")
    assert {key for key in badges if contrast(ours[key], ours["badge-text"]) < least} == set()


def test_four_colours_are_enough(tmp_path):
    """Every variable of ours follows from them."""
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nprimary = "#336699"\naccent = "#996633"\nbackground = "#000000"\nforeground = "#dddddd"\n'
    )
    loaded, problems = theme.load([tmp_path])
    mine = next(found.theme for found in loaded if found.name == "mine")
    assert problems == []
    assert {f"ray-{name}" for name in theme.OWN} <= set(mine.variables)
    assert set(theme.DEFAULTS) == {f"ray-{name}" for name in theme.OWN}


@pytest.mark.parametrize("name", SHIPPED)
async def test_every_theme_paints(name):
    """A console starts in each theme, opens a dialog and shows the deadline."""
    async with console(FakeHandle(*mid_run()), (120, 40), theme=name) as (app, pilot):
        assert app.theme == name
        await shows(app, "3:48 left")
        await pilot.press("question_mark")
        await dialog(app)
        app.export_screenshot()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\n", "bad.toml: primary: is missing"),
        (f"{BARE}\nprimary = 'mauve-ish'", "bad.toml: primary: 'mauve-ish' is not"),
        (f"{BARE}\nprimary='red'\nglow='red'", "bad.toml: glow: is no key of a theme"),
        (f"{BARE}\nprimary='red'\n[variables]\n'x}}'='red'", "bad.toml: variables: x}"),
        ("name = ", "bad.toml: "),
        (f"name = {'[' * 3_000}{']' * 3_000}\n", "bad.toml: is nested too deeply"),
    ],
    ids=lambda value: value[:24],
)
async def test_a_broken_theme_is_one_notice_with_file_and_key(tmp_path, text, said):
    """The console starts, says file and key once, and keeps its own theme."""
    (tmp_path / "bad.toml").write_text(text)
    async with console(FakeHandle(*mid_run()), theme="x", theme_folders=(tmp_path,)) as (app, _):
        await until(lambda: said in notices(app), said)
        assert len([notice for notice in app._notifications if "Themes" in notice.message]) == 1
        assert app.theme == "ray-dark"


def test_what_is_no_file_is_said_and_not_waited_for(tmp_path):
    """A FIFO that nobody writes to, a folder: the other themes are there."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    loaded, problems = theme.load([tmp_path])
    assert [one.name for one in loaded] == [one.name for one in theme.load()[0]]
    assert [problem.split(": ")[0] for problem in problems] == ["folder.toml", "pipe.toml"]
    assert "is a FIFO, not a file" in problems[1]


async def test_no_color_chooses_the_terminals_colours():
    """NO_COLOR leads to the ANSI theme, whatever was asked for."""
    async with console(FakeHandle(*mid_run()), environment={"NO_COLOR": "1"}) as (app, _):
        assert app.theme == "ansi-16"


async def test_no_color_sends_no_colour_and_keeps_what_is_bold(monkeypatch):
    """Every character is in the terminal's own colours: not black on black."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(FakeHandle(*mid_run()), environment={"NO_COLOR": "1"}) as (app, pilot):
        for key in ("1", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause()
            styles = [s.style for strip in app.screen._compositor.render_strips() for s in _sent(app, strip) if s.style]
            assert {str(one.color and one.color.name) for one in styles} <= {"default", "None"}
            assert {str(one.bgcolor and one.bgcolor.name) for one in styles} <= {"default", "None"}
            assert any(one.bold for one in styles)


def _sent(app, strip):
    for each in app.get_line_filters():
        strip = strip.apply_filter(each, app.screen.styles.background)
    return strip


async def test_the_palette_is_on_the_theme_s_own_ground():
    """Its frame and its icon are seen, and it does not darken."""
    async with console(FakeHandle(*mid_run())) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(lambda: app.screen.query("#--input"), "the palette")
        ground = app.screen.styles.background
        for one in ("#--container", "SearchIcon", "#--input"):
            colours = app.screen.query(one).first().background_colors
            assert colours[-1] == ground
        assert app.screen.query("#--input").first().styles.border_top[1] != ground


async def test_the_theme_picker_changes_the_theme():
    """T, another line, Enter."""
    async with console(FakeHandle(*mid_run())) as (app, pilot):
        await pilot.press("T")
        picker = await dialog(app)
        wanted = picker.choices[1].id
        await pilot.press("down", "enter")
        await until(lambda: app.theme == wanted, wanted)


async def test_a_keymap_moves_a_key():
    """The new key works, the old one does not, and help and footer show the new one."""
    async with console(FakeHandle(*mid_run()), keymap={"run.note": "N", "help": "H"}) as (app, pilot):
        await pilot.press("n")
        await shows(app, "N note")
        assert app.screen is app.console_screen
        await pilot.press("N")
        await dialog(app)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        await pilot.press("H")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Help", "help")
        await shows(app, "N                  add a note")
        await pilot.press("i", "pagedown")
        await shows(app, "run.note                N ")


async def test_a_wrong_keymap_is_one_notice():
    """Unknown ids, clashes, empty and reserved keys are said together; the rest works."""
    keymap = {"run.nothing": "x", "run.note": "q", "run.waive": "", "theme": "ctrl+c", "focus.zoom": "Z"}
    async with console(FakeHandle(*mid_run()), keymap=keymap) as (app, _):
        await until(lambda: "Keymap" in notices(app), "the notice")
        said = [notice.message for notice in app._notifications if "Keymap" in notice.message]
        assert len(said) == 1
        for part in ("run.nothing: is no", "run.note: q is already detach", "run.waive: has no key", "reserved"):
            assert part in said[0]
        assert app.keymap == {"focus.zoom": "Z"}


@pytest.mark.parametrize("key", ["nosuchkey", "ctlr+n", "shift+z", "ctrl+", "n,nosuch", "<any>"])
def test_a_key_that_no_terminal_sends_is_refused(key):
    """The pane could not be zoomed any more; the old key stays."""
    good, wrong = keys.validated({"focus.zoom": key})
    assert good == {}
    assert "is no key" in wrong["focus.zoom"]


@pytest.mark.parametrize(
    "key", ["Z", "ctrl+z", "f12", "pageup", "question_mark", "?", ",", "plus", "ctrl+shift+up", "ü"]
)
def test_a_key_that_a_terminal_sends_is_taken(key):
    """By its character or by its name."""
    taken = {k: binding.id for binding in keys.KEYS for k in keys.canonical(binding.keys)}
    other = [id_ for k in keys.canonical(key) if (id_ := taken.get(k)) is not None]
    moved = {id_: f"f{number}" for number, id_ in enumerate(other, 20)}
    assert keys.validated({"focus.zoom": key, **moved}) == ({"focus.zoom": key, **moved}, {})


async def test_a_keymap_moves_a_dialogs_key():
    """What closes a page and turns to the next are bindings as any other, with names on the second page."""
    keymap = {"read.close": "x", "help.names": "N"}
    async with console(FakeHandle(*mid_run()), keymap=keymap) as (app, pilot):
        assert app.keymap_problems == []
        await pilot.press("question_mark")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Help", "help")
        await pilot.press("N")
        await until(lambda: "read.close              x" in app.screen.text_shown(), "the names")
        await pilot.press("x")
        await until(lambda: app.screen is app.console_screen, "the console")


def test_a_dialogs_keys_clash_only_with_each_other():
    """A letter may mean one thing in the console and another in a page that is read."""
    assert keys.validated({"read.journal": "z"}) == ({"read.journal": "z"}, {})
    assert keys.validated({"read.journal": "y"}) == ({}, {"read.journal": "y is already copy"})
    assert keys.validated({"copy": "e", "focus.log": "5"})[1] == {"copy": "e is already read.journal"}


def test_no_two_bindings_share_a_key():
    """The table that we ship has one meaning a key, and ids that are unique."""
    taken = [key for binding in keys.KEYS for key in keys.canonical(binding.keys)]
    assert len(taken) == len(set(taken))
    assert len({binding.id for binding in keys.KEYS}) == len(keys.KEYS)


async def test_help_lists_every_live_binding():
    """Each binding's words stand in the help where it has a use; its id on the second page in any case."""
    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, pilot):
        await pilot.press("question_mark")
        top = await dialog(app)
        elsewhere = {"seat.take", "open.detail", "copy", "copy.as"}  # she drives; the others tell of the chosen row
        for binding in keys.KEYS:
            useful = not binding.replay and binding.id not in elsewhere
            assert (binding.says in top.text_shown()) is useful, binding.id
            assert binding.id in "".join(text for line in top.pages[1] for text, _ in line)
        assert "✓ passed" in top.text_shown()
        assert text_of(app)
