"""2.3: every alert's runbook is there and about it, and tells of the signals that this release brought."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_tui.actions import runbook_links, runbook_signals
from ray_tui.actions.alert_checks import named
from ray_tui.actions.monitoring_plan import shown
from ray_tui.actions.runbook_links import Resolved
from ray_tui.actions.services import effective_services, owner_for_gap, with_resolved
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.errors import EvidenceError, InputError
from ray_tui.core.ports import SideEffect
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import writer
from ray_tui.evidence.text import cell, table
from ray_tui.step import Ask, Context, Header, Result, criterion

EVIDENCE = ("runbook-updates.json",)
AT_ONCE = 8
WRITING = SideEffect.DEDUP
"""A runbook is replaced whole: the same text again changes nothing."""


@dataclass
class Book:
    """One alert and where its runbook link led. Two rules of one name and link are one book."""

    alert: str
    link: str
    service: str
    critical: bool
    rows: list[Mapping[str, Any]]
    found: Resolved = field(default_factory=lambda: Resolved("not-checked", ""))

    @property
    def from_release(self) -> bool:
        return any(row.get("from_release") for row in self.rows)

    @property
    def blocks(self) -> bool:
        """Whether the run waits for its runbook."""
        return self.critical or self.from_release


@dataclass(frozen=True)
class Saved:
    """What became of the signals block of one runbook."""

    path: str
    alerts: tuple[str, ...]
    state: str
    """``written``, ``kept`` (it said so already), ``declined``, ``left out``, ``failed``."""
    block: str
    why: str = ""


@dataclass(frozen=True)
class Updates:
    """The blocks of every runbook that is ours, and how the person answered."""

    saved: tuple[Saved, ...] = ()
    verdict: Verdict = Verdict.PASSED
    actual: str = ""
    asked: bool = False


async def run(context: Context) -> Result:
    """Resolve every link, propose the signals of this release's alerts, and save what a person made of them."""
    books = _books(context.state.steps["2.1"].data.get("alerts") or ())
    await context.progress(f"looking for the runbooks of {len(books)} alerts")
    gate = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(_resolve(context, book, gate) for book in books))
    updates = await _update(context, books)
    criteria = (_resolved(books), _updated(updates))
    data = _data(context, books, updates)
    gaps = with_resolved(context.state, context.step, _gaps(context, books)) if books else ()
    return Result(_summary(books, updates), criteria, data, gaps)


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """``runbook-updates.md``: where each link leads, and the signals as they were saved."""
    books, blocks = data.get("runbooks") or (), (data.get("signals") or {}).get("blocks") or ()
    parts = [
        f"# Runbook updates: {cell(header.release)}",
        f"Run {cell(header.run_id)}, attempt {header.attempt}, {iso(header.generated_at)}. "
        f"Verdict: **{cell(header.verdict)}**. {cell(header.summary)}",
        "## Updated signals",
        *(f"{cell(one['path'])} ({cell(one['state'])})\n\n{_fenced(one['block'])}" for one in blocks),
        *(["No alert of this release has a runbook to update."] if not blocks else []),
        "## Runbooks",
        table(
            ("Alert", "Link", "State", "What was found"),
            [(one["alert"], one["link"] or "-", one["state"], one["why"]) for one in books],
        ),
        "## Criteria",
        table(("Criterion", "Verdict", "Actual"), [(c.id, c.verdict.value, c.actual) for c in header.criteria]),
    ]
    return {"runbook-updates.md": "\n\n".join(part.rstrip("\n") for part in parts) + "\n"}


def _fenced(block: str) -> str:
    """The block as it stands in its runbook, literally."""
    fence = "`" * (max((len(run) for run in re.findall(r"`{3,}", block)), default=2) + 1)
    return f"{fence}markdown\n{block}\n{fence}"


# --- links -----------------------------------------------------------------------------------------------------------


def _books(rows: Sequence[Mapping[str, Any]]) -> list[Book]:
    found: dict[tuple[str, str], Book] = {}
    for row in rows:
        name, link = str(row.get("name", "")), str(row.get("runbook") or "")
        book = found.setdefault((name, link), Book(name, link, str(row.get("service") or ""), False, []))
        book.rows.append(row)
        book.critical = book.critical or bool(row.get("critical"))
    return list(found.values())


async def _resolve(context: Context, book: Book, gate: asyncio.Semaphore) -> None:
    async with gate:
        book.found = await runbook_links.resolve(
            book.link, book.alert, context.config, context.inputs, context.ports.visits
        )


def _resolved(books: Sequence[Book]) -> Criterion:
    """What blocks is said in words; a runbook that is missing beyond that is a gap with an owner."""
    counted = [one for one in books if one.blocks] or list(books)
    lost = [f"{one.alert} ({one.found.why})" for one in counted if one.found.fails]
    unsure = [f"{one.alert} ({one.found.why})" for one in counted if one.found.state == "not-checked"]
    kind = "critical or of this release" if len(counted) < len(books) else "loaded"
    verdict, actual = Verdict.PASSED, f"{len(counted)} of {len(counted)} alerts that are {kind} lead to a runbook"
    if len(counted) < len(books):
        others = [one for one in books if not one.blocks]
        without = sum(not one.found.resolved for one in others)
        actual += f"; of {len(others)} others {without} do not, which are gaps" if without else "; so do all others"
    if not books:
        verdict, actual = Verdict.INCONCLUSIVE, "2.1 has recorded no alert"
    if unsure:
        verdict, actual = Verdict.INCONCLUSIVE, f"not checked: {named(unsure)}"
    if lost:
        verdict, actual = Verdict.FAILED, f"no runbook: {named(lost)}"
    return criterion(
        "runbooks.resolved", "Alerts lead to their runbook", verdict, actual, evidence=EVIDENCE,
        required="the link of each alert that is critical or of this release (of each alert, where none is) leads to "
        "a document with a section about it",
        remedy="Write the runbook or correct `runbook_url`; then run 2.1 and 2.3 again",
    )  # fmt: skip


def _gaps(context: Context, books: Sequence[Book]) -> tuple[f.GapFound, ...]:
    services = effective_services(context.config, context.state)
    found = []
    for one in books:
        if one.found.resolved and not (one.from_release and not _writable(context, one)):
            continue
        owner = next((str(row["owner"]) for row in one.rows if row.get("owner") in context.config.owners), "")
        found.append(
            f.GapFound(
                id=f"runbook:{one.alert}", step="2.3", title=_todo(one),
                subject=one.service or one.alert, due="next release cycle",
                severity="blocks" if one.blocks and not one.found.resolved else "warns",
                owner=owner or owner_for_gap(services.get(one.service), context.config),
            )
        )  # fmt: skip
    return tuple(found)


def _todo(book: Book) -> str:
    if book.found.resolved:
        return f"{book.alert}: its signals are to be written by hand where {book.link} leads"
    return f"{book.alert}: its runbook: {book.found.why}"


def _writable(context: Context, book: Book) -> bool:
    path = book.found.path
    return book.found.resolved and path is not None and runbook_links.writable(path, context.config)


# --- signals ---------------------------------------------------------------------------------------------------------


async def _update(context: Context, books: Sequence[Book]) -> Updates:
    targets = _targets(context, books)
    if not targets:
        fresh = [one.alert for one in books if one.from_release]
        if fresh:
            why = f"no runbook of the repository is about {named(fresh)}: update theirs by hand"
            return Updates(verdict=Verdict.INCONCLUSIVE, actual=why)
        return Updates(actual="this release brings no alert of its own")
    release = context.config.run.release
    proposed: dict[str, str] = {}
    complete = True
    for path, (file, alerts) in targets.items():
        try:
            before = runbook_signals.kept(_content(context, file), release)
        except InputError as exc:
            return Updates((Saved(path, _names(alerts), "failed", "", str(exc)),), Verdict.FAILED, str(exc))
        whole = before is not None and all(name in before for name in _names(alerts))
        complete = complete and whole
        proposed[path] = before if before is not None and whole else runbook_signals.proposal(alerts)
    if complete:
        saved = [Saved(p, _names(alerts), "kept", proposed[p]) for p, (_, alerts) in targets.items()]
        await _settle(context, {saved.path: "kept" for saved in saved})
        return Updates(tuple(saved), actual=f"{len(saved)} runbooks tell of this release's signals already")
    return await _ask_and_save(context, targets, proposed)


Targets = Mapping[str, tuple[Path, Sequence[Mapping[str, Any]]]]


def _targets(context: Context, books: Sequence[Book]) -> dict[str, tuple[Path, list[Mapping[str, Any]]]]:
    """Runbook (as the user writes it) -> (file, its alerts of this release)."""
    found: dict[str, tuple[Path, list[Mapping[str, Any]]]] = {}
    for one in books:
        path = one.found.path
        if (
            one.from_release
            and one.found.resolved
            and path is not None
            and runbook_links.writable(path, context.config)
        ):
            _, rows = found.setdefault(shown(path, context.config.folder), (path, []))
            rows += one.rows
    return found


def _names(alerts: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one["name"]) for one in alerts))


def _content(context: Context, file: Path) -> str:
    return context.inputs.read(file, limit=runbook_links.LONGEST_BYTES).decode("utf-8")


async def _ask_and_save(context: Context, targets: Targets, proposed: Mapping[str, str]) -> Updates:
    text = runbook_signals.together(proposed)
    answered = await context.ask(
        Ask(
            name="signals",
            prompt="edit",
            title=f"Updated signals for {len(targets)} runbooks",
            text=text,
            keeps=tuple(map(runbook_signals.part_of, targets)),
            data={"text": text, "runbooks": list(targets)},
        )
    )
    answer = answered.answer.strip()
    if answer == "no":
        why = f"declined by {answered.person or 'somebody'}" + (f": {answered.reason}" if answered.reason else "")
        saved = [Saved(p, _names(alerts), "declined", proposed[p]) for p, (_, alerts) in targets.items()]
        return Updates(tuple(saved), Verdict.FAILED, f"{why}; no runbook was changed", asked=True)
    try:
        blocks = dict(proposed) if answer in ("", "yes") else runbook_signals.apart(answered.answer, list(targets))
    except InputError as exc:
        saved = [Saved(p, _names(alerts), "failed", proposed[p]) for p, (_, alerts) in targets.items()]
        return Updates(tuple(saved), Verdict.FAILED, f"{exc}; no runbook was changed", asked=True)
    saved = [
        await _save(context, path, file, _names(alerts), blocks.get(path)) for path, (file, alerts) in targets.items()
    ]
    failed = [f"{one.path}: {one.why}" for one in saved if one.state == "failed"]
    left_out = [one.path for one in saved if one.state == "left out"]
    actual = f"{len(saved) - len(failed) - len(left_out)} runbooks tell of this release's signals"
    if left_out:
        return Updates(tuple(saved), Verdict.FAILED, f"left out by {answered.person}: {named(left_out)}", asked=True)
    return Updates(
        tuple(saved), Verdict.FAILED if failed else Verdict.PASSED, named(failed) if failed else actual, asked=True
    )


async def _save(context: Context, path: str, file: Path, alerts: tuple[str, ...], block: str | None) -> Saved:
    if block is None:
        return Saved(path, alerts, "left out", "")
    release = context.config.run.release
    try:
        before = _content(context, file)
        after = runbook_signals.with_block(before, release, block)
        if after == before:
            await _settle(context, {path: "kept"})
            return Saved(path, alerts, "kept", block)
        digest = hashlib.sha256(after.encode()).hexdigest()
        intent = await context.intend(
            f"write the signals of {release} into {path}", WRITING, path, name=f"runbook:{path}", digest=digest
        )
        await asyncio.to_thread(_replace, file, after)
        if _content(context, file) != after:
            raise InputError("what was read back is not what was written")
    except (InputError, EvidenceError) as exc:
        await _settle(context, {path: "failed"})
        return Saved(path, alerts, "failed", block, str(exc))
    await context.outcome(intent, "done", "read back")
    return Saved(path, alerts, "written", block)


def _replace(file: Path, text: str) -> None:
    """As the evidence is written: whole or not at all; the file keeps its mode."""
    try:
        mode = file.stat().st_mode & 0o777
        writer.publish(file.parent, file.name, text.encode())
        file.chmod(mode)
    except OSError as exc:
        raise writer.cannot_write(file, exc) from exc


async def _settle(context: Context, paths: Mapping[str, str]) -> None:
    """Close intents that are open: of a write that failed, or of one that the last host made and did not record."""
    for path, state in paths.items():
        id_ = f"{context.step}#{context.attempt}:runbook:{path}"
        intent = context.state.intents.get(id_)
        if intent is not None and intent.outcome is None:
            if state == "kept":
                await context.outcome(id_, "done", "the runbook holds the block", reconciled=True)
            else:
                await context.outcome(id_, "failed", "not written")


def _updated(updates: Updates) -> Criterion:
    return criterion(
        "runbooks.updated", "Runbooks tell of this release's signals", updates.verdict, updates.actual,
        required="each runbook of an alert that the release brought holds its Updated Signals", evidence=EVIDENCE,
        remedy="Run 2.3 again and save the blocks, or decline the action with a reason",
    )  # fmt: skip


# --- the record ------------------------------------------------------------------------------------------------------


def _data(context: Context, books: Sequence[Book], updates: Updates) -> dict[str, Any]:
    return {
        "runbooks": [
            {
                "alert": one.alert, "link": one.link, "resolved": one.found.resolved, "matched": one.found.matched,
                "path": "" if one.found.path is None else shown(one.found.path, context.config.folder),
                "state": one.found.state, "why": one.found.why, "service": one.service, "critical": one.critical,
                "verdict": _verdict(one).value, "from_release": one.from_release,
            }
            for one in books
        ],
        "signals": {
            "asked": updates.asked,
            "blocks": [
                {"path": one.path, "alerts": list(one.alerts), "state": one.state, "block": one.block, "why": one.why}
                for one in updates.saved
            ],
        },
    }  # fmt: skip


def _verdict(book: Book) -> Verdict:
    if book.found.resolved:
        return Verdict.PASSED
    return Verdict.INCONCLUSIVE if book.found.state == "not-checked" else Verdict.FAILED


def _summary(books: Sequence[Book], updates: Updates) -> str:
    resolved = sum(one.found.resolved for one in books)
    return f"{resolved} of {len(books)} alerts lead to their runbook; {updates.actual}"
