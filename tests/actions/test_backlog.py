"""4.3: the backlog is final only when every entry has somebody's name and a date."""

import json
from pathlib import Path

import pytest

from ray_tui.actions import backlog
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Verdict
from tests.actions.sealed import FiledContext
from tests.fakes import actual


def gap(ident: str, owner: str = "checkout", due: str = "next release cycle") -> f.GapFound:
    return f.GapFound(id=ident, step="1.2", title=f"Repair {ident} | now", owner=owner, due=due)


async def test_every_entry_is_published_with_owner_and_due_date(tmp_path: Path) -> None:
    """The Markdown and its twin hold the same entries. (P70)"""
    context = FiledContext(tmp_path, step="4.3", facts=[gap("b"), gap("a", due="2026-12-01")])

    result = await backlog.run(context)

    assert result.verdict is Verdict.PASSED
    twin = json.loads(context.evidence("improvement-backlog.json") or b"")
    assert [one["id"] for one in twin["body"]["entries"]] == ["a", "b"]
    written = (context.evidence("improvement-backlog.md") or b"").decode()
    assert "2026-12-01" in written
    assert "Repair a \\| now" in written
    assert backlog.documents(result.data, None) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(("owner", "due"), [("", "2026-12-01"), ("unowned", "2026-12-01"), ("checkout", " ")])
async def test_an_entry_without_a_name_or_a_date_halts(tmp_path: Path, owner: str, due: str) -> None:
    """The words for nobody are nobody."""
    context = FiledContext(tmp_path, step="4.3", facts=[gap("a"), gap("bare", owner, due)])

    result = await backlog.run(context)

    assert result.verdict is Verdict.FAILED
    assert "bare" in actual(result, "backlog.owned")


async def test_a_run_without_gaps_says_so(tmp_path: Path) -> None:
    """No entry, and the Markdown says that none was found."""
    context = FiledContext(tmp_path, step="4.3")

    result = await backlog.run(context)

    assert result.verdict is Verdict.PASSED
    assert b"No gap was found" in (context.evidence("improvement-backlog.md") or b"")
