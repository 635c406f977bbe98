"""The scenario files, and what each does to the world's telemetry: one thing wrong, everything else as in healthy."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from ray_tui.demo import promql
from ray_tui.demo.prometheus import initial_rules
from ray_tui.demo.rules import TEAM_RULES
from ray_tui.demo.ruleset import RuleEngine, load_groups
from ray_tui.demo.scenario import Scenario, load, names
from ray_tui.demo.series import GRID_MS
from ray_tui.demo.shop_dashboards import shop_dashboards
from ray_tui.demo.world import BY_NAME, CRITICAL, MODIFIED, SERVICES, DemoIncident, Episode, World

STARTED_AT = 1_700_000_000.0
DEPLOYED_AT = STARTED_AT - 2400
NOW = STARTED_AT + 30

STOPS = {
    "healthy": ("", 0),
    "missing-coverage": ("1.2", 1),
    "regression": ("1.3", 1),
    "dead-panel": ("2.1", 1),
    "rule-without-threshold": ("2.1", 1),
    "misrouted-alert": ("2.1", 1),
    "lost-page": ("2.2", 1),
    "late-ack": ("2.2", 1),
    "broken-escalation": ("2.2", 1),
    "unowned-check": ("3.1", 1),
    "noisy-alerts": ("3.2", 1),
    "missed-incident": ("3.2", 1),
    "stale-approval": ("prerequisites", 1),
    "metrics-down": ("prerequisites", 3),
}


def world(name: str = "healthy") -> World:
    return World(load(name), STARTED_AT)


def ask(of: World, expr: str, at: float = NOW) -> dict[str, float]:
    """Values by service."""
    engine = RuleEngine(of, now=NOW)
    _, value = promql.instant(engine, expr, int(at * 1000))
    assert isinstance(value, list)
    return {dict(point.labels).get("service", ""): point.value for point in value}


def test_every_scenario_says_where_a_run_must_stop():
    """Fourteen files; each states its stop, its exit code and why in words."""
    assert names() == tuple(sorted(STOPS))
    for name, (stop, code) in STOPS.items():
        scenario = load(name)
        assert (scenario.name, scenario.stops_at, scenario.exit_code) == (name, stop, code)
        assert scenario.title
        assert scenario.expects


def test_every_scenario_bends_one_thing():
    """Beside its name and its expectations exactly one section differs from the defaults; healthy bends none."""
    for name in names():
        scenario, plain = load(name), Scenario(name="", title="")
        sections = ("telemetry", "regression", "assets", "people", "history")
        bent = [section for section in sections if getattr(scenario, section) != getattr(plain, section)]
        assert len(bent) == (0 if name == "healthy" else 1), name


def test_what_scenarios_name_exists():
    """Services, panels and rules that a scenario bends are there to be bent."""
    shop_dashboards(load("dead-panel"))  # raises for an unknown panel
    assert set(load("noisy-alerts").history.noisy_rules) <= {rule.name for rule in TEAM_RULES}
    assert set(load("missed-incident").history.missed_incidents) <= BY_NAME.keys()
    assert set(load("misrouted-alert").assets.misrouted_services) <= CRITICAL
    ((service, _),) = load("missing-coverage").telemetry.missing
    assert service in CRITICAL & MODIFIED


def test_an_unknown_scenario_names_the_known_ones():
    """The refusal lists what there is."""
    with pytest.raises(ValueError, match="healthy"):
        load("nope")


def test_the_same_seed_gives_the_same_world():
    """Two worlds agree to the last bit; another seed differs."""
    expr = "sum by (service) (rate(http_requests_total[5m]))"
    first, second = ask(world(), expr), ask(world(), expr)
    other = ask(World(load("healthy"), STARTED_AT, seed=13), expr)

    assert first == second
    assert first != other
    assert world().episodes == world().episodes


@pytest.mark.parametrize("name", ["healthy", "regression", "missing-coverage"])
def test_counters_never_fall(name: str):
    """Around the deploy and a day before, every counter and bucket is monotonic."""
    for metric, series in world(name).metrics.items():
        if not metric.endswith(("_total", "_bucket", "_count", "_sum")):
            continue
        for one in series:
            for start in (DEPLOYED_AT - 1500, DEPLOYED_AT - 86400):
                _, values = one.window(int(start * 1000), int((start + 3000) * 1000))
                assert all(a <= b for a, b in pairwise(values)), one.labels


@pytest.mark.parametrize("name", ["healthy", "regression"])
def test_histograms_are_consistent(name: str):
    """Buckets grow with le, the last equals the count, before and after the deploy."""
    metrics = world(name).metrics
    for at in (DEPLOYED_AT - 7200, DEPLOYED_AT + 5, NOW):
        ms = int(at * 1000)
        counts = {
            (dict(one.labels)["service"], dict(one.labels)["route"]): one.last(ms)
            for one in metrics["http_request_duration_seconds_count"]
        }
        buckets: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for one in metrics["http_request_duration_seconds_bucket"]:
            labels, sample = dict(one.labels), one.last(ms)
            if sample is not None:
                bound = float(labels["le"])
                buckets.setdefault((labels["service"], labels["route"]), []).append((bound, sample[1]))
        for key, found in buckets.items():
            ordered = [count for _, count in sorted(found)]
            assert ordered == sorted(ordered)
            assert counts[key] is not None
            assert ordered[-1] == counts[key][1]


def test_every_http_service_has_rate_errors_and_duration():
    """Eleven services answer all three; the worker has messages and lag instead."""
    of = world()
    served = {service.name for service in SERVICES if service.name != "notifications"}

    assert ask(of, "sum by (service) (rate(http_requests_total[5m])) > 0").keys() == served
    assert ask(of, 'sum by (service) (rate(http_requests_total{status=~"5.."}[5m]))').keys() == served
    buckets = "sum by (le, service) (rate(http_request_duration_seconds_bucket[5m]))"
    p95 = ask(of, f"histogram_quantile(0.95, {buckets})")
    assert p95.keys() == served
    assert all(0.01 < value < 1 for value in p95.values())
    assert ask(of, "rate(queue_messages_processed_total[5m]) > 0").keys() == {"notifications"}
    assert ask(of, "queue_lag_seconds < 30").keys() == {"notifications"}


def test_the_release_shows_in_versions_and_routes():
    """Changed services run v2.4.1 since the deploy; new routes begin then, and so does the new service."""
    of = world()
    version = 'build_info{version="v2.4.1"}'
    route = 'http_requests_total{route=~"/api/v2/checkout|/api/recommendations"}'

    assert ask(of, version).keys() == {"checkout", "payments", "search", "recommendations"}
    assert ask(of, version, DEPLOYED_AT - 60) == {}
    assert ask(of, route).keys() == {"checkout", "recommendations"}
    assert ask(of, route, DEPLOYED_AT - 60) == {}
    assert "recommendations" not in ask(of, "up", DEPLOYED_AT - 60)


def test_samples_are_fresh_within_five_seconds():
    """Whenever one asks, the newest sample is younger than a scrape interval."""
    for offset in (0.0, 1.7, 4.999):
        engine = RuleEngine(world(), now=NOW + offset)
        _, value = promql.instant(engine, "timestamp(up)", int((NOW + offset) * 1000))
        assert all(0 <= NOW + offset - point.value < 5 for point in value)


def test_a_healthy_release_is_as_fast_as_the_one_before():
    """The median of 5-minute p95 values moves by less than 5% over the deploy, for every service that was there."""
    assert all(abs(shift - 1) < 0.05 for shift in shifts("healthy").values())


def test_a_regression_slows_its_service_alone():
    """checkout takes about 2.5 times as long; nobody else changes."""
    found = shifts("regression")

    assert found.pop("checkout") == pytest.approx(2.5, rel=0.15)
    assert all(abs(shift - 1) < 0.05 for shift in found.values())


def shifts(name: str) -> dict[str, float]:
    """Median p95 of the half hour after the deploy over that of the half hour before, by service."""
    engine = RuleEngine(world(name), now=NOW)
    expr = "histogram_quantile(0.95, sum by (le, service) (rate(http_request_duration_seconds_bucket[1m])))"

    def medians(start: float) -> dict[str, float]:
        found = promql.over_range(engine, expr, int(start * 1000), int((start + 1800) * 1000), 60_000)
        return {dict(raw.labels)["service"]: sorted(raw.values)[len(raw.values) // 2] for raw in found}

    before, after = medians(DEPLOYED_AT - 1860), medians(DEPLOYED_AT + 120)
    return {service: after[service] / before[service] for service in before}


@pytest.mark.parametrize("name", [name for name in STOPS if name != "metrics-down"])
def test_no_rule_fires_by_itself(name: str, tmp_path: Path):
    """Whatever a scenario bends, the team's own rules are quiet at the start: Watchdog apart."""
    (tmp_path / "shop.yml").write_text(initial_rules(world(name)))
    engine = RuleEngine(world(name), load_groups(tmp_path))
    for minutes in range(0, 40, 2):
        engine.now = DEPLOYED_AT + 60 * minutes
        engine.evaluate()
        live = {dict(labels)["alertname"] for alerts in engine.alerts.values() for labels in alerts}
        assert live == {"Watchdog"}
    assert set(engine.errors.values()) == {""}


def test_error_budgets_are_mostly_unspent():
    """Over every window the error ratio stays below the objective of 99.9%."""
    for window in ("1h", "6h", "3d"):
        failed = f'sum by (service) (rate(http_requests_total{{status=~"5.."}}[{window}]))'
        ratios = ask(world(), f"{failed} / sum by (service) (rate(http_requests_total[{window}]))")
        assert all(0 < ratio < 0.0006 for ratio in ratios.values())


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces", "synthetics"])
def test_a_missing_pair_is_silent_from_the_deploy_on(signal: str):
    """Only that service and only that signal; before the deploy it was there."""
    scenario = Scenario.model_validate({"name": "t", "title": "t", "telemetry": {"missing": [["checkout", signal]]}})
    bent, whole = World(scenario, STARTED_AT), world()

    def seen(of: World, since: float, until: float) -> set[tuple[str, str]]:
        start, end = int(since * 1e9), int(until * 1e9)
        spans = {span.service for trace in of.traces(start, end) for span in trace.spans}
        found = {(service, "traces") for service in spans}
        found |= {(one.name, "logs") for one in SERVICES if next(of.logs(one.name, start, end), None)}
        found |= {(service, "metrics") for service in ask(of, 'up{job="shop"}', until)}
        return found | {(service, "synthetics") for service in ask(of, "probe_success", until)}

    assert seen(whole, DEPLOYED_AT, NOW) - seen(bent, DEPLOYED_AT, NOW) == {("checkout", signal)}
    assert seen(whole, DEPLOYED_AT - 600, DEPLOYED_AT - 5) == seen(bent, DEPLOYED_AT - 600, DEPLOYED_AT - 5)


# --- history


def matching(of: World, alert: str) -> tuple[int, int]:
    """(episodes, those that overlap an incident of their service) by the times alone."""
    episodes = [episode for episode in of.episodes if episode.alert == alert]
    return len(episodes), sum(any(overlaps(episode, one) for one in of.incidents) for episode in episodes)


def overlaps(episode: Episode, incident: DemoIncident, grace: float = 600.0) -> bool:
    return (
        episode.service == incident.service
        and episode.started_at <= incident.ended_at + grace
        and incident.started_at <= episode.ended_at + grace
    )


def test_the_past_is_precise_and_complete_in_healthy():
    """Two rules have ten episodes and more with at least 90% right; every incident had an alert."""
    of = world()
    alerts = {episode.alert for episode in of.episodes}
    judged = {alert: matching(of, alert) for alert in alerts}

    assert len(alerts) == 6
    assert sum(count >= 10 and right / count >= 0.9 for count, right in judged.values()) >= 2
    assert not any(count >= 10 and right / count < 0.85 for count, right in judged.values())
    assert all(any(overlaps(episode, one) for episode in of.episodes) for one in of.incidents)
    assert all(one.alert_keys for one in of.incidents)


def test_requests_fail_in_the_past_only_where_a_noisy_rule_cried_wolf():
    """Failed requests of cart: beyond the rule's 5% when it fires, as in every other world at all other times; no
    request more or less in all, no counter that falls, and the error budget of a fortnight is kept."""
    noisy, healthy = world("noisy-alerts"), world("healthy")
    cells = range(noisy._begin + 1, noisy._deploy, 12)

    def count(of, cell, *statuses):
        found = [series for series in of.metrics["http_requests_total"] if dict(series.labels)["service"] == "cart"]
        return sum(series.value(cell) for series in found if dict(series.labels)["status"] in statuses)

    firing = [e for e in noisy.episodes if e.alert == "CartHighErrorRatio"]
    for episode in firing:
        cell = int(episode.started_at * 1000 // GRID_MS) + 24  # two minutes on
        failed = count(noisy, cell, "500") - count(noisy, cell - 60, "500")
        served = count(noisy, cell, "200", "404", "500") - count(noisy, cell - 60, "200", "404", "500")
        assert failed / served > (0.1 if episode.incident_id else 0.05)
        quiet = cell + 1440  # two hours later
        assert count(noisy, quiet, "500") - count(noisy, quiet - 60, "500") < 0.01 * served
    last = cells[-1]
    assert count(noisy, last, "200", "404", "500") == pytest.approx(count(healthy, last, "200", "404", "500"), abs=6)
    assert count(noisy, last, "500") / count(noisy, last, "200", "404", "500") < 0.001
    for status in ("200", "404", "500"):
        values = [count(noisy, cell, status) for cell in cells[::7]]
        assert values == sorted(values)
    other = {dict(series.labels)["service"] for series in noisy.metrics["http_requests_total"]} - {"cart"}
    for name in other:
        mine, theirs = (
            [s.value(last) for s in of.metrics["http_requests_total"] if dict(s.labels)["service"] == name]
            for of in (noisy, healthy)
        )
        assert mine == theirs


def test_a_noisy_rule_cries_wolf():
    """Fourteen episodes, fewer than 85% with an incident; the other rules stay precise."""
    count, right = matching(world("noisy-alerts"), "CartHighErrorRatio")

    assert count == 14
    assert right / count < 0.85
    assert matching(world("noisy-alerts"), "CheckoutHighLatency") == (12, 12)


def test_a_missed_incident_has_no_alert():
    """Exactly one incident of search overlaps nothing."""
    of = world("missed-incident")
    missed = [one for one in of.incidents if not any(overlaps(episode, one) for episode in of.episodes)]

    assert [(one.service, one.alert_keys) for one in missed] == [("search", ())]


def test_alerts_history_is_what_the_episodes_say():
    """ALERTS over a fortnight, one point a minute, shows each episode as one run of its length."""
    of = world()
    engine = RuleEngine(of, now=NOW)
    start = math.floor(STARTED_AT - 14 * 86400) * 1000
    expr = 'ALERTS{alertname="CheckoutHighLatency",alertstate="firing"}'
    (series,) = promql.over_range(engine, expr, start, int(STARTED_AT * 1000), 60_000)

    runs = 1 + sum(b - a > 60_000 for a, b in pairwise(series.times))
    minutes = sum(
        (episode.ended_at - episode.started_at) / 60
        for episode in of.episodes
        if episode.alert == "CheckoutHighLatency"
    )
    assert runs == 12
    assert len(series.times) == pytest.approx(minutes, abs=12)


def test_the_last_day_was_quiet():
    """No history reaches into the day before the start: what fires now is news."""
    of = world()

    assert max(episode.ended_at for episode in of.episodes) < STARTED_AT - 86400
    assert min(episode.started_at for episode in of.episodes) > STARTED_AT - 14 * 86400
