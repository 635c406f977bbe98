"""YAML as a strict Go program reads it."""

import pytest

from ray_tui.analysis import strict_yaml
from ray_tui.analysis.strict_yaml import Fields, Scalar, document, documents, plain
from ray_tui.core.errors import InputError


def test_scalars_keep_their_text_and_their_line():
    """`2` and `yes` are text for whoever wants text."""
    found = document("a: 2\nb: yes\nc:\nd: 'null'\n", "f.yml")

    assert isinstance(found, Fields)
    assert found == {"a": "2", "b": "yes", "c": None, "d": "null"}
    assert found.lines == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert isinstance(found["b"], Scalar)
    assert found["b"].is_true
    assert plain(found) == {"a": 2, "b": True, "c": None, "d": "null"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "f.yml:2: key 'a' is already set on line 1"),
        ("a: [\n", "f.yml:2: not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("? [a]\n: b\n", "f.yml:1: a key must be text"),
        ("[" * 150 + "]" * 150, "nested too deeply"),
        ("[" * 20000, "f.yml:1:"),
        ("a: &x {b: *x}\n", "nested too deeply"),
        ("a: *x\n", "undefined alias"),
        ("a: !!python/object:os.system {}\n---\nb: 1\n", "2 YAML documents"),
    ],
)
def test_an_error_names_the_file(text: str, said: str):
    """Broken, repeated, too deep, or too many: never a crash, never a constructed object."""
    with pytest.raises(InputError) as caught:
        document(text, "f.yml")

    assert said in str(caught.value)


def test_aliases_are_read_once():
    """A "billion laughs" file stays small."""
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))

    found = strict_yaml.fields(document(text, "f.yml"), "f.yml", "it")

    assert len(found) == 30


def test_merged_keys_do_not_win_over_own_ones():
    """`<<` fills in what isn't there."""
    assert plain(document("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  x: 3\n", "f")) == {
        "base": {"x": 1, "y": 2},
        "own": {"x": 3, "y": 2},
    }


def test_every_document_is_read():
    """Empty ones are None."""
    assert [plain(one) for one in documents("a: 1\n---\n---\n- b\n", "f")] == [{"a": 1}, None, ["b"]]
