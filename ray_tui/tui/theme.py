"""Themes as files: TOML, where four colours are enough; every variable of ours has a default."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from ray_tui.core.errors import InputError
from ray_tui.core.record import Record, field
from ray_tui.core.value import Value
from ray_tui.files import read_file

LONGEST_BYTES = 100_000
"""Of a theme file; a larger one is another file."""
OWN = ("good", "bad", "warn", "run", "dim", "say", "strong", "cursor", "badge-text")
"""Our variables; ``$ray-good`` and so on in the stylesheet."""
OF_TEXTUAL = frozenset({
    "border", "border-blurred", "block-cursor-background", "block-cursor-foreground", "scrollbar", "scrollbar-hover",
    "scrollbar-active", "scrollbar-background", "input-cursor-background", "input-cursor-foreground",
    "input-selection-background", "footer-background", "footer-foreground",
})  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_DARK = {"good": "#6cc58b", "bad": "#ff6b6b", "warn": "#e5b567", "say": "#8fb8de"}
_LIGHT = {"good": "#17693a", "bad": "#b3261e", "warn": "#805500", "say": "#2b5c8a"}
DEFAULTS = {
    **{f"ray-{name}": colour for name, colour in _DARK.items()},
    "ray-run": "#7cc4fa", "ray-dim": "#8a919c", "ray-strong": "#ffffff", "ray-cursor": "#2a3340",
    "ray-badge-text": "#101418",
}  # fmt: skip
"""What a theme that knows nothing of us gets (Textual's own, and any that leaves a variable out)."""


class ThemeFile(Record):
    """One theme. ``primary``, ``accent``, ``background`` and ``foreground`` are enough; the rest follows from them."""

    name: str
    """How it is chosen: small letters, digits and hyphens."""
    dark: bool = True
    """Whether the background is dark; decides the defaults of what is left out."""
    ansi: bool = False
    """The terminal's own sixteen colours (``ansi_red`` …) instead of exact ones."""
    primary: str
    """Borders, and what runs."""
    accent: str
    """Keys, and what has the focus."""
    background: str
    foreground: str
    surface: str | None = None
    panel: str | None = None
    good: str | None = None
    """Passed."""
    warn: str | None = None
    """Inconclusive, waived, waiting for someone."""
    bad: str | None = None
    """Failed, halted."""
    run: str | None = None
    dim: str | None = None
    say: str | None = None
    """Announcements and notes."""
    strong: str | None = None
    cursor: str | None = None
    """Background of the chosen row."""
    badge_text: str | None = None
    """Text on a coloured badge."""
    variables: dict[str, str] = field(default_factory=dict)
    """Some of Textual's own colour variables, by name."""


NEEDED = ("name", "primary", "accent", "background", "foreground")
OTHERS = ("dark", "ansi", "name", "variables")
"""What is no colour."""


def wrong(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, why) of all that is wrong with a theme file."""
    known = ThemeFile.fields()
    yield from ((key, "is missing") for key in NEEDED if key not in raw)
    yield from ((key, f"is no key of a theme; there are {', '.join(known)}") for key in raw if key not in known)
    yield from ((key, "is true or false") for key in ("dark", "ansi") if not isinstance(raw.get(key, True), bool))
    name = raw.get("name", "none")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "name", "a name has small letters, digits and hyphens"
    variables = raw.get("variables", {})
    if not isinstance(variables, dict):
        yield "variables", "is a table"
        variables = {}
    there = ", ".join(sorted(OF_TEXTUAL))
    yield from (("variables", f"{key} is not one of {there}") for key in variables if key not in OF_TEXTUAL)
    colours = [(key, raw[key]) for key in known if key in raw and key not in OTHERS]
    for key, colour in (*colours, *(("variables", colour) for colour in variables.values())):
        if not _is_colour(colour):
            yield key, f"{colour!r} is not a colour: write #rrggbb or a name such as ansi_red"


def _is_colour(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(Color.parse(text))
    except ColorParseError:
        return False


class LoadedTheme(Value):
    """A theme that can be chosen, and the file that it came from."""

    name: str
    path: Path
    theme: Theme


def to_theme(file: ThemeFile) -> Theme:
    """Textual's theme, with every variable of ours filled in."""
    plain = _LIGHT if not file.dark else _DARK
    ansi = {"good": "ansi_green", "bad": "ansi_red", "warn": "ansi_yellow", "say": "ansi_cyan"} if file.ansi else plain
    good, bad = file.good or ansi["good"], file.bad or ansi["bad"]
    warn = file.warn or ansi["warn"]
    own = {
        "good": good, "bad": bad, "warn": warn, "say": file.say or ansi["say"], "run": file.run or file.primary,
        "dim": file.dim or ("ansi_bright_black" if file.ansi else _between(file.foreground, file.background, 0.42)),
        "strong": file.strong or file.foreground,
        "cursor": file.cursor or ("ansi_bright_black" if file.ansi else _between(file.background, file.primary, 0.22)),
        "badge-text": file.badge_text or ("ansi_black" if file.ansi else file.background),
    }  # fmt: skip
    builtin = BUILTIN_THEMES["ansi-dark" if file.dark else "ansi-light"]
    base = builtin.variables if file.ansi else {}  # what Textual's stylesheets ask of an ANSI theme
    return Theme(
        name=file.name, primary=file.primary, secondary=file.accent, accent=file.accent, background=file.background,
        foreground=file.foreground, surface=file.surface or file.background, panel=file.panel or file.background,
        success=good, error=bad, warning=warn, dark=file.dark, ansi=file.ansi,
        variables={**base, **{f"ray-{name}": colour for name, colour in own.items()}, **file.variables},
    )  # fmt: skip


def _between(one: str, other: str, share: float) -> str:
    return Color.parse(one).blend(Color.parse(other), share).hex


def shipped_folder() -> Path:
    """Where our own themes lie: beside this file in a wheel, at the top of a checkout."""
    packaged = Path(__file__).parent / "themes"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "themes"


def load(folders: Iterable[Path] = ()) -> tuple[list[LoadedTheme], list[str]]:
    """Every theme of ours and of these folders (later ones win by name), and what is wrong: ``file: key: why``."""
    found: dict[str, LoadedTheme] = {}
    problems: list[str] = []
    for folder in (shipped_folder(), *folders):
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            theme = _read(path, problems)
            if theme is not None:
                found[theme.name] = LoadedTheme(theme.name, path, theme)
    return list(found.values()), problems


def stamps(folders: Iterable[Path] = ()) -> dict[Path, tuple[int, int]]:
    """(modified, size) of every theme file; differs when one was written, added or removed."""
    found: dict[Path, tuple[int, int]] = {}
    for folder in (shipped_folder(), *folders):
        for path in folder.glob("*.toml"):
            try:
                status = path.stat()
            except OSError:
                continue  # removed in between; the next look sees it
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def themes(folders: Sequence[Path] = ()) -> list[LoadedTheme]:
    """The themes that can be chosen."""
    return load(folders)[0]


def _read(path: Path, problems: list[str]) -> Theme | None:
    try:
        raw = tomllib.loads(read_file(path, LONGEST_BYTES).decode("utf-8"))
        faults = [f"{path.name}: {key}: {why}" for key, why in wrong(raw)]
        if not faults:
            return to_theme(ThemeFile.from_json(raw))
        problems += faults
    except RecursionError:
        problems.append(f"{path.name}: is nested too deeply")
    except (InputError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        problems.append(f"{path.name}: {exc}")
    return None
