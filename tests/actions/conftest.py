"""How long 2.2 waits in worlds that answer at once."""

import pytest

from ray_tui.actions import probe_cleanup


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault world's pager closes what is resolved within a second: what it has not closed in three stays open."""
    monkeypatch.setattr(probe_cleanup, "CLEAR_SECONDS", 3.0)
