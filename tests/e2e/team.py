"""Several people on one machine: OS users of a team, what they run, and the terminal that each sits at."""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tomlkit

import ray_tui
from tests.e2e.demo import Stack, wait_until
from tests.e2e.tmux import Tmux

ACCOUNT_SECONDS = 20.0
SYSTEM_PYTHON = "/usr/bin/python3"


def required(why):
    """Skip for this reason; fail where RAY_TUI_REQUIRE_REAL=1 says that nothing may be missing."""
    if os.environ.get("RAY_TUI_REQUIRE_REAL") == "1":
        pytest.fail(f"{why} (RAY_TUI_REQUIRE_REAL=1)")
    pytest.skip(why)


def account(*command):
    """useradd and its kin; waits for the lock on /etc/passwd that another worker may hold."""
    deadline = time.monotonic() + ACCOUNT_SECONDS
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        if "lock" not in done.stderr or time.monotonic() > deadline:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Member:
    """One OS user of the team: ``login`` is known to the kernel, ``home`` is theirs alone."""

    login: str
    home: Path
    environment: dict[str, str]

    @property
    def uid(self):
        return pwd.getpwnam(self.login).pw_uid

    @property
    def gid(self):
        return pwd.getpwnam(self.login).pw_gid

    @property
    def become(self):
        """The words that run a command as this user, with the user's groups and nothing of ours in the environment."""
        said = [f"{name}={value}" for name, value in self.environment.items()]
        return ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "env", "-i", *said)

    def run(self, *command, **more):
        return subprocess.run([*self.become, *map(str, command)], capture_output=True, text=True, cwd=self.home,
                              timeout=60, **more)  # fmt: skip

    def processes(self, word=""):
        """Process ids of this user whose command line holds the word."""
        found = []
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if path.name.isdigit() and path.stat().st_uid == self.uid:
                    said = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if word in said and said:
                        found.append(int(path.name))
        return found


class Seat(Tmux):
    """A tmux server that runs as the member who sits there: their terminal, their user id."""

    def __init__(self, member, width=120, height=40):
        super().__init__(width, height)
        self.member = member
        os.chown(self.codes.name, member.uid, member.gid)

    def tmux(self, *args):
        done = self.member.run("tmux", "-L", self.socket, *args)
        assert done.returncode == 0, f"tmux {' '.join(map(str, args))}: {done.stderr}"
        return done.stdout


@dataclass
class Team:
    """A shared repository, a shared socket folder, and the people who may use them."""

    base: Path
    group: str
    python: str
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def repository(self):
        return self.base / "repository"

    @property
    def config(self):
        return self.repository / "ray-tui.toml"

    @property
    def sockets(self):
        return self.base / "sockets"

    @property
    def ray_tui(self):
        """The words that run the program as it is installed for everybody."""
        return (self.python, "-m", "ray_tui")

    def folder(self, path, member, mode):
        path.mkdir(exist_ok=True)
        os.chown(path, member.uid, self.gid)
        path.chmod(mode)

    @property
    def gid(self):
        return grp.getgrnam(self.group).gr_gid


@contextmanager
def a_team(*people):
    """People as OS users of one group, made for this test and removed with everything of theirs afterwards."""
    if os.getuid() != 0:
        pytest.skip("needs root, to make OS users and to become them")
    for tool in ("useradd", "userdel", "groupadd", "setpriv", "tmux"):
        if shutil.which(tool) is None:
            required(f"{tool} is not on the PATH")
    mark = uuid.uuid4().hex[:6]
    with contextlib.ExitStack() as end:
        base = Path(tempfile.mkdtemp(prefix="ray-team-", dir="/tmp"))
        end.callback(shutil.rmtree, base, ignore_errors=True)
        base.chmod(0o755)
        group = f"rt{mark}"
        account("groupadd", group)
        end.callback(account, "groupdel", group)
        team = Team(base, group, SYSTEM_PYTHON)
        environment = installation(base)
        for person in people:
            login, home = f"rt{mark}-{person}", base / person
            account("useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh", "--groups", group,
                    "--password", "*", login)  # fmt: skip
            end.callback(account, "userdel", login)
            member = Member(login, home, {**environment, "HOME": str(home), "USER": login, "LOGNAME": login})
            end.callback(end_processes, member)
            team.folder(home, member, 0o700)
            team.members[person] = member
        team.python = interpreter(team)
        first = team.members[people[0]]
        team.folder(team.repository, first, 0o2750)
        team.folder(team.sockets, first, 0o2750)
        yield team


def installation(base):
    """A copy of the program that every user can read; its libraries are those of this interpreter."""
    program = base / "program"
    source = Path(ray_tui.__file__).parent
    shutil.copytree(source, program / "ray_tui", ignore=shutil.ignore_patterns("__pycache__"))
    if (themes := source.parent / "themes").is_dir():
        shutil.copytree(themes, program / "themes")
    for path in (program, *program.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm-256color", "SHELL": "/bin/sh",
        "PYTHONPATH": f"{program}:{sysconfig.get_paths()['purelib']}", "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
    }  # fmt: skip


def interpreter(team):
    """One that a member can run, and can run again from inside: ours may lie in a folder of root's."""
    member = next(iter(team.members.values()))
    again = "import subprocess, sys, textual, pydantic, ray_tui.cli; subprocess.run([sys.executable, '-V'], check=True)"
    said = []
    for candidate in dict.fromkeys((sys.executable, os.path.realpath(sys.executable), SYSTEM_PYTHON)):
        done = member.run(candidate, "-c", again)
        if done.returncode == 0:
            return candidate
        said.append(f"{candidate}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return required(f"another user cannot run this installation: {said}")


def end_processes(member):
    """Nothing of this user's is left, first politely."""
    deadline = time.monotonic() + 10
    while left := member.processes():
        late = time.monotonic() > deadline - 7
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


@contextmanager
def a_world(team, scenario, people, policy):
    """The demo's servers and repository, run by the first member, with these people and this policy instead of its."""
    first = next(iter(team.members.values()))
    log = team.base / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*first.become, team.python, "-m", "ray_tui.demo", "--dir", str(team.repository), "--scenario", scenario],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=first.home,
        )  # fmt: skip
        try:
            wait_until((team.repository / "stack.json").exists, f"the demo stack; {log.read_text()}")
            write_config(team, people, policy)
            yield Stack(team.repository, scenario)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def write_config(team, people, policy):
    """No demo any more: who is who is said by the OS user."""
    settings = tomlkit.parse(team.config.read_text("utf-8"))
    settings["policy"] = {"unsigned_approvals": True, **policy}
    settings["host"] = {"socket_dir": str(team.sockets), "group": team.group}
    del settings["run"]["operator"]
    for name, roles in people.items():
        known = settings["people"].get(name, tomlkit.table())
        known.pop("uid", None)
        known["roles"] = list(roles)
        if name in team.members:
            known["login"] = team.members[name].login
        settings["people"][name] = known
    for name in settings["people"]:
        settings["people"][name].pop("uid", None)
    text = tomlkit.dumps(settings)
    tomllib.loads(text)
    team.config.write_text(text, "utf-8")


# --- ssh -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """``login``: the words that carry a command out over ssh, with a terminal; ``environment``: what it needs there."""

    login: tuple[str, ...]
    environment: tuple[str, ...]


@dataclass
class Sshd:
    """An sshd of this test's own."""

    team: Team
    folder: Path
    port: int
    process: subprocess.Popen

    def words(self, member):
        """How this member comes in, with a key of theirs."""
        key = member.home / "id_ed25519"
        if not key.exists():
            done = member.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
            assert done.returncode == 0, done.stderr
            (self.folder / member.login).write_bytes(key.with_suffix(".pub").read_bytes())
        options = {"IdentityFile": key, "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null",
                   "LogLevel": "ERROR", "Port": self.port}  # fmt: skip
        said = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        keep = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "LANG")
        environment = tuple(f"{name}={member.environment[name]}" for name in keep)
        return Words(("ssh", "-F", "none", "-tt", *said, f"{member.login}@127.0.0.1"), environment)

    def sessions(self):
        """The server's processes of the connections; not what they run."""
        pids = {pid for pid in descendants(self.process.pid) if name_of(pid) == "sshd"}
        assert pids, "nobody is connected"
        return pids

    def kill_sessions(self):
        """SIGKILL for all of them, as when the machine between is gone."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().removesuffix("-session")
    except OSError:
        return ""


def descendants(pid):
    """Process ids below this one."""
    parents = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@contextmanager
def an_sshd(team):
    """sshd on a free loopback port: keys only, nothing of this machine's own configuration."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists() or shutil.which("ssh") is None:
        required("ssh and sshd are not installed")
    folder = team.base / "ssh"
    folder.mkdir(mode=0o755)
    with contextlib.ExitStack() as end:
        if not Path("/run/sshd").exists():
            Path("/run/sshd").mkdir(mode=0o755)
        host_key = folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = folder / "sshd_config"
        settings.write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/%u\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
        command = [program, "-D", "-e", "-f", str(settings)]
        output = end.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        end.callback(process.wait, 10)
        end.callback(process.kill)
        wait_until(lambda: "listening on" in (folder / "log").read_text(), "sshd")
        yield Sshd(team, folder, port, process)


__all__ = ["Member", "Seat", "Sshd", "Team", "a_team", "a_world", "an_sshd", "required"]
