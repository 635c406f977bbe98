"""The evaluator against the real Prometheus: the same samples, the same expressions, the same numbers."""

import itertools
import math
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ray_tui.demo import promql
from ray_tui.demo.ruleset import Recorded
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.series import GRID_MS, GridSeries, Labels, labels_of, selected
from ray_tui.demo.world import World
from tests.demo.collected import SCENARIO, expressions

pytestmark = pytest.mark.real

STARTED_AT = 1_700_000_000.0
START_MS = 1_699_998_000_000  # within the 40 minutes between the deploy and the start
END_MS = START_MS + 20 * 60_000
KEPT = ("up", "http_requests_total", "http_request_duration_seconds_bucket", "queue_lag_seconds", "build_info",
        "process_cpu_seconds_total", "probe_duration_seconds", "probe_success", "queue_messages_processed_total",
        "http_request_duration_seconds_count")  # fmt: skip
SERVICES = {"checkout", "payments", "search", "notifications"}


class WithLookback(Recorded):
    """Samples without stale markers: the newest one counts, however old."""

    def last(self, at: int) -> tuple[int, float] | None:
        times, values = self.window(0, at)
        return (times[-1], values[-1]) if times else None


def awkward_series() -> Iterator[WithLookback]:
    """Resets, gaps, NaN, infinities, negative numbers, broken histograms, label sets to join on."""
    every = list(range(START_MS, END_MS + 1, GRID_MS))
    count = len(every)
    yield WithLookback(labels_of("resets_total", kind="saw"), every, [float(n % 37) for n in range(count)])
    yield WithLookback(labels_of("resets_total", kind="slow"), every, [float(n // 50) for n in range(count)])
    yield WithLookback(labels_of("resets_total", kind="late"), every[150:], [float(n) for n in range(count - 150)])
    gaps = [n for n in range(count) if (n // 17) % 3 != 1]
    yield WithLookback(labels_of("gappy"), [every[n] for n in gaps], [math.sin(n) * 10 for n in gaps])
    yield WithLookback(labels_of("gone", a="1"), every[:80], [7.0] * 80)
    odd = [math.nan, 1.0, math.inf, -2.5, -math.inf, 0.0]
    for position in range(4):
        values = [odd[(n // 40 + position) % len(odd)] for n in range(count)]
        yield WithLookback(labels_of("odd", place=str(position), zone="ab"[position % 2]), every, values)
    yield WithLookback(labels_of("single"), [every[100]], [5.0])
    for number, (bound, size) in enumerate({"0.1": 1, "0.5": 3, "2": 2, "+Inf": 4}.items()):
        wobble = [float(n * size + (number == 2 and n % 5)) for n in range(count)]
        yield WithLookback(labels_of("uneven_bucket", le=bound), every, wobble)
        if bound != "+Inf":
            yield WithLookback(labels_of("open_bucket", le=bound), every, [float(n) for n in range(count)])
    alert = {"alertname": "CheckoutErrors", "service": "checkout"}
    yield WithLookback(labels_of("ALERTS", **alert, alertstate="firing"), every[40:90], [1.0] * 50)
    yield WithLookback(labels_of("ALERTS_FOR_STATE", **alert, ray_tui_probe="TOKEN"), every[30:90], [1.7e9] * 60)
    for zone, cost in (("a", 2.0), ("b", -3.5)):
        yield WithLookback(labels_of("cost", zone=zone, owner=f"team-{zone}"), every, [cost] * count)


@dataclass
class Slice:
    """Twenty minutes of the world and the awkward series beside it."""

    series: list[GridSeries | WithLookback]

    def select(self, matchers, steps, range_ms):
        return [series for series in self.series if selected(series.labels, matchers)]


def the_slice() -> Slice:
    world = World(Scenario(name="t", title="t"), STARTED_AT)
    run, last = ((START_MS // GRID_MS, None),), END_MS // GRID_MS
    kept: list[GridSeries | WithLookback] = []
    for name, series in itertools.chain.from_iterable(((n, s) for s in all_) for n, all_ in world.metrics.items()):
        labels = dict(series.labels)
        alive = series.last(START_MS) is not None
        if name in KEPT and labels["service"] in SERVICES and alive:
            kept.append(GridSeries(series.labels, run, series.value, series.monotonic, series.constant, last))
    return Slice([*kept, *awkward_series()])


def openmetrics(data: Slice) -> str:
    lines = []
    for series in sorted(data.series, key=lambda one: (dict(one.labels)["__name__"], one.labels)):
        name = dict(series.labels)["__name__"]
        inner = ",".join(f'{key}="{value}"' for key, value in series.labels if key != "__name__")
        for at, value in zip(*series.window(START_MS, END_MS), strict=True):
            lines.append(f"{name}{{{inner}}} {promql.format_value(value)} {at / 1000}")
    return "\n".join(lines) + "\n# EOF\n"


@dataclass
class Real:
    url: str
    data: Slice
    client: httpx.Client


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.02)
    raise AssertionError("Prometheus did not become ready")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        reason = "prometheus and promtool are not installed"
        if os.environ.get("RAY_TUI_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("prometheus")
    data = the_slice()
    (folder / "samples.om").write_text(openmetrics(data))
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "samples.om", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        with httpx.Client() as client:
            yield Real(f"http://127.0.0.1:{port}", data, client)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


C = 'service="checkout"'
EXPRESSIONS = [
    "up",
    'up{job="shop"}',
    'up{service=~"check.*|pay.*"}',
    'up{service!~"check.*"}',
    'up{service!="checkout",instance!=""}',
    '{__name__=~"queue_.*|build_info"}',
    "gone",
    "gappy",
    "single",
    "up offset 3m",
    "queue_lag_seconds offset -2m",
    "sum(up)",
    "count by (job) (up)",
    "avg without (instance, job) (up)",
    "group by (service) (http_requests_total)",
    "min by (zone) (odd)",
    "max by (zone) (odd)",
    "sum by (zone) (odd)",
    "avg by (zone) (odd)",
    "quantile(0.4, queue_lag_seconds)",
    "quantile by (service) (0.9, http_requests_total)",
    "quantile(0.5, odd)",
    "topk(3, http_requests_total)",
    "bottomk by (service) (1, http_requests_total{status='200'})",
    "sum by (__name__) ({__name__=~'up|build_info'})",
    f"rate(http_requests_total{{{C}}}[5m])",
    f"rate(http_requests_total{{{C}}}[1m])",
    f"rate(http_requests_total{{{C}}}[12s])",
    "increase(http_requests_total[3m])",
    "increase(http_requests_total[3m] offset 4m)",
    "rate(resets_total[2m])",
    "increase(resets_total[4m])",
    "irate(resets_total[1m])",
    "irate(http_requests_total[1m])",
    "delta(gappy[3m])",
    "delta(queue_lag_seconds[5m])",
    "rate(gappy[90s])",
    "rate(single[5m])",
    "sum by (service) (rate(http_requests_total[2m]))",
    'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))',
    "histogram_quantile(0.95, sum by (le, service) (rate(http_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.5, rate(http_request_duration_seconds_bucket[2m]))",
    "histogram_quantile(0.999999, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.9, uneven_bucket)",
    "histogram_quantile(0.9, open_bucket)",
    "histogram_quantile(2, uneven_bucket)",
    "avg_over_time(queue_lag_seconds[2m])",
    "min_over_time(odd[5m])",
    "max_over_time(odd[5m])",
    "sum_over_time(gappy[5m])",
    "sum_over_time(odd[1m])",
    "avg_over_time(odd[5m])",
    "count_over_time(gappy[5m])",
    "last_over_time(gappy[1m])",
    "quantile_over_time(0.3, queue_lag_seconds[5m])",
    "quantile_over_time(0.5, odd[6m])",
    "present_over_time(gone[5m])",
    'absent(up{service="nobody"})',
    'absent(up{service="nobody",job=~"x.+",instance="a",instance="b"})',
    "absent(up)",
    "absent(sum(nothing))",
    "absent_over_time(nothing{a='b'}[5m])",
    "abs(gappy)",
    "clamp_min(gappy, 0)",
    "clamp_max(odd, 1)",
    "clamp(gappy, -3, 3)",
    "round(gappy)",
    "round(gappy, 0.25)",
    "floor(gappy) + ceil(gappy)",
    "time()",
    "timestamp(gappy)",
    "timestamp(gappy * 1)",
    "vector(1.5)",
    "scalar(single)",
    "scalar(up) + 1",
    "sort_desc(queue_lag_seconds)",
    'label_replace(up, "short", "$1-x", "service", "(....).*")',
    'label_replace(up, "job", "", "job", "sh.*")',
    'label_replace(up, "first", "${1}", "service", "nomatch(.*)")',
    "-gappy",
    "-(2 ^ 3) % 3 + 1e6",
    "1 / 0",
    "0 / 0",
    "2 > bool 1",
    "gappy > 0",
    "0 < gappy",
    "gappy > bool 0",
    "odd == bool odd",
    "odd != odd",
    "gappy % 3",
    "2 ^ gappy",
    "gappy ^ 0.5",
    "up == 1",
    "up * on (service, job, instance) group_left (version) build_info",
    "odd * on (zone) group_left (owner) cost",
    "cost * on (zone) group_right (owner) odd",
    "odd - ignoring (place, owner) group_left cost",
    "cost > on (zone) group_right () odd",
    "sum by (zone) (odd) / on (zone) cost",
    "sum by (zone) (odd) >= bool on (zone) cost",
    "cost == on (zone) cost",
    'http_requests_total{status="500"} / ignoring (status) http_requests_total{status="200"}',
    'up and on (service) http_requests_total{status="500"}',
    "up unless on (service) queue_lag_seconds",
    "odd{zone='a'} or odd",
    "queue_lag_seconds or up",
    "odd or cost",
    "gone or vector(0)",
    "avg_over_time(rate(http_requests_total[1m])[5m:30s])",
    "max_over_time(gappy[4m:25s] offset 1m)",
    "sum_over_time((gappy > 0)[3m:])",
    f"process_cpu_seconds_total{{{C}}} * 100",
    "sum(probe_duration_seconds) by (job) > 0.001",
    "((up))",
    '"a string"',
    "42",
    "gappy[30s]",
    "gone[2m] offset 1m",
    # errors
    "up / ignoring (instance, job, service) up",
    "odd * on (zone) cost",
    "cost * on (zone) odd",
    "rate({__name__=~'resets_total|gappy'}[5m]) * 1 + on () up",
    "sum_over_time({__name__=~'up|build_info',service='checkout',version=''}[1m]) or abs({__name__=~'a|b'})",
    'label_replace(up, "service", "same", "service", ".*")',
    'label_replace(up, "bad-name", "x", "service", ".*")',
    "-{__name__=~'uneven_bucket|open_bucket'}",
]


def close(ours: float, theirs: float) -> bool:
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)


def key(metric: dict[str, str]) -> Labels:
    return tuple(sorted(metric.items()))


def our_instant(data: Slice, expr: str, at: int):
    """(kind, value) as the wire would have it, or the error's status."""
    try:
        kind, value = promql.instant(data, expr, at)
    except promql.ExecutionError:
        return "error", 422
    if kind == "vector":
        return kind, {point.labels: [(at, point.value)] for point in value}
    if kind == "matrix":
        return kind, {raw.labels: list(zip(raw.times, raw.values, strict=True)) for raw in value}
    return kind, value


def their_instant(real: Real, expr: str, at: int):
    answer = real.client.get(f"{real.url}/api/v1/query", params={"query": expr, "time": at / 1000})
    if answer.status_code != 200:
        return "error", answer.status_code
    data = answer.json()["data"]
    if data["resultType"] in ("scalar", "string"):
        text = data["result"][1]
        return data["resultType"], text if data["resultType"] == "string" else float(text)
    points = {
        key(entry["metric"]): [
            (round(when * 1000), float(text)) for when, text in entry.get("values") or [entry["value"]]
        ]
        for entry in data["result"]
    }
    return data["resultType"], points


def differences(ours, theirs) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"only one side has {labels}" for labels in ours.keys() ^ theirs.keys()]
        for labels in ours.keys() & theirs.keys():
            mine, yours = ours[labels], theirs[labels]
            if [at for at, _ in mine] != [at for at, _ in yours]:
                found.append(f"{labels}: times {len(mine)} and {len(yours)} differ")
            else:
                pairs = zip(mine, yours, strict=True)
                found += [f"{labels}: {a} is not {b}" for a, b in pairs if not close(a[1], b[1])][:2]
        return found
    if isinstance(ours, float) and isinstance(theirs, float):
        return [] if close(ours, theirs) else [f"{ours} is not {theirs}"]
    return [] if ours == theirs else [f"{ours!r} is not {theirs!r}"]


MOMENTS = (START_MS + 600_000, START_MS + 733_217, START_MS + 60_001, END_MS - 2_500)


EXPRESSIONS += [expr for expr in expressions(World(SCENARIO, STARTED_AT)) if expr not in EXPRESSIONS]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_an_instant_query_answers_as_prometheus_does(real: Real, expr: str):
    """At times on the grid, off it, near both ends of the data: kind, labels and values agree."""
    for at in MOMENTS:
        our_kind, ours = our_instant(real.data, expr, at)
        their_kind, theirs = their_instant(real, expr, at)

        assert our_kind == their_kind, (our_kind, ours, their_kind, theirs)
        assert differences(ours, theirs) == []


@pytest.mark.parametrize(
    "expr", [expr for expr in EXPRESSIONS if promql.kind(promql.parse(expr)) in ("vector", "scalar")]
)
def test_a_range_query_answers_as_prometheus_does(real: Real, expr: str):
    """Over fifteen minutes in steps that are no multiple of the grid, every point agrees."""
    start, end, step = START_MS + 123_000, START_MS + 1_023_000, 13_000
    try:
        ours = {
            raw.labels: list(zip(raw.times, raw.values, strict=True))
            for raw in promql.over_range(real.data, expr, start, end, step)
        }
    except promql.ExecutionError:
        ours = {}
    params = {"query": expr, "start": start / 1000, "end": end / 1000, "step": step / 1000}
    answer = real.client.get(f"{real.url}/api/v1/query_range", params=params)
    theirs = {}
    if answer.status_code == 200:
        theirs = {
            key(entry["metric"]): [(round(when * 1000), float(text)) for when, text in entry["values"]]
            for entry in answer.json()["data"]["result"]
        }

    assert differences(ours, theirs) == []
