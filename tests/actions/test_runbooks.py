"""2.3 on files and fakes: links that lead somewhere or nowhere, and signals that are saved once, edited or declined."""

import os
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import runbook_signals, runbooks
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable, InputError
from ray_tui.core.ports import Ports
from ray_tui.step import Header
from tests.fakes import RELEASE, FakeContext, InMemoryVisits, a_config, actual, verdicts

BOOK = "# CheckoutErrors\n\n## Mitigation\n\nRoll back.\n"


def row(name: str = "CheckoutErrors", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "thresholds": ["> 0.05"], "for": "5m", "severity": "critical", "owner": "checkout",
        "runbook": f"docs/runbooks/{name}.md", "service": "checkout", "critical": True, "from_release": True,
        "summary": "Checkout fails.", **more,
    }  # fmt: skip


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.visits: InMemoryVisits | None = InMemoryVisits()
        self.answers: Any = {"signals": "yes"}
        self.put("docs/runbooks/CheckoutErrors.md", BOOK)

    def put(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    @property
    def book(self) -> str:
        return (self.folder / "docs/runbooks/CheckoutErrors.md").read_text()

    def context(self, *rows: dict[str, Any], attempt: int = 1, **more: Any) -> FakeContext:
        return FakeContext(
            self.folder, config=a_config(self.folder), ports=Ports(visits=self.visits), step="2.3", attempt=attempt,
            answers=self.answers, data={"2.1": {"alerts": list(rows)}}, **more,
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def found(result: Any, alert: str = "CheckoutErrors") -> dict[str, Any]:
    return next(one for one in result.data["runbooks"] if one["alert"] == alert)


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "text", "state"),
    [
        ("docs/runbooks/CheckoutErrors.md", BOOK, "ok"),
        ("CheckoutErrors.md", BOOK, "ok"),
        ("docs/runbooks/shop.md", "# Shop\n\n## Checkout errors\n\nRoll back.\n", "ok"),
        ("docs/runbooks/shop.md#roll-back", "# Shop\n\n## Roll back\n", "ok"),
        ("docs/runbooks/shop.md#nothing", "# Shop\n\n## Checkout errors\n", "unmatched"),
        ("docs/runbooks/shop.md", "# Shop\n\n## Payments\n", "unmatched"),
        ("docs/runbooks/{{ $labels.alertname }}.md", BOOK, "ok"),
        ("docs/runbooks/{{ $labels.pod }}.md", BOOK, "not-checked"),
        ("docs/runbooks/none.md", "", "missing"),
        ("docs/runbooks", "", "missing"),
        ("", "", "missing"),
        ("javascript:alert(1)", "", "missing"),
    ],
)
async def test_a_link_leads_to_a_document_with_a_section_about_the_alert(
    world: World, link: str, text: str, state: str
) -> None:
    """By path or below the runbook folders; a heading, the section named, or the file's name must fit. (P48)"""
    if text and "shop" in link:
        world.put("docs/runbooks/shop.md", text)
    result = await runbooks.run(world.context(row(runbook=link, from_release=False)))

    assert found(result)["state"] == state
    expected = {"ok": "passed", "not-checked": "inconclusive"}.get(state, "failed")
    assert verdicts(result)["runbooks.resolved"] == expected
    assert ("runbook:CheckoutErrors" in {gap.id for gap in result.gaps}) is (state != "ok")


async def test_a_link_may_not_lead_out_of_the_repository(world: World, tmp_path_factory: Any) -> None:
    """Neither by dots, nor absolutely, nor by a symbolic link."""
    outside = tmp_path_factory.mktemp("outside") / "CheckoutErrors.md"
    outside.write_text(BOOK)
    dots = os.path.relpath(outside, world.folder)
    (world.folder / "docs/runbooks/link.md").symlink_to(outside)
    for link in (str(outside), dots, "docs/runbooks/link.md"):
        result = await runbooks.run(world.context(row(runbook=link)))
        assert "leads outside" in found(result)["why"], link
        assert verdicts(result)["runbooks.resolved"] == "failed"
    assert outside.read_text() == BOOK


async def test_a_runbook_that_is_not_text_is_not_about_anything(world: World) -> None:
    """Bytes are not read as words."""
    world.put("docs/runbooks/CheckoutErrors.md", b"\xff\xfe\x00")
    assert found(await runbooks.run(world.context(row())))["state"] == "unmatched"


LOGIN = "<html><title>Sign in · Wiki</title><h1>Sign in</h1><form></form></html>"
WIKI = "<title>Wiki</title><h2 id='roll-back'>Roll <b>back</b></h2><h2>Checkout <i>errors</i></h2>"


@pytest.mark.parametrize(
    ("anchor", "media_type", "text", "state"),
    [
        ("", "text/html", WIKI, "ok"),
        ("#roll-back", "text/html", WIKI, "ok"),
        ("#checkout-errors", "text/html", WIKI, "ok"),
        ("#nothing", "text/html", WIKI, "unmatched"),
        ("", "text/html", LOGIN, "unmatched"),
        ("#roll-back", "text/html", LOGIN, "unmatched"),
        ("", "text/html", "<div id=app></div><script>start()</script>", "not-checked"),
        ("", "text/plain", BOOK, "ok"),
        ("#mitigation", "text/markdown", BOOK, "ok"),
        ("", "text/plain", "# Payments", "unmatched"),
        ("", "text/plain", "", "not-checked"),
        ("", "application/pdf", None, "not-checked"),
    ],
)
async def test_a_page_must_be_about_the_alert(
    world: World, anchor: str, media_type: str, text: str | None, state: str
) -> None:
    """A login page answers 200 too; a page that cannot be read is looked at by a person, and no pass. (P48)"""
    assert world.visits is not None
    world.visits.pages["https://wiki.example/shop"] = (media_type, text)

    result = await runbooks.run(world.context(row(runbook=f"https://wiki.example/shop{anchor}", from_release=False)))

    assert world.visits.visited == ["https://wiki.example/shop"]
    assert found(result)["state"] == state
    expected = {"ok": "passed", "not-checked": "inconclusive"}.get(state, "failed")
    assert verdicts(result)["runbooks.resolved"] == expected


async def test_an_address_that_cannot_be_visited_is_no_pass(world: World) -> None:
    """503 is not there, and without a way to ask nothing is known."""
    link = "https://wiki.example/CheckoutErrors#top"
    assert world.visits is not None
    world.visits.down["https://wiki.example/CheckoutErrors"] = "503"
    down = await runbooks.run(world.context(row(runbook=link, from_release=False)))
    world.visits.trouble = BackendUnreachable("visits", "no route")
    broken = await runbooks.run(world.context(row(runbook=link, from_release=False)))
    world.visits = None
    blind = await runbooks.run(world.context(row(runbook=link, from_release=False)))

    states = [(found(one)["state"], verdicts(one)["runbooks.resolved"]) for one in (down, broken, blind)]
    assert states == [("unreachable", "failed"), ("not-checked", "inconclusive"), ("not-checked", "inconclusive")]


async def test_where_no_alert_is_critical_each_one_counts(world: World) -> None:
    """Three alerts without a runbook are no pass because none of them pages."""
    rows = [row(name, critical=False, from_release=False) for name in ("SlowA", "SlowB", "SlowC")]

    result = await runbooks.run(world.context(*rows))

    assert verdicts(result)["runbooks.resolved"] == "failed"
    for name in ("SlowA", "SlowB", "SlowC"):
        assert name in actual(result, "runbooks.resolved")


async def test_an_alert_of_this_release_needs_its_runbook_whatever_its_severity(world: World) -> None:
    """What the release brought, it explains."""
    result = await runbooks.run(world.context(row(), row("CheckoutSlow", critical=False)))

    assert verdicts(result)["runbooks.resolved"] == "failed"
    assert "CheckoutSlow" in actual(result, "runbooks.resolved")


async def test_a_missing_runbook_of_an_uncritical_alert_is_a_gap(world: World) -> None:
    """It is written down with an owner and does not block."""
    loose = row("SearchSlow", critical=False, severity="warning", service="search", from_release=False)
    result = await runbooks.run(world.context(row(), loose))
    assert verdicts(result)["runbooks.resolved"] == "passed"
    said = actual(result, "runbooks.resolved")
    assert said.startswith("1 of 1 alerts that are critical or of this release lead to a runbook; of 1 others 1 do not")
    (gap,) = result.gaps
    assert (gap.id, gap.severity, gap.owner) == ("runbook:SearchSlow", "warns", "checkout")


async def test_a_runbook_that_is_there_at_last_is_resolved(world: World) -> None:
    """The next attempt closes the entry that it no longer finds. (P48)"""
    (world.folder / "docs/runbooks/CheckoutErrors.md").unlink()
    before = await runbooks.run(world.context(row()))
    assert [gap.id for gap in before.gaps] == ["runbook:CheckoutErrors"]
    world.put("docs/runbooks/CheckoutErrors.md", BOOK)
    after = await runbooks.run(world.context(row(), attempt=2, facts=list(before.gaps)))
    assert [(gap.id, gap.status) for gap in after.gaps] == [("runbook:CheckoutErrors", "resolved")]


async def test_no_alert_is_inconclusive(world: World) -> None:
    """2.1 has recorded nothing: nothing can be said, nor is anything resolved."""
    (world.folder / "docs/runbooks/CheckoutErrors.md").unlink()
    before = await runbooks.run(world.context(row()))
    nothing = await runbooks.run(world.context(attempt=2, facts=list(before.gaps)))
    assert verdicts(nothing)["runbooks.resolved"] == "inconclusive"
    assert nothing.gaps == ()


# --- signals ---------------------------------------------------------------------------------------------------------


async def test_the_proposed_block_is_saved_and_read_back(world: World) -> None:
    """An alert and a response line, between marks that name the release. (P48)"""
    context = world.context(row())
    result = await runbooks.run(context)

    assert verdicts(result) == {"runbooks.resolved": "passed", "runbooks.updated": "passed"}
    assert world.book == BOOK + (
        f"\n<!-- ray-tui {RELEASE} -->\n### Updated Signals\n"
        "- Alert: CheckoutErrors > 0.05 (5m), critical\n"
        "- Response: Checkout fails: follow the mitigation above; checkout answers for it\n"
        f"<!-- /ray-tui {RELEASE} -->\n"
    )
    (asked,) = context.asked
    assert (asked.name, asked.prompt, asked.data["text"]) == ("signals", "edit", asked.text)
    assert asked.keeps == (asked.text.split("\n")[0],)
    (intent,) = context.of_kind(f.IntentRecorded)
    assert context.state.intents[intent.id].outcome is not None
    assert result.data["signals"]["blocks"][0]["state"] == "written"


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ({"name": "Watchdog", "severity": "none"}, "- Alert: Watchdog, no severity"),
        ({"name": "NoMetrics", "for": "5m", "severity": "critical"}, "- Alert: NoMetrics (5m), critical"),
        ({"name": "Errors", "thresholds": ["> 0.05"], "severity": "page"}, "- Alert: Errors > 0.05, page"),
    ],
)
def test_an_alert_without_a_bound_leaves_no_hole_in_its_line(alert: dict[str, Any], said: str) -> None:
    """What always fires compares with nothing, and `none` is what its severity label says for that."""
    assert runbook_signals.proposal([alert]).split("\n")[1] == said


async def test_an_edited_block_is_saved_as_edited_and_kept_by_the_next_attempt(world: World) -> None:
    """What a person wrote is not proposed away; a re-run asks nothing and writes nothing."""
    edited = "### Updated Signals\n- Alert: CheckoutErrors\n- Response: scale pods, purge the cache\n"
    world.answers = lambda ask: ask.text.partition("\n")[0] + "\n" + edited
    await runbooks.run(world.context(row()))
    once = world.book
    context = world.context(row(), attempt=2)
    again = await runbooks.run(context)

    assert "purge the cache" in once
    assert world.book == once
    assert context.asked == []
    assert again.data["signals"]["blocks"][0]["state"] == "kept"
    assert verdicts(again)["runbooks.updated"] == "passed"


async def test_a_new_alert_replaces_the_block_of_the_same_release_only(world: World) -> None:
    """Another release's block stays; ours is there once."""
    link = "docs/runbooks/CheckoutErrors.md"
    other = "<!-- ray-tui checkout-v2.4.0 -->\nold\n<!-- /ray-tui checkout-v2.4.0 -->\n"
    world.put(link, f"{BOOK}\n{other}\n## Checkout slow\n")
    await runbooks.run(world.context(row()))
    await runbooks.run(world.context(row(), row("CheckoutSlow", runbook=link), attempt=2))

    assert world.book.count(f"<!-- ray-tui {RELEASE} -->") == 1
    assert "CheckoutSlow > 0.05" in world.book
    assert other in world.book


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"answer": "no", "reason": "after the freeze"}, "declined by mira: after the freeze"),
        ("<!-- runbook: /etc/passwd -->\nx\n", "names runbook '/etc/passwd'"),
        ("words\n<!-- runbook: docs/runbooks/CheckoutErrors.md -->\nx\n", "belong to no runbook"),
        ("<!-- runbook: docs/runbooks/CheckoutErrors.md -->\n\n", "left out by mira"),
    ],
)
async def test_what_is_declined_or_left_out_or_addressed_elsewhere_is_not_saved(
    world: World, answer: Any, said: str
) -> None:
    """The runbook is as it was, and the criterion says why."""
    world.answers = {"signals": answer}
    result = await runbooks.run(world.context(row()))
    assert verdicts(result)["runbooks.updated"] == "failed"
    assert said in actual(result, "runbooks.updated")
    assert world.book == BOOK


async def test_a_runbook_elsewhere_is_to_be_updated_by_hand(world: World) -> None:
    """What cannot be written is not passed over: it is inconclusive, and a gap."""
    assert world.visits is not None
    world.visits.pages["https://wiki.example/x"] = ("text/html", WIKI)
    result = await runbooks.run(world.context(row(runbook="https://wiki.example/x")))
    assert verdicts(result) == {"runbooks.resolved": "passed", "runbooks.updated": "inconclusive"}
    assert "by hand" in result.gaps[0].title


async def test_a_release_without_alerts_of_its_own_has_nothing_to_update(world: World) -> None:
    """Nobody is asked."""
    context = world.context(row(from_release=False))
    result = await runbooks.run(context)
    assert verdicts(result)["runbooks.updated"] == "passed"
    assert context.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_runbook_that_cannot_be_written_fails_and_its_intent_is_closed(world: World) -> None:
    """The folder is read-only."""
    folder = world.folder / "docs/runbooks"
    folder.chmod(0o500)
    try:
        context = world.context(row())
        result = await runbooks.run(context)
    finally:
        folder.chmod(0o700)
    assert verdicts(result)["runbooks.updated"] == "failed"


async def test_a_name_that_cannot_be_written_safely_fails_and_its_intent_is_closed(world: World) -> None:
    """The error names the file; nothing is left open."""
    world.put("docs/runbooks/Checkout errors.md", BOOK)
    context = world.context(row(runbook="docs/runbooks/Checkout%20errors.md"))
    result = await runbooks.run(context)
    assert verdicts(result)["runbooks.updated"] == "failed"
    assert "not a plain file name" in actual(result, "runbooks.updated")
    assert [one.outcome for one in context.of_kind(f.OutcomeRecorded)] == ["failed"]


async def test_a_write_that_the_last_host_did_not_record_is_found_and_not_repeated(world: World) -> None:
    """The block is there: the open intent is closed as done."""
    first = world.context(row())
    await runbooks.run(first)
    written = world.book
    kept = [fact for fact in first.recorded if isinstance(fact, f.IntentRecorded | f.PromptRaised | f.PromptAnswered)]
    context = world.context(row(), resumed=True, facts=kept)
    result = await runbooks.run(context)

    assert verdicts(result)["runbooks.updated"] == "passed"
    assert world.book == written
    assert [(one.outcome, one.reconciled) for one in context.of_kind(f.OutcomeRecorded)] == [("done", True)]


async def test_the_document_holds_the_block_and_renders_from_nothing(world: World) -> None:
    """runbook-updates.md; outside text stays text."""
    result = await runbooks.run(world.context(row(summary="<script>x</script> [a](b)")))
    header = Header("run-1", RELEASE, "production", "2.3", 1, 0.0, "passed", result.summary, result.criteria)
    text = runbooks.documents(result.data, header)["runbook-updates.md"]
    assert "### Updated Signals\n- Alert: CheckoutErrors > 0.05" in text
    assert "<script>" not in text
    assert "<script>" not in world.book
    assert "## Runbooks" in runbooks.documents({}, header)["runbook-updates.md"]


def test_our_own_marks_cannot_be_edited_into_a_block() -> None:
    """A block with a closing mark would end early."""
    text = f"<!-- runbook: a.md -->\nx\n{runbook_signals.closing(RELEASE)}\ny\n"
    assert runbook_signals.apart(text, ["a.md"])["a.md"].split() == ["x", "y"]
    with pytest.raises(InputError):
        runbook_signals.apart("no marks", ["a.md", "b.md"])
    assert runbook_signals.apart("no marks", ["a.md"]) == {"a.md": "no marks"}
    once = runbook_signals.with_block("t", "r", "one")
    assert runbook_signals.with_block(once, "r", "two") == runbook_signals.with_block("t", "r", "two")
