"""A whole run whose Slack message is acknowledged by its button, and whose codes leave no trace on record."""

import json
import socket
import tomllib
import zipfile
from contextlib import AsyncExitStack
from email import message_from_bytes

import httpx
import pytest

from ray_tui import config, wiring
from ray_tui.clock import Clock
from ray_tui.codes import KEY_NAME, Codes
from ray_tui.core import facts as f
from ray_tui.core.answers import Answers
from ray_tui.core.errors import InputError
from ray_tui.demo.scenario import load
from ray_tui.demo.stack import open_stack
from ray_tui.journal import read

RUN = "2026-11-22T1915Z-demo-abc123"
SECRET = "signing-secret-of-the-app"


def a_free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def test_a_run_with_slacks_button_passes_and_keeps_its_codes_to_itself(tmp_path):
    """The host listens, the colleague presses, t6 is that; no code is in journal, evidence or package. (P43)"""
    port = a_free_port()
    async with AsyncExitStack() as leaving:
        stack = await open_stack(tmp_path, load("healthy"), Clock(), leaving)
        secret = tmp_path / "secrets" / "signing"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        path = tmp_path / config.FILE_NAME
        path.write_text(
            path.read_text() + f'\n[acknowledge]\nlisten = "127.0.0.1:{port}"\nurl = "https://ack.example"\n'
            'slack_signing_secret = "file:secrets/signing"\n'
        )
        chosen = config.load(path)
        stack.slack.interactivity = (f"http://127.0.0.1:{port}/slack/interactions", SECRET)
        answers = Answers.model_validate(tomllib.loads((tmp_path / "answers.toml").read_text()))
        outcome = await wiring.run_headless(chosen, RUN, answers, lambda line: None, resume=False, seconds=170)

    assert (outcome.code, outcome.why, stack.slack.pressed) == (0, "", [200])
    folder = tmp_path / ".artifacts" / "monitoring" / "runs" / RUN
    results = json.loads((folder / "evidence" / "alert-test-results.json").read_text())
    rows = {row["receiver"]: row for row in results["body"]["receivers"]}
    assert rows["slack-release"]["hops"]["t6"]["source"] == "slack: signed Slack action"
    assert rows["slack-release"]["acknowledged_by"] == "slack:USAM"

    facts = [line.entry.fact for line in read(folder / "journal.jsonl")]
    codes = Codes(folder)
    sent = [
        codes.of((one.id, kind)) for one in facts if isinstance(one, f.ProbeIntended) for kind in set(one.integrations)
    ]
    mails = "".join(str(message_from_bytes(one.raw)) for one in stack.mail.mailbox)
    assert any(f"https://ack.example/acknowledge/{code}" in mails for code in sent)
    written = [one for one in (tmp_path / ".artifacts").rglob("*") if one.is_file() and one.name != KEY_NAME]
    assert [(one.name, code) for one in written for code in sent if code.encode() in one.read_bytes()] == []
    package = zipfile.ZipFile(folder / "evidence" / "MONITORING-PACKAGE.zip")
    assert KEY_NAME not in " ".join(package.namelist())
    key = (folder / KEY_NAME).read_bytes()
    held = [package.read(name) for name in package.namelist()]
    assert not [code for one in held for code in sent if code.encode() in one]
    assert not [one for one in held if key in one or key.hex().encode() in one]
    async with httpx.AsyncClient() as client:  # with the run, its listener has ended
        try:
            await client.get(f"http://127.0.0.1:{port}/acknowledge/{sent[0]}")
        except httpx.ConnectError:
            return
    raise AssertionError("the listener outlives its run")


async def test_a_run_that_could_not_listen_does_not_begin(tmp_path):
    """A taken address, or a secret that is not there, is said before anything is on disk."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / config.FILE_NAME
        text = f'[run]\nrelease = "v1"\n[acknowledge]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        file.write_text(text)
        with pytest.raises(InputError, match="Does another run listen there"):
            await wiring.serve(config.load(file), RUN, resume=False)
    file.write_text(text + 'slack_signing_secret = "file:none"\n')
    with pytest.raises(InputError, match="file:none"):
        await wiring.serve(config.load(file), RUN, resume=False)
    assert not (tmp_path / ".artifacts").exists()
