"""Every key of a TOML text is found on its own line, however it is written."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from ray_tui.config_lines import line_of, lines

TEXT = '''\
# [run] in a comment is no table
[run]
release = "v1"  # [x]
"a.b" = {
 c = 1, "d:e" = [ { f = 1.5 },
  { f = 1979-05-27 07:32:00Z } ] }

[[incidents]]
kind = "file"
[incidents.deep]
x = """
[run]
y = 1
"""
[[incidents]]
kind = 'pager'
a.b.c = '''


def found():
    text = TEXT + "'''\n[no]\n'''\nlast = true\n"
    text = text.replace("= {\n c", "= { c")  # tables in a line are one line until TOML 1.1
    tomllib.loads(text)
    return lines(text)


def test_a_key_stands_where_it_is_written():
    """Quoted names, dotted keys, tables in a line, lists over many lines, entries of a list of tables."""
    at = found()
    assert at["run",] == 2
    assert at["run", "release"] == 3
    assert at["run", "a.b", "c"] == 4
    assert at["run", "a.b", "d:e", 0, "f"] == 4
    assert at["run", "a.b", "d:e", 1, "f"] == 5
    assert at["incidents", 0] == 7
    assert at["incidents", 0, "kind"] == 8
    assert at["incidents", 0, "deep", "x"] == 10
    assert at["incidents", 1] == 14
    assert at["incidents", 1, "kind"] == 15
    assert at["incidents", 1, "a", "b", "c"] == 16
    assert at["incidents", 1, "last"] == 19
    assert ("no",) not in at


def test_what_is_missing_is_looked_for_in_its_table():
    """The longest part that is written; nothing where none is."""
    at = found()
    assert line_of(at, ("incidents", 1, "url")) == 14
    assert line_of(at, ("notify", "20")) is None


keys = st.text("ab.:\" '-\\\n#[]{}=é", min_size=1, max_size=4)
trees = st.recursive(
    st.one_of(st.integers(), st.text("a\"'\\\n#[]{},=.", max_size=6), st.booleans(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(keys, trees, max_size=4))
def test_every_key_of_any_text_is_found(tree):
    """Each has a line, and nothing is found that is not there."""
    import tomlkit

    text = tomlkit.dumps(tree)
    assert set(lines(text)) >= set(ways(tomllib.loads(text)))
    assert set(lines(text)) <= set(ways(tomllib.loads(text)))


def ways(value, before=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from ways(inner, (*before, key))
