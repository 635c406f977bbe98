"""The socket under fire: bytes and messages that no console would send; the host lives and answers the next one."""

import asyncio
import contextlib
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_tui import host, wire
from ray_tui.core import facts as f
from ray_tui.core.commands import Accepted, AddNote
from ray_tui.core.state import RunState
from ray_tui.engine import Engine, Places
from ray_tui.handles.socket import SocketHandle
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal, read
from tests.fakes import a_config, all_ports

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
COMMANDS = (
    "answer_prompt", "propose_waiver", "confirm_waiver", "run_step", "abort", "add_note", "request_seat", "take_seat",
    "grant_seat", "nonsense",
)  # fmt: skip
FIELDS = (
    "prompt_id",
    "answer",
    "reason",
    "text",
    "step",
    "criterion",
    "waiver",
    "console",
    "signature",
    "claimed_person",
)
COMMAND = st.fixed_dictionaries(
    {"command": st.sampled_from(COMMANDS) | SCALARS},
    optional=dict.fromkeys(FIELDS, JSON),
)
MESSAGE = st.one_of(
    st.builds(lambda value: {"hello": value}, JSON),
    st.builds(lambda since, hints: {"hello": {"since": since, "hints": hints, "read_only": since}}, JSON, JSON),
    st.builds(lambda value, number: {"id": number, "command": value}, JSON | COMMAND, JSON),
    st.dictionaries(st.sampled_from(["hello", "command", "id", "bye", "entry", "reply"]), JSON, max_size=3),
    JSON,
)


@contextlib.asynccontextmanager
async def a_host(folder, **sections):
    """An engine that waits for people, behind a socket; a loop error is the test's failure."""
    config = a_config(folder, **sections)
    places = Places.of(config, "run-fuzz")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(
        journal=journal, state=RunState(), config=config, ports=all_ports(), places=places, inputs=Inputs(config)
    )
    engine.record(
        f.RunOpened(run_id="run-fuzz", release="v1", environment="production", deployed_at=0, config_digest="d")
    )
    serving = host.Host(engine)
    path = folder / "f.sock"
    wrong = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
    await serving.listen(path)
    try:
        yield engine, serving, path
    finally:
        engine.stop("over")
        await serving.close("over")
        journal.close()
    assert not wrong, wrong
    for line in read(journal.path):
        assert line.raw.isascii()


async def throw(path, data):
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(OSError):
        writer.write(data)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 8)
    writer.close()


async def still_serves(engine, path):
    handle = await SocketHandle.attach(path)
    before = len(engine.state.notes)
    reply = await asyncio.wait_for(handle.submit(AddNote(text="alive")), 5)
    assert isinstance(reply, Accepted), reply
    assert len(engine.state.notes) == before + 1
    await handle.close()
    ends = asyncio.get_running_loop().time() + 5
    while engine.state.consoles and asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("depth", [60, 400, 800, 950, 100_000])
async def test_an_answer_is_on_record_and_readable_or_refused_however_deep_it_is_nested(tmp_path, depth):
    """Too deep is no command: the question stays open, and the host alive."""
    data = '{"a": ' + "[" * depth + "]" * depth + "}"
    command = f'{{"id": 1, "command": {{"command": "answer", "prompt_id": "q", "answer": "yes", "data": {data}}}}}\n'
    people = {"me": {"uid": os.getuid(), "roles": ["operator"]}}
    async with a_host(tmp_path, people=people) as (engine, _, path):
        engine.record(f.PromptRaised(id="q", step="1.1", prompt="confirm", title="Go on?", text=""))
        reader, writer = await asyncio.open_unix_connection(str(path), limit=2**20)
        writer.write(b'{"hello": {"since": 0}}\n' + command.encode())
        said = b""
        while b'"reply"' not in said and (line := await asyncio.wait_for(reader.readline(), 8)):
            said = line
        writer.close()
        taken = engine.state.prompts["q"].answered is not None
        assert taken == (b'"accepted"' in said)
        assert taken or depth > 60
        assert not taken or depth < 100_000
        await still_serves(engine, path)


def fuzzed(folder, batch):
    async def go():
        async with a_host(folder) as (engine, _, path):
            for data in batch:
                await throw(path, data)
            await still_serves(engine, path)
            assert engine.state.driver_console == ""

    asyncio.run(go())


FUZZ = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@FUZZ
@given(batch=st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_any_bytes_leave_the_host_alive(tmp_path_factory, batch):
    """Bytes that are no message end their connection, and nothing else."""
    fuzzed(tmp_path_factory.mktemp("f"), batch)


@FUZZ
@given(batch=st.lists(st.lists(MESSAGE, min_size=1, max_size=5), min_size=1, max_size=6))
def test_any_json_of_the_wrong_shape_leaves_the_host_alive(tmp_path_factory, batch):
    """Well-formed JSON that is no message of ours is refused or ends its connection, before and after the hello."""
    fuzzed(tmp_path_factory.mktemp("f"), [wires(messages) for messages in batch])


def wires(messages):
    lines = [json.dumps(message).encode() + b"\n" for message in messages]
    return b"".join(lines) + wire.encode({"hello": {}}) + b"".join(lines)


@pytest.mark.parametrize(
    "data",
    [
        b'{"hello":{"since":"abc"}}\n',
        b'{"hello":{"since":-5}}\n',
        b'{"hello":{"since":1e400}}\n',
        b'{"hello":{"since":9999999999999999999999}}\n',
        b'{"hello":{"since":[1]}}\n',
        b'{"hello":{"hints":"no"}}\n',
        b'{"hello":{"hints":{"TERM":{"a":1}}}}\n',
        b'{"hello":{}}\n{"command":' + b"[" * 100_000 + b"\n",
        b'{"hello":{}}\n{"id":{"a":[1]},"command":{"command":"add_note","text":"\\ud800"}}\n',
        b'{"hello":{}}\n{"id":1e400,"command":{"command":"add_note","text":"x"}}\n',
        b'{"hello":{}}\n{"command":{"command":"add_note","text":"\\u001b[2J\\u202e"}}\n',
        b'{"hello":{}}\n' + b"x" * (wire.LONGEST + 10) + b"\n",
        b'{"hello":{"hints":{"TERM":"\\ud800\\u0000"}}}\n',
        b'{"hello":{}}\n{"command":{"command":"add_note","text":"' + b"x" * 1_000_000 + b'"}}\n',
    ],
    ids=lambda data: data[:60].decode(),
)
async def test_one_evil_message_hurts_nobody(tmp_path, data):
    """Known shapes that have hurt such servers: the host answers the next console all the same."""
    async with a_host(tmp_path) as (engine, serving, path):
        await throw(path, data)
        await still_serves(engine, path)
        assert not serving.consoles, "a console that left is still attached"
        assert not engine.state.driver_console, "and sits in the driver's seat"
        assert "\x1b" not in str(engine.state.notes)
