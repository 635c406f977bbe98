"""JSON that arrives in pieces or broken: the complaint tells a cut-off file from a wrong one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_tui.analysis.traced_json import read
from ray_tui.core.errors import InputError

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
)
DOCUMENTS = st.dictionaries(
    st.text(max_size=6),
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    min_size=1,
    max_size=4,
)


@given(DOCUMENTS, st.booleans(), st.data())
def test_every_beginning_of_a_document_is_called_cut_off(document, escaped, data):
    """Wherever the copy stopped (in a number, a word, a string, an escape, a character), the reason is the same one."""
    whole = json.dumps(document, ensure_ascii=escaped).encode()
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(InputError, match="cut off"):
        read(whole[:cut], "report.json")


@pytest.mark.parametrize("text", ["[1,]", '{"a" 1}', '{"a": 1} x', "{'a': 1}", '{"a": 1}}', '{"a": tru, "b": 1}'])
def test_a_wrong_document_is_not_called_cut_off(text):
    """Every bracket that was opened is closed, so no more text would mend it."""
    with pytest.raises(InputError, match="is not JSON"):
        read(text.encode(), "report.json")
