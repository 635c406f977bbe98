"""The command line as a user meets it: a real process, its exit code, and what it says."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ray_tui import __version__, rendezvous, scaffold
from ray_tui.core import facts as f
from ray_tui.core import plan
from tests.cli.runs import a_run, clean

ROOT = Path(__file__).parents[2]


def test_the_version_is_said(ray):
    """One line, exit 0."""
    assert clean(ray("--version"), 0).stdout == f"ray-tui {__version__}\n"


def test_without_configuration_and_terminal_it_says_what_to_do(ray):
    """No prompt is hung on."""
    assert "ray-tui demo --headless" in clean(ray(), 2).stderr


@pytest.mark.parametrize("command", [("demo",), ("run", "--config", "ray-tui.toml")])
def test_without_a_terminal_a_full_screen_is_refused(ray, tmp_path, command):
    """--headless or --plain must be chosen."""
    scaffold.write(tmp_path)
    said = clean(ray(*command), 2).stderr
    assert "--headless" in said
    assert "--plain" in said
    assert not (tmp_path / ".artifacts").exists()


def test_a_dumb_terminal_is_refused_a_full_screen():
    """TERM=dumb has no full screen; a real pty stands behind it."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ray_tui", "demo"], stdin=child, stdout=child, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
    ) as process:  # fmt: skip
        said = process.communicate(timeout=60)[1]
    os.close(child)
    os.close(parent)
    assert process.returncode == 2
    assert "--plain" in said


def test_an_unknown_scenario_names_the_known_ones(ray):
    """Exit 2 before anything is started."""
    said = clean(ray("demo", "--scenario", "nope", "--headless"), 2).stderr
    assert "no scenario 'nope'" in said
    assert "healthy" in said


def test_the_scenarios_are_listed(ray):
    """One line each, with what is wrong in it."""
    listed = json.loads(clean(ray("demo", "--scenario", "list", "--json"), 0).stdout)
    assert set(listed) == {path.stem for path in (ROOT / "ray_tui" / "demo" / "scenarios").glob("*.toml")}
    assert all(listed.values())


@pytest.mark.parametrize("command", [("run", "--headless"), ("gates",), ("doctor",), ("config", "show"), ("runs",)])
def test_a_typo_in_the_configuration_is_found_by_file_and_line(ray, tmp_path, command):
    """Every command that reads it says the same; doctor makes a finding of it."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n[thresholds]\ncoverge = 1\n')
    done = clean(ray(*command), 1 if command == ("doctor",) else 2)
    said = done.stdout + done.stderr
    assert "ray-tui.toml:4: thresholds.coverge: is not a known key; did you mean 'coverage'?" in said


def test_without_a_terminal_looking_commands_name_what_works_for_them(ray, tmp_path):
    """attach and replay have no answers file: --plain and the commands for scripts are named, --headless is not."""
    scaffold.write(tmp_path)
    a_run(tmp_path / ".artifacts" / "monitoring")
    for command in (("attach",), ("replay", "7f3a1c")):
        said = clean(ray(*command), 2).stderr
        assert "--plain" in said
        assert "ray-tui gates --json" in said
        assert "--headless" not in said


def test_a_configuration_that_is_not_there_is_named(ray):
    """With what writes one."""
    said = clean(ray("run", "--headless", "--config", "absent.toml"), 2).stderr
    assert "absent.toml: no such file" in said


def test_an_answers_file_with_a_typo_is_refused(ray, tmp_path):
    """Before the run begins."""
    scaffold.write(tmp_path)
    (tmp_path / "answers.toml").write_text("[[approvals]]\nrole = 'king'\nperson = 'mira'\n")
    said = clean(ray("run", "--headless", "--answers", "answers.toml"), 2).stderr
    assert "answers.toml: approvals.0.role" in said


def test_a_tampered_journal_is_exit_4_with_its_cause(ray, tmp_path):
    """One changed byte; machines read the cause."""
    folder = a_run(tmp_path / ".artifacts" / "monitoring")
    whole = json.loads(clean(ray("verify", folder, "--json"), 0).stdout)
    assert whole["ok"] is True
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"the first note", b"the worst note"))
    found = json.loads(clean(ray("verify", folder, "--json"), 4).stdout)
    assert found["ok"] is False
    assert found["cause"].startswith("journal.")
    assert "journal.jsonl:2" in found["checks"][0]["detail"]
    assert "✗" in clean(ray("verify", folder), 4).stdout


def test_verify_says_what_is_wrong_and_how_much_was_looked_at(ray, tmp_path):
    """What failed comes first, by its path from here; what is intact is only counted unless --all asks for it."""
    store = tmp_path / ".artifacts" / "monitoring"
    sound, changed = a_run(store, "2026-11-22T1915Z-v1-aaaaaa"), a_run(store, "2026-11-22T1916Z-v1-bbbbbb")
    whole = clean(ray("verify"), 0).stdout.splitlines()
    assert whole == ["2 checks, all intact (--all lists them)"]
    assert clean(ray("verify", sound), 0).stdout == "1 check, intact (--all lists it)\n"
    path = changed / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"the first note", b"the worst note"))
    said = clean(ray("verify"), 4).stdout.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"✗ .artifacts/monitoring/runs/{changed.name}/journal.jsonl: ")
    assert said[1] == "1 of 2 checks failed: not what was written (--all lists the others, too)"
    everything = clean(ray("verify", "--all"), 4).stdout.splitlines()
    assert [line[0] for line in everything] == ["✗", "✓", "1"]
    assert everything[2] == "1 of 2 checks failed: not what was written"


def test_replaying_a_tampered_journal_is_refused(ray, tmp_path):
    """Exit 4, too."""
    path = a_run(tmp_path / ".artifacts" / "monitoring") / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"the first note", b"the worst note"))
    clean(ray("replay", path, "--plain"), 4)


def test_verifying_nothing_is_no_success(ray, tmp_path):
    """An empty folder holds nothing that was verified."""
    assert "nothing could be verified" in clean(ray("verify", tmp_path), 2).stderr


def test_gates_over_an_empty_folder_never_pass(ray, tmp_path):
    """Fail closed: nothing judged is not 0, and what makes evidence is said; one stray file is judged. (P85)"""
    for folder in (tmp_path / "absent", tmp_path):
        said = clean(ray("gates", "--evidence", folder, "--json"), 2).stderr
        assert "no run here yet" in said
        assert "ray-tui demo" in said
    assert not (tmp_path / "absent").exists()
    (tmp_path / "stray.json").write_text("{}")
    done = ray("gates", "--evidence", tmp_path, "--json")
    assert done.returncode in (1, 3)
    judged = json.loads(done.stdout)
    assert [one["id"] for one in judged] == [gate.id for gate in plan.GATES]
    assert {one["verdict"] for one in judged} <= {"failed", "inconclusive", "error"}


@pytest.mark.parametrize("number", ["95", "inf", "nan", "0", "-1"])
def test_a_threshold_out_of_range_is_not_a_pass(ray, tmp_path, number):
    """A mistyped --threshold 95 must not judge anything, nor a limit without end."""
    (tmp_path / "gate-2.json").write_text("{}")
    options = [("gate", "instrumentation", "--threshold"), ("gate", "handoff", "--threshold")]
    if number != "95":
        options.append(("gate", "alerts", "--sla"))
    for option in options:
        done = clean(ray(*option, number, "--evidence", tmp_path), 2)
        assert "the threshold is out of range" in done.stderr


@pytest.mark.parametrize("number", ["inf", "nan", "-1"])
@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_time_limit_that_is_none_is_refused(ray, command, number):
    """`--timeout nan` would wait for ever."""
    assert "is no number of seconds" in clean(ray(command, "--headless", "--timeout", number), 2).stderr


def test_a_missing_file_stops_a_run_and_no_reading_of_the_configuration(ray, tmp_path):
    """Before anything is written, with file, line and key; `config show` works where the file is not needed."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n[policy]\nallowed_signers = "signers"\n')
    for option in ("--headless", "--plain"):
        said = clean(ray("run", option), 2).stderr
        assert "ray-tui.toml:4: policy.allowed_signers: " in said
        assert "signers: no such file" in said
    assert not (tmp_path / ".artifacts").exists()
    clean(ray("config", "show"), 0)
    assert "ray-tui.toml:4: policy.allowed_signers: " in ray("doctor").stdout


def test_runs_are_listed_with_their_exit_codes(ray, tmp_path):
    """Machines read the list; an aborted run is 5."""
    assert json.loads(clean(ray("runs", "--json"), 0).stdout) == []
    a_run(tmp_path / ".artifacts" / "monitoring")
    (row,) = json.loads(clean(ray("runs", "--json"), 0).stdout)
    assert (row["status"], row["exit_code"], row["release"]) == ("aborted", 5, "v1")


def test_a_live_run_whose_configuration_has_changed_is_listed_so(ray, tmp_path):
    """Whoever looks for the run sees why a retry changed nothing; of a run that nobody carries out it says nothing."""
    folder = a_run(tmp_path / ".artifacts" / "monitoring", facts=(f.ConfigurationChanged(file="ray-tui.toml"),))
    stale = "ray-tui.toml has changed since; this run uses what it began with."
    assert stale not in ray("runs").stdout
    lock = rendezvous.Lock.take(folder)
    try:
        assert stale in clean(ray("runs"), 0).stdout
        assert json.loads(ray("runs", "--json").stdout)[0]["changed"] == stale
    finally:
        lock.release()


def test_a_past_run_is_printed_from_start_to_end(ray, tmp_path):
    """Its own exit code, as it was."""
    a_run(tmp_path / ".artifacts" / "monitoring")
    done = clean(ray("replay", "7f3a1c", "--plain"), 5)
    assert "the first note" in done.stdout
    assert "wrong release" in done.stdout


def test_the_newest_run_is_replayed_where_none_is_named(ray, tmp_path):
    """And where there is none at all, it says what makes one."""
    assert "no run here yet" in clean(ray("replay", "--plain"), 2).stderr
    a_run(tmp_path / ".artifacts" / "monitoring")
    assert "the first note" in clean(ray("replay", "--plain"), 5).stdout


def test_a_run_that_is_over_is_neither_attached_nor_resumed(ray, tmp_path):
    """Each refusal names what can be done instead."""
    scaffold.write(tmp_path)
    a_run(tmp_path / ".artifacts" / "monitoring")
    assert "replay" in clean(ray("attach", "7f3a1c", "--plain"), 2).stderr
    assert "replay" in clean(ray("run", "--run", "7f3a1c", "--headless"), 2).stderr


def test_locations_are_said_without_a_configuration(ray, tmp_path):
    """Everything that is read or written."""
    found = json.loads(clean(ray("locations", "--json"), 0).stdout)
    assert found["evidence"] == str(tmp_path / ".artifacts" / "monitoring")
    assert set(found) == {"config", "evidence", "runs", "manual", "context", "sockets", "themes"}


def test_the_configuration_s_schema_is_json_schema(ray):
    """Editors complete from it; each field is described."""
    schema = json.loads(clean(ray("config", "schema"), 0).stdout)
    models = {"Config": schema, **schema["$defs"]}
    bare = [f"{name}.{key}" for name, model in models.items() for key, value in model["properties"].items()
            if not value.get("description")]  # fmt: skip
    assert bare == []
    assert "thresholds" in schema["properties"]


def test_a_setting_is_changed_on_the_command_line(ray, tmp_path):
    """And a wrong one is refused with the file untouched."""
    scaffold.write(tmp_path)
    assert "thresholds.coverage = 0.9 (was 0.95)" in clean(ray("config", "set", "thresholds.coverage", "0.9"), 0).stdout
    before = (tmp_path / "ray-tui.toml").read_bytes()
    clean(ray("config", "set", "thresholds.coverage", "high"), 2)
    assert (tmp_path / "ray-tui.toml").read_bytes() == before
    shown = json.loads(clean(ray("config", "show"), 0).stdout)
    assert shown["thresholds"]["coverage"] == 0.9


def test_init_writes_and_then_keeps(ray, tmp_path):
    """The second time nothing is touched."""
    assert "wrote ray-tui.toml" in clean(ray("init", "--scripts", "--workflow"), 0).stdout
    (tmp_path / "ray-tui.toml").write_text("mine")
    assert "kept  ray-tui.toml" in clean(ray("init"), 0).stdout
    assert (tmp_path / "ray-tui.toml").read_text() == "mine"


def test_the_themes_are_listed(ray):
    """Those that are shipped, by name."""
    names = json.loads(clean(ray("themes", "--json"), 0).stdout)
    assert {path.stem for path in (ROOT / "themes").glob("*.toml")} == set(names)


def test_a_broken_theme_of_the_user_s_is_named(ray, tmp_path):
    """The others are still listed."""
    folder = tmp_path / "home" / "ray-tui" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('name = "mine"\nprimary = "no colour"\n')
    done = clean(ray("themes"), 2)
    assert "mine.toml: primary" in done.stderr
    assert "ray-dark" in done.stdout


def test_the_doctor_speaks_json_and_fails_on_findings(ray):
    """Without a configuration there is something to do."""
    found = {one["name"]: one for one in json.loads(clean(ray("doctor", "--json"), 1).stdout)}
    assert found["config"]["ok"] is False
    assert found["python"]["ok"] is True


@pytest.mark.parametrize("arguments", [("nonsense",), ("gate", "nonsense"), ("gates", "--nonsense"), ("replay",)])
def test_a_mistyped_command_is_exit_2(ray, arguments):
    """Usage errors are told apart from failed gates."""
    clean(ray(*arguments), 2)


@pytest.mark.parametrize(("typed", "meant"), [(("atach",), "attach"), (("gate", "handof"), "handoff")])
def test_a_mistyped_command_is_told_what_it_may_have_meant(ray, typed, meant):
    """A command that was never loaded is suggested as well."""
    assert f"Did you mean '{meant}'?" in clean(ray(*typed), 2).stderr


def test_a_reader_that_stops_reading_is_no_error(ray, tmp_path):
    """`ray-tui config schema | head -1` ends quietly."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "ray_tui", "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_every_command_explains_itself(ray):
    """--help of each command, to any depth, is exit 0 and says something."""
    from tests.cli.commands import commands

    for words in commands():
        assert "Usage" in clean(ray(*words, "--help"), 0).stdout
