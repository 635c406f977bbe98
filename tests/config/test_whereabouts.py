"""What a console reads of a configuration is what the whole of it says; the rest is the host's to judge."""

import pytest

from ray_tui import config, scaffold, whereabouts
from ray_tui.core.limits import Limits
from ray_tui.core.policy import Policy

RUN = '[run]\nrelease = "v1"\n'


@pytest.mark.parametrize(
    "tables",
    [
        "",
        '[paths]\nroot = "../elsewhere"\n',
        '[host]\nsocket_dir = "/run/ray"\ngroup = "sre"\nlive_seconds = 0\n',
        '[ui]\ntheme = "paper"\nascii = true\nanimations = true\nkeymap = { "run.note" = "N" }\n',
        '[policy]\ndemo = true\napprovers = 2\napproval_days = 3\nallowed_signers = "signers"\n',
        '[rules]\nkind = "directory"\ndirectory = "rules"\n',
        '[people.mira]\nlogin = "mira"\nroles = ["operator"]\n',
        None,
    ],
)
def test_a_console_reads_what_the_configuration_says(tmp_path, tables):
    """The same store, meeting place, looks, limits and rules, also where the file says nothing of them."""
    path = tmp_path / whereabouts.FILE_NAME
    path.write_text(scaffold.example() if tables is None else RUN + tables)
    whole, found = config.load(path, with_backends=False), whereabouts.read(path)
    assert found is not None
    assert (found.file, found.folder, found.store) == (whole.file, whole.folder, whole.store)
    assert (found.host.socket_dir, found.host.group) == (whole.host.socket_dir, whole.host.group)
    assert {name: getattr(found.ui, name) for name in found.ui.fields()} == whole.ui.model_dump()
    assert (found.policy, found.rules) == (whole.policy.limits, whole.rules)


@pytest.mark.parametrize(
    "text",
    ["[ui\n", '[ui]\nthem = "paper"\n', "[host]\nsocket_dir = 3\n", "[paths]\nroot = []\n", "[[ui]]\n", "\udcff", None],
)
def test_what_it_cannot_read_is_for_the_whole_configuration_to_explain(tmp_path, text):
    """Nothing is guessed at: None, and the reading of the whole names file, line and key."""
    path = tmp_path / whereabouts.FILE_NAME
    if text is not None:
        path.write_text(RUN + text, encoding="utf-8", errors="surrogateescape")
    assert whereabouts.read(path) is None
    with pytest.raises(config.ConfigError, match=path.name):
        config.load(path, with_backends=False)


def test_limits_are_the_policys():
    """Each has the same name there, and what holds without a word is said once."""
    assert set(Limits.fields()) <= set(Policy.model_fields)
    assert Policy().limits == Limits()


def test_the_looks_are_all_of_them():
    """A key that [ui] gains is one that a console must read."""
    assert set(whereabouts.Looks.fields()) == set(config.Ui.model_fields)


def test_the_file_is_found_here_or_above(tmp_path):
    """As git finds its folder."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    file = tmp_path / whereabouts.FILE_NAME
    file.write_text(RUN)
    assert whereabouts.find(tmp_path / "a" / "b") == file
