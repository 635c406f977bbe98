"""How a run is held: on the full screen, line by line, or without a person; and what is said when that ends."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_tui import invoked
from ray_tui.core.errors import InputError, RayError
from ray_tui.echo import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ray_tui.config import Config
    from ray_tui.config_errors import Fault
    from ray_tui.core.answers import Answers
    from ray_tui.core.state import LogLine
    from ray_tui.tui.places import Places
    from ray_tui.whereabouts import Whereabouts

JOURNAL = "journal.jsonl"
WITHOUT_TERMINAL = "Add --headless (answers come from a file), or --plain."
TO_FOLLOW = "Add --plain to follow it line by line; `ray-tui runs --json` and `ray-tui gates --json` answer scripts."
TO_READ = "Add --plain for the log; `ray-tui verify --json`, `ray-tui gates --json` and `ray-tui diff` answer scripts."
"""What works instead of a full screen, by what was asked for."""


def without_a_person(chosen: "Config", answers: "Answers", resumed: str | None, timeout: float, as_json: bool) -> int:
    import asyncio

    from ray_tui import named_files, runs_on_disk, wiring
    from ray_tui.clock import Clock
    from ray_tui.core import views

    named_files.require(chosen)
    run_id = resumed or runs_on_disk.new_run_id(chosen.run.release, Clock().wall())
    outcome = asyncio.run(
        wiring.run_headless(chosen, run_id, answers, _tell(as_json), resume=resumed is not None, seconds=timeout)
    )
    now = Clock().wall()
    verdicts = {name: views.verdict_of(outcome.state, name, now) for name in outcome.state.steps}
    summary = {
        "run_id": run_id, "exit_code": outcome.code, "why": outcome.why, "unanswered": outcome.unanswered,
        "account": list(outcome.account),
        "halted_at": outcome.state.halt.step if outcome.state.halt else outcome.unanswered.partition(":")[0],
        "verdicts": {name: verdict.value for name, verdict in verdicts.items() if verdict is not None},
        "evidence": str(chosen.store / "runs" / run_id / "evidence"),
    }  # fmt: skip
    if as_json:
        echo(json.dumps(summary, indent=2, sort_keys=True))
    else:
        echo("\n  ".join((f"{run_id}: {outcome.why or 'protocol complete'}", *outcome.account)))
        echo(f"evidence: {summary['evidence']}")
    return outcome.code


def _tell(as_json: bool) -> Any:
    from ray_tui.clock import iso
    from ray_tui.core.announcements import to_ascii

    fancy = "utf" in (sys.stderr.encoding or "").lower()

    def tell(line: "LogLine") -> None:
        text = f"{iso(line.at)[11:19]} {line.signed}"
        echo(text if fancy else to_ascii(text), err=True)

    return tell


def want_terminal(instead: str = WITHOUT_TERMINAL) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"there is no terminal here. {instead}")
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise InputError(f"TERM={os.environ.get('TERM', '')!r} cannot show a full screen. Add --plain.")


def on_console(
    chosen: "Config", *, resume: str | None, observe: bool, plain: bool, key: Path | None = None, anew: bool = False
) -> int:
    from ray_tui import named_files, rendezvous, runs_on_disk
    from ray_tui.clock import Clock

    if not plain:
        want_terminal()
    live = runs_on_disk.carried_out(chosen.store)
    if live is not None and live.run_id != resume:
        _offer(live.run_id)
        return on_socket(chosen, rendezvous.meeting_place(live.run_id, chosen), observe, plain, key)
    if resume is None and not anew:
        resume = to_go_on_with(chosen)
    run_id = resume or runs_on_disk.new_run_id(chosen.run.release, Clock().wall())
    folder = chosen.store / "runs" / run_id
    if resume and rendezvous.is_locked(folder):
        echo(f"{run_id}: is being carried out already; joining it", err=True)
        return on_socket(chosen, rendezvous.meeting_place(run_id, chosen), observe, plain, key)
    named_files.require(chosen)
    path = runs_on_disk.start_host(chosen, run_id, resume=resume is not None)
    return on_socket(chosen, path, observe, plain, key)


def _offer(live: str) -> None:
    """Two runs would publish to one folder: to join the one that is live is all that can be done now."""
    said = f"{live} is being carried out here already"
    if not (sys.stdin.isatty() and _agreed(f"{said}. Join it?")):
        raise InputError(f"{said}. Join it: `ray-tui attach {live}`; or begin when it is over.")


def _agreed(question: str) -> bool:
    import typer

    return typer.confirm(question, True, err=True)


def to_go_on_with(chosen: "Config", *, asking: bool = True) -> str | None:
    """The unfinished run of this release, where a person would rather resume it than begin anew.

    Raises InputError naming it and both ways on where nobody can be asked.
    """
    from ray_tui import runs_on_disk

    left = runs_on_disk.unfinished(chosen)
    if left is None:
        return None
    said = f"{left.run_id} is not over: {left.stands()}"
    if not (asking and sys.stdin.isatty()):
        raise InputError(
            f"{said}. Go on with it: `ray-tui run --resume --run {left.run_id}`; or begin anew: `ray-tui run --anew`."
        )
    return left.run_id if _agreed(f"{said}. Resume it (no: begin anew)?") else None


def join(file: Path, run_id: str | None, observe: bool, plain: bool, key: Path | None, plays: str) -> int:
    """A console on the run of this configuration's store that a host carries out."""
    from ray_tui import rendezvous, runs_on_disk, whereabouts

    if not plain:
        want_terminal(TO_FOLLOW)
    chosen = whereabouts.read(file) or _whole(file)
    try:
        found = runs_on_disk.find_live(chosen.store, run_id)
        path = rendezvous.meeting_place(found.run_id, chosen)
    except RayError:
        _whole(file)  # a mistake in it is the better news
        raise
    return on_socket(chosen, path, observe, plain, key, plays)


def _whole(file: Path) -> "Config":
    from ray_tui import config

    return config.load(file, with_backends=False)


def on_socket(
    chosen: "Config | Whereabouts", path: Path, observe: bool, plain: bool, key: Path | None = None, plays: str = ""
) -> int:
    import asyncio

    if not plain:
        want_terminal()

    async def hold() -> int:
        from ray_tui.evidence import own_keys
        from ray_tui.handles.socket import SocketHandle

        signer = None
        if key:
            from ray_tui.wiring import SshSigner

            signer = SshSigner(key)
        stamped = chosen.policy.demo and key is None  # a demo's approvals are signed by nobody
        signing = str if observe or stamped else own_keys.asked(key)
        handle = await SocketHandle.attach(path, read_only=observe, signer=signer, plays=plays)
        way_back = partial(_way_back, chosen, handle.run_id, _words(observe, plain, key, plays))
        try:
            if plain:
                from ray_tui import plain as plainly

                code = await plainly.follow(handle, way_back=way_back, signing=signing, ascii_only=chosen.ui.ascii)
                await handle.close("hung up" if code > 128 else "left")
                return code
            return await show(handle, chosen, signing, way_back)
        finally:
            await handle.close()

    return asyncio.run(hold())


async def show(
    handle: Any,
    chosen: "Config | Whereabouts | None",
    signing: "Callable[[], str]" = str,
    way_back: "Callable[[], str]" = str,
    recorded: Path | None = None,
) -> int:
    """The full-screen console, and what to do next when it ends. ``recorded``: what a replay is read from."""
    from ray_tui.tui.app import run_console
    from ray_tui.tui.options import ConsoleOptions
    from ray_tui.whereabouts import Looks

    ui = chosen.ui if chosen else Looks()
    options = ConsoleOptions(
        theme=ui.theme,
        ascii=ui.ascii,
        keymap=ui.keymap,
        animations=ui.animations and "SSH_CONNECTION" not in os.environ,
        theme_folders=(user_themes(),),
        signing=signing,
        attach_hint=_join(chosen, handle.run_id) if chosen else "",
        way_back=way_back,
        places=places(chosen, handle.run_id, recorded),
        runs=(lambda: lines_to_open(chosen)) if chosen else tuple,
        crash_log=chosen.store / "runs" / handle.run_id / "console.log" if chosen and not handle.transport else None,
        copy_folder=cache(),
    )
    ended = await run_console(handle, options)
    if ended.message:
        echo(ended.message, err=ended.code != 0)
    if chosen is not None and ended.how == "ended" and handle.transport is None:
        echo(f"evidence: {chosen.store / 'runs' / handle.run_id / 'evidence'}")
        check = invoked.command("verify", "--config", chosen.file.resolve())
        echo(f"{check}\n{_watch_again(chosen, handle.run_id)}")
    return int(ended.code)


def wrong_looks(chosen: "Config") -> "list[Fault]":
    """What the console could not use of the configuration's theme and keys."""
    from ray_tui.config_errors import Fault
    from ray_tui.tui import keys, theme

    _, wrong = keys.validated(chosen.ui.keymap)
    found = [Fault(("ui", "keymap", binding), why) for binding, why in wrong.items()]
    known = [one.name for one in theme.themes((user_themes(),))]
    if chosen.ui.theme not in known:
        found.append(Fault(("ui", "theme"), f"{chosen.ui.theme!r} is not there; there are: {', '.join(known)}"))
    return found


def _join(chosen: "Config | Whereabouts", run_id: str) -> str:
    return invoked.command("attach", run_id, "--config", chosen.file.resolve())


def _words(observe: bool, plain: bool, key: Path | None, plays: str) -> dict[str, object]:
    """The options that this console was started with."""
    given = {"--observe": observe, "--plain": plain, "--sign-with": key and key.absolute(), "--as": plays}
    return {option: value for option, value in given.items() if value}


def _way_back(chosen: "Config | Whereabouts", run_id: str, words: "Mapping[str, object]") -> str:
    """What brings this person back as they were here; where no host is left, what goes on with the run."""
    from ray_tui import rendezvous

    alive = rendezvous.is_locked(chosen.store / "runs" / run_id)
    kept = {option: value for option, value in words.items() if alive or option in ("--plain", "--sign-with")}
    options = [word for option, value in kept.items() for word in (option, *(() if value is True else (value,)))]
    options += ["--config", chosen.file.resolve()]
    if alive:
        return f"Come back: {invoked.command('attach', run_id, *options)}"
    return f"No host carries it out now; go on with it: {invoked.command('run', '--resume', '--run', run_id, *options)}"


def places(chosen: "Config | Whereabouts | None", run_id: str, recorded: Path | None) -> "Places":
    """What a line that is copied off the console needs to work in any folder of this machine."""
    from ray_tui.tui.places import Places

    read = recorded.resolve() if recorded else None
    folder = read or (chosen.store.resolve() / "runs" / run_id if chosen else Path())
    in_archive = read is not None and read.suffix == ".zip"
    rules = (chosen.rules or {}).get("directory") if chosen else None
    return Places(
        command=lambda *words: invoked.command(*words, *(("--config", chosen.file.resolve()) if chosen else ())),
        journal=JOURNAL if in_archive else str(folder if folder.suffix == ".jsonl" else folder / JOURNAL),
        package=str(read) if in_archive else "",
        run=str(read) if read else run_id,
        rules=str(chosen.folder / rules) if chosen and rules else "",
    )


def lines_to_open(chosen: "Config | Whereabouts") -> list[tuple[str, str]]:
    """Each run of the store, newest first, and what opens it."""
    from ray_tui import runs_on_disk

    return [
        (run.run_id, _join(chosen, run.run_id) if run.alive else _watch_again(chosen, run.run_id))
        for run in runs_on_disk.runs(chosen.store)
    ]


def _watch_again(chosen: "Config | Whereabouts", run_id: str) -> str:
    return invoked.command("replay", run_id, "--config", chosen.file.resolve())


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ray-tui"


def replay_plain(path: Path, ascii_only: bool) -> int:
    """The log, and on a terminal a look at any moment of it."""
    from ray_tui import wiring
    from ray_tui.clock import iso
    from ray_tui.core import views
    from ray_tui.core.state import RunState, apply
    from ray_tui.plain.shown import shown

    entries = wiring.replay_entries(path)
    state = RunState()
    for entry in entries:
        before = len(state.log)
        apply(state, entry)
        if len(state.log) > before:
            echo(shown(f"{iso(state.log[-1].at)} {state.log[-1].signed}", sys.stdout, ascii_only))
    if sys.stdin.isatty():
        from ray_tui.plain import replayed

        replayed.read(entries, wiring.open_replay(path, playing=False), sys.stdin, sys.stdout, ascii_only=ascii_only)
    return views.exit_code(state)


def user_themes() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ray-tui" / "themes"
