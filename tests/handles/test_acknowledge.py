"""`ray-tui acknowledge` against a live host: another process speaks for a person, the host's own does not."""

import asyncio
import contextlib
import getpass
import json
import os
import sys
from pathlib import Path

import pytest

from ray_tui import config, host, rendezvous, wiring
from ray_tui.core import facts as f
from ray_tui.core.commands import AcknowledgeProbe, Refused
from ray_tui.core.errors import InputError, RayError
from ray_tui.handles import socket

ROOT = Path(__file__).parents[2]
RUN = "2026-11-22T1915Z-v1-abc123"
TEXT = f"""
[run]
release = "v1"
[host]
socket_dir = "."
[people.mira]
login = "{getpass.getuser()}"
[people.sam]
roles = ["release-manager"]
"""


@contextlib.asynccontextmanager
async def live(folder, more=""):
    """A host with one probe in the air: (engine, the probe's code, the configuration)."""
    path = folder / config.FILE_NAME
    path.write_text(TEXT.replace('"."', f'"{folder}"') + more)
    chosen = config.load(path)
    async with wiring.engine_for(chosen, RUN, resume=False) as engine:
        serving = host.Host(engine)
        await serving.listen(rendezvous.socket_path(RUN, chosen))
        now = engine.clock.wall()
        engine.record(
            f.ProbeIntended(
                id="x-mail-audit-ack", step="2.2", receiver="mail-audit", purpose="acknowledge", starts_at=now,
                labels={"ray_tui_probe": "x"}, ends_at=now + 60, integrations=("email",), sla_seconds=300,
            )
        )  # fmt: skip
        try:
            yield engine, engine.codes.of(("x-mail-audit-ack", "email")), chosen
        finally:
            engine.stop("test over")
            await serving.close("test over")


async def ray_tui(chosen, *arguments):
    """(exit code, standard output, standard error) of the command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ray_tui", *arguments, "--config", str(chosen.file),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


def said(engine):
    return engine.state.probes["x-mail-audit-ack"].acknowledged


async def test_a_person_acknowledges_from_the_command_line(tmp_path):
    """The newest live run hears it; the OS user is the person; nobody takes a seat or a console for it. (P43)"""
    async with live(tmp_path) as (engine, code, chosen):
        done, out, _ = await ray_tui(chosen, "acknowledge", code.lower())
        assert done == 0
        assert out.startswith("mira acknowledged what came to mail-audit by email, ")
        ((fact),) = said(engine)
        assert (fact.person, fact.via, fact.machine) == ("mira", "command", False)
        assert engine.state.driver == ""
        kinds = {line.entry.fact.kind for line in engine.lines}
        assert not kinds & {"ConsoleAttached", "SeatTaken"}

        again = await ray_tui(chosen, "acknowledge", code, "--run", "abc123")
        assert (again[0], again[1]) == (2, "")
        assert "mira has acknowledged it already" in again[2]


async def test_the_answer_is_json_where_that_is_asked_for(tmp_path):
    """One document: the probe, its receiver, who, and how long after it was sent."""
    async with live(tmp_path) as (_, code, chosen):
        done, out, _ = await ray_tui(chosen, "acknowledge", code, "--json")
        told = json.loads(out)
        assert done == 0
        assert (told["id"], told["receiver"], told["person"]) == ("x-mail-audit-ack", "mail-audit", "mira")
        assert told["run_id"] == RUN
        assert 0 <= told["after_seconds"] < 60


async def test_a_wrong_code_is_a_usage_error(tmp_path):
    """Exit 2, where the code stands, and nothing on record."""
    async with live(tmp_path) as (engine, _, chosen):
        done, _, err = await ray_tui(chosen, "acknowledge", "AAAAAAAAAA")
        assert done == 2
        assert "No open test alert has this code" in err
        assert said(engine) == []


async def test_without_a_live_run_nobody_hears(tmp_path):
    """Exit 2, and how to go on."""
    async with live(tmp_path) as (_, code, chosen):
        pass
    done, _, err = await ray_tui(chosen, "acknowledge", code)
    assert done == 2
    assert "no host carries it out now" in err


async def test_in_a_demo_one_says_whom_one_plays(tmp_path):
    """And nowhere else."""
    async with live(tmp_path) as (engine, code, chosen):
        done, _, err = await ray_tui(chosen, "acknowledge", code, "--as", "sam")
        assert (done, "This is no demo" in err) == (2, True)
        assert said(engine) == []
    (tmp_path / "demo").mkdir()
    async with live(tmp_path / "demo", "[policy]\ndemo = true\n") as (engine, code, chosen):
        assert (await ray_tui(chosen, "acknowledge", code, "--as", "sam"))[0] == 0
        assert said(engine)[0].person == "sam"


async def test_what_the_hosts_own_process_says_is_a_machines(tmp_path):
    """The kernel names the process at the other end: ours proves nothing, by either way in. (P43)"""
    async with live(tmp_path) as (engine, code, chosen):
        path = rendezvous.socket_path(RUN, chosen)
        assert (await socket.acknowledge(path, code))["machine"] is True
        handle = await socket.SocketHandle.attach(path)
        reply = await handle.submit(AcknowledgeProbe(code=code, ours=False))
        await handle.close()
        assert isinstance(reply, Refused)
        assert [one.machine for one in said(engine)] == [True]


async def test_an_observing_console_cannot_acknowledge(tmp_path):
    """--observe is read-only for certain."""
    async with live(tmp_path) as (engine, code, chosen):
        handle = await socket.SocketHandle.attach(rendezvous.socket_path(RUN, chosen), read_only=True)
        assert isinstance(await handle.submit(AcknowledgeProbe(code=code)), Refused)
        await handle.close()
        assert said(engine) == []


async def test_a_console_cannot_say_that_it_was_a_link(tmp_path):
    """Only the host's listener says that, and for whom."""
    async with live(tmp_path) as (engine, code, chosen):
        handle = await socket.SocketHandle.attach(rendezvous.socket_path(RUN, chosen))
        for command in (
            AcknowledgeProbe(code=code, via="link"),
            AcknowledgeProbe(code=code, claimed_person="sam"),
            AcknowledgeProbe(probe="x-mail-audit-ack", via="slack"),
        ):
            assert isinstance(await handle.submit(command), Refused)
        await handle.close()
        assert said(engine) == []


async def test_a_resumed_run_knows_the_codes_that_are_out(tmp_path):
    """The key lies beside the journal; the host that died took nothing with it."""
    async with live(tmp_path) as (_, code, chosen):
        pass
    async with wiring.engine_for(chosen, RUN, resume=True) as engine:
        assert not isinstance(engine.submit(AcknowledgeProbe(code=code), f.Actor(person="mira")), Refused)


async def test_nobody_at_the_socket_is_said(tmp_path):
    """A path where nothing listens: it has not heard you. A host that refuses is another thing."""
    with pytest.raises(RayError, match="has not heard you") as caught:
        await socket.acknowledge(tmp_path / "x.sock", "AAAAAAAAAA")
    assert not isinstance(caught.value, InputError)
