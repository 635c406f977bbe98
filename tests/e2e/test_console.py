"""The full-screen console in a real terminal: what a person types, what they then see, and what it can never end."""

import asyncio
import fcntl
import json
import os
import re
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ray_tui import journal, rendezvous, runs_on_disk, wiring
from ray_tui.actions import package as sealing
from ray_tui.config import load
from ray_tui.core import facts as f
from ray_tui.core.handle import Rewound
from ray_tui.core.state import RunState, apply, fold
from ray_tui.core.verdicts import Verdict
from ray_tui.evidence import index, package, records
from ray_tui.handles.socket import SocketHandle
from tests.e2e.demo import Stack, ray_tui, wait_until
from tests.e2e.person import Person, asks, at_the_console, box_on
from tests.e2e.tmux import Tmux

FIRST_QUESTION = "Release Manager approval"
LONG_RUN_SECONDS = 110.0


@dataclass(frozen=True)
class Finished:
    """A run that a person has completed at 80×24, and what they saw."""

    stack: Stack
    screen: str
    code: int
    said: str
    asked: list[str]

    @property
    def journal(self):
        return self.stack.run_folder() / "journal.jsonl"

    @property
    def zip(self):
        return self.stack.folder / ".artifacts" / "monitoring" / "MONITORING-PACKAGE.zip"


def complete(folder, width, height):
    """Carry the healthy demo out by the keyboard alone; what the person saw, as JSON."""
    with at_the_console(folder, width, height) as scene:
        person = Person(scene.console)
        screen = person.until("protocol complete", LONG_RUN_SECONDS)
        scene.console.press("q")
        code = scene.console.wait_for_end()
        return {"screen": screen, "code": code, "said": scene.console.screen(), "asked": person.asked}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run for the whole file, also where several workers share it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = root / "console-finished"
    folder.mkdir(exist_ok=True)
    with (root / "console-finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = root / "console-finished.json"
        if not record.exists():
            record.write_text(json.dumps(complete(folder, 80, 24)))
    return Finished(Stack(folder), **json.loads(record.read_text()))


def is_whole(stack, screen, code, said):
    """The claims of a completed run, from the screen, the exit code, the journal and the verifier."""
    assert "✓ WATCHED" in screen.splitlines()[0]
    assert "protocol complete" in screen
    assert code == 0
    assert "is completed" in said
    state = stack.state()
    assert state.completed is not None
    assert all(step.verdict is Verdict.PASSED for name, step in state.steps.items() if name.startswith("gate."))
    answered = [entry for entry in stack.entries() if isinstance(entry.fact, f.PromptAnswered)]
    assert {entry.actor.person for entry in answered if entry.actor} == {"mira"}
    checked = ray_tui("verify", stack.run_folder())
    assert checked.returncode == 0, checked.stdout


def test_at_80_by_24_a_person_completes_the_protocol_by_the_keyboard(finished):
    """Every question is answered from what the screen says; exit 0, the journal verifies. (P92)"""
    is_whole(finished.stack, finished.screen, finished.code, finished.said)
    assert finished.asked[0] == "Mission"
    assert "Page these people for a test?" in finished.asked


def test_at_160_by_48_a_person_completes_the_protocol_by_the_keyboard(tmp_path):
    """The wide console asks the same questions and ends the same."""
    seen = complete(tmp_path, 160, 48)
    is_whole(Stack(tmp_path), seen["screen"], seen["code"], seen["said"])


# --- several consoles ------------------------------------------------------------------------------------------------


def panes_of(terminal):
    """What every console of one run shows alike: phases, pane and events; not the clock, keys, nor who is "you"."""
    lines = terminal.lines()
    return [lines[1], *lines[3:-1]]


def same_on(*terminals, seconds=15.0):
    """Wait until all of them show the same; fails with the first difference."""
    deadline = time.monotonic() + seconds
    while len({tuple(panes_of(terminal)) for terminal in terminals}) > 1:
        if time.monotonic() > deadline:
            raise AssertionError("the consoles differ:\n" + "\n".join(t.screen() for t in terminals))
        time.sleep(0.05)


async def state_from(path, seq):
    """The state as a console folds it, up to that entry."""
    handle = await SocketHandle.attach(path, read_only=True)
    state = RunState()
    try:
        async for entry in handle.entries():
            assert not isinstance(entry, Rewound)
            if entry.seq > seq:
                break
            apply(state, entry)
            if entry.seq == seq:
                break
    finally:
        await handle.close()
    return state


async def states_from(path, seq):
    async with asyncio.timeout(10):
        return await asyncio.gather(state_from(path, seq), state_from(path, seq))


def test_three_consoles_show_one_run_and_only_the_driver_decides(tmp_path):
    """A second and a late third console see the same panes; an observer cannot answer, and is told so."""
    with at_the_console(tmp_path) as scene:
        Person(scene.console).until(asks(FIRST_QUESTION))
        second = scene.open("attach", scene.run_id, "--config", scene.stack.config)
        second.wait_for(FIRST_QUESTION)
        assert box_on(second.screen()) is None, "only the driver is asked"
        Person(scene.console).until(asks("Security approval"))
        late = scene.open("attach", scene.run_id, "--config", scene.stack.config, "--observe")
        late.wait_for("READ-ONLY")
        scene.console.press("Escape")
        scene.console.wait_for("Events")
        for terminal in (scene.console, second, late):
            terminal.press("1")
        same_on(scene.console, second, late)
        assert re.search(r"you drive|driving: mira \(you\)", scene.console.lines()[0])
        assert re.search("mira drives|driving: mira", second.lines()[0])
        assert "READ-ONLY" in late.lines()[0]
        journalled = scene.stack.entries()
        socket = rendezvous.socket_path(scene.run_id, load(scene.stack.config))
        one, other = asyncio.run(states_from(socket, journalled[-1].seq))
        assert one == other == fold(journalled)
        assert one.driver == "mira"
        answered = len(answers_in(scene.stack))
        late.press("p")
        late.wait_for("mira cannot")
        late.press("Escape")
        late.wait_for("Events")
        late.press("n")
        late.wait_for("only watches")
        assert box_on(late.screen()) is None
        assert len(answers_in(scene.stack)) == answered


def answers_in(stack):
    return [entry for entry in stack.entries() if isinstance(entry.fact, f.PromptAnswered)]


# --- leaving and coming back -----------------------------------------------------------------------------------------


def test_q_detaches_says_how_to_come_back_and_the_run_goes_on(tmp_path):
    """The printed command joins the same host again, and the question is still there to be answered."""
    with at_the_console(tmp_path) as scene:
        Person(scene.console).until("SRE lead approval")
        scene.console.press("Escape")
        scene.console.wait_for("Events")
        scene.console.press("q")
        assert scene.console.wait_for_end() == 0
        said = scene.tmux.tmux("capture-pane", "-p", "-J", "-t", scene.console.name)
        assert "Detached; the run waits" in said
        back = re.search(r" (attach \S+ --config \S+)", said)
        assert back, said
        assert rendezvous.is_locked(scene.stack.run_folder())
        again = scene.open(*shlex.split(back.group(1)))
        Person(again).until(asks("Security approval"))
        assert len(scene.hosts()) == 1, "the run never stopped"
        assert [prompt.raised.title for prompt in scene.stack.state().open_prompts] == ["Security approval"]


def test_a_hang_up_ends_the_console_and_never_the_run(tmp_path):
    """SIGHUP, as when a connection drops: the host lives on, works on, and takes the next console."""
    with at_the_console(tmp_path) as scene:
        Person(scene.console).until(asks("Security approval"))
        before = scene.stack.lines()
        scene.console.hang_up()
        again = scene.open("attach", scene.run_id, "--config", scene.stack.config)
        wait_until(lambda: scene.stack.lines() > before, "the departure in the journal")
        Person(again).until("Apply 4 changes", 30)
        scene.tmux.tmux("kill-session", "-t", again.name)
        wait_until(lambda: not scene.stack.state().consoles, "the second departure in the journal")
        assert rendezvous.is_locked(scene.stack.run_folder())
        third = scene.open("attach", scene.run_id, "--config", scene.stack.config)
        third.wait_for("● live")
        assert len(scene.hosts()) == 1
        assert scene.stack.state().steps["1.3"].settled, "phase 1 was carried out between the hang-ups"


def test_ctrl_c_ends_nothing(tmp_path):
    """Neither over a dialog nor over the panes; it says what does leave."""
    with at_the_console(tmp_path) as scene:
        scene.console.wait_for("Enter goes on")
        scene.console.press("C-c")
        scene.console.wait_for("Ctrl-C ends nothing")
        Person(scene.console).until(asks(FIRST_QUESTION))
        scene.console.press("C-c", "Escape")
        scene.console.wait_for("Events")
        scene.console.press("C-c", "C-c", "C-c")
        scene.console.press("p")
        scene.console.wait_for(asks(FIRST_QUESTION))
        assert scene.console.ended is None
        assert rendezvous.is_locked(scene.stack.run_folder())
        assert scene.stack.state().aborted is None


# --- halts -----------------------------------------------------------------------------------------------------------


def waive_together(scene, person, box):
    """One reason for all five of one cause; then the second person, at a console of their own, confirms them."""
    assert "criteria block" in box.text or "[RAY ERROR]" in box.text  # the seed's line stands after many
    person.choose("Waive…")
    person.terminal.wait_for("All 5 of one cause")
    person.onward()
    person.fill("the pager is known to be slow this week")
    person.onward()
    person.onward()
    person.fill("OPS-1")
    person.terminal.press("Enter")
    person.terminal.wait_for("5 of 5 waivers proposed")
    person.terminal.wait_for("waiting for another person than mira to confirm: 5 waivers")
    second = scene.open("attach", scene.run_id, "--as", "tom", "--config", scene.stack.config, size=(120, 40))
    second.wait_for("Confirm 5 waivers")
    second.press("Down", "Enter")
    second.wait_for("5 of 5 waivers confirmed")
    second.press("q")
    assert second.wait_for_end() == 0


def test_a_halt_shows_the_error_and_a_waived_run_goes_on_to_its_end(tmp_path):
    """Late acknowledgements halt 2.2; waived together by one, confirmed by another: five waivers in the record."""
    with at_the_console(tmp_path, scenario="late-ack") as scene:
        person = Person(scene.console, lambda person, box: waive_together(scene, person, box))
        person.until("protocol complete", 150)
        scene.console.press("q")
        assert scene.console.wait_for_end() == 0
        assert "Halted at 2.2 Test Alert Paths" in person.asked
        state = scene.stack.state()
        waived = [entry.fact for entry in scene.stack.entries() if isinstance(entry.fact, f.Waived)]
        assert len(waived) == 5
        assert all(one.criterion.startswith("alert_paths.ack:") for one in waived)
        assert {(one.operator, one.approver, one.ticket) for one in waived} == {("mira", "tom", "OPS-1")}
        assert runs_on_disk.find_run(scene.stack.folder / ".artifacts" / "monitoring", None).state.completed is not None
        assert state.completed is not None


def abort(person, box):
    assert "criteria block" in box.text or "[RAY ERROR]" in box.text  # the seed's line stands after many
    person.choose("Abort…")
    person.terminal.wait_for("Abort this run?")
    person.fill("not today")
    person.onward()
    person.terminal.type("abort")
    person.terminal.press("Enter")
    person.gone(box)


def test_an_aborted_run_is_over_and_the_console_exits_5(tmp_path):
    """Abort is typed in full; the exit code is the documented one for an aborted run."""
    with at_the_console(tmp_path, scenario="missing-coverage") as scene:
        Person(scene.console, abort).until(lambda shown: "ABORTED" in shown and box_on(shown) is None)
        scene.console.wait_for("Events")
        scene.console.press("q")
        code = scene.console.wait_for_end()
        assert scene.stack.state().aborted is not None
        assert "is aborted" in scene.console.screen()
        assert code == 5


# --- no terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["demo", "run", "attach", "replay"])
def test_without_a_terminal_it_says_so_and_exits_2(tmp_path, finished, command):
    """A pipe is no place for a full screen: one clear line, nothing started."""
    config, folder = finished.stack.config, finished.stack.run_folder()
    more = {"demo": ["--dir", tmp_path / "x"], "run": ["--config", config], "attach": ["--config", config],
            "replay": [folder]}[command]  # fmt: skip
    before = sorted(folder.parent.iterdir())
    done = ray_tui(command, *more, timeout=30)
    assert done.returncode == 2, done.stderr
    if command != "attach":  # a finished run cannot be attached to, and that is said first
        assert "no terminal" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()
    assert sorted(folder.parent.iterdir()) == before


def test_a_dumb_terminal_is_told_what_to_do(tmp_path):
    """TERM=dumb cannot show a full screen; --plain can."""
    with Tmux() as tmux:
        console = tmux.open("env", "TERM=dumb", sys.executable, "-m", "ray_tui", "demo", "--dir", tmp_path / "x")
        assert console.wait_for_end() == 2
        console.wait_for("--plain")


# --- replay ----------------------------------------------------------------------------------------------------------


def bar(shown):
    """The transport's line: (playing, seconds from the start, speed)."""
    found = re.search(r"(▶ playing|‖ paused|▶|‖)\s+([\d:]+) / ([\d:]+)\s+×(\S+)", shown)
    return (found.group(1) == "▶", found.group(2), found.group(4)) if found else None


@pytest.mark.parametrize("of", ["journal", "zip"])
def test_a_replay_plays_pauses_and_seeks_in_a_terminal(finished, of):
    """The past on the same panes: its end shows what the run's last screen showed."""
    with Tmux() as tmux:
        console = tmux.open(sys.executable, "-m", "ray_tui", "replay", getattr(finished, of))
        start = bar(console.wait_for(bar))
        console.wait_for(lambda shown: (now := bar(shown)) is not None and now[1] != start[1])
        console.press("Space")
        console.wait_for(lambda shown: (now := bar(shown)) is not None and not now[0])
        console.type(":")
        console.wait_for("Go to")
        console.type("2.2")
        console.press("Enter")
        console.wait_for(lambda shown: "▶ 2.2" in shown)
        console.type(":")
        console.wait_for("Go to")
        console.type("999999")
        console.press("Enter")
        words = "protocol complete" if of == "journal" else "package"
        last = console.wait_for(lambda shown: words in shown and bar(shown) is not None)
        assert bar(last)[0] is False
        console.type(":")
        console.wait_for("Go to")
        console.type("1.1")
        console.press("Enter")
        console.wait_for(lambda shown: "▶ 1.1" in shown)
        console.type("q")
        assert console.wait_for_end() == 0


async def replayed(path, seq=None):
    """The state that a replay shows after having been sought back and forth."""
    handle = wiring.open_replay(path, playing=False)
    last = handle.duration[0] if seq is None else seq
    handle.seek(last)
    state, found = RunState(), 0
    async with asyncio.timeout(20):
        async for entry in handle.entries():
            if isinstance(entry, Rewound):
                state = RunState()
                continue
            apply(state, entry)
            if entry.seq == last:
                found += 1
                if found == 2:
                    break
                handle.seek(last // 2)
            elif entry.seq == last // 2 and found:
                handle.seek(last)
    await handle.close()
    return state


async def test_a_replay_ends_in_the_state_of_the_run(finished):
    """The journal's replay equals the fold of the run; the package's equals it up to where the package was sealed."""
    entries = finished.stack.entries()
    assert await replayed(finished.journal) == fold(entries)
    packed = wiring.replay_entries(finished.zip)
    assert 0 < len(packed) < len(entries)
    assert await replayed(finished.zip) == fold(entries[: len(packed)])


def test_the_package_is_built_again_to_the_same_bytes(finished):
    """Nothing of the place or the moment is in it: from the run's folder and its journal up to there, the same file."""
    data = finished.zip.read_bytes()
    assert rebuilt(finished.stack.run_folder()) == data
    assert str(Path.home()).encode() not in data


def rebuilt(run):
    """The zip that the journal says was sealed, from the evidence that it says there was."""
    lines = list(journal.read(run / "journal.jsonl"))
    sealed = fold([line.entry for line in lines]).package
    lines = lines[: sealed.through_seq]
    state = fold([line.entry for line in lines])
    required = {want.name: want.required for want in sealing.wanted(state)}
    as_json, as_markdown = records.backlog(state)
    grown = {  # these went on after the sealing: readers were told, gaps were filed
        "communication-log.jsonl": records.communication_log(state),
        "improvement-backlog.json": as_json, "improvement-backlog.md": as_markdown,
    }  # fmt: skip
    after = {"MONITORING-PACKAGE.zip", "monitoring-package-manifest.json"}
    items = [
        package.Item(
            name, grown[name] if name in grown else (run / "evidence" / name).read_bytes(), written.step,
            required.get(name, False), index.media_type(name),
        )
        for name, written in state.evidence.items() if name not in after
    ]  # fmt: skip
    whole = b"".join(line.raw for line in lines)
    items.append(package.Item("journal.jsonl", whole, "4.1", True, "application/jsonl"))
    opened = state.opened
    header = {
        "run_id": opened.run_id, "release": opened.release, "environment": opened.environment, "demo": opened.demo,
        "through_seq": sealed.through_seq, "journal_head": lines[-1].head,
    }  # fmt: skip
    return package.build(items, header)[0]
