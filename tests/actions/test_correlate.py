"""3.2: alerts held against incidents, decisions asked for, rules changed only when a person accepts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import correlate, tuning
from ray_tui.analysis.episodes import Episode
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendBroken, BackendTimeout
from ray_tui.core.ports import Incident, Matrix, PagerService, Series, Silence
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header, Result
from tests.fakes import (
    NOW,
    FakeClock,
    FakeContext,
    InMemoryAlerting,
    InMemoryIncidents,
    InMemoryMetrics,
    InMemoryRules,
    a_config,
    actual,
    all_ports,
    loaded_rules,
    verdicts,
)

STEP = 300.0
START = NOW - 14 * 86_400
RULES = """\
groups:
  - name: shop
    rules:
      # why five per cent: see the post-mortem of March
      - alert: CheckoutErrors
        expr: sum(rate(errors{service="checkout"}[5m])) > 0.05
        for: 5m
        labels: {severity: critical, service: checkout, owner: checkout}
      - alert: Watchdog
        expr: vector(1)
"""
NOISY = "correlate.gaps:noisy-checkouterrors"


def at(number: int) -> float:
    """The start of the numbered stretch: six hours apart, on the step's grid, in the window."""
    return START + 6 * 3600 * (number + 1)


def alerts(name: str, numbers: Sequence[int], **labels: str) -> Series:
    own = {"__name__": "ALERTS", "alertname": name, "alertstate": "firing", "service": "checkout", **labels}
    return Series(own, tuple((at(n) + STEP * k, 1.0) for n in numbers for k in range(4)))


def incident(number: int, service: str = "checkout", **more: Any) -> Incident:
    base: dict[str, Any] = {"title": f"{service} fails", "severity": "critical", "source": "test"}
    return Incident(f"INC-{number}", service=service, started_at=at(number) - 60, ended_at=at(number) + 1200,
                    **{**base, **more})  # fmt: skip


def values(right: Sequence[int], wrong: Sequence[int]) -> Series:
    """The rule's left-hand side: 0.5 where something was wrong, 0.1 where nothing was, else 0.01."""
    high = {at(n) + STEP * k: 0.5 for n in right for k in range(4)}
    low = {at(n) + STEP * k: 0.1 for n in wrong for k in range(4)}
    grid = [START + STEP * k for k in range(int(14 * 86_400 / STEP) + 1)]
    return Series({}, tuple((t, {**low, **high}.get(t, 0.01)) for t in grid))


def listened(expr: str, start: float, end: float, step: float) -> Matrix:
    """A store that has scraped at every look."""
    return Matrix((Series({}, tuple((start + step * k, 24.0) for k in range(round((end - start) / step) + 1))),))


RIGHT, WRONG = tuple(range(0, 48, 4)), tuple(range(1, 48, 4))


def world(
    firing: Sequence[Series], incidents: Sequence[Incident], history: Series | None = None, **ports: Any
) -> tuple[Any, InMemoryRules]:
    metrics = InMemoryMetrics(clock=FakeClock(), loaded=tuple(loaded_rules("/etc/rules/shop.yml", RULES)))
    if history is not None:
        metrics.answer_range("errors", [history])
    metrics.answer_range("ALERTS{", Matrix(tuple(firing)))
    metrics.answer_range(r"^count\(up\)", listened)
    rules = InMemoryRules(metrics=metrics, files={"shop.yml": RULES})
    given = {"metrics": metrics, "rules": rules, "incidents": (InMemoryIncidents(tickets=list(incidents)),), **ports}
    return all_ports(**given), rules


def noisy_world(**ports: Any) -> tuple[Any, InMemoryRules]:
    """12 episodes with an incident and 12 without: precision 50%."""
    return world([alerts("CheckoutErrors", sorted(RIGHT + WRONG))], [incident(n) for n in RIGHT],
                 values(RIGHT, WRONG), **ports)  # fmt: skip


def context(tmp_path: Path, ports: Any, answer: Any = None, **more: Any) -> FakeContext:
    answers = {} if answer is None else lambda ask: answer
    more.setdefault("config", a_config(tmp_path))
    return FakeContext(tmp_path, ports=ports, step="3.2", answers=answers, **more)


def row(result: Result, rule: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in result.data["rules"] if one["rule"] == rule)
    return found


# --- measuring -------------------------------------------------------------------------------------------------------


async def test_alerts_are_held_against_incidents(tmp_path: Path) -> None:
    """Twelve episodes, each with its incident: precision, recall, interval and time to detect. (P54)"""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [incident(n) for n in RIGHT])

    result = await correlate.run(context(tmp_path, ports))

    assert result.verdict is Verdict.PASSED
    found = row(result, "CheckoutErrors")
    assert (found["n"], found["true"], found["precision"], found["status"]) == (12, 12, 1.0, "ok")
    assert found["low"] == pytest.approx(0.757, abs=0.001)
    assert found["time_to_detect"] == pytest.approx(60.0)
    assert found["pages_per_week"] == pytest.approx(6.0)
    assert (result.data["recall"], result.data["missed"], result.data["proposals"]) == (1.0, [], [])


async def test_history_is_asked_for_over_the_configured_days(tmp_path: Path) -> None:
    """The step is noted; a long window is looked at in wider steps."""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [incident(n) for n in RIGHT])
    config = a_config(tmp_path, thresholds={"correlation_days": 90})

    result = await correlate.run(context(tmp_path, ports, "later", config=config))

    assert (result.data["window"]["days"], result.data["window"]["step_seconds"]) == (90.0, 900.0)
    assert any("[900s]" in asked for asked in ports.metrics.asked)


async def test_a_heartbeat_and_our_own_probes_are_no_alerts(tmp_path: Path) -> None:
    """Watchdog fires always, probes were ours, a silenced alert paged nobody, another team's is not ours."""
    firing = [
        alerts("CheckoutErrors", RIGHT), alerts("Watchdog", WRONG), alerts("CheckoutErrors", WRONG, ray_tui_probe="x"),
        alerts("Quiet", [2], service="search"), alerts("Foreign", WRONG, service="billing-of-others"),
    ]  # fmt: skip
    silence = Silence("s", (("alertname", "=", "Quiet"),), START, NOW, "mira", "known")
    alerting = InMemoryAlerting(clock=FakeClock(), routes=[], active_silences=(silence,))
    ports, _ = world(firing, [incident(n) for n in RIGHT], alerting=alerting)

    result = await correlate.run(context(tmp_path, ports))

    assert [one["rule"] for one in result.data["rules"]] == ["CheckoutErrors"]
    assert row(result, "CheckoutErrors")["n"] == 12
    excluded = result.data["excluded"]
    assert (excluded["probes"], excluded["silenced"], excluded["elsewhere"]) == (12, 1, 12)


def window(first: int, last: int, *services: str) -> dict[str, Any]:
    start, end = (datetime.fromtimestamp(at(n) + more, UTC) for n, more in ((first, -600), (last, 3_000)))
    return {"start": start, "end": end, "services": list(services), "reason": "database upgrade"}


async def test_what_happened_in_announced_work_does_not_count(tmp_path: Path) -> None:
    """Alerts and incidents of the services of a [[maintenance]] window; the report names each. (P54 P59)"""
    firing = [alerts("CheckoutErrors", sorted(RIGHT + WRONG[:1])), alerts("SearchSlow", WRONG[:1], service="find")]
    ports, _ = world(firing, [*(incident(n) for n in RIGHT), incident(41, "search"), incident(45, "payments")])
    config = a_config(
        tmp_path,
        services={"search": {"names": {"metrics": {"app": "find"}}}},
        maintenance=[window(WRONG[0], WRONG[0], "checkout", "search"), window(41, 41, "search")],
    )  # fmt: skip

    result = await correlate.run(context(tmp_path, ports, "later", config=config))

    assert [one["rule"] for one in result.data["rules"]] == ["CheckoutErrors"]
    assert row(result, "CheckoutErrors")["n"] == len(RIGHT)
    excluded = result.data["excluded"]
    assert (excluded["maintenance"], excluded["maintenance_incidents"]) == (2, 1)
    assert [one["incident"] for one in result.data["missed"]] == ["INC-45"]
    assert (result.data["recall_share"]["hits"], result.data["recall_share"]["n"]) == (12, 13)
    header = Header("r", "v", "production", "3.2", 1, NOW, "failed", result.summary, result.criteria)
    text = correlate.documents(result.data, header)["alert-tuning-report.md"]
    assert "| checkout, search | database upgrade |" in text


async def test_work_on_a_service_that_fired_nothing_excuses_no_other(tmp_path: Path) -> None:
    """A window whose services carry no alert is no window for all of them."""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [incident(n) for n in RIGHT])
    config = a_config(
        tmp_path,
        maintenance=[window(0, 47, "search")],
    )

    result = await correlate.run(context(tmp_path, ports, config=config))

    assert row(result, "CheckoutErrors")["n"] == len(RIGHT)


async def test_pages_of_our_own_tests_are_no_incidents(tmp_path: Path) -> None:
    """What 2.2 and the prerequisites opened in the paging system was not missed by anyone."""
    tests = [
        incident(42, title="[TEST] ray-tui checks this integration (abc)"),
        incident(41, title="[FIRING:1] RayTuiProbe checkout"),
    ]
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [*(incident(n) for n in RIGHT), *tests])

    result = await correlate.run(context(tmp_path, ports))

    assert result.data["missed"] == []
    assert result.data["excluded"]["probe_incidents"] == 2


async def test_few_episodes_are_insufficient_and_get_a_backlog_entry(tmp_path: Path) -> None:
    """Nine false alerts prove nothing yet: neither a pass nor a block."""
    ports, _ = world([alerts("CheckoutErrors", WRONG[:9])], [])

    result = await correlate.run(context(tmp_path, ports))

    assert result.verdict is Verdict.PASSED
    assert row(result, "CheckoutErrors")["status"] == "insufficient"
    assert [(gap.id, gap.owner) for gap in result.gaps] == [
        ("correlate:insufficient-checkouterrors", "checkout"), ("correlate:insufficient", "checkout"),
    ]  # fmt: skip


async def test_an_incident_before_the_window_is_not_missed(tmp_path: Path) -> None:
    """Its alert lies outside of what was read."""
    old = Incident("OLD", "long", "checkout", START - 86_400, START + 60, "critical", "test")
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [old, *(incident(n) for n in RIGHT)])

    result = await correlate.run(context(tmp_path, ports))

    assert result.data["missed"] == []
    assert result.data["incidents"] == 12


# --- what cannot be read ---------------------------------------------------------------------------------------------


async def test_without_any_incident_source_nothing_can_be_judged(tmp_path: Path) -> None:
    """Inconclusive, and nobody is asked about noise that may be none."""
    here = context(tmp_path, replace(noisy_world()[0], incidents=()))

    result = await correlate.run(here)

    assert verdicts(result)["correlate.sources"] == "inconclusive"
    assert here.asked == []


async def test_a_source_that_breaks_is_an_error(tmp_path: Path) -> None:
    """Half of the incidents would make good alerts look noisy. The source is named."""
    broken = InMemoryIncidents("Jira", trouble=BackendBroken("incidents", "HTML where JSON was promised"))
    ports, _ = noisy_world()
    ports = all_ports(metrics=ports.metrics, incidents=(*ports.incidents, broken))

    result = await correlate.run(context(tmp_path, ports))

    assert verdicts(result) == {"correlate.history": "passed", "correlate.sources": "error"}
    assert "Jira" in actual(result, "correlate.sources")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (BackendTimeout("metrics", "15 s passed"), "error"),
        (Matrix((), ("a store did not answer",)), "inconclusive"),
    ],
)
async def test_a_history_that_is_not_whole_is_not_judged(tmp_path: Path, answer: Any, verdict: str) -> None:
    """A time-out is an error; a partial answer is inconclusive."""
    ports, _ = world([], [])
    ports.metrics.answer_range("ALERTS{", answer)

    result = await correlate.run(context(tmp_path, ports))

    assert verdicts(result)["correlate.history"] == verdict


async def test_a_quiet_fortnight_is_insufficient_and_gets_a_backlog_entry(tmp_path: Path) -> None:
    """Rules and scrapes of all 14 days, no alert, no incident: it blocks nothing, and says that it proves nothing."""
    ports, _ = world([], [])

    result = await correlate.run(context(tmp_path, ports))

    assert actual(result, "correlate.gaps").startswith("insufficient")
    assert verdicts(result)["correlate.history"] == "passed"
    assert "14 of 14 days" in actual(result, "correlate.history")
    assert (result.data["precision"], result.data["precision_share"]["finding"]) == (None, "insufficient")
    assert [(gap.id, gap.severity) for gap in result.gaps] == [("correlate:insufficient", "info")]


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "0 seconds of 14 days"), (1 / 24, "1 hour of 14 days"), (1, "1 day of 14 days"), (12, "12 days of 14 days")],
)
async def test_a_store_that_keeps_less_than_the_window_proves_no_silence(
    tmp_path: Path, days: float, said: str
) -> None:
    """A day of retention is no clean fortnight: inconclusive with what is kept, and nobody is asked."""

    def kept(expr: str, start: float, end: float, step: float) -> Matrix:
        (whole,) = listened(expr, start, end, step).series
        points = tuple(point for point in whole.points if point[0] > NOW - days * 86_400)
        return Matrix((Series({}, points),) if points else ())

    ports, _ = noisy_world()
    ports.metrics.answer_range(r"^count\(up\)", kept)
    here = context(tmp_path, ports)

    result = await correlate.run(here)

    assert verdicts(result)["correlate.history"] == "inconclusive"
    assert said in actual(result, "correlate.history")
    assert result.data["window"]["covered"] == pytest.approx(days / 14)
    assert here.asked == []


async def test_the_reach_of_a_store_that_answers_in_part_is_not_known(tmp_path: Path) -> None:
    """A warning on the question how far history reaches is no pass either, and a time-out is an error."""
    ports, _ = noisy_world()
    ports.metrics.answer_range(r"^count\(up\)", Matrix((), ("a store did not answer",)))
    assert verdicts(await correlate.run(context(tmp_path, ports)))["correlate.history"] == "inconclusive"
    ports.metrics.answer_range(r"^count\(up\)", BackendTimeout("metrics", "15 s passed"))

    assert verdicts(await correlate.run(context(tmp_path, ports)))["correlate.history"] == "error"


async def test_a_store_that_knows_no_alert_at_all_is_inconclusive(tmp_path: Path) -> None:
    """No ALERTS and no rule: the wrong store, not a quiet fortnight."""
    ports, _ = world([], [])
    ports.metrics.loaded = ()

    result = await correlate.run(context(tmp_path, ports))

    assert verdicts(result)["correlate.history"] == "inconclusive"


async def test_without_metrics_it_is_an_error(tmp_path: Path) -> None:
    """Nothing is configured to ask."""
    result = await correlate.run(context(tmp_path, all_ports(metrics=None)))

    assert verdicts(result)["correlate.history"] == "error"


async def test_incidents_that_all_belong_elsewhere_are_inconclusive(tmp_path: Path) -> None:
    """The names do not fit: no incident of ours at all is not a perfect record."""
    ports, _ = world([alerts("CheckoutErrors", RIGHT[:3])], [incident(n, "Warehouse (prod)") for n in RIGHT])

    result = await correlate.run(context(tmp_path, ports))

    assert verdicts(result)["correlate.attribution"] == "inconclusive"
    assert "Warehouse (prod)" in actual(result, "correlate.attribution")


# --- decisions -------------------------------------------------------------------------------------------------------


async def test_a_noisy_rule_that_is_put_off_halts_with_its_figures(tmp_path: Path) -> None:
    """n, precision and interval stand in the words; the proposal was shown with pages before and after. (P55 P58)"""
    ports, rules = noisy_world()
    here = context(tmp_path, ports, "later")

    result = await correlate.run(here)

    assert verdicts(result)[NOISY] == "failed"
    said = actual(result, NOISY)
    assert "12 of 24" in said
    assert "50%" in said
    assert "31% to 69%" in said
    assert here.asked[0].options == ("later", "reject", "file", "accept")  # a stray Enter changes no rule
    assert here.asked[0].with_reason == ("reject",)
    proposal = result.data["proposals"][0]
    assert (proposal["rule"], proposal["accepted"]) == ("CheckoutErrors", None)
    assert proposal["pages_after"] < proposal["pages_before"]
    assert proposal["precision_after"] == 1.0
    assert rules.writes == []
    assert row(result, "CheckoutErrors")["status"] == "noisy"
    assert [gap.severity for gap in result.gaps] == ["blocks"]


@pytest.mark.parametrize(
    ("true", "n", "asked"), [(0, 10, True), (0, 9, False), (16, 20, True), (17, 20, False), (20, 20, False)]
)
async def test_a_rule_is_noisy_from_ten_episodes_and_below_the_target(
    tmp_path: Path, true: int, n: int, asked: bool
) -> None:
    """n ≥ 10 and precision < 85% needs an answer; 17 of 20 is 85%, and enough. (P55 P58)"""
    ports, _ = world([alerts("CheckoutErrors", range(n))], [incident(number) for number in range(true)])
    here = context(tmp_path, ports, "later")

    result = await correlate.run(here)

    assert [ask.name for ask in here.asked] == (["tuning-noisy-checkouterrors"] if asked else [])
    assert (verdicts(result).get(NOISY) == "failed") is asked


@pytest.mark.parametrize(
    ("answer", "reason", "resolved"),
    [
        ("reject", "it was a drill of the network team", True),
        ("file", "", True),
        ("accept", "", False),
        ("later", "", False),
    ],
)
async def test_only_a_decision_resolves_a_missed_incident(
    tmp_path: Path, answer: str, reason: str, resolved: bool
) -> None:
    """Rejected with a reason or filed; there is no proposal to accept here. (P56 P58)"""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [*(incident(n) for n in RIGHT), incident(41, "search")])

    result = await correlate.run(context(tmp_path, ports, {"answer": answer, "reason": reason}))

    assert verdicts(result)["correlate.gaps:missed-inc-41"] == ("passed" if resolved else "failed")
    assert [gap.severity for gap in result.gaps] == ["warns" if resolved else "blocks"]


async def test_an_accepted_proposal_changes_the_rule_and_is_read_back(tmp_path: Path) -> None:
    """Only this threshold changes, comments stay; intent before, outcome after what the server loaded. (P55)"""
    ports, rules = noisy_world()
    here = context(tmp_path, ports, "accept")

    result = await correlate.run(here)

    assert result.verdict is Verdict.PASSED
    change = result.data["proposals"][0]
    assert (change["accepted"], change["state"]) == (True, "applied")
    now = rules.files["shop.yml"]
    assert "# why five per cent" in now
    loaded = next(rule for rule in ports.metrics.loaded if rule.name == "CheckoutErrors")
    assert tuning.holds(loaded.query, loaded.for_seconds, change["threshold_after"], change["for_after"])
    assert [fact.kind for fact in here.recorded if fact.kind in ("IntentRecorded", "OutcomeRecorded")] == [
        "IntentRecorded", "OutcomeRecorded",
    ]  # fmt: skip
    assert [gap.status for gap in result.gaps] == ["resolved"]


async def test_a_rule_that_the_server_refuses_is_rolled_back(tmp_path: Path) -> None:
    """The old file stands again, and the gap is not resolved. (P58)"""
    ports, rules = noisy_world()
    rules.refuses = "error loading rules"
    here = context(tmp_path, ports, "accept")

    result = await correlate.run(here)

    assert verdicts(result)[NOISY] == "failed"
    assert rules.files["shop.yml"] == RULES
    assert rules.writes == ["shop.yml", "shop.yml"]


async def test_a_rule_that_is_not_loaded_after_the_reload_is_rolled_back(tmp_path: Path) -> None:
    """The reload said yes, but the rule is not there: what counts is what is read back."""
    ports, rules = noisy_world()
    rules.drops = {"CheckoutErrors"}
    here = context(tmp_path, ports, "accept")

    result = await correlate.run(here)

    assert "the old rule stands again" in actual(result, NOISY)
    assert rules.files["shop.yml"] == RULES
    assert here.of_kind(f.OutcomeRecorded)[0].outcome == "rolled-back"


async def test_a_rule_outside_of_our_files_is_its_owners_to_change(tmp_path: Path) -> None:
    """Accepted all the same: an open entry with the owner, and no write."""
    ports, rules = noisy_world()
    rules.files.clear()

    result = await correlate.run(context(tmp_path, ports, "accept"))

    assert verdicts(result)[NOISY] == "passed"
    assert result.data["proposals"][0]["state"] == "accepted: to be applied by checkout"
    assert rules.writes == []
    assert [(gap.owner, gap.status) for gap in result.gaps] == [("checkout", "open")]


@pytest.mark.parametrize(("reason", "verdict"), [("", "failed"), ("too short", "failed"),
                                                 ("we want these pages, they are cheap", "passed")])  # fmt: skip
async def test_a_rejection_needs_a_reason(tmp_path: Path, reason: str, verdict: str) -> None:
    """Fifteen characters at least; without them it is as if nobody had decided. (P58)"""
    ports, _ = noisy_world()

    result = await correlate.run(context(tmp_path, ports, {"answer": "reject", "reason": reason}))

    assert verdicts(result)[NOISY] == verdict


async def test_a_filed_gap_has_an_owner_and_a_date(tmp_path: Path) -> None:
    """It lets the run go on, and stands open in the backlog."""
    ports, _ = noisy_world()

    result = await correlate.run(context(tmp_path, ports, "file"))

    assert result.verdict is Verdict.PASSED
    assert [(gap.owner, gap.due, gap.status) for gap in result.gaps] == [("checkout", "next release cycle", "open")]


async def test_a_missed_incident_halts_and_names_its_service(tmp_path: Path) -> None:
    """No alert of its service told of it. (P56 P58)"""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [*(incident(n) for n in RIGHT), incident(41, "search")])

    result = await correlate.run(context(tmp_path, ports, "later"))

    assert verdicts(result)["correlate.gaps:missed-inc-41"] == "failed"
    assert "search" in actual(result, "correlate.gaps:missed-inc-41")
    assert result.data["missed"][0]["action"] == ""


async def test_a_missed_incident_with_a_lower_threshold_that_would_have_told_of_it(tmp_path: Path) -> None:
    """The backtest over the service's own rule proposes it, with its figures. (P56)"""
    missed = tuple(range(2, 48, 4))
    history = values(RIGHT, missed)
    low = Series({}, tuple((t, 0.04 if value == 0.1 else value) for t, value in history.points))
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [incident(n) for n in sorted(RIGHT + missed)], low)

    result = await correlate.run(context(tmp_path, ports, "later"))

    proposal = result.data["proposals"][0]
    assert proposal["kind"] == "missed"
    assert proposal["threshold_after"] < 0.05


async def test_a_missed_incident_whose_follow_up_the_source_knows_is_filed(tmp_path: Path) -> None:
    """The ticket names an action: nobody is asked. (P56)"""
    known = incident(41, "search", action="OPS-77")
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [*(incident(n) for n in RIGHT), known])
    here = context(tmp_path, ports)

    result = await correlate.run(here)

    assert result.verdict is Verdict.PASSED
    assert here.asked == []
    assert result.data["missed"][0]["action"] == "OPS-77"


async def test_a_decision_holds_for_the_retry_and_later_is_asked_again(tmp_path: Path) -> None:
    """Filed at the first attempt: not asked at the second. Put off: asked."""
    for answer, asked in (("file", 1), ("later", 2)):
        ports, _ = noisy_world()
        here = context(tmp_path, ports, answer)
        await correlate.run(here)
        here.attempt = 2
        here.apply(f.StepStarted(step="3.2", attempt=2))

        await correlate.run(here)

        assert len(here.asked) == asked


async def test_after_a_crash_the_accepted_change_is_the_one_that_was_shown(tmp_path: Path) -> None:
    """Written and loaded, the outcome was not recorded: reconciled without another write."""
    ports, rules = noisy_world()
    here = context(tmp_path, ports, "accept")
    await correlate.run(here)
    written = list(rules.writes)
    lost = [fact for fact in here.recorded if not isinstance(fact, f.OutcomeRecorded | f.RunOpened | f.StepStarted)]
    again = FakeContext(tmp_path, ports=ports, step="3.2", config=here.config, resumed=True, facts=lost, answers={})

    result = await correlate.run(again)

    assert result.verdict is Verdict.PASSED
    assert rules.writes == written
    assert again.asked == []
    assert [one.reconciled for one in again.of_kind(f.OutcomeRecorded)] == [True]


async def test_after_a_crash_before_the_reload_the_change_is_loaded_now(tmp_path: Path) -> None:
    """The file was written, the server did not hear of it: reloaded and read back, not written again."""
    ports, rules = noisy_world()
    here = context(tmp_path, ports, "accept")
    await correlate.run(here)
    written, reloads = list(rules.writes), rules.reloads
    ports.metrics.loaded = tuple(loaded_rules("/etc/rules/shop.yml", RULES))
    lost = [fact for fact in here.recorded if not isinstance(fact, f.OutcomeRecorded | f.RunOpened | f.StepStarted)]
    again = FakeContext(tmp_path, ports=ports, step="3.2", config=here.config, resumed=True, facts=lost, answers={})

    result = await correlate.run(again)

    assert result.data["proposals"][0]["state"] == "applied"
    assert (rules.writes, rules.reloads) == (written, reloads + 1)


async def test_nobody_is_asked_without_end(tmp_path: Path) -> None:
    """Forty missed incidents: 25 questions, and the rest stays unresolved. (P58)"""
    ports, _ = world([alerts("CheckoutErrors", RIGHT[:1])], [incident(n, "search") for n in range(40)])
    here = context(tmp_path, ports, "file")

    result = await correlate.run(here)

    assert len(here.asked) == 25
    assert sum(one.verdict is Verdict.FAILED for one in result.criteria) == 15


async def test_a_gap_that_is_gone_at_the_retry_is_closed(tmp_path: Path) -> None:
    """The incident now names its follow-up: its entry is resolved, not forgotten."""
    ports, _ = world([alerts("CheckoutErrors", RIGHT)], [*(incident(n) for n in RIGHT), incident(41, "search")])
    here = context(tmp_path, ports, "later")
    for gap in (await correlate.run(here)).gaps:
        here.apply(gap)
    here.ports = world([alerts("CheckoutErrors", RIGHT)], [incident(n) for n in RIGHT])[0]

    result = await correlate.run(here)

    assert [(gap.id, gap.status) for gap in result.gaps] == [("correlate:missed-inc-41", "resolved")]


async def test_values_that_are_no_numbers_are_no_alerts(tmp_path: Path) -> None:
    """NaN in ALERTS or in the history neither fires nor reaches the JSON."""
    bad = Series(alerts("Odd", [1]).labels, tuple((t, float("nan")) for t, _ in alerts("Odd", [1]).points))
    ports, _ = noisy_world()
    ports.metrics.answer_range("ALERTS{", Matrix((bad, alerts("CheckoutErrors", sorted(RIGHT + WRONG)))))
    ports.metrics.answer_range("errors", [Series({}, tuple((t, float("nan")) for t, _ in values((), ()).points))])

    result = await correlate.run(context(tmp_path, ports, "later"))

    assert [one["rule"] for one in result.data["rules"]] == ["CheckoutErrors"]
    assert result.data["proposals"] == []


async def test_the_report_summarises_adjustments_and_escapes(tmp_path: Path) -> None:
    """Rules, adjustments with their backtests, missed incidents and what blocks. (P59)"""
    hostile = incident(41, "search", title="<img src=x> | **bold**")
    ports, _ = world(
        [alerts("CheckoutErrors", sorted(RIGHT + WRONG))], [*(incident(n) for n in RIGHT), hostile],
        values(RIGHT, WRONG),
    )  # fmt: skip
    result = await correlate.run(context(tmp_path, ports, "later"))
    header = Header("r", "v1", "production", "3.2", 1, 0.0, "failed", result.summary, result.criteria)

    report = correlate.documents(result.data, header)["alert-tuning-report.md"]

    assert "| CheckoutErrors | 24 | 12 | 12 | 50% |" in report
    assert "## Adjustments" in report
    assert "\\<img src=x\\> \\| \\*\\*bold\\*\\*" in report
    assert "## What blocks" in report
    assert correlate.documents(result.data, header)["alert-tuning-report.md"] == report


# --- whose incident it is --------------------------------------------------------------------------------------------


def told(title: str, service: str, pager: Sequence[PagerService] = ()) -> Incident | None:
    episodes = (Episode("CartErrors", "search", {}, 0, 1), Episode("PayErrors", "payments", {}, 0, 1))
    found = Incident("I", title, service, 0, 1, "", "test")
    return tuning.attribute(found, episodes, a_config(), pager)


def test_an_incident_is_attributed_by_service_then_title_then_pager() -> None:
    """A paging service that stands for several of ours gives way to the service that the title names."""
    checkout = (PagerService("PSVCCHK", "Checkout", "PPOLCHK"),)

    assert told("down", "Payments").service == "payments"  # type: ignore[union-attr]
    assert told("search: slow", "Checkout", checkout).service == "search"  # type: ignore[union-attr]
    assert told("payments are slow", "Checkout", checkout).service == "checkout"  # type: ignore[union-attr]
    assert told("no idea", "Warehouse") is None
    assert told("search is slow", "").service == "search"  # type: ignore[union-attr]
    assert told("[FIRING:1] CartErrors", "Ops").alert_keys == ("CartErrors",)  # type: ignore[union-attr]


def test_a_paging_service_of_several_of_ours_is_told_of_by_any_of_their_alerts() -> None:
    """Policy PPOLCHK pages for checkout and search; nothing in the title says which."""
    found = told("something", "Shop", (PagerService("P", "Shop", "PPOLCHK"),))

    assert found is not None
    assert found.alert_keys == ("CartErrors",)


# --- a rule's comparison and its file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "left", "operator", "value"),
    [
        ('rate(a{b=">1"}[5m]) / c > 0.5', 'rate(a{b=">1"}[5m]) / c', ">", 0.5),
        ("5 < a", "a", ">", 5.0),
        ("sum by (x) (a) <= 3", "sum by (x) (a)", "<=", 3.0),
        ("a > -1e3", "a", ">", -1000.0),
    ],
)
def test_one_numeric_threshold_is_read(expr: str, left: str, operator: str, value: float) -> None:
    """Operators in strings and brackets are none; a flipped comparison is turned."""
    found = tuning.comparison(expr)

    assert found is not None
    assert (found.left, found.operator, found.value) == (left, operator, value)
    assert tuning.comparison(tuning.with_threshold(expr, 7.5)).value == 7.5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "expr",
    ["a > 1 and b > 2", "a > b", "absent(a)", "a == 0", "vector(1)", "a > bool 1", "a >", "(a > 1) * 2", "a > 1 # 2",
     "a unless b > 3", "a > Inf"],
)  # fmt: skip
def test_what_is_not_one_numeric_threshold_is_left_alone(expr: str) -> None:
    """Never guessed."""
    assert tuning.comparison(expr) is None


def change(**more: float) -> tuning.Change:
    base = {"threshold_before": 0.05, "threshold_after": 0.2, "for_before": 300.0, "for_after": 300.0}
    return tuning.Change("CheckoutErrors", **{**base, **more})


def test_a_rule_file_is_changed_in_one_place_only() -> None:
    """Threshold and duration of one rule; every other byte stays."""
    now = tuning.edited(RULES, change(for_after=600.0))

    assert now == RULES.replace("> 0.05", "> 0.2").replace("for: 5m", "for: 10m")


@pytest.mark.parametrize(
    "text",
    [
        "not: [yaml",
        RULES.replace("CheckoutErrors", "Other"),
        RULES.replace("> 0.05", "> 0.06"),
        RULES + RULES.partition("rules:\n")[2].replace("Watchdog", "Again"),
    ],
)
def test_a_rule_file_that_is_not_as_expected_is_not_changed(text: str) -> None:
    """Unreadable, another rule, another threshold, the rule twice."""
    assert tuning.edited(text, change()) is None
