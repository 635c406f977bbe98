"""Alertmanager's matchers: the upstream cases, the regex dialect, and values that match."""

import json
from pathlib import Path
from typing import Any

import pytest

from ray_tui.analysis import matchers
from ray_tui.analysis.matchers import Matcher, MatcherError, examples
from ray_tui.analysis.re2 import RegexError, compile_pattern

UPSTREAM = Path(__file__).parents[1] / "wire" / "alertmanager" / "matchers"


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((UPSTREAM / f"{name}-parse.json").read_text())
    return found


def outcome(parse: Any, text: str) -> Any:
    try:
        return [{"name": one.name, "op": one.op, "value": one.value} for one in parse(text)]
    except MatcherError as exc:
        return exc.reason


@pytest.mark.parametrize("case", cases("classic"))
def test_the_classic_parser_says_what_alertmanager_says(case: dict[str, Any]):
    """Matchers or the error, word for word."""
    assert outcome(matchers.parse_classic, case["input"]) == case.get("matchers", case.get("error"))


@pytest.mark.parametrize("case", cases("utf8"))
def test_the_utf8_parser_says_what_alertmanager_says(case: dict[str, Any]):
    """Matchers or the error, word for word."""
    if case["input"] is None:
        pytest.skip("the upstream case is a byte string that is no UTF-8: it can't be a Python text")
    assert outcome(matchers.parse_utf8, case["input"]) == case.get("matchers", case.get("error"))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [("foo=bar", "foo", "bar"), ("foo=\\n", "foo", "\n"), ('"föö"=x', "föö", "x"), ("foo=", "foo", "")],
)
def test_both_parsers_are_tried_and_the_classic_one_wins_a_dispute(text: str, name: str, value: str):
    """As Alertmanager does from 0.27 on."""
    (found,) = matchers.parse(text)

    assert (found.name, found.op, found.value) == (name, "=", value)


def test_what_neither_parser_reads_is_an_error_of_the_newer_one():
    """With the input and the reason."""
    with pytest.raises(MatcherError, match="expected label name") as caught:
        matchers.parse(",")

    assert caught.value.text == ","


@pytest.mark.parametrize(
    ("op", "value", "labels", "expected"),
    [
        ("=", "a", {"x": "a"}, True),
        ("=", "", {}, True),
        ("!=", "a", {}, True),
        ("!=", "a", {"x": "a"}, False),
        ("=~", "a|b", {"x": "b"}, True),
        ("=~", "a|b", {"x": "ab"}, False),
        ("=~", "a", {"x": "a\n"}, False),
        ("=~", "a$", {"x": "a\n"}, False),
        ("=~", ".*", {}, True),
        ("=~", ".+", {}, False),
        ("!~", "a.*", {"x": "b"}, True),
        ("!~", "a.*", {"x": "abc"}, False),
        ("=~", "(?i)CRIT(ical)?", {"x": "critical"}, True),
        ("=~", "a(?i)b|C", {"x": "c"}, True),
        ("=~", "a(?i)b|C", {"x": "AB"}, False),
        ("=~", "[[:digit:]]+", {"x": "12"}, True),
        ("=~", "\\d+", {"x": "٣"}, False),
        ("=~", "\\Qa.b\\E", {"x": "axb"}, False),
        ("=~", "[[:^digit:]]", {"x": "é"}, True),
        ("=~", "[[:^digit:]]", {"x": "1"}, False),
        ("=~", "[\\S]", {"x": " "}, False),
        ("=~", "[--a]", {"x": "A"}, True),
        ("=~", "[\\d-x]+", {"x": "1-x"}, True),
        ("=~", "[&&~~||^[]+", {"x": "^[|"}, True),
        ("=~", "^*a\\b?$+", {"x": "a"}, True),
        ("=~", "x{,3}", {"x": "x{,3}"}, True),
    ],
)
def test_a_matcher_is_anchored_and_absent_means_empty(op: Any, value: str, labels: dict[str, str], expected: bool):
    """RE2's meaning, where Python's differs."""
    assert Matcher("x", op, value).matches(labels) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(a)\\1",
        "a(?=b)",
        "a(?!b)",
        "(?<=a)b",
        "(?<!a)b",
        "(?>a)",
        "a++",
        "a**",
        "a{1001}",
        "(?P=n)",
        "(",
        "[a",
        "a\\",
        "*",
    ],
)
def test_what_re2_refuses_is_refused(pattern: str):
    """Backreferences, lookaround and possessive repeats would be taken by Python."""
    with pytest.raises(RegexError, match="error parsing regexp"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["\\pL", "(?U)a+", "(?m)^a$"])
def test_what_we_can_not_translate_is_refused_too(pattern: str):
    """An honest error beats a wrong route."""
    with pytest.raises(RegexError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("op", "value", "first"),
    [
        ("=", "a", "a"),
        ("!=", "a", ""),
        ("!=", "", "probe"),
        ("=~", "a|b", "a"),
        ("=~", "^(?:(b|c)-x)$", "b-x"),
        ("=~", ".+", "probe"),
        ("=~", "prod-.*", "prod-probe"),
        ("=~", "db[0-9]{2}", "db00"),
        ("=~", "(?i)crit", "crit"),
        ("=~", "a\\.b", "a.b"),
        ("!~", "a|b", ""),
        ("!~", ".*b.*|", "probe-without-b"),
    ],
)
def test_examples_satisfy_their_matcher(op: Any, value: str, first: str):
    """Every value given does match; a matcher that is too hard gives none."""
    matcher = Matcher("x", op, value)
    found = examples(matcher)

    assert all(matcher.matches({"x": one}) for one in found)
    assert found[:1] == ((first,) if first != "probe-without-b" else ())


def test_a_matcher_prints_as_alertmanager_prints_it():
    """Quotes, backslashes and newlines are escaped."""
    assert matchers.text_of([Matcher("a", "=", 'x"\\\n'), Matcher("b", "=~", "c|d")]) == '{a="x\\"\\\\\\n",b=~"c|d"}'
