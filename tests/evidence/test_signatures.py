"""Only the person's own key, for this purpose, over this text, in its time."""

import base64
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_tui.core.errors import EvidenceError
from ray_tui.evidence import signatures
from ray_tui.evidence.signatures import NAMESPACE, fingerprint_of, inspect, parse_allowed, principals_of, sign, verify

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC
TEXT = b'{"approves": "sha256 of the package"}\n'


def a_key(folder, name, kind="ed25519", passphrase=""):
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", path], check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: a_key(folder, name) for name in ("ann", "bob")}


def public(key):
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def allowed(key, principal="ann@example.com", options=""):
    return f"# people\n\n{principal} {options} {public(key)} a comment\n".replace("  ", " ")


def test_a_signature_by_the_persons_key_is_good(keys):
    """Made and verified by the real ssh-keygen; the fingerprint is the one it prints."""
    found = verify(TEXT, sign(TEXT, keys["ann"]), "ann@example.com", allowed(keys["ann"]), NOW)
    assert (found.ok, found.cause) == (True, "")
    printed = subprocess.run(["ssh-keygen", "-lf", keys["ann"]], capture_output=True, text=True, check=True).stdout
    assert found.fingerprint == printed.split()[1]


def test_other_key_types_work_too(tmp_path):
    """ECDSA and RSA sign and verify."""
    for kind in ("ecdsa", "rsa"):
        key = a_key(tmp_path, kind, kind)
        assert verify(TEXT, sign(TEXT, key), "ann@example.com", allowed(key), NOW).ok


def test_another_text_is_a_mismatch(keys):
    """One byte of difference."""
    found = verify(TEXT + b" ", sign(TEXT, keys["ann"]), "ann@example.com", allowed(keys["ann"]), NOW)
    assert (found.ok, found.cause) == (False, "mismatch")


def test_a_signature_for_another_purpose_is_refused(keys):
    """A signature over git or a file is no approval, nor the reverse."""
    armoured = sign(TEXT, keys["ann"], "git")
    assert verify(TEXT, armoured, "ann@example.com", allowed(keys["ann"]), NOW).cause == "namespace"
    only_git = allowed(keys["ann"], options='namespaces="git,file"')
    assert verify(TEXT, sign(TEXT, keys["ann"]), "ann@example.com", only_git, NOW).cause == "namespace"
    ours = allowed(keys["ann"], options=f'namespaces="git,{NAMESPACE}"')
    assert verify(TEXT, sign(TEXT, keys["ann"]), "ann@example.com", ours, NOW).ok


def test_an_unlisted_key_or_person_is_refused(keys):
    """A good signature by a stranger authorises nothing."""
    armoured = sign(TEXT, keys["bob"])
    assert verify(TEXT, armoured, "ann@example.com", allowed(keys["ann"]), NOW).cause == "key"
    assert verify(TEXT, armoured, "bob@example.com", allowed(keys["ann"]), NOW).cause == "principal"
    assert verify(TEXT, armoured, "ann@example.com", "", NOW).cause == "principal"


def test_one_person_cannot_pass_as_another(keys):
    """Both are listed; each key speaks for its own."""
    both = allowed(keys["ann"]) + allowed(keys["bob"], "bob@example.com")
    assert verify(TEXT, sign(TEXT, keys["bob"]), "ann@example.com", both, NOW).cause == "key"
    assert verify(TEXT, sign(TEXT, keys["bob"]), "bob@example.com", both, NOW).ok
    assert principals_of(sign(TEXT, keys["bob"]), both) == ("bob@example.com",)
    assert principals_of("nonsense", both) == ()


@pytest.mark.parametrize("principal", ["*", "ann@*", "", "-I", "ann@example.com bob", "!ann@example.com"])
def test_a_pattern_is_no_person(keys, principal):
    """Neither asked for nor listed do wildcards mean anybody."""
    armoured = sign(TEXT, keys["ann"])
    assert verify(TEXT, armoured, principal, allowed(keys["ann"], "*"), NOW).cause == "principal"
    assert verify(TEXT, armoured, "ann@example.com", allowed(keys["ann"], "*@example.com"), NOW).cause == "principal"


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ('valid-before="20261101Z"', "expired"),
        ('valid-after="20270101Z"', "not-yet"),
        ('valid-after="20260101Z",valid-before="20270101Z"', ""),
        ('valid-before="202611181106Z"', "expired"),
        ('valid-before="20261118110641Z"', ""),
        ('valid-before="20261101"', "expired"),
        ("cert-authority", "key"),
        ('valid-before="soon"', "principal"),
        ("unheard-of", "principal"),
    ],
)
def test_a_key_counts_only_in_its_time_and_as_itself(keys, options, cause):
    """Expired, not yet valid, a certificate authority, an option that we can't read: refused."""
    armoured = sign(TEXT, keys["ann"])
    assert verify(TEXT, armoured, "ann@example.com", allowed(keys["ann"], options=options), NOW).cause == cause


def test_a_renewed_line_for_the_same_key_counts(keys):
    """One expired line does not spoil a valid one."""
    lines = allowed(keys["ann"], options='valid-before="20250101Z"') + allowed(keys["ann"])
    assert verify(TEXT, sign(TEXT, keys["ann"]), "ann@example.com", lines, NOW).ok


def test_several_principals_on_one_line_are_all_listed(keys):
    """As OpenSSH allows."""
    line = allowed(keys["ann"], "root@x,ann@example.com")
    assert verify(TEXT, sign(TEXT, keys["ann"]), "ann@example.com", line, NOW).ok


def test_a_damaged_signature_is_refused_and_never_raises(keys):
    """Each byte of the signature matters."""
    armoured = sign(TEXT, keys["ann"])
    lines = armoured.splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    for at in range(0, len(blob), 5):
        damaged = bytearray(blob)
        damaged[at] ^= 1
        text = "\n".join([lines[0], base64.b64encode(damaged).decode(), lines[-1], ""])
        found = verify(TEXT, text, "ann@example.com", allowed(keys["ann"]), NOW)
        assert not found.ok
        assert found.cause in {"armour", "namespace", "key", "mismatch"}


@given(
    st.text(max_size=200)
    | st.binary(max_size=80).map(
        lambda b: (
            f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(b'SSHSIG' + b).decode()}\n-----END SSH SIGNATURE-----\n"
        )
    )
)
def test_nonsense_is_no_armour(text):
    """Whatever stands there, an answer comes back."""
    assert verify(TEXT, text, "ann", "", NOW).cause in {"armour", "namespace"}


@given(st.text(max_size=120))
def test_a_line_that_cannot_be_read_allows_nobody(line):
    """Garbage in allowed_signers gives no key, and no crash."""
    assert all(one.key for one in parse_allowed(line))


def test_a_key_that_needs_a_passphrase_does_not_ask(tmp_path):
    """No prompt, no hang: an error that says where the key should be."""
    key = a_key(tmp_path, "locked", passphrase="secret phrase")
    with pytest.raises(EvidenceError, match="in your agent"):
        sign(TEXT, key, agent="/nonexistent")


def test_a_key_that_is_not_there_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(EvidenceError, match="gone"):
        sign(TEXT, tmp_path / "gone")


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="ssh-agent is not installed")
def test_an_agent_signs_with_only_the_public_key_at_hand(tmp_path):
    """As over a forwarded agent: the private key is not on this machine."""
    key = a_key(tmp_path, "k")
    socket = tmp_path / "s"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True)
    try:
        agent.stdout.readline()  # it prints its address once it listens
        subprocess.run(["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": str(socket), "PATH": "/usr/bin:/bin"}, check=True)
        line = allowed(key)
        key.unlink()
        armoured = sign(TEXT, key.with_suffix(".pub"), agent=str(socket))
        assert verify(TEXT, armoured, "ann@example.com", line, NOW).ok
    finally:
        agent.terminate()
        agent.wait(10)
        agent.stdout.close()


def test_without_ssh_keygen_the_check_is_broken_and_not_passed(keys, monkeypatch):
    """'Could not check' has a cause of its own."""
    armoured = sign(TEXT, keys["ann"])
    monkeypatch.setenv("PATH", "/nonexistent")
    assert verify(TEXT, armoured, "ann@example.com", allowed(keys["ann"]), NOW).cause == "tool"


def test_inspecting_says_what_the_signature_says_of_itself(keys):
    """Key, namespace and hash; nothing of that is proof."""
    found = inspect(sign(TEXT, keys["ann"]))
    assert (found.namespace, found.hash_algorithm) == (signatures.NAMESPACE, "sha512")
    assert found.fingerprint == fingerprint_of(base64.b64decode(public(keys["ann"]).split()[1]))
