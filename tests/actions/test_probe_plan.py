"""What a test of the alert paths plans: tokens, label sets, and who would be paged."""

import pytest

from ray_tui.actions import probe_plan as planning
from ray_tui.analysis import routing
from ray_tui.config import Alerts
from ray_tui.core.policy import Person
from ray_tui.core.ports import EscalationPolicy, OnCall, PagerService

NOW = 1_795_377_600.0  # 20:00 UTC
CONFIG = """
global: {smtp_smarthost: 'mail:25', smtp_from: am@shop.example}
route:
  receiver: root
  group_by: [alertname, ray_tui_probe]
  routes:
  - matchers: ['severity="critical"', 'service="payments"']
    receiver: pd-payments
    continue: true
  - matchers: ['severity="critical"', 'service="payments"']
    receiver: mail
  - matchers: ['severity="critical"', 'alertname="OnlyThis"']
    receiver: pd-only
  - matchers: ['severity="critical"', 'service=~"cart|checkout"']
    receiver: pd-checkout
  - matchers: ['severity="warning"']
    receiver: pd-warn
receivers:
- {name: root}
- {name: pd-payments, pagerduty_configs: [{routing_key: x}]}
- {name: pd-only, pagerduty_configs: [{routing_key: x}]}
- {name: pd-checkout, pagerduty_configs: [{routing_key: x}]}
- {name: pd-warn, pagerduty_configs: [{routing_key: x}]}
- {name: mail, email_configs: [{to: a@shop.example}]}
"""
ROTA = planning.Rota(
    services=(PagerService("S1", "Checkout", "P1"), PagerService("S2", "Payments", "P2")),
    policies=(EscalationPolicy("P1", "Checkout on-call", (300.0,)), EscalationPolicy("P2", "Payments", (60.0,))),
    on_call=(
        OnCall("P1", "Checkout on-call", 1, "U1", "Mira", None),
        OnCall("P1", "Checkout on-call", 2, "U3", "Tom", None),
        OnCall("P2", "Payments", 1, "U2", "Priya", None),
    ),
)  # fmt: skip


def planned(*wanted: str, **extra: str) -> planning.PathPlan:
    config = routing.load(CONFIG)
    chosen = planning.targets(config, wanted, {"alertname": planning.ALERTNAME, **extra}, (), Alerts())
    return planning.plan(config, chosen, extra, NOW, {})


def test_critical_is_what_the_configuration_says() -> None:
    """A team that says P1 under another label has its routes found; what says `critical` is no page of theirs. (P40)"""
    text = CONFIG.replace('severity="critical"', 'prio="P1"').replace('severity="warning"', 'severity="critical"')
    alerts = Alerts(severity_label="prio", critical=("P1", "P2"))

    chosen = planning.targets(routing.load(text), (), {"alertname": planning.ALERTNAME}, (), alerts)

    usual = planning.targets(routing.load(CONFIG), (), {"alertname": planning.ALERTNAME}, (), Alerts())
    assert [one.receiver for one in chosen] == [one.receiver for one in usual]
    assert {(one.example or {}).get("prio") for one in chosen} <= {"P1", None}
    assert not any("severity" in (one.example or {}) for one in chosen)


def test_every_planned_alert_reaches_the_receivers_that_it_is_to_prove() -> None:
    """The label sets are run through the routing again, with the probe's own labels. (P40)"""
    config, plan = routing.load(CONFIG), planned()

    assert not plan.untestable
    for alert in plan.alerts:
        reached = {hit.receiver for hit in routing.route(config, {**alert.labels, planning.PROBE_LABEL: "t"})}
        assert {leg.receiver for leg in alert.legs} <= reached
    assert sorted(leg.receiver for alert in plan.alerts for leg in alert.legs) == [
        "mail", "pd-checkout", "pd-only", "pd-payments",
    ]  # fmt: skip


def test_receivers_reached_together_share_one_alert_and_the_pager_leads() -> None:
    """So nobody is paged twice for a mail's sake. (P40)"""
    shared = next(alert for alert in planned().alerts if len(alert.legs) == 2)

    assert [leg.receiver for leg in shared.legs] == ["pd-payments", "mail"]


def test_a_route_that_wants_another_alertname_gets_it() -> None:
    """Ours is a preference, not a condition. (P40)"""
    names = {leg.receiver: alert.labels["alertname"] for alert in planned().alerts for leg in alert.legs}

    assert names == {
        "pd-only": "OnlyThis", "pd-checkout": planning.ALERTNAME, "pd-payments": planning.ALERTNAME,
        "mail": planning.ALERTNAME,
    }  # fmt: skip


def test_a_wanted_receiver_need_not_be_critical_and_an_unknown_one_fails() -> None:
    """[alert_paths] receivers names exactly what is probed. (P45)"""
    plan = planned("pd-warn", "gone")

    assert [leg.receiver for alert in plan.alerts for leg in alert.legs] == ["pd-warn"]
    assert [(one.receiver, one.problem) for one in plan.untestable] == [("gone", "nobody")]


def test_what_a_route_wants_wins_over_configured_labels() -> None:
    """[alert_paths] labels are added; one that would lead the probe elsewhere gives way. (P40)"""
    (alert,) = planned("pd-checkout", service="payments", team="shop").alerts

    assert alert.labels["service"] in ("cart", "checkout")
    assert alert.labels["team"] == "shop"
    assert [leg.receiver for leg in alert.legs] == ["pd-checkout"]


def test_tokens_differ_by_run_attempt_receiver_and_purpose() -> None:
    """And none stands inside another. (P40)"""
    prefixes = [planning.attempt_prefix(run, attempt) for run in ("2026-a-7f3a", "2027-a-7f3a") for attempt in (1, 11)]
    purposes: tuple[planning.Purpose, ...] = ("acknowledge", "escalate")
    names = ("pd", "pd-checkout", "PD/checkout", "pd checkout")
    tokens = [planning.token(p, name, why) for p in prefixes for name in names for why in purposes]

    assert len(set(tokens)) == len(tokens)
    assert not any(a != b and a in b for a in tokens for b in tokens)
    assert planning.token(prefixes[0], "pd", "escalate") == planning.token(prefixes[0], "pd", "escalate")


def test_a_receiver_is_mapped_by_name_and_to_everyone_where_no_name_fits() -> None:
    """Before a page arrives nobody knows; then better too many are named than too few. (P40)"""
    assert planning.policies_meant("pd-checkout", ROTA) == ("P1",)
    assert planning.policies_meant("pagerduty-critical", ROTA) == ("P1", "P2")


def test_pages_are_counted_per_person_and_policies_escalate_once() -> None:
    """Two receivers of one policy: two pages to acknowledge, one escalation. (P42)"""
    legs = [planning.Target(name, {}, ("pagerduty",)) for name in ("pd-checkout", "checkout-oncall")]
    rows = planning.pages([planning.PlannedAlert({}, (leg,)) for leg in legs], ROTA)

    assert [(row.person, row.receiver, row.count) for row in rows] == [
        ("Mira", "pd-checkout", 2), ("Tom", "pd-checkout", 1), ("Mira", "checkout-oncall", 1),
    ]  # fmt: skip
    assert planning.over_budget(rows, {}, 2) == ("Mira: 3 now and 0 in the last hour (2 an hour allowed)",)


@pytest.mark.parametrize(
    ("hours", "zone", "quiet"),
    [
        ("19:00-21:00", "UTC", True),
        ("20:00-20:01", "UTC", True),
        ("19:00-20:00", "UTC", False),
        ("22:00-07:00", "UTC", False),
        ("22:00-07:00", "Asia/Tokyo", True),
        ("whenever", "UTC", True),
        ("22:00-07:00", "Mars/Olympus", True),
    ],
)
def test_quiet_hours_hold_in_the_persons_zone_and_when_unreadable(hours: str, zone: str, quiet: bool) -> None:
    """Nobody is woken by a typing error. (P40)"""
    people = {"mira": Person(quiet_hours=hours, timezone=zone, pager_id="U1")}

    assert bool(planning.protected("U1", "Mira", people, NOW)) is quiet
    assert planning.protected("U9", "Jo", people, NOW) == ""


def test_a_page_that_nobody_answers_is_counted_for_every_level_that_it_reaches() -> None:
    """Levels whose turn comes while the probe still fires, and the policy's own repeats. (P40)"""
    policies = (EscalationPolicy("P1", "P1", (60.0, 120.0), loops=1), EscalationPolicy("P2", "P2", (600.0, 600.0)))
    rota = planning.Rota((), policies, ())

    assert rota.levels_called("P1", 59.0) == (1,)
    assert rota.levels_called("P1", 60.0) == (1, 2)
    assert rota.levels_called("P1", 300.0) == (1, 2, 1, 2)
    assert rota.levels_called("P2", 300.0) == (1,)
    assert rota.levels_called("unknown", 1e9) == (1,)
