"""Every line of the protocol's conformance list, P1 to P97, is named by a test that tests it."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
ALL = frozenset(range(1, 98))
NOT_BUILT_YET: frozenset[int] = frozenset()
"""Lines that nothing tests yet. Remove one as soon as a test names it."""
_GROUP = re.compile(r"\(((?:P\d+(?:\s*[,–-]\s*|\s+and\s+|\s+)?)+)\)")


def ids_in(docstring: str) -> set[int]:
    """``(P45)``, ``(P75, P76)`` and ``(P33–P35)``; an id outside of parentheses names nothing."""
    found: set[int] = set()
    for group in _GROUP.findall(docstring):
        for first, last in re.findall(r"P(\d+)(?:\s*[–-]\s*P(\d+))?", group):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def named_by_tests() -> dict[int, list[str]]:
    """Id -> the tests whose docstring names it."""
    named: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for number in ids_in(ast.get_docstring(node) or ""):
                    named.setdefault(number, []).append(f"{path.relative_to(TESTS)}::{node.name}")
    return named


def test_every_line_of_the_protocol_is_tested():
    """A line that no test names fails here, and so does an id that the list does not have."""
    named = set(named_by_tests())
    missing = sorted(ALL - named - NOT_BUILT_YET)
    assert not missing, f"no test names {', '.join(f'P{number}' for number in missing)}"
    assert not named - ALL, f"not in the list: {sorted(named - ALL)}"


def test_what_is_said_to_be_missing_is_missing():
    """The list of what is not built may not outlive the building."""
    done = sorted(NOT_BUILT_YET & set(named_by_tests()))
    assert not done, f"remove from NOT_BUILT_YET: {', '.join(f'P{number}' for number in done)}"


def test_ids_are_read_from_lists_and_ranges():
    """What counts as naming a line."""
    assert ids_in("A page arrives. (P45)") == {45}
    assert ids_in("Gates. (P75, P76 and P78)") == {75, 76, 78}
    assert ids_in("Updated. (P33–P35)") == {33, 34, 35}
    assert ids_in("P45 is not named so") == set()
