"""Untrusted values stay values in Markdown, CSV and JSON."""

import csv
import io
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ray_tui.core.errors import EvidenceError, InputError
from ray_tui.evidence import text

RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
NASTY = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://evil/a.png)",
    "a | b",
    "**bold** _em_ `code` ~~gone~~",
    "&lt;b&gt; &#60;",
    "\\<b>",
    "# head",
    "- item",
    "1. item",
    "=====",
    "---",
    "> quote",
    'http_requests_total{job="a"}',
    "<https://evil.example>",
    "[a]: http://evil",
]


def plain(tokens, separator=""):
    """What a reader sees, and the kinds of everything that is not plain text."""
    seen, other = [], []
    for token in tokens:
        if token.type == "inline":
            seen.append(separator)
            for child in token.children:
                if child.type in ("text", "text_special"):
                    seen.append(child.content)
                elif child.type == "softbreak":
                    seen.append("\n")
                else:
                    other.append(child.type)
        elif not token.type.startswith(("paragraph", "table", "thead", "tbody", "tr", "th", "td")):
            other.append(token.type)
    return "".join(seen), other


def nasty(function):
    for value in NASTY:
        function = example(value)(function)
    return function


@nasty
@given(printable)
def test_a_cell_renders_as_its_own_characters(value):
    """No markup, no HTML, no link, no second cell: what was put in is what is seen."""
    seen, other = plain(RENDER.parse(text.table(["h"], [[value]])))
    assert other == []
    assert seen == "h" + " ".join(value.split())
    seen, other = plain(RENDER.parse(text.cell(value)))
    assert (seen, other) == (" ".join(value.split()), [])


@nasty
@given(st.lists(printable, max_size=5).map("\n".join))
def test_a_paragraph_renders_as_its_own_characters(value):
    """Also a line's beginning makes no list, rule, heading or quote."""
    seen, other = plain(RENDER.parse(text.paragraph(value)), "\n")
    assert other == []
    assert seen.split() == value.split()


@nasty
@given(printable)
def test_a_code_span_holds_its_text_whatever_backticks_it_has(value):
    """The fence is longer than any run inside."""
    tokens = RENDER.parse(f"x {text.code(value)} y")
    children = next(t for t in tokens if t.type == "inline").children
    kinds = [c.type for c in children]
    assert kinds.count("code_inline") == 1
    assert next(c.content for c in children if c.type == "code_inline").strip() == " ".join(value.split())


def test_steering_characters_are_made_visible():
    """An escape that came this far is shown, not passed on."""
    for written in (text.cell("a\x1b]0;x\x07b\u202ec"), text.paragraph("a\x1b[2Jb"), text.code("\x9b1m")):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", written)


def test_a_row_of_another_length_is_our_bug():
    """A table never shifts its columns silently."""
    with pytest.raises(AssertionError, match="2 cells under 1"):
        text.table(["a"], [["b", "c"]])


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_text_that_begins_like_a_formula_is_quoted(value):
    """A spreadsheet shows it and does not run it."""
    assert text.csv_cell(value) == f"'{value}"


def test_numbers_stay_numbers_and_nothing_stays_empty():
    """A negative number is no formula; text is."""
    assert [text.csv_cell(v) for v in (-1, -1.5, None, "", "a=b")] == ["-1", "-1.5", "", "", "a=b"]


@given(st.lists(st.tuples(printable, printable), max_size=5))
def test_a_csv_reads_back(rows):
    """Quotes, commas and formulas survive; only the guard is added."""
    back = list(csv.reader(io.StringIO(text.csv_text(["a", "b"], rows), newline="")))
    assert back[1:] == [[text.csv_cell(v) for v in row] for row in rows]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(json_values)
def test_json_reads_back_and_renders_to_the_same_bytes(value):
    """Canonical: decoding and encoding again changes no byte."""
    written = text.dumps(value)
    assert text.loads(written, "x") == value
    assert text.dumps(text.loads(written, "x")) == written
    assert written.endswith(b"\n")
    assert written.isascii()


def test_key_order_does_not_change_the_bytes():
    """The same object in another order is the same file."""
    assert text.dumps({"b": 1, "a": 2}) == text.dumps({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), {"a": [float("-inf")]}, {(1,): 2}])
def test_what_json_cannot_say_is_refused(value):
    """NaN in evidence is an error, not a token that other readers reject."""
    with pytest.raises(EvidenceError):
        text.dumps(value)


def test_a_value_that_holds_itself_is_refused():
    """A cycle is an error of ours, told as one."""
    cycle = []
    cycle.append(cycle)
    with pytest.raises(EvidenceError):
        text.dumps(cycle)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[" * 65 + b"]" * 65, "nested more than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "nested more than 64"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "nested more than 64"),
        (b"[" + b"9" * 5_000 + b"]", "not JSON"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b"[1] 2", "not JSON"),
        (b"\xef\xbb\xbf[]", "not JSON"),
    ],
)
def test_every_way_of_being_bad_is_one_error_that_names_the_file(data, why):
    """One decode point: whatever is wrong, an error of ours with the file's name, and the kind that was asked
    for.
    """
    for error in (EvidenceError, InputError):
        with pytest.raises(error, match=why) as caught:
            text.loads(data, "audit.json", error=error)
        assert "audit.json" in str(caught.value)


def test_the_caps_are_where_they_say():
    """Sixty-four deep is read, and a file of exactly the cap."""
    assert text.loads(b"[" * 64 + b"]" * 64, "x")
    assert text.loads(b"[1]", "x", max_bytes=3) == [1]
    with pytest.raises(EvidenceError, match="over the cap of 3"):
        text.loads(b"[12]", "x", max_bytes=3)


@given(st.binary(max_size=200))
def test_no_bytes_escape_as_another_error(data):
    """Random bytes either decode as json does, or raise EvidenceError."""
    try:
        value = text.loads(data, "x")
    except EvidenceError:
        return
    assert json.loads(data) == value
