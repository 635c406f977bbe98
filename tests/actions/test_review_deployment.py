"""1.1: the papers are read, held against each other, and every requirement knows its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import REGISTRY, review_deployment
from ray_tui.actions.services import deployed_at, effective_services
from ray_tui.core import plan
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header, Result
from tests import papers
from tests.fakes import DEPLOYED_AT, NOW, RELEASE, FakeContext, a_config, actual, verdicts


async def review(folder: Path, config: Any = None, **instead: Any) -> Result:
    papers.write(folder, **instead)
    return await review_deployment.run(FakeContext(folder, config=config, step="1.1"))


def bad(result: Result) -> dict[str, str]:
    return {id_: verdict for id_, verdict in verdicts(result).items() if verdict != "passed"}


def header(result: Result) -> Header:
    return Header("run-1", RELEASE, "production", "1.1", 1, NOW, result.verdict.value, result.summary, result.criteria)


async def test_requirements_risks_and_new_endpoints_come_from_the_papers(tmp_path: Path) -> None:
    """Services, endpoints, risks, KPIs and SLOs are collected from the Protocol 15 papers. (P22)"""
    result = await review(tmp_path)

    assert result.verdict is Verdict.PASSED
    assert [row["name"] for row in result.data["services"]] == ["checkout", "payments", "search"]
    assert [row["text"] for row in result.data["endpoints"]] == ["/api/v2/checkout"]
    assert [row["text"] for row in result.data["risks"]] == ["pool near its limit", "client upgraded"]
    assert [row["text"] for row in result.data["kpis"]] == ["p99 latency"]
    assert [row["text"] for row in result.data["slos"]] == ["availability"]


async def test_each_requirement_names_the_line_that_it_stands_on(tmp_path: Path) -> None:
    """A source is file:line, and that line of the file holds the requirement."""
    result = await review(tmp_path)

    for kind in ("risks", "kpis", "slos"):
        for row in result.data[kind]:
            name, line = row["source"].split(":")
            assert row["text"] in (tmp_path / papers.FOLDER / name).read_text().splitlines()[int(line) - 1]
    name, line = result.data["services"][1]["sources"][0].split(":")
    lines = (tmp_path / papers.FOLDER / name).read_text().splitlines()
    assert '"payments"' in "".join(lines[int(line) - 1 : int(line) + 2])


async def test_the_document_shows_kpis_slos_risks_and_endpoints_with_their_sources(tmp_path: Path) -> None:
    """monitoring-requirements.md summarises them all, and rendering again gives the same bytes. (P25)"""
    result = await review(tmp_path)

    text = review_deployment.documents(result.data, header(result))["monitoring-requirements.md"]

    for wanted in ("p99 latency", "availability", "client upgraded", "/api/v2/checkout"):
        assert wanted in text
    assert "DEPLOYMENT-REPORT.md:12" in text
    assert (
        text
        == review_deployment.documents(json.loads(json.dumps(result.data)), header(result))[
            "monitoring-requirements.md"
        ]
    )


async def test_text_from_a_paper_cannot_write_the_document(tmp_path: Path) -> None:
    """A risk that holds pipes, HTML and line breaks stays one escaped cell."""
    evil = papers.changed(papers.VALIDATION, checks=[{"name": "a | b\n## Own heading <img src=x>", "status": "failed"}])
    result = await review(tmp_path, validation=evil)

    text = review_deployment.documents(result.data, header(result))["monitoring-requirements.md"]

    assert "\n## Own heading" not in text
    assert "<img" not in text.replace("\\<img", "")


def test_a_broken_attempt_still_has_a_document() -> None:
    """An attempt that ended without data renders, so that its failure is on paper."""
    empty = Result("it broke", (), {})
    assert "it broke" in review_deployment.documents({}, header(empty))["monitoring-requirements.md"]


@pytest.mark.parametrize("key", ["validation", "health_log", "report", "staging"])
async def test_a_missing_paper_halts(tmp_path: Path, key: str) -> None:
    """Each required paper that is missing fails, by name, and says where it was sought. (P24)"""
    result = await review(tmp_path, **{key: None})

    assert bad(result) == {f"review.input:{papers.NAMES[key]}": "failed"}
    assert "missing" in actual(result, f"review.input:{papers.NAMES[key]}")


async def test_a_paper_found_twice_halts(tmp_path: Path) -> None:
    """Two files of one name are inconsistent: nobody knows which one is true. (P24)"""
    other = tmp_path / ".artifacts" / "staging"
    other.mkdir(parents=True)
    (other / "staging-test-results.json").write_bytes(papers.as_bytes(papers.STAGING))

    result = await review(tmp_path)

    assert bad(result) == {"review.input:staging-test-results.json": "failed"}
    assert "found 2 times" in actual(result, "review.input:staging-test-results.json")


VALIDATION_TEXT = papers.as_bytes(papers.VALIDATION)
BAD_JSON: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n ", "is empty"),
    "truncated": (VALIDATION_TEXT[:-40], "cut off"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not text"),
    "a list": (b"[1, 2]", "must be a JSON object"),
    "too deep": (b'{"a":' * 100 + b"1" + b"}" * 100, "nested deeper"),
    "absurdly deep": (b"[" * 200_000, "nested deeper"),
    "not a number": (b'{"release": NaN}', "NaN"),
    "a huge integer": (b'{"release": ' + b"9" * 5000 + b"}", "post-deployment-validation.json"),
    "a key twice": (b'{"release": "a", "release": "b"}', "stands twice"),
    "huge": (b" " * 50_000_000, "50000000"),
}


@pytest.mark.parametrize("case", BAD_JSON)
async def test_a_broken_json_paper_halts_with_its_reason(tmp_path: Path, case: str) -> None:
    """Empty, truncated, binary, huge, deep or ambiguous JSON fails with the file's name and the reason. (P24)"""
    data, reason = BAD_JSON[case]
    result = await review(tmp_path, validation=data)

    assert bad(result) == {"review.input:post-deployment-validation.json": "failed"}
    said = actual(result, "review.input:post-deployment-validation.json")
    assert reason in said
    assert "post-deployment-validation.json" in said


BAD_MARKDOWN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "binary": (b"\x00\x01\x02", "NUL"),
    "not utf-8": (b"\xff\xfe---", "not UTF-8"),
    "no front matter": (b"# Report\n", "DEPLOYMENT-REPORT.release is missing"),
    "unending front matter": (b"---\nrelease: x\n", "does not end"),
    "front matter that is not YAML": (b"---\nrelease: [\n---\n", "not valid YAML"),
    "no table of SLOs": (papers.REPORT.split("## SLOs")[0].encode(), "DEPLOYMENT-REPORT.slos is missing"),
    "another column": (papers.REPORT.replace("| Risk |", "| Hazard |").encode(), "DEPLOYMENT-REPORT.risks.risk"),
}


@pytest.mark.parametrize("case", BAD_MARKDOWN)
async def test_a_broken_markdown_paper_halts_with_its_reason(tmp_path: Path, case: str) -> None:
    """Markdown without the front matter, tables or columns that it must have fails and says which. (P24)"""
    data, reason = BAD_MARKDOWN[case]
    result = await review(tmp_path, report=data)

    assert bad(result) == {"review.input:DEPLOYMENT-REPORT.md": "failed"}
    assert reason in actual(result, "review.input:DEPLOYMENT-REPORT.md")


async def test_a_heading_inside_a_code_block_is_not_a_table(tmp_path: Path) -> None:
    """Markdown is parsed, not searched: what stands in a fence is not a heading."""
    fenced = papers.REPORT.replace("## SLOs", "```\n## SLOs") + "```\n"

    result = await review(tmp_path, report=fenced)

    assert "DEPLOYMENT-REPORT.slos is missing" in actual(result, "review.input:DEPLOYMENT-REPORT.md")


async def test_an_unknown_shape_names_the_key_and_the_map_entry_that_mends_it(tmp_path: Path) -> None:
    """A missing key says which entry of [inputs.map] would supply it; with that entry the paper is read."""
    moved = papers.changed(papers.VALIDATION, release=None, meta={"version": RELEASE})
    result = await review(tmp_path, validation=moved)
    said = actual(result, "review.input:post-deployment-validation.json")
    assert '"post-deployment-validation.release" = "<your key>"' in said

    config = a_config(inputs={"map": {"post-deployment-validation.release": "meta.version"}})
    assert (await review(tmp_path, config, validation=moved)).verdict is Verdict.PASSED


async def test_a_users_own_names_are_mapped_in_lists_and_tables(tmp_path: Path) -> None:
    """Keys of list items, headings and columns can be mapped too."""
    rows = [
        {"id": row["name"], **{k: v for k, v in row.items() if k != "name"}} for row in papers.VALIDATION["services"]
    ]
    entries = {
        "post-deployment-validation.services": "components",
        "post-deployment-validation.services.name": "id",
        "DEPLOYMENT-REPORT.risks": "Hazards",
        "DEPLOYMENT-REPORT.risks.risk": "What",
    }
    result = await review(
        tmp_path, a_config(inputs={"map": entries}),
        validation=papers.changed(papers.VALIDATION, services=None, components=rows),
        report=papers.REPORT.replace("## Risks", "## Hazards").replace("| Risk |", "| What |"),
    )  # fmt: skip

    assert result.verdict is Verdict.PASSED
    assert "client upgraded" in [row["text"] for row in result.data["risks"]]


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "another release": ({"health_log": papers.HEALTH_LOG.replace("v2.4.1", "v2.4.0")}, "release checkout-v2.4.0"),
    "another environment": ({"report": papers.REPORT.replace(": production", ": staging")}, "is about staging"),
    "another deploy time": ({"report": papers.REPORT.replace("T19:00", "T17:00")}, "7200 s apart"),
    "a deploy time ahead of us": (
        {"validation": papers.changed(papers.VALIDATION, deployed_at="2026-11-22T23:00:00Z")},
        "ahead of us",
    ),
    "a service described in two ways": (
        {"report": papers.REPORT + "\n## Services\n\n| Service | Critical |\n|---|---|\n| search | yes |\n"},
        "search: critical is False",
    ),
    "another change than the catalogue says": (
        {
            "validation": papers.changed(
                papers.VALIDATION, services=[{"name": "search", "change": "new", "critical": False}]
            )
        },
        "search is modified in the configuration but new",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
async def test_papers_that_contradict_each_other_halt(tmp_path: Path, case: str) -> None:
    """Different releases, environments, deploy times or service facts are inconsistent. (P24)"""
    instead, reason = CONTRADICTIONS[case]
    result = await review(tmp_path, **instead)

    assert verdicts(result)["review.consistent"] == "failed"
    assert reason in actual(result, "review.consistent")


async def test_a_deploy_time_without_a_zone_halts(tmp_path: Path) -> None:
    """A local time is no time."""
    result = await review(tmp_path, validation=papers.changed(papers.VALIDATION, deployed_at="2026-11-22T19:00:00"))
    assert "time zone" in actual(result, "review.input:post-deployment-validation.json")


async def test_a_deployment_that_did_not_pass_halts(tmp_path: Path) -> None:
    """A validation whose own status is not a success is no deployment to watch."""
    result = await review(tmp_path, validation=papers.changed(papers.VALIDATION, status="degraded"))
    assert bad(result) == {"review.status": "failed"}


async def test_requirements_that_name_nothing_halt(tmp_path: Path) -> None:
    """Tables without a row leave nothing to watch."""
    result = await review(tmp_path, report=papers.REPORT.replace("| availability | checkout | 99.9% |\n", ""))
    assert bad(result) == {"review.documented": "failed"}


async def test_gaps_of_the_quality_audit_go_into_the_backlog(tmp_path: Path) -> None:
    """quality-audit-summary.json is used where it is there, each gap with an owner and a due date. (P7)"""
    result = await review(tmp_path, audit=papers.AUDIT)

    (gap,) = result.gaps
    assert (gap.id, gap.subject, gap.owner) == ("quality-audit:QA-1", "payments", "payments")
    assert gap.due


@pytest.mark.parametrize(("then", "closed"), [({**papers.AUDIT, "gaps": []}, True), (b"{", False)])
async def test_a_gap_that_the_quality_audit_no_longer_names_is_resolved(
    tmp_path: Path, then: Any, closed: bool
) -> None:
    """An audit that cannot be read says nothing of it."""
    before = await review(tmp_path, audit=papers.AUDIT)
    papers.write(tmp_path, audit=then)
    after = await review_deployment.run(FakeContext(tmp_path, step="1.1", attempt=2, facts=before.gaps))

    resolved = [gap.id for gap in after.gaps if gap.status == "resolved"]
    assert resolved == (["quality-audit:QA-1"] if closed else [])


async def test_expectations_are_used_where_they_are_there(tmp_path: Path) -> None:
    """observability-baseline.md adds its KPIs. (P6)"""
    result = await review(tmp_path, expectations=papers.EXPECTATIONS)

    assert "p50" in [row["text"] for row in result.data["kpis"]]
    assert not any("observability-baseline" in warning for warning in result.data["warnings"])


async def test_optional_papers_that_are_missing_or_broken_only_warn(tmp_path: Path) -> None:
    """Without them, or with rubbish in them, the review still passes and says so. (P6)"""
    result = await review(tmp_path, audit=b"{")

    assert result.verdict is Verdict.PASSED
    assert any("quality-audit-summary.json" in warning for warning in result.data["warnings"])
    assert any("observability-baseline.md is not there" in warning for warning in result.data["warnings"])


async def test_later_actions_see_the_catalogue_and_the_papers_together(tmp_path: Path) -> None:
    """What the papers add to a service holds for later actions; so does the deploy time."""
    config = a_config(services={"search": {"changed": "", "critical": False}}, run={"deployed_at": None})
    papers.write(tmp_path)
    context = FakeContext(tmp_path, config=config, step="1.1")
    context.finished("1.1", (await review_deployment.run(context)).data)

    services = effective_services(context.config, context.state)

    assert services["search"].changed == "modified"
    assert services["payments"].regulated
    assert services["checkout"].critical_changed
    assert deployed_at(context.config, context.state) == DEPLOYED_AT


def test_the_registry_holds_actions_only() -> None:
    """A file of the folder that the plan does not name is a helper."""
    assert set(REGISTRY) <= {action.key for action in plan.ACTIONS}
    assert "services" not in REGISTRY
    assert REGISTRY["review_deployment"] is review_deployment


async def test_papers_with_two_deploy_times_contradict_each_other(tmp_path: Path) -> None:
    """Also where the configuration names no time: the two lines are named. (P24)"""
    other = papers.REPORT.replace("T19:00", "T17:00")
    result = await review(tmp_path, a_config(run={"deployed_at": None}), report=other)
    assert "give deploy times 7200 s apart" in actual(result, "review.consistent")
