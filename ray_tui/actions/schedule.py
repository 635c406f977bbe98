"""3.1 Schedule ongoing checks: every monitoring asset gets a cadence and an owner, in the scheduler the team has."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray_tui.actions import scheduler_install as scheduler
from ray_tui.actions import scheduler_readback as readback
from ray_tui.actions import scheduler_texts as texts_for
from ray_tui.actions.dashboard_checks import REQUIRED_TAG
from ray_tui.actions.programs import CannotSchedule
from ray_tui.actions.scheduler_readback import NOTHING, Held
from ray_tui.actions.services import ServiceFacts, effective_services
from ray_tui.actions.tuning import slug
from ray_tui.analysis import cadence
from ray_tui.analysis import schedule as cadences
from ray_tui.analysis.schedule import Asset, Entry
from ray_tui.clock import iso
from ray_tui.config import Check, Config
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import OnCall
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import text
from ray_tui.step import Ask, Context, Header, Result, criterion

EVIDENCE = "observability-schedule.json"
COMMAND = "ray-tui check {asset} --json"
CHECK = ["check", "{asset}"]
"""What must follow the program's name: it is the one command that looks at an asset and never pages."""
ALERT_PATHS = "alert-paths"


@dataclass(frozen=True)
class Planned:
    """One asset with its check; ``problem`` says why it cannot be scheduled, ``owner_why`` why nobody owns it."""

    asset: Asset
    check: Check
    entry: Entry
    next_run: float | None
    problem: str
    owner: str
    owner_ok: bool
    owner_why: str


@dataclass(frozen=True)
class Installed:
    """What came of the installation. ``written``: it is in place, whether or not the scheduler holds it yet."""

    criterion: Criterion
    where: str
    held: Held = NOTHING
    written: bool = False

    def state(self, entry_id: str) -> str:
        if entry_id in self.held.ids:
            return "installed"
        return "written" if self.written and self.held.unknown else "not installed"


async def run(context: Context) -> Result:
    """Plan, confirm, install, read back. Halts when it cannot be scheduled, or somebody has to own it first."""
    config = context.config
    services = effective_services(config, context.state)
    data_21 = context.state.steps["2.1"].data
    assets = assets_of(data_21, services)
    duty, problem = await _on_call(context)
    command, no_pages = _command(config)
    planned = [_planned(context, one, services, data_21, command, duty, problem) for one in assets]
    good = [one.entry for one in planned if not one.problem]
    texts = _texts(good, config)
    installed = await _install(context, good, no_pages)
    covered = cadences.coverage(assets, [one.entry for one in planned])
    criteria = (
        _assets_known(assets, ran=context.state.steps["2.1"].attempt > 0),
        cadences.judge(covered)[0],
        _owned(planned, problem),
        no_pages,
        installed.criterion,
    )
    entries = [_row(one, installed, config) for one in planned]
    done = sum(row["installed"] for row in entries)
    data = {
        "entries": entries,
        "coverage": {
            "assets": len(assets),
            "scheduled": len(covered.scheduled),
            "ratio": covered.ratio,
            "unscheduled": [*covered.unscheduled, *covered.ownerless],
        },
        "target": config.schedule.target,
        "installed_into": installed.where,
        "timezone": config.schedule.timezone,
        "command": config.schedule.command,
        "left_to_do": scheduler.what_is_left(config.schedule.target, installed.where)
        if installed.written and not installed.criterion.verdict.lets_go_on
        else "",
        "unknown_assets": sorted(set(config.schedule.assets) - {asset.id for asset in assets}),
        "text": texts,
    }
    return Result(f"{done} of {len(assets)} checks installed in {config.schedule.target}", criteria, data)


# --- what is checked -------------------------------------------------------------------------------------------------


def assets_of(data: Mapping[str, Any], services: Mapping[str, ServiceFacts]) -> tuple[Asset, ...]:
    """Every dashboard and alert group that 2.1 left, every synthetic that a service requires, and the alert paths."""
    uids = sorted({str(row["uid"]) for row in _rows(data, "dashboards") if row.get("uid")})
    groups = sorted({str(row["group"]) for row in _rows(data, "alerts") if row.get("group")})
    probed = [one.name for one in services.values() if "synthetics" in one.required_signals]
    return (
        *(Asset(f"dashboard:{uid}", "dashboard", uid) for uid in uids),
        *(Asset(f"alerts:{group}", "alert-group", group) for group in groups),
        *(Asset(f"synthetic:{name}", "synthetic", name) for name in probed),
        Asset(ALERT_PATHS, "alert-path", "alert paths, without pages"),
    )


def _rows(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = data.get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list | tuple) else []


LACKING = {
    "dashboard": f"tag what must work {REQUIRED_TAG!r} in the Grafana of [dashboards], or name its file under [paths]",
    "alert-group": "load alerting rules, or name their files under [paths] rules",
}
"""What helps where 2.1 has run and found none of a kind."""


def _assets_known(assets: Sequence[Asset], *, ran: bool) -> Criterion:
    counts = {kind: sum(one.kind == kind for one in assets) for kind in ("dashboard", "alert-group", "synthetic")}
    missing = [kind for kind in ("dashboard", "alert-group") if not counts[kind]]
    remedy = f"{'; '.join(LACKING[kind] for kind in missing)}; then run 2.1 again." if ran else "Run 2.1 first."
    return _criterion(
        "assets", "Monitoring assets are known", Verdict.INCONCLUSIVE if missing else Verdict.PASSED,
        f"2.1 left no {' and no '.join(missing)}" if missing
        else ", ".join(f"{count} {kind}s" for kind, count in counts.items()) + ", the alert paths",
        "dashboards and alert groups of 2.1", remedy if missing else "",
    )  # fmt: skip


def entry_id(asset: str) -> str:
    """A DNS label of at most 52 characters, the same for the same asset and another for another."""
    digest = hashlib.sha256(asset.encode()).hexdigest()[:8]
    return f"{slug(asset)[:40].strip('-')}-{digest}"


def _planned(
    context: Context,
    asset: Asset,
    services: Mapping[str, ServiceFacts],
    data: Mapping[str, Any],
    command: tuple[str, ...],
    duty: Sequence[OnCall] | None,
    trouble: str,
) -> Planned:
    config = context.config
    check = _check(asset, config)
    owner = check.owner or _natural_owner(asset, services, data)
    owner_ok, why = owner_resolved(owner, config, duty, trouble)
    words = tuple(asset.id if word == "{asset}" else word for word in command)
    entry = Entry(entry_id(asset.id), asset.id, check.cadence, config.schedule.timezone, owner, words)
    at, problem = None, ""
    try:
        after = datetime.fromtimestamp(context.now(), UTC)
        at = cadence.next_run(entry.cron, after, entry.time_zone).timestamp()
        texts_for.rendered("kubernetes", [entry], config)  # checks what every scheduler must be able to say
    except InputError as exc:
        problem = str(exc)
    return Planned(asset, check, entry, at, problem, owner, owner_ok, why)


def _check(asset: Asset, config: Config) -> Check:
    plan = config.schedule
    by_kind = {"dashboard": plan.dashboards, "alert-group": plan.alerts, "synthetic": plan.synthetics}
    return plan.assets.get(asset.id) or by_kind.get(asset.kind, plan.alert_paths)


def _natural_owner(asset: Asset, services: Mapping[str, ServiceFacts], data: Mapping[str, Any]) -> str:
    """Where the configuration names nobody: a probe's service's owner, a group's owner if its alerts agree."""
    if asset.kind == "synthetic":
        return services[asset.name].owner
    if asset.kind == "alert-group":
        owners = {str(row.get("owner") or "") for row in _rows(data, "alerts") if row.get("group") == asset.name}
        return owners.pop() if len(owners) == 1 else ""
    return ""


# --- who owns it -----------------------------------------------------------------------------------------------------


async def _on_call(context: Context) -> tuple[tuple[OnCall, ...] | None, str]:
    """(who is on call, what went wrong); None where no paging system is configured."""
    if context.ports.paging is None:
        return None, ""
    try:
        return await context.ports.paging.on_call(), ""
    except BackendError as exc:
        return (), str(exc)


def owner_resolved(owner: str, config: Config, duty: Sequence[OnCall] | None, trouble: str) -> tuple[bool, str]:
    """Whether an owner exists and somebody is on call, and why so or not."""
    if not owner:
        return False, "no owner is named"
    known = config.owners.get(owner)
    if known is None:
        return False, f"{owner} is not in [owners]"
    if known.policy and trouble:
        return False, f"who is on call could not be asked: {trouble}"
    called = sorted({one.user for one in duty or () if known.policy and one.policy_id == known.policy})
    if called:
        return True, f"on call: {', '.join(called)}"
    if known.policy and duty is not None:
        return False, f"nobody is on call for {known.policy}"
    if known.people:
        return True, f"people: {', '.join(known.people)}"
    return False, f"{owner} has neither people nor anybody on call"


def _owned(planned: Sequence[Planned], trouble: str) -> Criterion:
    bad = [one for one in planned if not one.owner_ok]
    unknown = bool(bad) and all(one.owner_why.endswith(trouble) for one in bad) if trouble else False
    actual = "; ".join(f"{one.asset.id}: {one.owner or 'nobody'} ({one.owner_why})" for one in bad)
    verdict = Verdict.PASSED if not bad else Verdict.ERROR if unknown else Verdict.FAILED
    return _criterion(
        "owned", "Every check has an owner", verdict, actual or f"{len(planned)} checks, each owner has people on call",
        "an owner in [owners] with somebody on call",
        "Name an owner in [schedule] or [schedule.assets], and fill the rota." if bad else "",
    )  # fmt: skip


# --- what is run -----------------------------------------------------------------------------------------------------


def _command(config: Config) -> tuple[tuple[str, ...], Criterion]:
    """The command's words, ``{asset}`` among them, and whether it only looks."""
    told = config.schedule.command
    words: tuple[str, ...] = ()
    try:
        words = tuple(shlex.split(told))
        problem = pages(words)
    except ValueError as exc:
        problem = f"cannot be read as a command: {exc}"
    title, required = "Scheduled checks page nobody", "ray-tui check {asset}, which only looks; never run or demo"
    if problem:
        actual, remedy = f"{told!r} {problem}", f'Set schedule.command = "{COMMAND}".'
        return words, _criterion("no_pages", title, Verdict.FAILED, actual, required, remedy, waivable=False)
    return words, _criterion("no_pages", title, Verdict.PASSED, f"{told!r} only looks", required)


def pages(words: Sequence[str]) -> str:
    """Why a command must not be scheduled: it would carry the protocol out, or it looks at no asset. Empty: it may."""
    names = [word.rsplit("/", 1)[-1] for word in words]
    at = next((n for n, name in enumerate(names) if name in ("ray-tui", "ray_tui")), len(names))
    said = list(words[at + 1 : at + 3])
    if said[:1] in (["run"], ["demo"]):
        return f"carries the protocol out (ray-tui {said[0]}), which may page people"
    return "" if said == CHECK else "looks at no asset: `check {asset}` does not follow ray-tui"


def _texts(entries: Sequence[Entry], config: Config) -> dict[str, str]:
    """What each scheduler would be given; for one that cannot, why."""
    out: dict[str, str] = {}
    for target in texts_for.TARGETS:
        try:
            parts = texts_for.rendered(target, entries, config) if entries else {}
            out[target] = "\n".join(f"# {name}\n{body}" if name else body for name, body in sorted(parts.items()))
        except InputError as exc:
            out[target] = f"cannot be scheduled: {exc}"
    return out


# --- installing ------------------------------------------------------------------------------------------------------


async def _install(context: Context, entries: Sequence[Entry], no_pages: Criterion) -> Installed:
    """Confirmed, recorded, written, read back. What is in place already is left alone."""
    if not no_pages.verdict.lets_go_on or not entries:
        why = "the command may page people" if entries else "there is no entry that a scheduler could read"
        return Installed(_installed_criterion(Verdict.FAILED, f"cannot be scheduled: {why}"), "")
    config, settings = context.config, context.config.schedule
    where = ""
    try:
        place = scheduler.place(settings, config.folder, entries)
        where = place.where
        texts = texts_for.rendered(settings.target, entries, config)
        names = place.names if isinstance(place, scheduler.Files) else ()
        before = await place.read()
        after = scheduler.wanted(settings.target, before, names, texts)
        if not _stands(before, after):
            refused = await _write(context, place, after, entries)
            if refused:
                return Installed(_installed_criterion(Verdict.FAILED, refused), where)
        else:
            await _reconcile(context)
        written = _stands(await place.read(), after)
        held = await readback.held(place, entries, texts, config) if written else Held(by=where)
    except (CannotSchedule, InputError) as exc:
        await _settle(context, str(exc))
        return Installed(_installed_criterion(Verdict.FAILED, f"cannot be scheduled: {exc}"), where)
    await _settle(context, "" if written else f"not read back from {where}")
    left = scheduler.what_is_left(settings.target, where) if isinstance(place, scheduler.Files) and written else ""
    return Installed(_read_back(entries, held, where, left), where, held, written)


def _stands(there: scheduler.Texts, wanted: scheduler.Texts) -> bool:
    return all(there.get(name) == body for name, body in wanted.items())


def _read_back(entries: Sequence[Entry], held: Held, where: str, left: str) -> Criterion:
    """Written is not installed: only what the scheduler itself says that it holds counts."""
    missing = [one.asset for one in entries if one.id not in held.ids]
    actual = f"{len(entries) - len(missing)} of {len(entries)} entries read back from {held.by}"
    if held.unknown:
        actual = (
            f"{len(entries)} entries are written to {where}; whether they are installed is not known: {held.unknown}"
        )
        left = f"Do what is left ({left}) and retry; or look at the scheduler, and record that as manual validation."
        return _installed_criterion(Verdict.INCONCLUSIVE, actual, left)
    if missing:
        remedy = f"Do what is left ({left}), then retry." if left else ""
        actual = f"cannot be scheduled: {actual}; not there: {', '.join(missing)}"
        return _installed_criterion(Verdict.FAILED, actual, remedy)
    return _installed_criterion(Verdict.PASSED, actual)


def _intent_of(context: Context) -> str:
    return f"{context.step}#{context.attempt}:install"


async def _write(context: Context, place: scheduler.Place, after: scheduler.Texts, entries: Sequence[Entry]) -> str:
    """Ask, record the intent, write. Answers why not; empty when it is written."""
    settings = context.config.schedule
    answer = await context.ask(
        Ask(
            "install", "confirm", f"Install {len(entries)} checks into {place.where}?",
            f"{settings.target}: {settings.command}\n"
            + "\n".join(f"{one.cron}  {one.asset}  ({one.owner or 'nobody'})" for one in entries),
            data={"target": settings.target, "file": place.where,
                  "entries": [{"id": one.id, "asset": one.asset, "cadence": one.cron, "timezone": one.time_zone,
                               "owner": one.owner} for one in entries]},
        )
    )  # fmt: skip
    if answer.answer != "yes":
        said = f": {answer.reason}" if answer.reason else ""
        return f"not installed: {answer.person or 'somebody'} answered {answer.answer}{said}"
    if _intent_of(context) not in context.state.intents:
        digest = hashlib.sha256("".join(f"{name}\n{body}" for name, body in sorted(after.items())).encode()).hexdigest()
        await context.intend(
            f"install {len(entries)} checks", place.side_effect, place.where, name="install", digest=digest,
            data={"target": settings.target, "entries": [one.id for one in entries]},
        )  # fmt: skip
    await place.write(after)
    return ""


async def _reconcile(context: Context) -> None:
    """What a host that died had intended is in place: it took effect."""
    known = context.state.intents.get(_intent_of(context))
    if known is not None and known.outcome is None:
        await context.outcome(known.intended.id, "done", "found installed", reconciled=True)


async def _settle(context: Context, problem: str) -> None:
    known = context.state.intents.get(_intent_of(context))
    if known is not None and known.outcome is None:
        await context.outcome(known.intended.id, "failed" if problem else "done", problem or "read back")


def _installed_criterion(verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
    remedy = remedy or "Repair [schedule] or the scheduler, then retry and confirm."
    return _criterion(
        "installed", "Checks are installed", verdict, actual, "every entry read back from the scheduler itself",
        "" if verdict is Verdict.PASSED else remedy,
    )  # fmt: skip


def _criterion(
    name: str, title: str, verdict: Verdict, actual: str, required: str, remedy: str = "", *, waivable: bool = True
) -> Criterion:
    return criterion(
        f"schedule.{name}", title, verdict, actual, required=required, evidence=(EVIDENCE,), remedy=remedy,
        waivable=waivable,
    )  # fmt: skip


def _row(one: Planned, installed: Installed, config: Config) -> dict[str, Any]:
    return {
        "id": one.entry.id,
        "asset": one.asset.id,
        "kind": one.asset.kind,
        "cadence": one.check.cadence,
        "timezone": config.schedule.timezone,
        "next_run": None if one.next_run is None else iso(one.next_run),
        "owner": one.owner,
        "owner_ok": one.owner_ok,
        "owner_why": one.owner_why,
        "problem": one.problem,
        "installed": one.entry.id in installed.held.ids,
        "state": installed.state(one.entry.id),
    }


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """``observability-schedule.md``: the schedule for people; the engine writes the JSON that the gate judges."""
    rows = [
        [row["asset"], row["cadence"], row["timezone"], row["next_run"] or "never", row["owner"] or "nobody",
         row["owner_why"], row["state"]]
        for row in data.get("entries", ())
    ]  # fmt: skip
    parts = [
        f"# Observability schedule: {text.cell(header.release)} in {text.cell(header.environment)}",
        f"Run {text.cell(header.run_id)}, {iso(header.generated_at)}. Verdict: {text.cell(header.verdict)}. "
        f"{text.cell(header.summary)}",
        f"Scheduler: {text.cell(data.get('target', ''))}, {text.cell(data.get('installed_into') or 'nowhere')}. "
        f"Command: {text.code(data.get('command', ''))}",
    ]
    if rows:
        heads = ["Asset", "Cadence", "Time zone", "Next run", "Owner", "On call", "State"]
        parts.append(text.table(heads, rows))
    if data.get("left_to_do"):
        parts.append(f"Left to do: {text.code(data['left_to_do'])}")
    return {"observability-schedule.md": "\n\n".join(part.rstrip("\n") for part in parts) + "\n"}
