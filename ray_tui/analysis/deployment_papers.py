"""The papers that earlier protocols leave: what shape each has, what it claims, and on which line it says so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Literal

from ray_tui.analysis import markdown_paper, traced_json
from ray_tui.core.errors import InputError

Keys = Mapping[str, str]
"""``[inputs.map]``: our key -> the user's, as dotted paths (a heading or a column in Markdown)."""

LARGEST = 8_000_000
"""Bytes of a paper that are read; a larger one is not a paper but a dump."""
CHANGES = ("new", "modified", "unchanged")
GOOD = frozenset({"passed", "pass", "success", "succeeded", "successful", "ok", "healthy", "complete", "completed"})
"""Words for a status that lets a deployment count as done."""
TRUE, FALSE = frozenset({"yes", "true", "y", "x", "✓", "✅"}), frozenset({"no", "false", "n", "", "-", "—"})


@dataclass(frozen=True)
class ServiceClaim:
    """What one paper says of one service; None where it does not say."""

    name: str
    source: str
    change: str | None = None
    critical: bool | None = None
    regulated: bool | None = None
    owner: str | None = None
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """A risk, KPI, SLO or endpoint: what it is, whose, and the rest of its row."""

    kind: Literal["risk", "kpi", "slo", "endpoint"]
    text: str
    service: str
    source: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gap:
    """A monitoring gap that a quality audit found."""

    id: str
    title: str
    service: str
    severity: str
    owner: str
    due: str
    source: str


@dataclass(frozen=True)
class Measured:
    """Samples of one KPI of one service, as staging measured them."""

    service: str
    kpi: str
    unit: str
    samples: tuple[float, ...]
    source: str


@dataclass(frozen=True)
class Claims:
    """Everything that one paper claims. Times are unix seconds; ``*_source`` is ``file:line``."""

    name: str
    release: str
    release_source: str
    environment: str = ""
    environment_source: str = ""
    deployed_at: float | None = None
    deployed_at_source: str = ""
    status: str = ""
    status_source: str = ""
    services: tuple[ServiceClaim, ...] = ()
    items: tuple[Item, ...] = ()
    gaps: tuple[Gap, ...] = ()
    measured: tuple[Measured, ...] = ()
    warnings: tuple[str, ...] = ()


def read(name: str, data: bytes, keys: Keys) -> Claims:
    """What a paper of this name claims. Raises InputError naming file, line, missing key and map entry."""
    return READERS[name](data, name, keys)


def seconds(text: object, where: str, key: str) -> float:
    """Unix seconds from RFC 3339; raises InputError when it is not one, or has no zone."""
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as exc:
        raise InputError(f"{where}: {key} is {text!r}; expected RFC 3339, as in 2026-11-22T19:00:00Z") from exc
    if at.tzinfo is None:
        raise InputError(f"{where}: {key} is {text!r}, without a time zone; write 2026-11-22T19:00:00Z")
    return at.astimezone(UTC).timestamp()


# --- JSON ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Node:
    """A JSON value with its place, its name in our shape, and the user's names for our keys."""

    paper: traced_json.Traced
    value: Any
    path: tuple[str | int, ...]
    name: str
    keys: Keys

    @property
    def where(self) -> str:
        return self.paper.where(*self.path)

    def get(self, key: str) -> "_Node | None":
        """The value of our key, under the user's name for it; None where it is absent or null."""
        ours = f"{self.name}.{key}"
        value, path = self.value, self.path
        for part in self.keys.get(ours, key).split("."):
            if not isinstance(value, dict) or value.get(part) is None:
                return None
            value, path = value[part], (*path, part)
        return _Node(self.paper, value, path, ours, self.keys)

    def need(self, key: str) -> "_Node":
        found = self.get(key)
        if found is None:
            raise _missing(self.where, f"{self.name}.{key}", self.keys.get(f"{self.name}.{key}", key))
        return found

    def text(self, key: str, default: str | None = None) -> str:
        """A required text, or an optional one where a default is given."""
        found = self.need(key) if default is None else self.get(key)
        if found is None:
            return default or ""
        if not isinstance(found.value, str | int | float) or isinstance(found.value, bool):
            raise InputError(f"{found.where}: {found.name} must be text, not {_kind(found.value)}")
        return str(found.value).strip()

    def flag(self, key: str) -> bool | None:
        found = self.get(key)
        if found is None:
            return None
        if not isinstance(found.value, bool):
            raise InputError(f"{found.where}: {found.name} must be true or false, not {_kind(found.value)}")
        return found.value

    def rows(self, key: str) -> Iterator["_Node"]:
        """The objects of a list; nothing where it is absent."""
        found = self.get(key)
        if found is None:
            return
        if not isinstance(found.value, list):
            raise InputError(f"{found.where}: {found.name} must be a list, not {_kind(found.value)}")
        for number, value in enumerate(found.value):
            row = _Node(self.paper, value, (*found.path, number), found.name, self.keys)
            if not isinstance(value, dict):
                raise InputError(f"{row.where}: each of {found.name} must be an object, not {_kind(value)}")
            yield row

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.get(key)
        if found is None:
            return ()
        if not isinstance(found.value, list) or not all(isinstance(text, str) for text in found.value):
            raise InputError(f"{found.where}: {found.name} must be a list of texts")
        return tuple(text.strip() for text in found.value)


def _json(data: bytes, name: str, keys: Keys) -> _Node:
    paper = traced_json.read(data, name)
    if not isinstance(paper.value, dict):
        raise InputError(f"{name}:1: must be a JSON object, not {_kind(paper.value)}")
    return _Node(paper, paper.value, (), name.removesuffix(".json"), keys)


def _validation(data: bytes, name: str, keys: Keys) -> Claims:
    root = _json(data, name, keys)
    release, environment, at = root.need("release"), root.need("environment"), root.need("deployed_at")
    status = root.need("status")
    root.need("services")
    services = tuple(_service(row) for row in root.rows("services"))
    if not services:
        raise InputError(f"{root.where}: {root.name}.services names no service; list what this release runs")
    risks = tuple(
        Item("risk", f"check failed: {row.text('name')}", row.text("service", ""), row.where, {"severity": "high"})
        for row in root.rows("checks")
        if row.text("status").casefold() not in GOOD
    )
    endpoints = tuple(Item("endpoint", path, one.name, one.source) for one in services for path in one.endpoints)
    return Claims(
        name=name,
        release=root.text("release"),
        release_source=release.where,
        environment=root.text("environment"),
        environment_source=environment.where,
        deployed_at=seconds(at.value, at.where, at.name),
        deployed_at_source=at.where,
        status=root.text("status"),
        status_source=status.where,
        services=services,
        items=(*risks, *endpoints),
    )


def _service(row: _Node) -> ServiceClaim:
    change = row.text("change").casefold()
    if change not in CHANGES:
        raise InputError(f"{row.where}: {row.name}.change is {change!r}; expected one of {', '.join(CHANGES)}")
    return ServiceClaim(
        row.text("name"), row.where, change, row.flag("critical"), row.flag("regulated"),
        row.text("owner", "") or None, row.texts("endpoints"),
    )  # fmt: skip


def _staging(data: bytes, name: str, keys: Keys) -> Claims:
    root = _json(data, name, keys)
    release, status = root.need("release"), root.need("status")
    measured = tuple(
        Measured(row.text("service"), row.text("kpi"), row.text("unit", ""), _samples(row), row.where)
        for row in root.rows("kpis")
    )
    warnings = () if measured else (f"{name}: has no kpis; production cannot be compared with staging",)
    return Claims(
        name=name, release=root.text("release"), release_source=release.where, status=root.text("status"),
        status_source=status.where, measured=measured, warnings=warnings,
    )  # fmt: skip


def _samples(row: _Node) -> tuple[float, ...]:
    found = row.need("samples")
    value = found.value
    numbers = isinstance(value, list) and all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
    if not numbers or not all(isfinite(n) for n in value):
        raise InputError(f"{found.where}: {found.name} must be a list of numbers")
    return tuple(float(n) for n in value)


def _audit(data: bytes, name: str, keys: Keys) -> Claims:
    root = _json(data, name, keys)
    release = root.need("release")
    root.need("gaps")
    gaps = tuple(
        Gap(
            row.text("id"), row.text("title"), row.text("service", ""), row.text("severity", "medium").casefold(),
            row.text("owner", ""), row.text("due", ""), row.where,
        )
        for row in root.rows("gaps")
    )  # fmt: skip
    return Claims(name=name, release=root.text("release"), release_source=release.where, gaps=gaps)


# --- Markdown --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sheet:
    """A Markdown paper with the user's names for our keys."""

    paper: markdown_paper.Paper
    stem: str
    keys: Keys

    def front(self, key: str, *, required: bool = True) -> tuple[str, str]:
        """(value, file:line) of a front-matter key; both empty where an optional one is absent."""
        ours = f"{self.stem}.{key}"
        parts = self.keys.get(ours, key).split(".")
        value: Any = self.paper.front
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        source = self.paper.source
        if value is None or isinstance(value, dict | list) or not str(value).strip():
            if not required:
                return "", ""
            raise _missing(f"{source}:1", ours, ".".join(parts), "in its front matter")
        return str(value).strip(), f"{source}:{self.paper.front_lines.get(parts[0], 1)}"

    def rows(self, table: str, *, required: bool = True) -> Iterator["_Line"]:
        """The rows of the table under our heading; a required heading that is missing raises InputError."""
        ours = f"{self.stem}.{table}"
        heading = self.keys.get(ours, table)
        part = self.paper.part(heading)
        if part is None:
            if required:
                raise _missing(f"{self.paper.source}:1", ours, heading, "as a heading")
            return
        for row in part.rows:
            cells = {name.casefold(): text for name, text in row.cells.items()}
            yield _Line(cells, f"{self.paper.source}:{row.line}", ours, self.keys)
        if not part.rows:
            for text, line in part.bullets:
                yield _Line({"": text}, f"{self.paper.source}:{line}", ours, self.keys)


@dataclass(frozen=True)
class _Line:
    """One row of a table, or one bullet (under the empty column name)."""

    cells: Mapping[str, str]
    where: str
    name: str
    keys: Keys

    def _column(self, key: str) -> str:
        return self.keys.get(f"{self.name}.{key}", key).casefold()

    def get(self, key: str) -> str:
        return self.cells.get(self._column(key), "").strip()

    def first(self, key: str) -> str:
        """The column that says what the row is about; a bullet is all of it."""
        if "" in self.cells:
            return self.cells[""]
        if self._column(key) not in self.cells:
            raise _missing(self.where, f"{self.name}.{key}", self._column(key), "as a column")
        return self.get(key)

    def rest(self, *taken: str) -> dict[str, str]:
        used = {self._column(key) for key in taken}
        return {column: text for column, text in self.cells.items() if column and column not in used and text}

    def flag(self, key: str) -> bool | None:
        if self._column(key) not in self.cells:
            return None
        word = self.get(key).casefold()
        if word in TRUE or word in FALSE:
            return word in TRUE
        raise InputError(f"{self.where}: {self.name}.{key} is {word!r}; expected yes or no")


def _sheet(data: bytes, name: str, keys: Keys) -> _Sheet:
    return _Sheet(markdown_paper.read(data, name), name.removesuffix(".md"), keys)


def _items(sheet: _Sheet, table: str, kind: Literal["risk", "kpi", "slo"], *, required: bool) -> tuple[Item, ...]:
    return tuple(
        Item(kind, row.first(kind), row.get("service"), row.where, row.rest(kind, "service"))
        for row in sheet.rows(table, required=required)
        if row.first(kind)
    )


def _report(data: bytes, name: str, keys: Keys) -> Claims:
    sheet = _sheet(data, name, keys)
    release, release_source = sheet.front("release")
    environment, environment_source = sheet.front("environment")
    at, at_source = sheet.front("deployed_at", required=False)
    items = (
        *_items(sheet, "risks", "risk", required=True),
        *_items(sheet, "kpis", "kpi", required=True),
        *_items(sheet, "slos", "slo", required=True),
        *(
            Item("endpoint", row.first("endpoint"), row.get("service"), row.where)
            for row in sheet.rows("endpoints", required=False)
            if row.first("endpoint")
        ),
    )
    return Claims(
        name=name,
        release=release,
        release_source=release_source,
        environment=environment,
        environment_source=environment_source,
        deployed_at=seconds(at, at_source, f"{sheet.stem}.deployed_at") if at else None,
        deployed_at_source=at_source,
        services=tuple(_service_row(row) for row in sheet.rows("services", required=False)),
        items=items,
    )


def _service_row(row: _Line) -> ServiceClaim:
    change = row.get("change").casefold() or None
    if change is not None and change not in CHANGES:
        raise InputError(f"{row.where}: {row.name}.change is {change!r}; expected one of {', '.join(CHANGES)}")
    owner = row.get("owner") or None
    return ServiceClaim(row.first("service"), row.where, change, row.flag("critical"), row.flag("regulated"), owner)


def _health_log(data: bytes, name: str, keys: Keys) -> Claims:
    sheet = _sheet(data, name, keys)
    release, release_source = sheet.front("release")
    environment, environment_source = sheet.front("environment")
    at, at_source = sheet.front("deployed_at", required=False)
    risks = tuple(
        Item("risk", row.first("observation"), row.get("service"), row.where, row.rest("observation", "service"))
        for row in sheet.rows("observations")
        if row.get("status").casefold() not in GOOD
    )
    return Claims(
        name=name,
        release=release,
        release_source=release_source,
        environment=environment,
        environment_source=environment_source,
        deployed_at=seconds(at, at_source, f"{sheet.stem}.deployed_at") if at else None,
        deployed_at_source=at_source,
        items=risks,
    )


def _expectations(data: bytes, name: str, keys: Keys) -> Claims:
    sheet = _sheet(data, name, keys)
    release, release_source = sheet.front("release")
    return Claims(
        name=name, release=release, release_source=release_source, items=_items(sheet, "kpis", "kpi", required=True)
    )


READERS = {
    "post-deployment-validation.json": _validation,
    "deployment-health-log.md": _health_log,
    "DEPLOYMENT-REPORT.md": _report,
    "staging-test-results.json": _staging,
    "observability-baseline.md": _expectations,
    "quality-audit-summary.json": _audit,
}


def _missing(where: str, ours: str, theirs: str, how: str = "") -> InputError:
    sought = f"{theirs!r} {how}".strip()
    return InputError(
        f"{where}: {ours} is missing (looked for {sought}). "
        f'If your file names it otherwise, say so in [inputs.map]: "{ours}" = "<your key>"'
    )


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


# --- what they say together ------------------------------------------------------------------------------------------

SAME_TIME_SECONDS = 60.0
"""Papers may round the deploy time; further apart they contradict each other."""


def contradictions(papers: Sequence[Claims], release: str, environment: str) -> tuple[str, ...]:
    """Every way in which the required papers contradict the run or each other, each with its lines."""
    return (
        *_other_release(papers, release),
        *_other_environment(papers, environment),
        *_times(papers),
        *_service_conflicts([claim for paper in papers for claim in paper.services]),
    )


def _other_release(papers: Sequence[Claims], release: str) -> Iterator[str]:
    for paper in papers:
        if paper.release != release:
            yield f"{paper.release_source} is about release {paper.release}, this run about {release}"


def _other_environment(papers: Sequence[Claims], environment: str) -> Iterator[str]:
    for paper in papers:
        if paper.environment and paper.environment != environment:
            yield f"{paper.environment_source} is about {paper.environment}, this run about {environment}"


def _times(papers: Sequence[Claims]) -> Iterator[str]:
    known = [(paper.deployed_at, paper.deployed_at_source) for paper in papers if paper.deployed_at is not None]
    for at, source in known[1:]:
        if abs(at - known[0][0]) > SAME_TIME_SECONDS:
            yield f"{source} and {known[0][1]} give deploy times {abs(at - known[0][0]):.0f} s apart"


def _service_conflicts(claims: Sequence[ServiceClaim]) -> Iterator[str]:
    first: dict[tuple[str, str], tuple[object, str]] = {}
    for claim in claims:
        for what in ("change", "critical", "regulated", "owner"):
            value = getattr(claim, what)
            if value is None:
                continue
            before, source = first.setdefault((claim.name, what), (value, claim.source))
            if before != value:
                yield f"{claim.name}: {what} is {before} in {source} but {value} in {claim.source}"
