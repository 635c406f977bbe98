"""Which file begins first: of workers that take whole files, none may begin the longest when the others are done."""

from pathlib import Path

import pytest

FIRST = Path(__file__).parent / "tui" / "test_pictures.py"
"""Among the last by name, and a hundred seconds long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path != FIRST)
