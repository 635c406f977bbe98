"""The command line: arguments in, exit codes out, and the only place that prints."""

import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ray_tui import __version__, holding, invoked, whereabouts
from ray_tui.core.counted import counted
from ray_tui.core.errors import InputError, RayError, TamperError

if TYPE_CHECKING:
    from ray_tui.config import Config
    from ray_tui.core.answers import Answers
    from ray_tui.runs_on_disk import RunOnDisk

LOADED_SECONDS = 3.0
"""By then every import that a command needs is made."""
PASSED, FAILED, USAGE, INCONCLUSIVE, TAMPERED, ABORTED = range(6)

app = typer.Typer(
    name="ray-tui",
    help="Prove, right after a deployment, that the release is really being watched.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [run] is a table of the configuration, not a style
    context_settings={"help_option_names": ["-h", "--help"]},
)
gate_app = typer.Typer(
    help="Judge one gate, read-only, over published evidence.", no_args_is_help=True, rich_markup_mode=None
)
config_app = typer.Typer(help="Show or change the configuration.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(gate_app, name="gate")
app.add_typer(config_app, name="config")

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file (ray-tui.toml).")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SignOption = Annotated[
    Path | None,
    typer.Option(
        "--sign-with", envvar="RAY_TUI_SIGNING_KEY", help="Sign approvals with this SSH key (a .pub: by the agent)."
    ),
]


def _seconds(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"{value:g} is no number of seconds; 0 is never")
    return value


TimeoutOption = Annotated[
    float, typer.Option(help="Seconds after which a headless run gives up; 0: never.", callback=_seconds)
]
EvidenceOption = Annotated[
    Path | None,
    typer.Option("--evidence", help="The folder that holds the evidence; by default where the configuration has it."),
]
STORE = Path(".artifacts/monitoring")
BASELINE = "baseline-metrics.json"


def main() -> NoReturn:
    """Run the command line; every foreseen failure ends in one clear message and a documented exit code."""
    _start_lightly()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else PASSED)
    except TamperError as exc:
        _fail(str(exc), TAMPERED, exc.cause)
    except InputError as exc:
        _fail(str(exc), USAGE)
    except RayError as exc:
        _fail(str(exc), INCONCLUSIVE)
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PASSED)
    except Exception as exc:  # noqa: BLE001 (the last boundary: nothing is above it but the interpreter)
        show = getattr(exc, "show", None)
        if show is None:  # ours, and not a gate's that failed: nothing was judged
            _fail(f"an error of ray-tui's own: {exc!r:.200}. Please report it, with {_kept_traceback()}", INCONCLUSIVE)
        show()
        _say_failure(getattr(exc, "message", str(exc)), USAGE)
        sys.exit(USAGE)


def _start_lightly() -> None:
    """A start is imports: they make objects that stay, and next to no garbage to look for.

    What was loaded when the collector goes on is left out for good, so that no key ever waits for a look at it. Other
    packages' pydantic plugins are not ours to run, and to look for them reads every installed package.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()

    def go_on() -> None:
        gc.freeze()
        gc.enable()

    loaded = threading.Timer(LOADED_SECONDS, go_on)
    loaded.daemon = True
    loaded.start()


def _fail(message: str, code: int, cause: str = "") -> NoReturn:
    typer.echo(f"ray-tui: {message}", err=True)
    _say_failure(message, code, cause)
    sys.exit(code)


def _say_failure(message: str, code: int, cause: str = "") -> None:
    """Whoever asked for a document gets one, whatever went wrong; also where the arguments could not be read."""
    if "--json" in sys.argv[1:]:
        _say({"error": message, "exit_code": code, "cause": cause}, True, "")


def _kept_traceback() -> str:
    """Where the traceback of the exception in hand lies."""
    import traceback

    path = holding.cache() / "error.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as exc:
        return f"its traceback, which could not be kept ({exc})"
    return str(path)


def _say(value: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) if as_json else text)


# --- carrying out ----------------------------------------------------------------------------------------------------


@app.callback(invoke_without_command=True)
def _default(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"ray-tui {__version__}")
        raise typer.Exit(PASSED)
    if ctx.invoked_subcommand is not None:
        return
    found = whereabouts.find(Path.cwd())
    if found is not None:
        from ray_tui import config

        raise typer.Exit(holding.on_console(config.load(found), resume=None, observe=False, plain=False))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "no ray-tui.toml here or above, and no terminal to ask on. `ray-tui demo --headless` needs none."
        )
    if typer.confirm("No ray-tui.toml here or above. Start the demo (a whole stack on this machine, no set-up)?", True):
        raise typer.Exit(demo())
    typer.echo("`ray-tui init` writes a configuration to start from.")
    raise typer.Exit(PASSED)


@app.command()
def run(
    config: ConfigOption = None,
    release: Annotated[str | None, typer.Option(help="Overrides [run] release.")] = None,
    environment: Annotated[str | None, typer.Option(help="Overrides [run] environment.")] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a person: answers come from --answers.")
    ] = False,
    answers: Annotated[Path | None, typer.Option(help="A TOML answers file, for --headless.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run that is not over.")] = False,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run to resume.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Begin a new run, though one is not over.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    timeout: TimeoutOption = 0,
    sign_with: SignOption = None,
    as_json: JsonOption = False,
) -> int:
    """Carry the protocol out for one release."""
    _want_no_json_of_a_console(as_json, headless)
    if anew and (resume or run_id):
        raise InputError("--anew begins a new run, and --resume goes on with one: choose one of them")
    chosen = _config(config, release, environment)
    wanted = _resumed(chosen, run_id) if resume or run_id else None
    if headless:
        if wanted is None and not anew:
            holding.to_go_on_with(chosen, asking=False)
        return holding.without_a_person(chosen, _answers(answers), wanted, timeout, as_json)
    return holding.on_console(chosen, resume=wanted, observe=False, plain=plain, key=sign_with, anew=anew)


@app.command()
def demo(
    scenario: Annotated[
        str, typer.Option(help="What is wrong in the demo's world; `--scenario list` names them.")
    ] = "healthy",
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a person; exits with the run's verdict.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where the demo lives; a new folder in /tmp by default.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's servers running at the end.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    timeout: TimeoutOption = 170,
    as_json: JsonOption = False,
) -> int:
    """The main job on an embedded stack: real servers on 127.0.0.1, a seeded world, no configuration."""
    from ray_tui import demo_stack

    if scenario == "list":
        known = demo_stack.scenarios()
        _say(known, as_json, "\n".join(f"{name:24} {title}" for name, title in known.items()))
        return PASSED
    _want_no_json_of_a_console(as_json, headless)
    if not headless and not plain:
        holding.want_terminal()
    with demo_stack.started(scenario, folder, keep=keep) as stack:
        typer.echo(f"demo stack '{scenario}' in {stack.folder}", err=True)
        if headless:
            return holding.without_a_person(stack.config, stack.answers, None, timeout, as_json)
        try:
            return holding.on_console(stack.config, resume=None, observe=False, plain=plain, anew=True)
        finally:  # however the console ended: a hang-up must not take the run's world away
            stack.leave_running_if_unfinished()
            if parting := stack.parting():
                typer.echo(parting, err=True)


@app.command()
def attach(
    run_id: Annotated[str | None, typer.Argument(help="The run; the newest live one by default.")] = None,
    config: ConfigOption = None,
    observe: Annotated[bool, typer.Option("--observe", help="Read-only for certain.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    sign_with: SignOption = None,
    plays: Annotated[str, typer.Option("--as", help="Whom of [people] to act as; in a demo only.")] = "",
) -> int:
    """Join a run that is being carried out."""
    from ray_tui import rendezvous, runs_on_disk

    if not plain:
        holding.want_terminal(holding.TO_FOLLOW)
    file = _config_file(config)
    chosen = whereabouts.read(file) or _config(file, with_backends=False)
    try:
        found = runs_on_disk.find_live(chosen.store, run_id)
        path = rendezvous.meeting_place(found.run_id, chosen)
    except RayError:
        _config(file, with_backends=False)  # a mistake in it is the better news
        raise
    return holding.on_socket(chosen, path, observe, plain, sign_with, plays)


@app.command()
def sign(
    key: Annotated[Path, typer.Option("--key", help="Your SSH key, or the .pub of one in your agent.")],
    person: Annotated[str, typer.Option("--as", help="Who you are in [people].")],
    run_id: Annotated[str | None, typer.Argument(help="The run; the newest that is not over by default.")] = None,
    config: ConfigOption = None,
) -> int:
    """Sign the approvals that a run waits for: prints [[approvals]] blocks for its answers file."""
    from ray_tui import runs_on_disk, wiring

    chosen = _config(config)
    found = runs_on_disk.find_run(chosen.store, run_id, resumable=True)
    given = wiring.sign_open_approvals(found, chosen.people, person, key)
    if not given:
        raise InputError(f"{found.run_id}: waits for no approval that {person} may give")
    for approval in given:
        typer.echo("[[approvals]]")
        for name, value in approval.model_dump(mode="json", exclude_defaults=True).items():
            typer.echo(f"{name} = {json.dumps(value)}")
        typer.echo("")
    return PASSED


@app.command()
def acknowledge(
    code: Annotated[str, typer.Argument(help="The code in the test alert's message.")],
    run_id: Annotated[str | None, typer.Option("--run", help="The run; the newest live one by default.")] = None,
    config: ConfigOption = None,
    plays: Annotated[str, typer.Option("--as", help="Whom of [people] to act as; in a demo only.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Say that a test alert has reached you: by mail, by webhook, in Slack."""
    import asyncio

    from ray_tui import rendezvous, runs_on_disk
    from ray_tui.handles import socket

    chosen = _config(config)
    found = runs_on_disk.find_live(chosen.store, run_id)
    said = asyncio.run(socket.acknowledge(rendezvous.meeting_place(found.run_id, chosen), code, plays))
    late = " It is later than the SLA allows." if said["after_seconds"] > said["sla_seconds"] else ""
    what = f"what came to {said['receiver']} by {said['integration']}"
    text = f"{said['person']} acknowledged {what}, {said['after_seconds']:.1f} s after it was sent.{late}"
    _say({**said, "run_id": found.run_id}, as_json, text)
    return PASSED


@app.command()
def replay(
    target: Annotated[
        str | None,
        typer.Argument(help="A run (by default the newest), a journal.jsonl, a run folder, a MONITORING-PACKAGE.zip."),
    ] = None,
    config: ConfigOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print the log; on a terminal, look anywhere in it.")] = False,
) -> int:
    """Show a past run on the same console: play, pause, seek."""
    from ray_tui import runs_on_disk, wiring

    path = Path(target) if target else None
    chosen = _config_or_none(config)
    if path is None or not path.exists():
        path = runs_on_disk.find_run(_store(chosen), target).folder
    if plain:
        return holding.replay_plain(path, chosen is not None and chosen.ui.ascii)
    holding.want_terminal(holding.TO_READ)
    import asyncio

    async def watch() -> int:
        return await holding.show(wiring.open_replay(path), chosen, recorded=path)

    return asyncio.run(watch())


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="A run, a journal.jsonl, a run folder, or a MONITORING-PACKAGE.zip.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same in both.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Two runs side by side: gates, coverage, delivery times, findings that came or went."""
    import shutil

    from ray_tui import runs_on_disk, wiring
    from ray_tui.core import run_diff
    from ray_tui.core.state import fold

    chosen = _config_or_none(config)
    store = _store(chosen)
    paths = [Path(one) if Path(one).exists() else runs_on_disk.find_run(store, one).folder for one in (a, b)]
    left, right = (fold(wiring.replay_entries(path)) for path in paths)
    width = shutil.get_terminal_size((120, 40)).columns
    said = run_diff.to_text(left, right, width=width, everything=everything)
    _say(run_diff.to_json(left, right), as_json, said)
    return PASSED


@app.command()
def runs(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """List the runs of this repository, newest first."""
    from ray_tui import runs_on_disk
    from ray_tui.core import changed

    chosen = _config_or_none(config)
    rows = []
    for found in runs_on_disk.runs(_store(chosen)):
        state = found.state
        if found.broken is not None:
            status = "tampered" if isinstance(found.broken, TamperError) else "unreadable"
        elif state.ended:
            status = "complete" if state.completed else "aborted"
        else:
            status = "live" if found.alive else "resumable"
        rows.append(
            {
                "run_id": found.run_id, "status": status, "exit_code": _code_of(found),
                "release": state.opened.release if state.opened else "",
                "halted_at": state.halt.step if state.halt else "", "facts": state.seq,
                "changed": changed.since(state) if found.alive else "",
            }
        )  # fmt: skip
    lines = []
    for row in rows:
        lines.append(f"{row['run_id']:56} {row['status']:10} {row['halted_at'] or '–'}")
        lines += [f"  {row['changed']}"] if row["changed"] else []
    _say(rows, as_json, "\n".join(lines) or "no runs yet; `ray-tui run` or `ray-tui demo` starts one")
    if not as_json:
        from ray_tui import demo_stack

        for left in demo_stack.left_running():
            typer.echo(left.to_text(), err=True)
    return PASSED


def _code_of(found: "RunOnDisk") -> int:
    from ray_tui.core import views

    if found.broken is not None:
        return TAMPERED if isinstance(found.broken, TamperError) else INCONCLUSIVE
    return views.exit_code(found.state)


@app.command(name="_host", hidden=True)
def _host(
    config: Annotated[Path, typer.Option()],
    run_id: Annotated[str, typer.Option("--run")],
    release: Annotated[str, typer.Option()],
    environment: Annotated[str, typer.Option()],
    resume: Annotated[bool, typer.Option("--resume")] = False,
) -> int:
    import asyncio
    import logging

    from ray_tui import wiring

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    return asyncio.run(wiring.serve(_config(config, release, environment), run_id, resume=resume))


# --- judging ---------------------------------------------------------------------------------------------------------


@gate_app.command("instrumentation")
def gate_instrumentation(
    threshold: Annotated[float | None, typer.Option(help="Coverage completeness, 0–1; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 1: coverage completeness, and no miss on a critical changed service."""
    return _gate("instrumentation", evidence, config, as_json, coverage=threshold)


@gate_app.command("alerts")
def gate_alerts(
    sla: Annotated[float | None, typer.Option(help="Acknowledgement SLA in minutes; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 2: acknowledged within the SLA, no broken escalation, dashboards valid."""
    return _gate("alert_validation", evidence, config, as_json, ack_sla_seconds=None if sla is None else sla * 60)


@gate_app.command("assurance")
def gate_assurance(evidence: EvidenceOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Gate 3: every asset scheduled and owned, every gap in the backlog."""
    return _gate("assurance", evidence, config, as_json)


@gate_app.command("handoff")
def gate_handoff(
    threshold: Annotated[float | None, typer.Option(help="Manifest completeness, 0–1; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 4: package complete and intact, approvals captured, downstream notified."""
    return _gate("handoff", evidence, config, as_json, manifest_completeness=threshold)


@app.command()
def gates(evidence: EvidenceOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Judge all four gates, read-only, over published evidence. For CI: it pages nobody and changes nothing."""
    from ray_tui import judging

    chosen = _config_or_none(config)
    folder = _want_evidence(evidence, chosen)
    judged = judging.judge_all(folder, chosen.thresholds if chosen else None)
    _say([one.to_json() for one in judged], as_json, "\n".join(one.to_text() for one in judged))
    return judging.exit_code(judged)


@app.command()
def check(
    asset: Annotated[str, typer.Argument(help="dashboard:<uid>, alerts:<group>, synthetic:<service> or alert-paths.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Look at one monitoring asset again, live: what 3.1 schedules. It pages nobody and changes nothing."""
    import asyncio

    from ray_tui import checking, judging

    judged = asyncio.run(checking.check(asset, _config(config)))
    _say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


def _want_evidence(asked: Path | None, chosen: "Config | None") -> Path:
    """A folder without a single file of evidence is not a gate that failed: there is nothing to judge."""
    folder = asked or _store(chosen)
    if not (folder.is_dir() and any(path.suffix == ".json" for path in folder.iterdir())):
        raise InputError(f"{folder}: no run here yet. `ray-tui run` makes one; `ray-tui demo` shows how that looks.")
    return folder


def _gate(key: str, evidence: Path | None, config: Path | None, as_json: bool, **asked: float | None) -> int:
    from pydantic import ValidationError

    from ray_tui import judging

    chosen = _config_or_none(config)
    changed = {name: value for name, value in asked.items() if value is not None}
    try:
        thresholds = judging.thresholds(chosen.thresholds if chosen else None, **changed)
    except ValidationError as exc:
        wrong = "; ".join(f"{error['loc'][0]}: {error['msg']}" for error in exc.errors(include_input=False))
        raise InputError(f"the threshold is out of range: {wrong}") from exc
    judged = judging.judge_one(key, _want_evidence(evidence, chosen), thresholds)
    _say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


@app.command()
def prerequisites(
    config: ConfigOption = None,
    answers: Annotated[Path | None, typer.Option(help="Approvals, as a TOML answers file.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Check the prerequisites alone: artifacts, systems, write access, approvals."""
    import asyncio

    from ray_tui import judging, wiring
    from ray_tui.core import plan

    step = asyncio.run(wiring.run_one_step(_config(config), plan.PREREQUISITES, _answers(answers)))
    judged = judging.Judged.of_step(plan.PREREQUISITES, step)
    _say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


@app.command()
def baseline(
    output: Annotated[Path, typer.Option(help="The file to write.")],
    env: Annotated[str | None, typer.Option("--env", help="The environment; [run] environment by default.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Capture baseline metrics alone (collect_perf.py)."""
    import asyncio

    from ray_tui import judging, wiring

    if output.is_dir() or not output.name:
        raise InputError(f"{output}: is a folder; --output names the file to write, such as {output / BASELINE}")
    step, kept = asyncio.run(wiring.capture_baseline(_config(config, None, env), output))
    judged = judging.Judged.of_step("1.3", step)
    _say({**judged.to_json(), "output": kept}, as_json, f"{judged.to_text()}\n{kept}")
    return judging.exit_code([judged])


@app.command()
def evidence(
    output: Annotated[
        Path | None,
        typer.Option(help="The evidence folder, where the index is written; by default the configured one."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Index the evidence (aggregate_evidence_12.py): evidence-index.json with hashes."""
    from ray_tui.evidence import index, text, writer

    folder = output or _store(_config_or_none(config))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. `ray-tui locations` says where the evidence is.")
    content = index.index(folder)
    writer.publish(folder, index.NAME, text.dumps(content))
    _say(content, as_json, f"{counted(content['count'], 'file')} indexed in {folder / index.NAME}")
    return PASSED


@app.command()
def verify(
    target: Annotated[Path | None, typer.Argument(help="A run folder, a package, or an evidence folder.")] = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="List what is intact as well.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Check that journal, package and evidence are what was written. Exit 4 names the cause."""
    from ray_tui import verifying

    chosen = _config_or_none(config)
    found = verifying.verify(target or _store(chosen))
    _say(found, as_json, verifying.to_text(found, Path.cwd(), everything=everything))
    return PASSED if found["ok"] else TAMPERED


# --- looking ---------------------------------------------------------------------------------------------------------


@app.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """What is wrong here, and what to do about it."""
    import asyncio

    from ray_tui import doctor as checks
    from ray_tui import rendezvous, runs_on_disk, wiring

    outside = checks.Outside(
        open_ports=wiring.open_ports,
        socket_folder=rendezvous.socket_folder,
        runs=runs_on_disk.runs,
        looks=holding.wrong_looks,
    )
    found = asyncio.run(checks.examine(config, outside))
    wrong = sum(not item.ok for item in found)
    said = [*(item.to_text() for item in found), f"{wrong} of {len(found)} to mend" if wrong else "nothing to mend"]
    _say([item.to_json() for item in found], as_json, "\n".join(said))
    return PASSED if all(item.ok for item in found) else FAILED


@config_app.command("show")
def config_show(config: ConfigOption = None) -> int:
    """The configuration with every default, as JSON. Secrets are references and stay so."""
    typer.echo(_config(config).model_dump_json(indent=2))
    return PASSED


@config_app.command("schema")
def config_schema() -> int:
    """The JSON Schema of ray-tui.toml."""
    from ray_tui import described
    from ray_tui.config import Config

    typer.echo(json.dumps(described.schema(Config), indent=2))
    return PASSED


@config_app.command("path")
def config_path(config: ConfigOption = None) -> int:
    """The configuration file that would be used."""
    typer.echo(str(_config(config).file.resolve()))
    return PASSED


@config_app.command("set")
def config_set(
    key: Annotated[str, typer.Argument(help="A dotted key, such as thresholds.coverage.")],
    value: Annotated[str, typer.Argument(help="TOML, or plain text.")],
    config: ConfigOption = None,
) -> int:
    """Change one setting in the file; its comments stay. A value that is not valid changes nothing."""
    from ray_tui.scaffold import edit

    path = _config_file(config)
    old, new = edit.set_value(path, key, value)
    typer.echo(f"{path}: {key} = {new}" + (f" (was {old})" if old else ""))
    return PASSED


@app.command()
def locations(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Where everything is read and written."""
    from ray_tui import rendezvous

    chosen = _config_or_none(config)
    store = _store(chosen).resolve()
    found = {
        "config": str(chosen.file.resolve()) if chosen else "none found",
        "evidence": str(store),
        "runs": str(store / "runs"),
        "manual": str(store.parent / "protocol-19"),
        "context": str(store.parent.parent / ".cursor" / "context-kit"),
        "sockets": str(rendezvous.socket_folder(chosen)),
        "themes": str(holding.user_themes()),
    }
    _say(found, as_json, "\n".join(f"{name:10} {path}" for name, path in found.items()))
    return PASSED


@app.command()
def themes(as_json: JsonOption = False) -> int:
    """The console's themes."""
    from ray_tui.tui import theme

    loaded, problems = theme.load((holding.user_themes(),))
    for problem in problems:
        typer.echo(f"ray-tui: {problem}", err=True)
    _say([one.name for one in loaded], as_json, "\n".join(f"{one.name:16} {one.path}" for one in loaded))
    return PASSED if not problems else USAGE


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The repository to write into.")] = Path(),
    scripts: Annotated[
        bool, typer.Option("--scripts", help="Also write scripts/*.py with the protocol's literal names.")
    ] = False,
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Also write a GitHub workflow that judges the gates.")
    ] = False,
) -> int:
    """Write a configuration to start from; files that exist are left alone."""
    from ray_tui import scaffold

    for path, written in scaffold.write(folder, scripts=scripts, workflow=workflow):
        typer.echo(f"{'wrote' if written else 'kept '} {path}")
    typer.echo("Next: put your systems into ray-tui.toml and take out the tables that you have none for; then")
    typer.echo(f"{invoked.command('doctor')}   names what is still missing, {invoked.command('run')} begins.")
    return PASSED


# --- how it is done --------------------------------------------------------------------------------------------------


def _store(chosen: "Config | None") -> Path:
    return chosen.store if chosen else STORE


def _want_no_json_of_a_console(as_json: bool, headless: bool) -> None:
    if as_json and not headless:
        raise InputError("--json is for --headless: a console is for a person. `ray-tui gates --json` answers scripts.")


def _config_or_none(path: Path | None) -> "Config | None":
    from ray_tui import config

    found = path or whereabouts.find(Path.cwd())
    return config.load(found) if found is not None else None


def _config_file(path: Path | None) -> Path:
    found = path or whereabouts.find(Path.cwd())
    if found is None:
        raise InputError(
            f"no {whereabouts.FILE_NAME} here or above. `ray-tui init` writes one; `ray-tui demo` needs none."
        )
    return found


def _config(
    path: Path | None, release: str | None = None, environment: str | None = None, *, with_backends: bool = True
) -> "Config":
    from ray_tui import config

    chosen = config.load(_config_file(path), with_backends=with_backends)
    changes = {key: value for key, value in (("release", release), ("environment", environment)) if value}
    return config.with_run(chosen, changes) if changes else chosen


def _answers(path: Path | None) -> "Answers":
    import tomllib

    from pydantic import ValidationError

    from ray_tui import config, files
    from ray_tui.core.answers import Answers

    if path is None:
        return Answers()
    try:
        text = files.read_file(path, config.LONGEST_BYTES).decode("utf-8")
        return Answers.model_validate(tomllib.loads(text))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as exc:
        raise InputError(f"{path}: cannot be read as TOML: {exc}") from exc
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors(include_input=False)
        )
        raise InputError(f"{path}: {wrong}") from exc


def _resumed(chosen: "Config", run_id: str | None) -> str:
    from ray_tui import runs_on_disk

    found = runs_on_disk.find_run(chosen.store, run_id, resumable=True)
    if found.broken is not None:
        raise found.broken
    if found.state.ended:
        raise InputError(f"{found.run_id}: is over. `ray-tui replay {found.run_id}` shows it.")
    return found.run_id
