"""Judge alone, without a run: gates and evidence as they lie there, one step or one asset live."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ray_tui.cli import asked
from ray_tui.cli.options import ConfigOption, EvidenceOption, JsonOption
from ray_tui.cli.said import PASSED, TAMPERED, say
from ray_tui.core.counted import counted
from ray_tui.core.errors import InputError

if TYPE_CHECKING:
    from ray_tui.config import Config

BASELINE = "baseline-metrics.json"

gate = typer.Typer(
    help="Judge one gate, read-only, over published evidence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@gate.command("instrumentation")
def gate_instrumentation(
    threshold: Annotated[float | None, typer.Option(help="Coverage completeness, 0–1; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 1: coverage completeness, and no miss on a critical changed service."""
    return _gate("instrumentation", evidence, config, as_json, coverage=threshold)


@gate.command("alerts")
def gate_alerts(
    sla: Annotated[float | None, typer.Option(help="Acknowledgement SLA in minutes; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 2: acknowledged within the SLA, no broken escalation, dashboards valid."""
    return _gate("alert_validation", evidence, config, as_json, ack_sla_seconds=None if sla is None else sla * 60)


@gate.command("assurance")
def gate_assurance(evidence: EvidenceOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Gate 3: every asset scheduled and owned, every gap in the backlog."""
    return _gate("assurance", evidence, config, as_json)


@gate.command("handoff")
def gate_handoff(
    threshold: Annotated[float | None, typer.Option(help="Manifest completeness, 0–1; else [thresholds].")] = None,
    evidence: EvidenceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gate 4: package complete and intact, approvals captured, downstream notified."""
    return _gate("handoff", evidence, config, as_json, manifest_completeness=threshold)


def gates(evidence: EvidenceOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Judge all four gates, read-only, over published evidence. For CI: it pages nobody and changes nothing."""
    from ray_tui import judging

    chosen = asked.config_or_none(config)
    folder = _want_evidence(evidence, chosen)
    judged = judging.judge_all(folder, chosen.thresholds if chosen else None)
    say([one.to_json() for one in judged], as_json, "\n".join(one.to_text() for one in judged))
    return judging.exit_code(judged)


def check(
    asset: Annotated[str, typer.Argument(help="dashboard:<uid>, alerts:<group>, synthetic:<service> or alert-paths.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Look at one monitoring asset again, live: what 3.1 schedules. It pages nobody and changes nothing."""
    import asyncio

    from ray_tui import checking, judging

    judged = asyncio.run(checking.check(asset, asked.config(config)))
    say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


def prerequisites(
    config: ConfigOption = None,
    answers: Annotated[Path | None, typer.Option(help="Approvals, as a TOML answers file.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Check the prerequisites alone: artifacts, systems, write access, approvals."""
    import asyncio

    from ray_tui import judging, wiring
    from ray_tui.core import plan

    step = asyncio.run(wiring.run_one_step(asked.config(config), plan.PREREQUISITES, asked.answers(answers)))
    judged = judging.Judged.of_step(plan.PREREQUISITES, step)
    say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


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
    step, kept = asyncio.run(wiring.capture_baseline(asked.config(config, None, env), output))
    judged = judging.Judged.of_step("1.3", step)
    say({**judged.to_json(), "output": kept}, as_json, f"{judged.to_text()}\n{kept}")
    return judging.exit_code([judged])


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

    folder = output or asked.store(asked.config_or_none(config))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. `ray-tui locations` says where the evidence is.")
    content = index.index(folder)
    writer.publish(folder, index.NAME, text.dumps(content))
    say(content, as_json, f"{counted(content['count'], 'file')} indexed in {folder / index.NAME}")
    return PASSED


def verify(
    target: Annotated[Path | None, typer.Argument(help="A run folder, a package, or an evidence folder.")] = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="List what is intact as well.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Check that journal, package and evidence are what was written. Exit 4 names the cause."""
    from ray_tui import verifying

    chosen = asked.config_or_none(config)
    found = verifying.verify(target or asked.store(chosen))
    say(found, as_json, verifying.to_text(found, Path.cwd(), everything=everything))
    return PASSED if found["ok"] else TAMPERED


def _gate(key: str, evidence: Path | None, config: Path | None, as_json: bool, **wanted: float | None) -> int:
    from pydantic import ValidationError

    from ray_tui import judging

    chosen = asked.config_or_none(config)
    changed = {name: value for name, value in wanted.items() if value is not None}
    try:
        thresholds = judging.thresholds(chosen.thresholds if chosen else None, **changed)
    except ValidationError as exc:
        wrong = "; ".join(f"{error['loc'][0]}: {error['msg']}" for error in exc.errors(include_input=False))
        raise InputError(f"the threshold is out of range: {wrong}") from exc
    judged = judging.judge_one(key, _want_evidence(evidence, chosen), thresholds)
    say(judged.to_json(), as_json, judged.to_text())
    return judging.exit_code([judged])


def _want_evidence(named: Path | None, chosen: "Config | None") -> Path:
    """A folder without a single file of evidence is not a gate that failed: there is nothing to judge."""
    folder = named or asked.store(chosen)
    if not (folder.is_dir() and any(path.suffix == ".json" for path in folder.iterdir())):
        raise InputError(f"{folder}: no run here yet. `ray-tui run` makes one; `ray-tui demo` shows how that looks.")
    return folder
