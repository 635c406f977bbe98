"""A person is told before a decision whether it will be signed, and with which key."""

import shutil
import subprocess
import threading

import pytest

from ray_tui.evidence import own_keys
from tests.hostile.world import wait_until

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=60)
    return path


def test_the_key_that_signs_is_told_by_its_fingerprint(key):
    """As ssh-keygen prints it, for the private key and for its public half; a file that is none says so."""
    printed = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[1]
    assert own_keys.told(key) == f"signed with {printed} ({key})"
    assert printed in own_keys.told(key.with_suffix(".pub"))
    (key.parent / "none").write_text("nothing")
    assert "cannot tell" in own_keys.told(key.parent / "none")


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="ssh-agent is not installed")
def test_a_key_in_the_agent_is_noticed(key, tmp_path, monkeypatch):
    """It would sign, and does not yet: the words say how."""
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True) as agent:
        try:
            agent.stdout.readline()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            assert own_keys.told(None) == ""
            subprocess.run(["ssh-add", "-q", key], check=True, timeout=60)
            held = own_keys.fingerprint(key)
            assert own_keys.told(None).startswith(f"not signed; your agent holds {held}: start with")
        finally:
            agent.terminate()


def test_without_an_agent_nothing_is_said(monkeypatch):
    """Then the console says how to sign at all."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert own_keys.told(None) == ""


def test_an_agent_that_does_not_answer_keeps_no_console_waiting(monkeypatch):
    """It is asked in the background; until it has answered, that is what is said."""
    answer = threading.Event()
    monkeypatch.setattr(own_keys, "in_agent", lambda: answer.wait(10) and ("SHA256:abc",))
    said = own_keys.asked(None)
    assert said() == "not known yet: your agent has not answered"
    answer.set()
    wait_until(lambda: said().startswith("not signed; your agent holds SHA256:abc"), "the agent's answer")
