"""Whether what lies on disk is what was written: journals, each run's evidence, packages, and what was published."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui import journal, runs_on_disk
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.counted import counted
from ray_tui.core.errors import InputError, JournalError, RayError, TamperError
from ray_tui.core.state import RunState, apply
from ray_tui.evidence import index, text
from ray_tui.evidence import verify as packages
from ray_tui.evidence.package import JOURNAL, MANIFEST_NAME, ZIP_NAME

APPROVAL = "monitoring-approval-record.json"
JUDGED = frozenset(name for gate in plan.GATES for name in gate.evidence) | {"waivers.json", ZIP_NAME, MANIFEST_NAME}
"""What a gate reads: whatever of it lies in a store, a run must have published it."""
Check = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """What an intact journal says, and the chain's head after each of its entries."""

    state: RunState
    heads: tuple[str, ...]
    began: float
    """When its last host did: one host at a time publishes into a store, and begins by publishing its run's files."""


def verify(target: Path) -> dict[str, Any]:
    """Check a run folder, a package, or a store: ``{"ok", "cause", "checks": [{"what", "ok", "cause", "detail"}]}``."""
    if not target.exists():
        raise InputError(f"{target}: no such run, package or folder")
    checks: list[Check] = []
    if target.is_file() and target.suffix == ".zip":
        checks.append(_package(target, target.with_name(MANIFEST_NAME)))
    elif target.is_file():
        checks += _run_journal(target)[0]
    elif (target / JOURNAL).exists() or target.parent.name == "runs":
        checks += _run(target)[0]
    else:
        checks += _store(target)
        if not checks:
            raise InputError(f"{target}: holds no run and no package; nothing could be verified")
    bad = [check for check in checks if not check["ok"]]
    return {"ok": not bad, "cause": bad[0]["cause"] if bad else "", "checks": checks}


def to_text(found: Mapping[str, Any], here: Path, *, everything: bool) -> str:
    """What failed, by its path from ``here``, then how much was checked; what is intact where it is asked for."""
    checks = sorted(found["checks"], key=lambda check: bool(check["ok"]))
    wrong, whole = sum(not check["ok"] for check in checks), counted(len(checks), "check")
    if wrong:
        summary = f"{wrong} of {whole} failed: not what was written"
        more = " (--all lists the others, too)" if wrong < len(checks) else ""
    else:
        summary = f"{whole}, {'all ' if len(checks) > 1 else ''}intact"
        more = f" (--all lists {'them' if len(checks) > 1 else 'it'})"
    listed = [_line(check, here) for check in checks if everything or not check["ok"]]
    return "\n".join([*listed, summary if everything else summary + more])


def _line(check: Check, here: Path) -> str:
    path = Path(check["what"])
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{'✓' if check['ok'] else '✗'} {shown}: {check['detail']}"


# --- a store ---------------------------------------------------------------------------------------------------------


def _store(store: Path) -> list[Check]:
    checks: list[Check] = []
    kept: list[Kept] = []
    folders = runs_on_disk.folders(store)
    for folder in folders:
        found, said = _run(folder)
        checks += found
        if said is not None:
            kept.append(said)
    alone = not (store / "runs").is_dir()
    if (store / ZIP_NAME).is_file() and (alone or (store / MANIFEST_NAME).is_file()):
        checks.append(_package(store / ZIP_NAME, store / MANIFEST_NAME))
    if not alone and len(kept) == len(folders):  # one that is broken has failed already
        checks += _published(store, kept)
    return checks


def _published(store: Path, kept: Sequence[Kept]) -> list[Check]:
    """Each published file against the run that was the last to be carried out and to write it."""
    checks, owners = [], {}
    for one in sorted(kept, key=lambda one: one.began):
        owners.update(dict.fromkeys(one.state.evidence, one.state))
    for name, state in sorted(owners.items()):
        check = _hashed(store / name, state.evidence[name].sha256)
        if name == index.NAME and check["cause"] == "evidence.hash" and _is_index_of(store):
            check = _check(store / name, "", "made anew, and lists what is there")
        checks.append(check)
    strange = [store / name for name in sorted(JUDGED - owners.keys()) if (store / name).exists()]
    checks += [_check(path, "evidence.unrecorded", "no run here has published it") for path in strange]
    if (sealing := owners.get(ZIP_NAME)) is not None:
        checks += _sealed(store, sealing)
    return checks


def _is_index_of(store: Path) -> bool:
    """`ray-tui evidence` has written it since the run."""
    try:
        return (store / index.NAME).read_bytes() == text.dumps(index.index(store))
    except (OSError, RayError):
        return False


# --- a run -----------------------------------------------------------------------------------------------------------


def _run(folder: Path) -> tuple[list[Check], Kept | None]:
    checks, kept = _run_journal(folder / JOURNAL)
    if kept is None:
        return checks, None
    evidence = folder / "evidence"
    recorded = kept.state.evidence
    checks += [_hashed(evidence / name, written.sha256) for name, written in sorted(recorded.items())]
    checks += [
        _check(path, "evidence.unrecorded", "no entry of the journal records it: the journal was cut, or the run died "
               "while it wrote this file; then `ray-tui run --resume` writes it again")
        for path in _files(evidence) if path.name not in recorded
    ]  # fmt: skip
    if (evidence / ZIP_NAME).is_file() and (evidence / MANIFEST_NAME).is_file():
        checks.append(_package(evidence / ZIP_NAME, evidence / MANIFEST_NAME))
    return [*checks, *_sealed(evidence, kept.state)], kept


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else ()


def _run_journal(path: Path) -> tuple[list[Check], Kept | None]:
    check, kept = _journal(path)
    checks = [check]
    if kept is not None:
        manifests = (path.parent / "evidence" / MANIFEST_NAME, path.parent.parent.parent / MANIFEST_NAME)
        checks += [found for manifest in manifests for found in _head(path, kept, manifest)]
    return checks, kept


def _journal(path: Path) -> tuple[Check, Kept | None]:
    state, heads, began = RunState(), [], 0.0
    if not path.exists():
        return _check(path, "journal.missing", "is not there: a run cannot be without its journal"), None
    try:
        for line in journal.read(path, tail=True):
            apply(state, line.entry)
            heads.append(line.head)
            if isinstance(line.entry.fact, f.RunOpened | f.HostStarted):
                began = line.entry.at
    except TamperError as exc:
        return _check(path, exc.cause, str(exc)), None
    except JournalError as exc:
        return _check(path, "journal.unreadable", str(exc)), None
    if not heads:
        return _check(path, "journal.empty", "holds no entry, and a run begins with one"), None
    return _check(path, "", f"{state.seq} entries, chain intact"), Kept(state, tuple(heads), began)


def _head(path: Path, kept: Kept, manifest: Path) -> list[Check]:
    """A journal that was cut at a line's end is a whole chain: what was sealed says how far it went at least."""
    try:
        outer = text.loads(manifest.read_bytes(), manifest.name)
        run_id, through, head = outer["header"]["run_id"], int(outer["through_seq"]), str(outer["journal_head"])
    except (OSError, RayError, KeyError, TypeError, ValueError):
        return []  # the package's own check says so, and the evidence's hashes
    if run_id != path.parent.name:
        return []
    if not 0 < through <= len(kept.heads):
        ends = f"ends at entry {len(kept.heads)}; {manifest} was sealed at entry {through}"
        return [_check(path, "journal.head", ends)]
    if kept.heads[through - 1] != head:
        return [_check(path, "journal.head", f"entry {through} is not the one at which {manifest} was sealed")]
    return [_check(path, "", f"entry {through} is the one at which {manifest} was sealed")]


def _sealed(folder: Path, state: RunState) -> list[Check]:
    """The zip and its manifest against what the journal says was sealed, and the approval of it against both."""
    if state.package is None:
        return []
    path = folder / ZIP_NAME
    sealed = state.package.sha256
    found = [_digest(path), _digest(folder / MANIFEST_NAME)]
    if found != [sealed, state.package.manifest_sha256]:
        return [_check(path, "package.sealed", f"is not the package that was sealed, sha256 {sealed[:16]}…")]
    checks = [_check(path, "", f"is the package that was sealed, sha256 {sealed[:16]}…")]
    try:
        record = text.loads((folder / APPROVAL).read_bytes(), APPROVAL)
        approved = record["body"]["package_sha256"]
    except (OSError, RayError, KeyError, TypeError):
        return checks  # not approved yet, or with another check that says what is wrong with it
    if approved != sealed:
        checks.append(_check(folder / APPROVAL, "approval.hash", f"approves {approved!s:.16}…, not {sealed[:16]}…"))
    return checks


# --- one file --------------------------------------------------------------------------------------------------------


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _hashed(path: Path, expected: str) -> Check:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        return _check(path, "evidence.missing", f"cannot be read: {exc.strerror}")
    if actual != expected:
        return _check(path, "evidence.hash", f"is {actual[:16]}…, the journal recorded {expected[:16]}…")
    return _check(path, "", f"sha256 {actual[:16]}…")


def _package(path: Path, manifest: Path) -> Check:
    try:
        outer: Mapping[str, Any] = text.loads(manifest.read_bytes(), manifest.name)
    except FileNotFoundError as exc:
        # Not a sign of tampering: without the manifest nothing can be said at all.
        raise InputError(
            f"{path}: cannot be verified without {manifest.name} beside it. Bring the manifest along, "
            "and compare its hash with the approval record."
        ) from exc
    except OSError as exc:
        raise InputError(f"{manifest}: cannot be read: {exc.strerror}. Check its permissions.") from exc
    except RayError as exc:
        return _check(path, "manifest.json", str(exc))
    report = packages.verify_zip(path, outer)
    return _check(path, "" if report.ok else report.cause, "; ".join(report.details) or "intact")


def _check(path: Path, cause: str, detail: str) -> Check:
    return {"what": str(path), "ok": not cause, "cause": cause, "detail": detail}
