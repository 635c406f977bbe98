"""3.3: the card shows what was measured; what was not is never shown as met."""

import json
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import scorecard
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendTimeout
from ray_tui.core.ports import Matrix, Sample, Series, Vector
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header, Result
from tests.fakes import NOW, FakeClock, FakeContext, InMemoryMetrics, a_config, all_ports, verdicts

HOURS = 14 * 24
SLO = {
    "service": "checkout", "name": "availability", "objective": 99.5,
    "error_ratio": "(sum(rate(errors[{{.window}}])))\n/\n(sum(rate(requests[{{.window}}])))\n",
}  # fmt: skip
DATA: dict[str, dict[str, Any]] = {
    "1.2": {"completeness": {"passing": 39, "required": 40, "ratio": 0.975}},
    "2.1": {
        "slos": [SLO],
        "dashboards": [
            {"uid": "a", "title": "RED", "required": True, "score": 96.0},
            {"uid": "b", "title": "SLO", "required": True, "score": 92.0},
            {"uid": "c", "title": "Old", "required": False, "score": 10.0},
        ],
    },
    "2.2": {"receivers": [{"receiver": f"r{n}", "elapsed": {"acknowledged": [1.0, 2.0 + n]}} for n in range(3)]},
    "3.2": {"precision_share": {"hits": 47, "n": 50}, "recall_share": {"hits": 45, "n": 50}},
}


def hourly(value: float = 0.001, hours: int = HOURS) -> Matrix:
    return Matrix((Series({}, tuple((NOW - 3600 * k, value) for k in range(hours))),))


def context(
    tmp_path: Path, ratio: Any = 0.001, history: Any = None, data: Mapping[str, Any] = DATA, **more: Any
) -> FakeContext:
    metrics = InMemoryMetrics(clock=FakeClock()).answer("errors|http_requests", ratio)
    metrics.answer_range("errors|http_requests", hourly() if history is None else history)
    # only checkout is critical here, and it has an SLO
    more.setdefault("config", a_config(tmp_path, services={"payments": {"critical": False}}))
    return FakeContext(tmp_path, ports=all_ports(metrics=metrics), step="3.3", data=data, **more)


def rows(result: Result) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in result.data["rows"]}


async def test_every_row_of_a_good_release_is_met(tmp_path: Path) -> None:
    """Attainment weighted by events, budget, window, precision, coverage, dashboards, acknowledgement. (P60)"""
    here = context(tmp_path)

    result = await scorecard.run(here)

    assert result.verdict is Verdict.PASSED
    found = rows(result)
    assert {row["status"] for row in found.values()} == {"ok"}
    assert found["SLO attainment: checkout/availability"]["actual"] == "99.900% over 100% of 14 d"
    assert found["Error budget left: checkout/availability"]["actual"] == "80.0%"
    assert found["Alert Precision"]["actual"].startswith("94% (47 of 50")
    assert found["Lowest dashboard score"]["actual"] == "92 (SLO)"
    assert found["Acknowledgement p95"]["actual"] == "4.0 s (n = 3)"
    assert "rate(errors[2w])" in here.ports.metrics.asked[0]  # type: ignore[union-attr]


async def test_a_missed_objective_does_not_block_and_gets_a_backlog_entry(tmp_path: Path) -> None:
    """2% failed where 0.5% may: overspent, with an owner."""
    result = await scorecard.run(context(tmp_path, 0.02, hourly(0.02)))

    assert result.verdict is Verdict.PASSED
    assert rows(result)["Error budget left: checkout/availability"]["actual"] == "-300.0%"
    assert rows(result)["SLO attainment: checkout/availability"]["status"] == "missed"
    assert {(gap.owner, gap.subject) for gap in result.gaps} == {("checkout", "checkout")}


@pytest.mark.parametrize(
    "ratio",
    [
        Vector(()),
        nan,
        float("inf"),
        -0.1,
        1.5,
        Vector((Sample({}, NOW, 0.0),), ("a store did not answer",)),
        Vector((Sample({"a": "1"}, NOW, 0.0), Sample({"a": "2"}, NOW, 0.0))),
    ],
    ids=["empty", "NaN", "Inf", "negative", "over one", "partial", "two series"],
)
async def test_what_could_not_be_measured_is_never_met(tmp_path: Path, ratio: Any) -> None:
    """Empty, NaN, Inf, out of range, partial, ambiguous: insufficient, on all three rows."""
    result = await scorecard.run(context(tmp_path, ratio))

    found = rows(result)
    for name in ("SLO attainment", "Error budget left", "Window coverage"):
        assert found[f"{name}: checkout/availability"]["status"] == "insufficient"
    json.dumps(result.data, allow_nan=False)


async def test_an_attainment_over_a_part_of_the_window_is_insufficient(tmp_path: Path) -> None:
    """100% over one day of fourteen is shown, and not as met."""
    result = await scorecard.run(context(tmp_path, 0.0, hourly(0.0, 24)))

    row = rows(result)["SLO attainment: checkout/availability"]
    assert (row["actual"], row["status"]) == ("100.000% over 7% of 14 d", "insufficient")


async def test_hours_without_traffic_do_not_count_as_covered(tmp_path: Path) -> None:
    """0/0 is NaN."""
    result = await scorecard.run(context(tmp_path, 0.001, hourly(nan)))

    assert rows(result)["Window coverage: checkout/availability"]["status"] == "insufficient"


async def test_a_critical_service_without_an_slo_is_held_to_the_configured_target(tmp_path: Path) -> None:
    """payments names none: 99.9% from its RED metrics."""
    here = context(tmp_path, config=a_config(tmp_path))

    result = await scorecard.run(here)

    assert rows(result)["SLO attainment: payments/availability"]["target"] == "≥ 99.9%"
    assert any('service="payments"' in asked and 'status=~"5.."' in asked for asked in here.ports.metrics.asked)  # type: ignore[union-attr]


async def test_a_metrics_store_that_breaks_is_an_error_and_the_other_rows_stand(tmp_path: Path) -> None:
    """The card could not be computed: named, waivable, not a pass."""
    here = context(tmp_path, BackendTimeout("metrics", "15 s passed"))

    result = await scorecard.run(here)

    assert verdicts(result) == {"scorecard.computed": "error"}
    assert rows(result)["Alert Precision"]["status"] == "ok"
    assert rows(result)["SLO attainment"]["status"] == "insufficient"


async def test_a_card_on_nothing_is_inconclusive(tmp_path: Path) -> None:
    """Nothing measured is not a computed card."""
    result = await scorecard.run(context(tmp_path, Vector(()), Matrix(()), data={}))

    assert verdicts(result) == {"scorecard.computed": "inconclusive"}
    assert {row["status"] for row in result.data["rows"][:-1]} == {"insufficient"}


@pytest.mark.parametrize(
    ("step", "data", "metric"),
    [
        ("3.2", {"precision_share": {"hits": 9, "n": 9}}, "Alert Precision"),
        ("3.2", {"precision_share": {"hits": 5, "n": 2}}, "Alert Precision"),
        ("3.2", {"precision_share": None}, "Alert Precision"),
        ("3.2", {"recall_share": {"hits": 0, "n": 0}}, "Alert Recall"),
        ("1.2", {"completeness": {"passing": 0, "required": 0, "ratio": None}}, "Instrumentation coverage"),
        ("1.2", {"completeness": "all"}, "Instrumentation coverage"),
        ("2.1", {"slos": [SLO], "dashboards": []}, "Lowest dashboard score"),
        ("2.1", {"slos": [SLO], "dashboards": [{"required": True, "score": "98"}]}, "Lowest dashboard score"),
        ("2.2", {"receivers": []}, "Acknowledgement p95"),
        ("2.2", {}, "Acknowledgement p95"),
    ],
)
async def test_thin_or_bad_figures_of_other_steps_are_insufficient(
    tmp_path: Path, step: str, data: dict[str, Any], metric: str
) -> None:
    """Under ten cases, over nothing, or not of the form that the step writes."""
    result = await scorecard.run(context(tmp_path, data={**DATA, step: data}))

    assert rows(result)[metric]["status"] == "insufficient"


@pytest.mark.parametrize(
    ("step", "data", "metric"),
    [
        ("3.2", {"precision_share": {"hits": 40, "n": 50}}, "Alert Precision"),
        ("1.2", {"completeness": {"passing": 9, "required": 10, "ratio": 0.9}}, "Instrumentation coverage"),
        ("2.1", {"slos": [SLO], "dashboards": [{"required": True, "score": 80.0}]}, "Lowest dashboard score"),
        ("2.2", {"receivers": [{"elapsed": {"acknowledged": [1.0, 301.0]}}]}, "Acknowledgement p95"),
        ("2.2", {"receivers": [{"elapsed": {"acknowledged": [1.0, 2.0]}}, {"elapsed": {}}]}, "Acknowledgement p95"),
    ],
)
async def test_a_target_that_was_missed_says_so(tmp_path: Path, step: str, data: dict[str, Any], metric: str) -> None:
    """Each row against its own threshold; a page that nobody acknowledged is no fast one."""
    result = await scorecard.run(context(tmp_path, data={**DATA, step: data}))

    assert rows(result)[metric]["status"] == "missed"
    assert result.verdict is Verdict.PASSED


async def test_open_backlog_entries_are_the_risks_the_gravest_first(tmp_path: Path) -> None:
    """Resolved ones are none; one that blocks is a missed row."""
    entries = [
        f.GapFound(id=ident, step="1.2", title=ident, owner="me", due="soon", severity=severity, status=state)
        for ident, severity, state in (
            ("a", "info", "open"), ("b", "blocks", "open"), ("c", "blocks", "resolved"), ("d", "warns", "open"),
        )
    ]  # type: ignore[misc]  # fmt: skip

    result = await scorecard.run(context(tmp_path, facts=entries))

    assert [one["id"] for one in result.data["risks"]] == ["b", "d", "a"]
    assert rows(result)["Outstanding risks"]["actual"] == "1 blocks, 1 warns, 1 info"
    assert rows(result)["Outstanding risks"]["status"] == "missed"


async def test_the_card_has_the_seeds_form(tmp_path: Path) -> None:
    """Metric, Target, Actual, Status; ✅ only on what was measured and met. (P60)"""
    result = await scorecard.run(context(tmp_path, Vector(())))
    header = Header("r", "v1", "production", "3.3", 1, 0.0, "passed", "s", result.criteria)

    card = scorecard.documents(result.data, header)["observability-scorecard.md"]

    assert "| Metric | Target | Actual | Status |" in card
    assert "| Alert Precision | ≥ 85% | 94% (47 of 50, 95% interval 84% to 98%) | ✅ |" in card
    assert "| SLO attainment: checkout/availability | ≥ 99.5% | no data | ❔ insufficient |" in card


def test_an_attainment_is_rounded_down() -> None:
    """99.9996% is not 100%."""
    found = scorecard.slo_rows(scorecard.Objective("a", "b", 99.9, ""), scorecard.Attained(0.999996, 1.0), 86_400.0)

    assert found[0].actual == "99.999% over 100% of 1 d"
