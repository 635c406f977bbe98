"""4.3: the backlog is final only when every entry has somebody's name and a date."""

import json
from pathlib import Path

import pytest

from ray_tui.actions import backlog
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.verdicts import Verdict
from tests.actions.sealed import FiledContext
from tests.fakes import InMemoryNotifier, actual, all_ports


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


def filing(folder: Path, tracker: InMemoryNotifier, *gaps: f.GapFound) -> FiledContext:
    return FiledContext(folder, step="4.3", facts=list(gaps), ports=all_ports(tracker=tracker))


async def test_every_open_entry_is_filed_once_and_its_address_is_in_the_backlog(tmp_path: Path) -> None:
    """An intent before each; a retry files nothing again. (P70)"""
    tracker = InMemoryNotifier(name="issues")
    settled = gap("c").but(status="resolved")
    context = filing(tmp_path, tracker, gap("a"), gap("b").but(reference="OPS-7"), settled)

    result = await backlog.run(context)
    again = await backlog.run(context)

    assert result.verdict is again.verdict is Verdict.PASSED
    assert actual(result, "backlog.filed") == "2 of 2 filed by issues"
    assert [subject for subject, _, _ in tracker.sent] == ["Repair a | now (production)", "Repair b | now (production)"]
    assert all(text.startswith(token) for _, text, token in tracker.sent)
    entries = json.loads(context.evidence("improvement-backlog.json") or b"")["body"]["entries"]
    assert [one["reference"] for one in entries] == ["issues-1", "issues-2 (OPS-7)", ""]
    assert [one.outcome.outcome for one in context.state.intents.values() if one.outcome] == ["done", "done"]


async def test_what_an_earlier_run_filed_and_is_still_open_is_found_and_not_filed_again(tmp_path: Path) -> None:
    """The token is the entry's, not the run's."""
    tracker = InMemoryNotifier(name="issues")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    await backlog.run(filing(tmp_path / "one", tracker, gap("a")))

    result = await backlog.run(filing(tmp_path / "two", tracker, gap("a")))

    assert actual(result, "backlog.filed") == "1 of 1 filed by issues"
    assert len(tracker.sent) == 1


async def test_a_tracker_that_does_not_answer_blocks_and_names_what_is_not_filed(tmp_path: Path) -> None:
    """Not filed is never a pass, and nothing is lost of the backlog itself."""
    tracker = InMemoryNotifier(name="issues", trouble=BackendUnreachable("tracker", "no connection", "Check it"))
    context = filing(tmp_path, tracker, gap("a"))

    result = await backlog.run(context)

    assert result.verdict is not Verdict.PASSED
    assert "0 of 1 filed by issues; a: " in actual(result, "backlog.filed")
    assert context.evidence("improvement-backlog.json")
