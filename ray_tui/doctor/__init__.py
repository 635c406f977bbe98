"""What of this machine, this configuration and these systems would get in a run's way, and what to do about it."""

import asyncio
import errno
import locale
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ray_tui import config, named_files, rendezvous, whereabouts
from ray_tui.clock import Clock
from ray_tui.config import Config
from ray_tui.config_errors import Fault
from ray_tui.core import changed
from ray_tui.core.errors import RayError
from ray_tui.core.ports import Health, Ports
from ray_tui.core.state import RunState
from ray_tui.core.untrusted import line
from ray_tui.doctor import examples, papers, rule_folder, sink
from ray_tui.doctor.finding import Finding

SYSTEM_SECONDS = 20.0
SKEW_SECONDS = 5.0
"""A clock that is surely further off than this makes every hop of an alert path a guess."""
FREE_BYTES = 200 * 1024 * 1024
NEEDED = ("metrics", "logs", "traces", "alerting", "dashboards", "paging", "chat", "mail")
"""Systems without which the prerequisites or gate 2 cannot pass."""
OPTIONAL = ("visits", "webhook", "heartbeat", "pusher")


class FoundRun(Protocol):
    """A run on disk, as the composition root lists it."""

    @property
    def run_id(self) -> str: ...

    @property
    def state(self) -> RunState: ...

    @property
    def alive(self) -> bool: ...


@dataclass(frozen=True)
class Outside:
    """What the checks are done with: supplied by the command line, replaced by tests."""

    open_ports: Callable[[Config, Clock], AbstractAsyncContextManager[Ports]]
    socket_folder: Callable[[Config | None], Path]
    runs: Callable[[Path], Sequence[FoundRun]]
    clock: Clock = field(default_factory=Clock)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    system_root: Path = Path("/")
    which: Callable[[str], str | None] = shutil.which
    folder: Path = field(default_factory=Path.cwd)
    looks: Callable[[Config], Sequence[Fault]] = lambda chosen: ()
    """What the console would say of the configuration's theme and keys."""


async def examine(config_path: Path | None, outside: Outside) -> list[Finding]:
    """Every finding, worst news included; never raises for what it is there to find. Nothing is changed."""
    chosen, of_config = _config(config_path, outside)
    findings = [_python(), *_terminal(outside.environment), of_config]
    if chosen is not None:
        findings += [
            *_written(chosen, outside),
            _approvals(chosen),
            *papers.look(chosen),
            *await _systems(chosen, outside),
            *_acknowledging(chosen, outside),
        ]
    store = chosen.store if chosen else outside.folder / ".artifacts" / "monitoring"
    findings += [*_folders(store), _disk(store), *_sockets(chosen, outside), *_runs(store, outside)]
    return [*findings, *_signing(outside), _logind(outside.system_root), *_tools(outside.which)]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= (3, 11)
    return Finding("python", good, f"{version} at {sys.executable}", "" if good else "use Python 3.11 or newer")


def _terminal(environment: Mapping[str, str]) -> list[Finding]:
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return [Finding("terminal", True, f"TERM={term!r}: no full screen here", "use --plain, or --headless in CI")]
    size = shutil.get_terminal_size((80, 24))
    encoding = (getattr(sys.stdout, "encoding", "") or locale.getpreferredencoding(False)).lower()
    colours = (
        "truecolor" if environment.get("COLORTERM") in ("truecolor", "24bit") else "256" if "256" in term else "16"
    )
    small = size.columns < 80 or size.lines < 24
    fancy = "utf" in encoding
    return [
        Finding(
            "terminal", True, f"TERM={term}, {size.columns}×{size.lines}, {colours} colours",
            "enlarge it to 80×24 or more, or use --plain" if small else "",
        ),
        Finding(
            "terminal.text", True, f"{encoding or 'unknown encoding'}",
            "" if fancy else "export LC_ALL=C.UTF-8, or set [ui] ascii = true",
        ),
    ]  # fmt: skip


def _config(path: Path | None, outside: Outside) -> tuple[Config | None, Finding]:
    found = path or whereabouts.find(outside.folder)
    if found is None:
        todo = "`ray-tui init` writes one to start from; `ray-tui demo` needs none"
        return None, Finding("config", False, f"no {whereabouts.FILE_NAME} here or above", todo)
    try:
        chosen = config.load(found)
    except RayError as exc:
        return None, Finding("config", False, line(str(exc)), "mend that; `ray-tui config schema` lists every key")
    return chosen, Finding("config", True, f"{found}: {chosen.run.release} in {chosen.run.environment}")


def _written(chosen: Config, outside: Outside) -> list[Finding]:
    """What is valid as it is written, and does not fit this machine, this console or this team."""
    found = [
        (
            "files",
            "a run does not begin before it is there",
            named_files.faults(chosen),
            "each file that it names is there",
        ),
        ("looks", "correct it; until then the console uses its own", outside.looks(chosen), "theme and keys are known"),
        (
            "owners",
            "name the team under [owners]: what nobody owns fails gate 3",
            _unknown_owners(chosen),
            "each owner of a check is under [owners]",
        ),
        ("hosts", "name your own, or remove the table", examples.faults(chosen), "no host is still the example's"),
    ]
    findings = []
    for name, todo, faults, well in found:
        said = [line(str(config.refusal(chosen.file, [fault]))) for fault in faults]
        findings += [Finding(f"config.{name}", False, one, todo) for one in said]
        if not said:
            findings.append(Finding(f"config.{name}", True, well))
    return findings


def _unknown_owners(chosen: Config) -> list[Fault]:
    schedule = chosen.schedule
    owned: dict[tuple[str, ...], str] = {("schedule", key): getattr(schedule, key).owner for key in config.CLASSES}
    owned |= {("schedule", "assets", asset): check.owner for asset, check in schedule.assets.items()}
    unknown = {path: owner for path, owner in owned.items() if owner and owner not in chosen.owners}
    return [Fault((*path, "owner"), f"{owner!r} is not in [owners]") for path, owner in unknown.items()]


def _approvals(chosen: Config) -> Finding:
    """Whether an approval could be given at all."""
    name, policy = "config.approvals", chosen.policy
    if policy.allowed_signers:
        return Finding(name, True, f"signatures are checked against {chosen.folder / policy.allowed_signers}")
    if policy.unsigned_approvals or policy.demo:
        todo = "" if policy.demo else "name [policy] allowed_signers to have them signed"
        return Finding(name, True, "unsigned approvals are accepted, and labelled unsigned", todo)
    todo = "name [policy] allowed_signers, or allow unsigned_approvals"
    return Finding(name, False, "no approval can be given: none may be unsigned, and no key is known", todo)


async def _systems(chosen: Config, outside: Outside) -> list[Finding]:
    try:
        async with outside.open_ports(chosen, outside.clock) as ports:
            asked = list(_named(ports))
            findings = await asyncio.gather(*(_system(name, port) for name, port in asked))
            findings.append(await rule_folder.look(chosen, ports))
            findings.append(await sink.look(chosen, ports, outside.clock.wall()))
    except (RayError, ValueError, OSError) as exc:
        return [Finding("systems", False, line(f"cannot be opened: {exc}"), "mend the configuration of that system")]
    there = {name for name, _ in asked}
    absent = [
        Finding(f"system.{name}", False, "not configured", f"name it under [{name}]; what the run needs of it halts")
        for name in NEEDED
        if name not in there
    ]
    return [finding for group in findings for finding in group] + absent


def _named(ports: Ports) -> Iterable[tuple[str, Any]]:
    for name in (*NEEDED, *OPTIONAL):
        port = getattr(ports, name)
        if port is not None:
            yield name, port
    for number, port in enumerate(ports.incidents):
        yield f"incidents.{number}", port
    for protocol, port in ports.notifiers.items():
        yield f"notify.{protocol}", port
    if ports.tracker is not None:
        yield "tracker", ports.tracker
    for name, port in ports.webhooks.items():
        yield f"webhooks.{name}", port


async def _system(name: str, port: Any) -> list[Finding]:
    key = f"system.{name}"
    try:
        async with asyncio.timeout(SYSTEM_SECONDS):
            health: Health = await port.health()
    except TimeoutError:
        return [Finding(key, False, f"no answer within {SYSTEM_SECONDS:.0f} s", "check its address and the network")]
    except RayError as exc:
        return [Finding(key, False, line(str(exc)), "check its address and credentials")]
    detail = line(health.detail) + (f" (version {line(health.version)})" if health.version else "")
    found = [Finding(key, health.ok, detail, "" if health.ok else f"check [{name}]: address, credentials, rights")]
    if health.clock_skew_seconds is not None:
        found.append(skew(name, *health.clock_skew_seconds))
    return found


def skew(name: str, least: float, most: float) -> Finding:
    """Whether a system's clock is surely far from ours; the truth lies in [least, most] seconds."""
    far = least > SKEW_SECONDS or most < -SKEW_SECONDS
    detail = f"its clock is {least:+.1f} to {most:+.1f} s from ours"
    return Finding(f"clock.{name}", not far, detail, "set both clocks by NTP: hop times are compared" if far else "")


def _acknowledging(chosen: Config, outside: Outside) -> list[Finding]:
    """Whether links and Slack's buttons could be answered by a run that starts now."""
    settings = chosen.acknowledge
    if not settings.listen:
        return []
    secret = settings.slack_signing_secret
    try:
        if secret is not None:
            secret.resolve(chosen.folder)
    except RayError as exc:
        return [Finding("acknowledge", False, line(str(exc)), "put the signing secret of your Slack app there")]
    host, port = settings.address
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as exc:
        ours = exc.errno == errno.EADDRINUSE and any(run.alive for run in outside.runs(chosen.store))
        said = f"{settings.listen}: {exc.strerror or exc}"
        return [Finding("acknowledge", ours, said, "a live run listens there" if ours else "choose another address")]
    heard = "links and Slack's buttons" if secret else "links"
    return [Finding("acknowledge", True, f"{heard} can be answered at {settings.listen}")]


def _folders(store: Path) -> list[Finding]:
    root = store.parent.parent
    named = {"evidence": store, "manual": root / ".artifacts" / "protocol-19", "context": root / ".cursor/context-kit"}
    return [_writable(f"folder.{name}", path) for name, path in named.items()]


def _writable(name: str, path: Path) -> Finding:
    there = _existing(path)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"ray-tui")
    except OSError as exc:
        todo = "fix its owner, mode or mount, or set [paths] root"
        return Finding(name, False, f"{there}: cannot be written: {exc.strerror or exc}", todo)
    return Finding(name, True, f"{path}" + ("" if there == path else f" (will be created in {there})"))


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _disk(store: Path) -> Finding:
    free = shutil.disk_usage(_existing(store)).free
    good = free >= FREE_BYTES
    todo = "" if good else "free some space: a run that cannot write its journal stops"
    return Finding("disk", good, f"{free // 1024**2} MiB free", todo)


def _sockets(chosen: Config | None, outside: Outside) -> list[Finding]:
    try:
        folder = outside.socket_folder(chosen)
    except (RayError, OSError) as exc:
        return [Finding("sockets", False, line(str(exc)), "give consoles a safe folder to meet in")]
    abandoned = [path.name for path in sorted(folder.glob("*.sock")) if not _answers(path)]
    found = [Finding("sockets", True, f"{folder} is safe"), *_apart(chosen)]
    if abandoned:
        shown = ", ".join(abandoned[:3]) + (" …" if len(abandoned) > 3 else "")
        found.append(Finding("sockets.abandoned", True, f"{len(abandoned)}: {shown}", f"harmless; rm them in {folder}"))
    return found


def _apart(chosen: Config | None) -> list[Finding]:
    """People of other OS users who could not join a run that begins now."""
    others = rendezvous.others(chosen.people) if chosen is not None else ()
    if chosen is None or not others or (chosen.host.socket_dir and chosen.host.group):
        return []
    empty = " and ".join(name for name in ("socket_dir", "group") if not getattr(chosen.host, name))
    detail = f"[people] has other OS users ({', '.join(others)}), and [host] {empty} is empty: they cannot join a run"
    return [Finding("sockets.people", True, detail, "set both before a run begins: a folder of mode 2750, its group")]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # somebody else's, or busy: not ours to judge
    return True


def _runs(store: Path, outside: Outside) -> list[Finding]:
    try:
        known = outside.runs(store)
    except (RayError, OSError) as exc:
        return [Finding("runs", False, line(str(exc)), "look at that run's journal; `ray-tui verify` names the cause")]
    found = []
    for run in known:
        if run.alive:
            found.append(Finding("runs.live", True, run.run_id, f"join it: ray-tui attach {run.run_id}"))
            if stale := changed.since(run.state):
                found.append(Finding("runs.changed", True, line(f"{run.run_id}: {stale}"), changed.to_go_on(run.state)))
        elif run.state.opened is None:
            todo = f"`ray-tui verify {store / 'runs' / run.run_id}` names the cause"
            found.append(Finding("runs.unreadable", False, f"{run.run_id}: its journal cannot be read", todo))
        elif not run.state.ended:
            todo = f"go on: ray-tui run --resume --run {run.run_id}"
            found.append(Finding("runs.unfinished", True, run.run_id, todo))
    return found or [Finding("runs", True, f"{len(known)} here, none unfinished")]


def _signing(outside: Outside) -> list[Finding]:
    program = outside.which("ssh-keygen")
    if program is None:
        todo = "install the OpenSSH client to sign approvals and check signatures"
        return [Finding("ssh-keygen", True, "not found", todo)]
    return [Finding("ssh-keygen", True, program), _agent(outside)]


def _agent(outside: Outside) -> Finding:
    if not outside.environment.get("SSH_AUTH_SOCK"):
        return Finding("ssh-agent", True, "none is running here", "start one, or forward yours (ssh -A), to sign")
    try:
        asked = subprocess.run(
            ["ssh-add", "-l"], env=dict(outside.environment), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Finding("ssh-agent", True, f"cannot be asked: {type(exc).__name__}", "run ssh-add -l by hand")
    if asked.returncode != 0:
        return Finding("ssh-agent", True, "holds no key", "ssh-add your key to sign approvals")
    return Finding("ssh-agent", True, f"holds {len(asked.stdout.splitlines())} keys")


def _logind(root: Path) -> Finding:
    """Whether logind ends a run's host together with the last session of its user."""
    value, where = "no", "its default"
    for path in _logind_files(root):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for raw in text.splitlines():
            key, _, said = raw.partition("=")
            if key.strip() == "KillUserProcesses":
                value, where = said.strip().lower(), str(path)
    kills = value in ("yes", "true", "1", "on")
    todo = "a run ends when you log out: loginctl enable-linger, or start it under systemd-run --user --scope"
    return Finding("logind", True, f"KillUserProcesses={value} ({where})", todo if kills else "")


def _logind_files(root: Path) -> list[Path]:
    folders = ("usr/lib/systemd", "run/systemd", "etc/systemd")
    main = [root / folder / "logind.conf" for folder in folders]
    drop_ins = [path for folder in folders for path in (root / folder / "logind.conf.d").glob("*.conf")]
    return [*main, *sorted(drop_ins, key=lambda path: path.name)]


def _tools(which: Callable[[str], str | None]) -> list[Finding]:
    return [
        Finding(name, True, which(name) or "not found; only needed to look into rules by hand")
        for name in ("promtool", "amtool")
    ]
