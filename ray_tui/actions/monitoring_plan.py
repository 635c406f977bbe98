"""What the release wants in Prometheus and Grafana, what stands there now, and the difference between the two."""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ray_tui.actions import loaded_rules
from ray_tui.actions.loaded_rules import RuleFile
from ray_tui.analysis import dashboards, rule_files, slo, strict_yaml, traced_json
from ray_tui.config import Config
from ray_tui.core.errors import InputError
from ray_tui.core.ports import Dashboard, LoadedRule, Ports
from ray_tui.core.untrusted import clean, deep_clean
from ray_tui.step import InputFolder

LONGEST_FIELD = 200_000
"""Characters of one text in a dashboard that are compared; text panels hold whole pages."""
LONGEST_DIFF = 6_000
LONGEST_DIFFS = 24_000
_KEPT_BY_GRAFANA = frozenset({"id", "version", "iteration"})
Action = Literal["create", "update", "unchanged"]
T = TypeVar("T")


@dataclass(frozen=True)
class BoardFile:
    """A dashboard that the release wants. ``model`` is what the file holds, ``source`` its name."""

    uid: str
    title: str
    model: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class Desired:
    """Everything that the release's files ask for. With ``problems``, nothing of it may be applied."""

    rules: tuple[RuleFile, ...] = ()
    slos: tuple[slo.Slo, ...] = ()
    boards: tuple[BoardFile, ...] = ()
    read: tuple[str, ...] = ()
    """The files that were read."""
    problems: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        parts = [f"{file.name}\0{file.text}" for file in self.rules]
        parts += [f"{board.uid}\0{model_digest(board.model)}" for board in self.boards]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Current:
    """What stands there now."""

    rules: Mapping[str, str | None]
    boards: Mapping[str, Dashboard | None]
    loaded: tuple[LoadedRule, ...]
    annotated: bool | None
    """None: there is nowhere to annotate."""


@dataclass(frozen=True)
class Item:
    """One line of the plan. ``diff`` is a unified diff of at most LONGEST_DIFF characters."""

    kind: Literal["rules", "dashboard", "annotation"]
    name: str
    action: Action
    detail: str
    diff: str = ""

    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name, "action": self.action, "detail": self.detail, "diff": self.diff}


# --- what is wanted --------------------------------------------------------------------------------------------------


def read_desired(inputs: InputFolder, config: Config) -> Desired:
    """Read every file that the configuration names; what is wrong with one is a problem that names file and line."""
    problems: list[str] = []
    paths = config.paths
    folder = config.folder

    def each(key: str, patterns: tuple[str, ...], parse: Callable[[bytes, str, Path], T]) -> list[T]:
        found: list[T] = []
        for pattern in patterns:
            if not inputs.glob((pattern,)):
                problems.append(f"[paths] {key}: {pattern!r} matches no file")
        for path in inputs.glob(patterns) if patterns else ():
            source = shown(path, folder)
            files.append(source)
            try:
                found.append(parse(inputs.read(path), source, path))
            except InputError as exc:
                problems.append(str(exc) if source in str(exc) else f"{source}: {exc}")
        return found

    files: list[str] = []
    rules = each("rules", paths.rules, _rule_file)
    specs = each("slos", paths.slos, _slo_file)
    boards = each("dashboards", paths.dashboards, _board_file)
    slos = tuple(one for _, found in specs for one in found)
    twice = slo.duplicate(slos)
    if twice:
        problems.append(f"SLO {twice[1].id!r} is defined in two files; give each its own name")
    wanted = (*rules, *(file for file, _ in specs))
    problems += [
        f"rule file {name!r} is wanted by {places}" for name, places in _twice((f.name, f.source) for f in wanted)
    ]
    problems += [
        f"dashboard {uid!r} is defined by {places}" for uid, places in _twice((b.uid, b.source) for b in boards)
    ]
    return Desired(wanted, slos, tuple(boards), tuple(files), tuple(problems))


def shown(path: Path, folder: Path) -> str:
    """The path as the user wrote it, where it lies below the configuration's folder."""
    try:
        return str(path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path)


def _twice(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    places: dict[str, list[str]] = {}
    for name, source in found:
        places.setdefault(name, []).append(source)
    return [(name, " and ".join(sources)) for name, sources in places.items() if len(sources) > 1]


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError(f"{source}:{line}: is not text (byte {exc.start} is not UTF-8)") from exc


def _rule_file(data: bytes, source: str, path: Path) -> RuleFile:
    content = _text(data, source)
    groups = rule_files.parse(content, source)
    if not any(group.rules for group in groups):
        raise InputError(f"{source}:1: no rule in this file")
    roots = strict_yaml.documents(content, source)
    plain = len(roots) == 1 and isinstance(roots[0], strict_yaml.Fields) and "groups" in roots[0]
    text = content if plain else rule_files.render(groups)
    return RuleFile(path.name, text, groups, source)


def _slo_file(data: bytes, source: str, path: Path) -> tuple[RuleFile, tuple[slo.Slo, ...]]:
    found = slo.load(_text(data, source), source)
    try:
        groups = slo.generate(found.slos)
    except InputError as exc:
        raise InputError(f"{source}:{min((one.line for one in found.slos), default=1)}: {exc}") from exc
    if not groups:
        raise InputError(f"{source}:1: no objective in this file that rules can be generated from")
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", path.stem)
    return RuleFile(f"ray-tui-slo-{stem}.yml", rule_files.render(groups), groups, source), found.slos


def _board_file(data: bytes, source: str, path: Path) -> BoardFile:
    traced = traced_json.read(data, source)
    raw = json.loads(_text(data, source))
    if not isinstance(raw, dict):
        raise InputError(f"{source}:1: is no dashboard: it must be a JSON object; export it as JSON again")
    inside = isinstance(raw.get("dashboard"), dict)
    model = raw["dashboard"] if inside else raw
    for key in ("uid", "title"):
        value = model.get(key)
        if not isinstance(value, str) or not value.strip():
            where = traced.where(*(("dashboard",) if inside else ()), key)
            raise InputError(f"{where}: the dashboard has no {key}; every dashboard needs one that stays the same")
    try:
        dashboards.walk(model)
    except InputError as exc:
        raise InputError(f"{source}:1: {exc}") from exc
    return BoardFile(model["uid"], clean(model["title"], 300), model, source)


# --- dashboards as values --------------------------------------------------------------------------------------------


def comparable(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model without what Grafana counts by itself, its texts as they come back from Grafana."""
    kept = {key: value for key, value in model.items() if key not in _KEPT_BY_GRAFANA}
    cleaned = deep_clean(kept, longest=LONGEST_FIELD)
    assert isinstance(cleaned, dict)
    return cleaned


def model_digest(model: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(comparable(model), sort_keys=True).encode()).hexdigest()


def holds(stored: Any, wanted: Any) -> bool:
    """Whether what is stored has everything that was written; keys that the server adds do no harm."""
    if isinstance(wanted, Mapping):
        return isinstance(stored, Mapping) and all(
            key in stored and holds(stored[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        if not isinstance(stored, list | tuple) or len(stored) != len(wanted):
            return False
        return all(holds(one, other) for one, other in zip(stored, wanted, strict=True))
    return bool(stored == wanted)


# --- the difference --------------------------------------------------------------------------------------------------


async def read_current(ports: Ports, desired: Desired, tags: Sequence[str]) -> Current:
    """Raises BackendError: a plan against something that could not be read is none."""
    rules: dict[str, str | None] = {}
    boards: dict[str, Dashboard | None] = {}
    if ports.rules is not None:
        rules = {file.name: await ports.rules.read(file.name) for file in desired.rules}
    if ports.dashboards is not None:
        boards = {board.uid: await ports.dashboards.get(board.uid) for board in desired.boards}
    annotated = None if ports.dashboards is None else bool(await ports.dashboards.annotations(tags))
    loaded = await ports.metrics.rules() if ports.metrics is not None else ()
    return Current(rules, boards, tuple(loaded), annotated)


def make(desired: Desired, current: Current, release: str) -> tuple[Item, ...]:
    """The plan: what is created, updated, left as it is."""
    items = [_rules_item(file, current) for file in desired.rules]
    items += [_board_item(board, current.boards.get(board.uid)) for board in desired.boards]
    if current.annotated is not None:
        said = "is there" if current.annotated else "marks the release on every dashboard"
        items.append(Item("annotation", f"release {release}", "unchanged" if current.annotated else "create", said))
    return tuple(items)


def problems(desired: Desired, current: Current, ports: Ports) -> tuple[str, ...]:
    """Why the plan could not be carried out, known before anything is touched."""
    found = []
    if desired.rules and ports.rules is None:
        found.append("there are rule files to load, and no [rules] that says where they go")
    if desired.boards and ports.dashboards is None:
        found.append("there are dashboards to save, and no [dashboards] that says where")
    for board in desired.boards:
        stored = current.boards.get(board.uid)
        if stored is not None and stored.provisioned and comparable(stored.model) != comparable(board.model):
            found.append(
                f"dashboard {board.uid!r} comes from a provisioning file: Grafana lets only that file change it"
            )
    return tuple(found)


def _rules_item(file: RuleFile, current: Current) -> Item:
    stands = current.rules.get(file.name)
    count = f"{len(file.alerts)} alerts, {sum(len(g.rules) for g in file.groups) - len(file.alerts)} recordings"
    if stands is None:
        return Item("rules", file.name, "create", f"new: {count}", unified("", file.text, file.name))
    if stands != file.text:
        diff = unified(stands, file.text, file.name)
        return Item("rules", file.name, "update", f"{_lines(stands, file.text)}: {count}", diff)
    unloaded = loaded_rules.differences((file,), current.loaded)
    if unloaded:
        return Item("rules", file.name, "update", f"the file is right but not loaded: {unloaded[0]}")
    return Item("rules", file.name, "unchanged", count)


def _board_item(board: BoardFile, stored: Dashboard | None) -> Item:
    wanted = _dumped(board.model)
    if stored is None:
        count = sum(panel.asks for panel in dashboards.walk(board.model))
        diff = unified("", wanted, board.uid)
        return Item("dashboard", board.uid, "create", f"new: {board.title!r} with {count} panels", diff)
    stands = _dumped(stored.model)
    if stands == wanted:
        return Item("dashboard", board.uid, "unchanged", f"version {stored.version}")
    detail = f"version {stored.version}: {_lines(stands, wanted)}"
    return Item("dashboard", board.uid, "update", detail, unified(stands, wanted, board.uid))


def _dumped(model: Mapping[str, Any]) -> str:
    return json.dumps(comparable(model), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _lines(before: str, after: str) -> str:
    rows = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    plus, minus = (sum(row.startswith(sign) for row in rows) for sign in ("+", "-"))
    return f"+{plus} −{minus} lines"


def unified(before: str, after: str, name: str, longest: int = LONGEST_DIFF) -> str:
    """A unified diff, cut at ``longest`` characters; what is cut is said."""
    rows = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (now)", f"{name} (planned)", lineterm="", n=2
    )
    return clean("\n".join(rows), longest)


def all_diffs(items: Iterable[Item]) -> str:
    return clean("\n".join(item.diff for item in items if item.diff), LONGEST_DIFFS)
