"""Two OS users carry one run out that needs both, a third watches, links break, and the journal names each rightly."""

import contextlib
import json
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ray_tui.core import facts as f
from ray_tui.core.commands import Abort, ConfirmWaiver, TakeSeat
from ray_tui.rendezvous import is_locked
from tests.e2e.demo import wait_until
from tests.e2e.person import Person, box_on
from tests.e2e.team import Seat, a_team, a_world, an_sshd
from tests.e2e.tmux import Terminal

ROLES = {
    "mira": ("sre-lead", "operator"),
    "sam": ("release-manager", "security", "operator"),
    "jo": ("observer",),
    "lee": ("operator",),
}
POLICY = {"one_person_many_roles": True}
CAME = ("came", "came, to watch")
REASON = "ghost-team is being replaced this week"


@dataclass
class Meeting:
    """Who sits where, and what their screens showed at the moments that a failure will want to be explained by."""

    team: object
    stack: object
    end: contextlib.ExitStack
    shots: dict[str, str] = field(default_factory=dict)

    def sits(self, name):
        """This person's own terminal server."""
        return self.end.enter_context(Seat(self.team.members[name]))

    def opens(self, seat):
        """``ray-tui run`` at this seat."""
        return Person(seat.open(*self.team.ray_tui, "run", "--config", self.team.config))

    def attaches(self, seat, *more):
        return Person(seat.open(*self.team.ray_tui, "attach", self.run_id, "--config", self.team.config, *more))

    @property
    def run_id(self):
        return self.stack.run_folder().name

    @property
    def state(self):
        return self.stack.state()

    def shoot(self, name, terminal):
        """Keep what is on this screen now; a failure shows it."""
        self.shots[name] = terminal.screen()
        return self.shots[name]

    def facts(self, kind, person=None):
        """Entries of this kind, by this person where one is named."""
        return [e for e in self.stack.entries() if isinstance(e.fact, kind) and person in (None, e.actor.person)]


@contextlib.contextmanager
def a_meeting(scenario):
    with contextlib.ExitStack() as end:
        team = end.enter_context(a_team("mira", "sam", "jo"))
        stack = end.enter_context(a_world(team, scenario, ROLES, POLICY))
        meeting = Meeting(team, stack, end)
        try:
            yield meeting
        except Exception as exc:
            for name, shown in meeting.shots.items():
                exc.add_note(f"--- {name}\n{shown}")
            raise


def together(people, wanted, seconds=90.0):
    """Each answers what their own screen asks, turn by turn, until this is so."""
    deadline, before = time.monotonic() + seconds, {}
    while not wanted():
        for number, person in enumerate(people):
            box = box_on(person.terminal.screen())
            if box is not None and box == before.get(number):
                person.answer(box)
            before[number] = box
            assert person.terminal.ended is None, f"a console ended:\n{person.terminal.screen()}"
        if time.monotonic() > deadline:
            shown = "\n".join(person.terminal.screen() for person in people)
            raise AssertionError(f"never came; asked: {[person.asked for person in people]}\n{shown}")
        time.sleep(0.1)


def shows(person, text):
    return lambda: text in person.terminal.screen()


def title_on(terminal: Terminal):
    box = box_on(terminal.screen())
    return box.title if box else ""


def propose(person):
    """At the halt: waive the one criterion that blocks, with a reason; seven days."""
    terminal = person.terminal
    person.choose("Waive…")
    terminal.wait_for("Which criterion?")
    person.onward()
    person.fill(REASON)
    person.onward()
    person.onward()
    person.fill("OPS-7")
    terminal.press("Enter")
    terminal.wait_for(lambda shown: "Which criterion?" not in shown)


def opens_waiver(terminal):
    """``p``, and where a list opens its second line: the waiver as its initiator sees it. Gives that screen."""
    deadline = time.monotonic() + 30
    while not title_on(terminal).startswith("Waiver"):
        assert time.monotonic() < deadline, terminal.screen()
        if title_on(terminal) == "What waits for a decision":
            terminal.press("Down", "Enter")
        elif not title_on(terminal):
            terminal.press("p")  # a key that comes while a dialog is just closing may be lost
        with contextlib.suppress(AssertionError):
            terminal.wait_for(lambda shown: (box := box_on(shown)) is not None and box.title.startswith("Waiver"), 2)
    return terminal.wait_for("waits for a second person")


ASK = """
import json, socket, sys
path, hello, command = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
link = socket.socket(socket.AF_UNIX); link.settimeout(20); link.connect(path)
lines = link.makefile("rwb")
for message in ({"hello": hello}, {"id": 1, "command": command}):
    lines.write(json.dumps(message).encode() + b"\\n"); lines.flush()
for line in lines:
    said = json.loads(line)
    if "reply" in said:
        print(json.dumps(said["reply"])); break
"""


def asked_directly(meeting, name, command, read_only=False):
    """What the host replies to this user's own program on the socket: the console's politeness is not the guard."""
    path = next(meeting.team.sockets.glob("*.sock"))
    hello = {"since": 0, "read_only": read_only}
    done = meeting.team.members[name].run(meeting.team.python, "-c", ASK, path, json.dumps(hello), json.dumps(command))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kill_console(meeting, name):
    """SIGKILL for this person's console: no goodbye, no cleanup."""
    pids = meeting.team.members[name].processes(f"{meeting.team.python} -m ray_tui attach")
    pids = [pid for pid in pids if not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sh\0")]
    assert len(pids) == 1, pids
    os.kill(pids[0], signal.SIGKILL)


def gone(meeting, name, *ways):
    """Wait until the journal says how this person's console went, and that it was one of these ways."""
    wait_until(lambda: comings(meeting, name)[-1] not in CAME, f"{name}'s departure in the journal")
    assert comings(meeting, name)[-1] in ways


@pytest.mark.timeout(400)
def test_two_people_complete_a_run_that_one_alone_could_not(tmp_path):
    """Two OS users, a waiver that needs both, an observer, three broken links; the journal names each. (P80)"""
    with a_meeting("unowned-check") as meeting:
        mira_sits, sam_sits, jo_sits = (meeting.sits(name) for name in ("mira", "sam", "jo"))

        mira = meeting.opens(mira_sits)
        mira.until(lambda shown: "Release Manager approval" in shown and box_on(shown) is None)
        meeting.shoot("mira, while the release manager is waited for", mira.terminal)
        assert not meeting.state.approvals, "mira is no release manager, and the host has asked somebody else"

        sam = meeting.attaches(sam_sits)
        jo = meeting.attaches(jo_sits, "--observe")
        together([jo], shows(jo, "READ-ONLY"))
        together([mira, sam], lambda: meeting.state.halt is not None)
        halted_at = meeting.state.halt.step
        together([mira], lambda: title_on(mira.terminal).startswith("Halted at"))
        assert not title_on(sam.terminal).startswith("Halted at"), "only the driver decides what to do about it"

        kill_console(meeting, "sam")
        gone(meeting, "sam", "lost the link")

        propose(mira)
        wait_until(lambda: meeting.state.proposed, "the proposal in the journal")
        waiver = next(iter(meeting.state.proposed))
        waiting = opens_waiver(mira.terminal)
        meeting.shoot("mira, while the second person is waited for", mira.terminal)
        assert REASON in waiting
        assert not re.search(r"^\W*Yes\b", waiting, re.MULTILINE), "nothing here says yes to one's own waiver"
        mira.terminal.press("Enter", "y", "Escape")
        watching(meeting, jo)
        confirm = ConfirmWaiver(waiver_id=waiver).to_json()
        assert "second person" in asked_directly(meeting, "mira", confirm)["refused"]
        for command in (confirm, TakeSeat().to_json(), Abort(reason="because").to_json()):
            assert "only watches" in asked_directly(meeting, "jo", command)["refused"]
            assert "only watches" in asked_directly(meeting, "jo", command, read_only=True)["refused"]
        assert meeting.state.halt is not None
        assert not meeting.state.waivers

        sam = meeting.attaches(sam_sits)
        together([sam], lambda: meeting.state.waivers)
        assert f"Confirm waiver {waiver}?" in sam.asked
        together([mira, sam], lambda: meeting.state.steps[halted_at].settled)

        mira_sits.tmux("kill-session", "-t", mira.terminal.name)
        gone(meeting, "mira", "hung up", "lost the link")
        mira = meeting.attaches(mira_sits)
        together([mira, sam], lambda: meeting.state.completed is not None, 150)
        for person in (mira, sam, jo):
            together([person], shows(person, "protocol complete"), 20)
            person.terminal.press("q")
            assert person.terminal.wait_for_end() == 0, person.terminal.screen()
        gone(meeting, "jo", "left")
        names_everyone(meeting, waiver, halted_at)


def watching(meeting, jo):
    """The observer's console shows the run, and takes no decision, whatever is pressed."""
    before = meeting.stack.lines()
    jo.terminal.press("Escape")
    shown = meeting.shoot("jo, who observes", jo.terminal)
    assert "READ-ONLY" in shown.splitlines()[0]
    for key in ("p", "w", "r", "m", "n", "t", "g"):
        jo.terminal.press(key)
        jo.terminal.wait_for(lambda seen: box_on(seen) is None)
    assert meeting.stack.lines() == before, "an observer's keys leave nothing in the journal"


def names_everyone(meeting, waiver, halted_at):
    """Who opened, approved, proposed, confirmed, joined, lost the link, came back and left; and no one else did.

    What both may answer they may both be about to answer: the second is told so, and that is no wrong deed.
    """
    state, team = meeting.state, meeting.team
    uids = {member.uid: name for name, member in team.members.items()}
    assert state.opened.operator == "mira"
    assert state.opened.demo is False
    for entry in meeting.stack.entries():
        if entry.actor.person != "engine":
            assert uids[entry.actor.uid] == entry.actor.person, entry

    approved = {(e.fact.role, e.fact.person, e.actor.person) for e in meeting.facts(f.ApprovalRecorded)}
    assert {("release-manager", "sam", "sam"), ("sre-lead", "mira", "mira"), ("security", "sam", "sam")} <= approved
    assert all(person == actor for _, person, actor in approved)
    assert {e.fact.assurance for e in meeting.facts(f.ApprovalRecorded)} == {"unsigned"}

    (proposed,) = meeting.facts(f.WaiverProposed)
    (waived,) = meeting.facts(f.Waived)
    assert (proposed.actor.person, proposed.fact.operator, proposed.fact.step) == ("mira", "mira", halted_at)
    assert (waived.actor.person, waived.fact.approver, waived.fact.operator) == ("sam", "sam", "mira")
    assert (waived.fact.id, waived.fact.reason) == (waiver, REASON)
    refusals = [e for e in meeting.facts(f.CommandRefused) if not e.fact.why.endswith("has answered that already.")]
    assert [(e.actor.person, e.fact.command) for e in refusals] == [("mira", "confirm_waiver")]

    answered = {e.actor.person for e in meeting.facts(f.PromptAnswered)}
    assert answered == {"mira", "sam"}
    changing = {type(e.fact) for e in meeting.stack.entries() if e.actor.person == "jo"}
    assert changing == {f.ConsoleAttached, f.ConsoleDetached}, "an observer is seen, and never acts"

    assert comings(meeting, "sam") == ["came", "lost the link", "came", "left"]
    came, hung_up, *back = comings(meeting, "mira")
    assert (came, back) == ("came", ["came", "left"])
    assert hung_up in ("hung up", "lost the link"), "on a busy machine it may end before it has said how"
    assert comings(meeting, "jo") == ["came, to watch", "left"]
    assert not state.consoles
    assert len({e.fact.pid for e in meeting.facts(f.HostStarted)}) == 1, "one host, from start to end"
    member = team.members["sam"]
    checked = member.run(*team.ray_tui, "verify", meeting.stack.run_folder())
    assert checked.returncode == 0, checked.stdout + checked.stderr


def comings(meeting, name):
    """How this person's consoles came and went, in order; a program of ours on the socket has no hints."""
    seen = []
    for entry in meeting.stack.entries():
        if entry.actor.person == name and entry.actor.hints:
            if isinstance(entry.fact, f.ConsoleAttached):
                seen.append(CAME[entry.fact.read_only])
            elif isinstance(entry.fact, f.ConsoleDetached):
                seen.append(entry.fact.why)
    return seen


# --- over ssh --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def frozen(pids):
    """These processes stand still meanwhile."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(200)
def test_a_run_goes_on_when_the_ssh_connection_of_a_console_is_killed(tmp_path):
    """A real sshd on loopback; SIGKILL for its session takes the console away, not the run; the person comes back."""
    with a_meeting("healthy") as meeting, an_sshd(meeting.team) as ssh:
        sits = meeting.sits("mira")
        far = ssh.words(meeting.team.members["mira"])
        ray_tui = ("env", *far.environment, *meeting.team.ray_tui)
        mira = Person(sits.open(*far.login, *ray_tui, "run", "--config", meeting.team.config))
        mira.until(lambda shown: "Release Manager approval" in shown and box_on(shown) is None)
        meeting.shoot("mira, over ssh", mira.terminal)
        (attached,) = meeting.facts(f.ConsoleAttached)
        assert attached.actor.person == "mira"
        assert "127.0.0.1" in attached.actor.hints["SSH_CONNECTION"]
        hosts = [e.fact.pid for e in meeting.facts(f.HostStarted)]

        ssh.kill_sessions()
        assert mira.terminal.wait_for_end() == 255
        wait_until(lambda: not meeting.state.consoles, "its departure in the journal")
        (detached,) = meeting.facts(f.ConsoleDetached)
        assert detached.actor.person == "mira"
        assert detached.fact.why in ("hung up", "lost the link")
        member = meeting.team.members["mira"]
        wait_until(lambda: not member.processes("ray_tui run"), "the end of the console's process")
        assert is_locked(meeting.stack.run_folder())

        sam = meeting.attaches(meeting.sits("sam"))
        together([sam], lambda: len(meeting.state.approvals) == 1)
        again = Person(sits.open(*far.login, *ray_tui, "attach", meeting.run_id, "--config", meeting.team.config))
        together([again], lambda: len(meeting.state.approvals) == 2)
        with frozen(ssh.sessions()):  # the server's end: tmux lets a program of its own that was stopped go on
            together([sam], lambda: meeting.state.steps["prerequisites"].settled)
            assert "Pre ✓" not in again.terminal.screen(), "nothing comes through"
        together([again], shows(again, "Pre ✓"), 20)
        assert comings(meeting, "mira")[-1] == "came", "a link that only stood still was never lost"
        assert [e.fact.pid for e in meeting.facts(f.HostStarted)] == hosts, "the run never stopped"
        assert {(e.fact.role, e.actor.person) for e in meeting.facts(f.ApprovalRecorded)} == {
            ("release-manager", "sam"), ("sre-lead", "mira"), ("security", "sam"),
        }  # fmt: skip
