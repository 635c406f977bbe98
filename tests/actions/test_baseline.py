"""1.3: figures after the deploy, compared with those before, the prior kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import baseline
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.policy import Thresholds
from ray_tui.core.ports import Matrix, Series
from ray_tui.core.verdicts import Verdict
from ray_tui.evidence import records, writer
from ray_tui.evidence.baselines import kept_name
from ray_tui.step import Result
from tests import papers
from tests.fakes import (
    DEPLOYED_AT,
    NOW,
    RELEASE,
    SERVICES,
    FakeClock,
    FakeContext,
    InMemoryMetrics,
    a_config,
    actual,
    all_ports,
    verdicts,
)

P99 = "histogram_quantile(0.99"


def wave(base: float) -> Any:
    """A range answer around ``base``: one series a service, a little different at every step."""

    def answer(expr: str, start: float, end: float, step: float) -> Matrix:
        times = [start + step * number for number in range(int((end - start) // step) + 1)]
        points = tuple((at, base * (1 + 0.01 * (number % 7))) for number, at in enumerate(times))
        return Matrix(tuple(Series({"service": name}, points) for name in SERVICES))

    return answer


def measured(p99: float = 0.3, errors: float = 0.01) -> InMemoryMetrics:
    metrics = InMemoryMetrics(clock=FakeClock())
    metrics.answer_range("sum by (service) (rate(http_requests_total", wave(10.0))
    metrics.answer_range('status=~"5.."', wave(errors))
    metrics.answer_range("histogram_quantile(0.5", wave(0.05))
    metrics.answer_range(P99, wave(p99))
    return metrics


def prior(p99: float = 0.3, release: str = "checkout-v2.4.0", **body: Any) -> bytes:
    values = {"request_rate": 10.0, "error_ratio": 0.001, "latency_p50": 0.05, "latency_p99": p99}
    kpis = [
        {"service": name, "kpi": kpi, "unit": "", "samples": [value * (1 + 0.01 * (n % 7)) for n in range(60)]}
        for name in SERVICES
        for kpi, value in values.items()
    ]
    window = {"start": DEPLOYED_AT - 2400, "end": DEPLOYED_AT - 600}
    return json.dumps({"release": release, "body": {"kpis": kpis, "window": window, **body}}).encode()


def publish(folder: Path, data: bytes, name: str = "baseline-metrics.json") -> None:
    store = folder / ".artifacts" / "monitoring"
    store.mkdir(parents=True, exist_ok=True)
    (store / name).write_bytes(data)


def a_run(folder: Path, metrics: InMemoryMetrics | None = None, **more: Any) -> FakeContext:
    return FakeContext(folder, step="1.3", ports=all_ports(metrics=metrics or measured()), **more)


def leave_behind(folder: Path, run: FakeContext, result: Result) -> None:
    """Publish what a run that ended has written, as the engine does: files first, then the twin."""
    for name, data in result.files.items():
        publish(folder, data, name)
    head = {"verdict": result.verdict.value}
    publish(folder, records.twin("baseline-metrics.json", run.state, "1.3", result.data, **head))


async def snapshot(folder: Path, metrics: InMemoryMetrics | None = None, **more: Any) -> Result:
    return await baseline.run(a_run(folder, metrics, **more))


def kpi(result: Result, service: str, name: str) -> dict[str, Any]:
    return next(row for row in result.data["kpis"] if (row["service"], row["kpi"]) == (service, name))


async def test_the_window_begins_after_the_deploy(tmp_path: Path) -> None:
    """Half an hour up to now, never from before the deploy; a sample is the mean of one whole step. (P30)"""
    result = await snapshot(tmp_path)
    assert result.data["window"] == {"start": NOW - 1800, "end": NOW, "step": 30}

    soon = a_config(run={"deployed_at": "2026-11-22T19:50:10Z"})
    window = (await snapshot(tmp_path, config=soon)).data["window"]
    assert window["start"] >= soon.deployed_at()
    assert window["start"] - soon.deployed_at() < 30


def test_a_window_is_whole_steps() -> None:
    """No step is cut, so windows of samples do not overlap."""
    span = baseline.window_of(NOW - 100, NOW, Thresholds())
    assert (span.start, span.end) == (NOW - 90, NOW)


async def test_the_artifact_holds_quantiles_and_samples_of_each_kpi(tmp_path: Path) -> None:
    """Rate, error ratio, p50 and p99 of every service that serves requests. (P32)"""
    result = await snapshot(tmp_path)

    assert len(result.data["kpis"]) == 12
    row = kpi(result, "checkout", "latency_p99")
    assert (row["unit"], row["n"], len(row["samples"])) == ("s", 60, 60)
    assert set(row["quantiles"]) == {"0.5", "0.9", "0.95", "0.99"}
    assert kpi(result, "checkout", "error_ratio")["now"] == pytest.approx(0.001)
    json.dumps(result.data, allow_nan=False)


async def test_each_figure_keeps_its_question(tmp_path: Path) -> None:
    """For its service alone, so that it can be asked again by hand; the ratio as one expression."""
    result = await snapshot(tmp_path)
    for row in result.data["kpis"]:
        assert "[30s]" in row["query"], row["kpi"]
        assert '=~"' not in row["query"].replace('status=~"5.."', ""), "one service, no alternatives"
    ratio = kpi(result, result.data["kpis"][0]["service"], "error_ratio")["query"]
    assert ratio.count(kpi(result, result.data["kpis"][0]["service"], "request_rate")["query"]) == 2


async def test_without_a_prior_nothing_blocks_and_everything_is_in_the_backlog(tmp_path: Path) -> None:
    """A new service has no past: none-prior is no pass of a comparison, and no halt. (P5)"""
    result = await snapshot(tmp_path)

    assert result.verdict is Verdict.PASSED
    assert {row["finding"] for row in result.data["kpis"]} == {"none-prior"}
    assert [gap.id for gap in result.gaps] == [f"baseline:{name}:none-prior" for name in SERVICES]


async def test_a_release_that_is_as_fast_as_before_is_ok(tmp_path: Path) -> None:
    """A prior that is there is compared with. (P5)"""
    publish(tmp_path, prior())
    result = await snapshot(tmp_path)
    assert result.verdict is Verdict.PASSED
    assert {row["finding"] for row in result.data["kpis"]} == {"ok"}
    assert result.gaps == ()


async def test_a_slower_critical_service_halts(tmp_path: Path) -> None:
    """Latency beyond the tolerance on a critical changed service fails; on others it is a backlog entry."""
    publish(tmp_path, prior())
    result = await snapshot(tmp_path, measured(p99=0.6))

    assert verdicts(result)["baseline.degraded:checkout"] == "failed"
    assert verdicts(result)["baseline.degraded:payments"] == "failed"
    assert "baseline.degraded:search" not in verdicts(result)
    assert "baseline:search:degraded" in [gap.id for gap in result.gaps]
    assert all(one.waivable for one in result.criteria)


async def test_more_errors_on_a_critical_service_halt(tmp_path: Path) -> None:
    """From 0.1% to 5% of requests failing is degraded."""
    publish(tmp_path, prior())
    result = await snapshot(tmp_path, measured(errors=0.5))
    assert "error_ratio" in actual(result, "baseline.degraded:checkout")


async def test_a_faster_release_and_other_traffic_are_not_degraded(tmp_path: Path) -> None:
    """Only increases of latency and errors are worse; a rate that moved is information."""
    publish(tmp_path, prior())
    metrics = measured(p99=0.1)
    metrics.answer_range("sum by (service) (rate(http_requests_total", wave(2.0))
    metrics.answer_range('status=~"5.."', wave(0.002))
    result = await snapshot(tmp_path, metrics)

    assert result.verdict is Verdict.PASSED
    row = kpi(result, "checkout", "request_rate")
    assert row["finding"] == "ok"
    assert row["why"].startswith("informational")


async def test_too_few_samples_are_insufficient_and_do_not_block(tmp_path: Path) -> None:
    """Ten samples prove nothing, in either direction."""
    publish(tmp_path, prior())
    config = a_config(thresholds={"baseline_window_seconds": 300})
    result = await snapshot(tmp_path, measured(p99=9.0), config=config)

    assert result.verdict is Verdict.PASSED
    assert kpi(result, "checkout", "latency_p99")["finding"] == "insufficient"
    assert "baseline:checkout:insufficient" in [gap.id for gap in result.gaps]


async def test_the_prior_is_rotated_never_overwritten(tmp_path: Path) -> None:
    """The prior's own bytes are kept under a name of their own beside the new baseline, which names it."""
    publish(tmp_path, prior())
    result = await snapshot(tmp_path)
    kept = kept_name(prior())
    assert dict(result.files) == {kept: prior()}
    assert kept.startswith("baseline-metrics.prior-checkout-v2.4.0-")
    assert (result.data["prior"]["release"], result.data["rotated"]) == ("checkout-v2.4.0", kept)


async def test_two_baselines_of_one_release_are_both_kept(tmp_path: Path) -> None:
    """A release that was deployed, rolled back and deployed again has two baselines, and neither replaces the other."""
    names = set()
    for data in (prior(0.3), prior(0.4)):
        publish(tmp_path, data)
        names |= set((await snapshot(tmp_path)).files)
    assert len(names) == 2


async def test_a_second_attempt_compares_with_the_same_prior(tmp_path: Path) -> None:
    """Once our own baseline is published, the prior is the one that it rotated away: never ourselves."""
    publish(tmp_path, prior(0.1))
    first = a_run(tmp_path, measured(p99=0.6))
    leave_behind(tmp_path, first, await baseline.run(first))

    result = await snapshot(tmp_path, measured(p99=0.6))

    assert verdicts(result)["baseline.degraded:checkout"] == "failed"
    assert dict(result.files) == {kept_name(prior(0.1)): prior(0.1)}


async def test_a_prior_that_could_not_be_read_still_halts_on_retry(tmp_path: Path) -> None:
    """Its bytes are kept before our baseline takes its place; a retry reads them again, mended or not."""
    publish(tmp_path, prior()[:100])
    first = a_run(tmp_path, measured(p99=0.6))
    leave_behind(tmp_path, first, await baseline.run(first))
    kept = kept_name(prior()[:100])
    assert (tmp_path / ".artifacts" / "monitoring" / kept).read_bytes() == prior()[:100]

    again = await snapshot(tmp_path, measured(p99=0.6))
    assert verdicts(again)["baseline.prior"] == "inconclusive"
    assert kept in actual(again, "baseline.prior")

    publish(tmp_path, prior(), kept)
    assert verdicts(await snapshot(tmp_path, measured(p99=0.6)))["baseline.degraded:checkout"] == "failed"


async def test_a_prior_that_is_named_and_gone_is_inconclusive(tmp_path: Path) -> None:
    """A kept prior that somebody removed is not "no prior": removing it is no way past the halt."""
    publish(tmp_path, prior()[:100])
    first = a_run(tmp_path)
    leave_behind(tmp_path, first, await baseline.run(first))
    (tmp_path / ".artifacts" / "monitoring" / kept_name(prior()[:100])).unlink()
    assert "is not there" in actual(await snapshot(tmp_path), "baseline.prior")


async def test_a_baseline_that_could_not_be_measured_hides_no_prior(tmp_path: Path) -> None:
    """An earlier run that ended with metrics away left no sample: the baseline before it is the prior."""
    publish(tmp_path, prior(0.1))
    broken = a_run(tmp_path, InMemoryMetrics(trouble=BackendUnreachable("metrics", "refused")))
    leave_behind(tmp_path, broken, await baseline.run(broken))

    later = await snapshot(tmp_path, measured(p99=0.6), config=a_config(run={"release": "checkout-v2.4.2"}))

    assert later.data["prior"]["file"] == kept_name(prior(0.1))
    assert verdicts(later)["baseline.degraded:checkout"] == "failed"


async def test_a_baseline_of_another_environment_is_kept_and_not_compared_with(tmp_path: Path) -> None:
    """Staging's baseline is no prior of production: it halts nothing, and the artifact says that it was passed over."""
    staging = json.dumps({**json.loads(prior(0.1)), "environment": "staging"}).encode()
    publish(tmp_path, staging)
    result = await snapshot(tmp_path, measured(p99=0.6))
    assert result.verdict is Verdict.PASSED
    assert kpi(result, "checkout", "latency_p99")["finding"] == "none-prior"
    assert dict(result.files) == {kept_name(staging): staging}
    assert any("measures staging, not production" in text for text in result.data["warnings"])


async def test_a_prior_name_cannot_leave_its_folder(tmp_path: Path) -> None:
    """A baseline that names another path as its prior is not followed; nor does a release id become a path."""
    publish(tmp_path, prior(0.6, RELEASE, prior={"file": "../../secrets"}))
    assert {row["finding"] for row in (await snapshot(tmp_path)).data["kpis"]} == {"none-prior"}

    publish(tmp_path, prior(release="../../etc"))
    (name,) = (await snapshot(tmp_path)).files
    assert writer.publish(tmp_path / "elsewhere", name, b"{}").name == name


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"release": "x"}', b"\x00\xff", b"[" * 100_000, prior(window={"start": "soon"})]
)
async def test_a_prior_that_cannot_be_read_is_inconclusive_not_absent(tmp_path: Path, data: bytes) -> None:
    """A truncated, binary or other-shaped prior is not silently treated as none, and its bytes are kept."""
    publish(tmp_path, data)
    result = await snapshot(tmp_path)
    assert verdicts(result)["baseline.prior"] == "inconclusive"
    assert list(result.files.values()) == [data]


async def test_a_prior_may_be_an_input(tmp_path: Path) -> None:
    """Where nothing is published, baseline-metrics.json among the inputs is the prior. (P5)"""
    (papers.write(tmp_path) / "baseline-metrics.json").write_bytes(prior())
    assert kpi(await snapshot(tmp_path), "checkout", "latency_p99")["finding"] == "ok"


def staging_was_faster(folder: Path, service: str) -> None:
    rows = [{"service": service, "kpi": "latency_p99", "unit": "s", "samples": [0.1 + n / 1000 for n in range(30)]}]
    papers.write(folder, staging=papers.changed(papers.STAGING, kpis=rows))


async def test_a_critical_service_that_is_worse_than_in_staging_halts(tmp_path: Path) -> None:
    """Staging's samples are a benchmark as the prior's are: degraded against them fails, waivably, with a gap."""
    staging_was_faster(tmp_path, "checkout")
    result = await snapshot(tmp_path)
    assert kpi(result, "checkout", "latency_p99")["staging"]["finding"] == "degraded"
    assert verdicts(result)["baseline.staging:checkout"] == "failed"
    assert "baseline:checkout:staging-degraded" in [gap.id for gap in result.gaps]
    assert all(one.waivable for one in result.criteria)


async def test_another_service_that_is_worse_than_in_staging_is_a_gap(tmp_path: Path) -> None:
    """It goes into the backlog and halts nothing."""
    staging_was_faster(tmp_path, "search")
    result = await snapshot(tmp_path)
    assert result.verdict is Verdict.PASSED
    assert "baseline:search:staging-degraded" in [gap.id for gap in result.gaps]


async def test_without_a_deploy_time_no_baseline_is_captured(tmp_path: Path) -> None:
    """Samples that may be from before the deploy are no baseline of it. (P30)"""
    result = await snapshot(tmp_path, config=a_config(run={"deployed_at": None}))
    assert verdicts(result)["baseline.captured"] == "inconclusive"
    assert "when the deployment finished" in actual(result, "baseline.captured")


async def test_metrics_that_are_away_are_an_error(tmp_path: Path) -> None:
    """A baseline that could not be measured halts as an error."""
    metrics = InMemoryMetrics(trouble=BackendUnreachable("metrics", "refused"))
    result = await snapshot(tmp_path, metrics)
    assert verdicts(result)["baseline.captured"] == "error"


async def test_no_samples_are_inconclusive(tmp_path: Path) -> None:
    """Empty matrices and NaN are no baseline."""
    assert verdicts(await snapshot(tmp_path, InMemoryMetrics()))["baseline.captured"] == "inconclusive"
    nan = Matrix((Series({"service": "checkout"}, ((NOW, float("nan")),)),))
    assert verdicts(await snapshot(tmp_path, InMemoryMetrics().answer_range("", nan)))["baseline.captured"] == (
        "inconclusive"
    )


async def test_a_partial_answer_is_inconclusive(tmp_path: Path) -> None:
    """Warnings on an answer keep the baseline from passing."""
    metrics = measured()
    whole = wave(0.3)
    metrics.answer_range(P99, lambda *asked: Matrix(whole(*asked).series, ("partial",)))
    assert verdicts(await snapshot(tmp_path, metrics))["baseline.whole"] == "inconclusive"


async def test_right_after_the_deploy_there_is_nothing_to_measure(tmp_path: Path) -> None:
    """Less than one step since the deploy is inconclusive."""
    config = a_config(run={"deployed_at": "2026-11-22T19:59:50Z"})
    assert verdicts(await snapshot(tmp_path, config=config))["baseline.captured"] == "inconclusive"


async def test_a_worker_is_measured_by_its_activity(tmp_path: Path) -> None:
    """Throughput, and queue lag where there is such a gauge, of a service that serves no requests."""
    worker = {"serves_requests": False, "activity": "mails_sent_total"}
    metrics = measured()
    one = Matrix((Series({"service": "mailer"}, ((NOW - 30, 5.0), (NOW, 6.0))),))
    metrics.answer_range("mails_sent_total", one).answer_range("queue_lag_seconds", one)
    result = await snapshot(tmp_path, metrics, config=a_config(services={"mailer": worker}))
    assert kpi(result, "mailer", "throughput")["n"] == 2
    assert kpi(result, "mailer", "queue_lag")["unit"] == "s"


async def test_questions_select_the_environment_where_a_label_names_it(tmp_path: Path) -> None:
    """With [telemetry] environment_label every question asks for the environment, and other series are not counted."""
    metrics = measured()
    config = a_config(telemetry={"environment_label": "env"}, run={"environment": "canary"})
    result = await snapshot(tmp_path, metrics, config=config)
    assert metrics.asked
    assert all('env="canary"' in expr for expr in metrics.asked)
    assert verdicts(result)["baseline.captured"] == "inconclusive"
    assert result.data["environment_label"] == "env"
    assert not any("no question selected" in text for text in result.data["warnings"])


async def test_the_artifact_says_that_no_question_selected_the_environment(tmp_path: Path) -> None:
    """Without a label the environment is a name on the file alone, and nobody shall believe otherwise."""
    result = await snapshot(tmp_path)
    assert any("no question selected the environment production" in text for text in result.data["warnings"])


async def test_the_newest_points_are_shown_while_it_runs(tmp_path: Path) -> None:
    """Readings for sparklines, by service and figure."""
    run = a_run(tmp_path)
    await baseline.run(run)
    assert {"checkout/p99", "checkout/p50", "checkout/rate", "checkout/errors"} <= {r.series for r in run.readings}
