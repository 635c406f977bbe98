"""How a console finds its host: asking disturbs nobody, and a socket that is there answers."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ray_tui import rendezvous
from ray_tui.core import facts as f
from ray_tui.core.errors import RayError
from ray_tui.core.state import RunState
from ray_tui.engine import Engine, Places
from ray_tui.host import Host
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal
from tests.fakes import a_config, all_ports


def test_asking_whether_a_run_is_alive_never_keeps_its_host_from_starting(tmp_path):
    """The question takes the lock for a moment; a host that starts in that moment gets it all the same."""
    run, over = tmp_path / "run", threading.Event()
    rendezvous.Lock.take(run).release()

    def ask():
        while not over.is_set():
            rendezvous.is_locked(run)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(300):
            rendezvous.Lock.take(run).release()
    finally:
        over.set()
        asking.join()


RUN = "2026-11-22T1155Z-checkout-v2.4.1-7f3a1c"


def test_who_finds_no_socket_where_a_host_is_told_where_people_meet(tmp_path, monkeypatch):
    """Not to resume a run that is being carried out: what lacks is a folder that both OS users may use."""
    monkeypatch.setattr(rendezvous, "socket_folder", lambda config: tmp_path)
    with pytest.raises(RayError) as said:
        rendezvous.meeting_place(RUN, a_config(tmp_path))
    assert "No such file or directory" in str(said.value)
    assert "[host] socket_dir (a folder of mode 2750) with [host] group" in str(said.value)
    (tmp_path / "7f3a1c.sock").touch()
    assert rendezvous.meeting_place(RUN, a_config(tmp_path)) == tmp_path / "7f3a1c.sock"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to stop being it")
def test_who_is_not_in_the_group_is_told_so():
    """The folder is there, the socket is there, and the kernel says no."""
    folder = Path(f"/tmp/ray-meeting-{os.getpid()}")
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "7f3a1c.sock").touch(0o600)
    asked = (
        "from ray_tui.config import Config, Host, Run; from ray_tui.rendezvous import meeting_place; "
        f"meeting_place({RUN!r}, Config(run=Run(release='v1'), host=Host(socket_dir={str(folder)!r}, group='sre')))"
    )
    try:
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", asked],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    assert "Permission denied" in done.stderr
    assert "Be in its group, [host] group = 'sre'" in done.stderr
    assert "resume" not in done.stderr.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to stop being it")
@pytest.mark.parametrize(("mode", "held", "seen"), [(0o640, True, True), (0o640, False, False), (0o600, True, True)])
def test_another_person_of_the_team_sees_whether_a_run_is_alive(mode, held, seen):
    """Through the group's right to read, without one to write; what may not be read is left to the socket to say."""
    uid, gid = 65534, 65534
    folder = Path(f"/tmp/ray-rendezvous-{os.getpid()}-{mode:o}-{held}")
    lock = rendezvous.Lock.take(folder)
    try:
        folder.chmod(0o755)
        os.chown(folder / "host.lock", 0, gid)
        (folder / "host.lock").chmod(mode)
        if not held:
            lock.release()
        asked = (
            f"import pathlib; from ray_tui.rendezvous import is_locked; print(is_locked(pathlib.Path({str(folder)!r})))"
        )
        done = subprocess.run(
            ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", sys.executable, "-c", asked],
            capture_output=True, text=True, env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"another user may not run this installation: {done.stderr.strip().splitlines()[-1]}")
        assert done.stdout.strip() == str(seen)
    finally:
        if held:
            lock.release()
        shutil.rmtree(folder)


async def test_a_socket_that_is_there_answers(tmp_path):
    """Whoever waits for its path to appear is never refused; an abandoned one is replaced."""
    config = a_config(tmp_path)
    places = Places.of(config, "2026-run-abc123")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(journal=journal, state=RunState(), config=config, ports=all_ports(), places=places,
                    inputs=Inputs(config))  # fmt: skip
    engine.record(
        f.RunOpened(run_id="2026-run-abc123", release="v1", environment="production", deployed_at=0, config_digest="d")
    )
    path = tmp_path / "x.sock"

    def knock():
        while not path.exists():
            pass
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(path))
            link.sendall(b"no hello\n")
            return link.recv(1)

    for _ in range(20):
        knocking = asyncio.create_task(asyncio.to_thread(knock))
        await asyncio.sleep(0.01)
        server = Host(engine)
        await server.listen(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert await knocking == b"", "it was heard, and let go for what it said"
        path.unlink()  # so that the next appears anew
        await server.close("")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = Host(engine)
    await server.listen(path)
    assert await asyncio.to_thread(knock) == b""
    await server.close("")
    journal.close()
