"""Alertmanager's routing: upstream's own cases, its binary as an oracle, and the questions a drill asks."""

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_tui.analysis import routing
from ray_tui.analysis.routing import RoutingError, load, route
from ray_tui.core.errors import InputError

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "alertmanager"
UPSTREAM = Path(__file__).parents[1] / "wire" / "alertmanager"
AMTOOL = shutil.which("amtool")
NO_CORPUS = [pytest.param(None, None, marks=pytest.mark.skip("no corpus"))]

SHOP = """
route:
  receiver: default
  group_by: [alertname]
  routes:
    - matchers: [severity="critical", team="shop"]
      receiver: pager
      group_by: [alertname, run_id]
      group_wait: 0s
      continue: true
      routes:
        - matchers: [service=~"checkout|cart"]
          receiver: checkout-pager
    - matchers: ['severity=~"critical|page"']
      receiver: hole
      mute_time_intervals: [nights]
    - matchers: [severity="warning"]
      receiver: chat
      active_time_intervals: [office]
receivers:
  - name: default
    email_configs: [{to: a@example.org, from: b@example.org, smarthost: 'localhost:25'}]
  - name: pager
    pagerduty_configs: [{routing_key: x}]
  - name: checkout-pager
    pagerduty_configs: [{routing_key: y}]
  - name: hole
  - name: chat
    slack_configs: [{api_url: 'https://hooks.example.org/secret', channel: '#ops'}]
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [service]
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
  - name: office
    time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}]
"""
WEDNESDAY_NOON = 1_700_049_600 - 1_700_049_600 % 86400 + 12 * 3600  # 2023-11-15
WEDNESDAY_23H = WEDNESDAY_NOON + 11 * 3600


def expected_files() -> list[Any]:
    path = CORPUS / "EXPECTED.json"
    return list(json.loads(path.read_text()).items()) if path.exists() else NO_CORPUS


@pytest.mark.parametrize(("name", "expected"), expected_files())
def test_a_configuration_is_judged_as_alertmanager_judges_it(name: str, expected: dict[str, Any]):
    """Valid or not, and its own words for why not."""
    text = (CORPUS / name).read_text()
    if expected["valid"]:
        assert load(text, name).receivers
        return
    with pytest.raises(RoutingError) as caught:
        load(text, name)
    if "error" in expected:
        assert caught.value.reason == expected["error"]
    assert expected.get("error_contains", "") in caught.value.reason
    assert str(caught.value).startswith(f"{name}:")


def upstream_cases() -> Iterator[Any]:
    found = json.loads((UPSTREAM / "routing" / "TestRouteMatch.json").read_text())
    names = sorted(set(re.findall(r"receiver: '([^']+)'", found["route_yaml"])))
    config = yaml.safe_dump(
        {"route": yaml.safe_load(found["route_yaml"]), "receivers": [{"name": name} for name in names]}
    )
    for case in found["cases"]:
        yield config, case


@pytest.mark.parametrize(("config", "case"), list(upstream_cases()))
def test_an_alert_ends_where_alertmanager_says(config: str, case: dict[str, Any]):
    """Receivers in order, grouping, timers and the route's key."""
    defaults = {"group_by": [], "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
    seconds = {"30s": 30, "1m": 60, "2m": 120, "5m": 300, "1h": 3600, "4h": 14400}

    found = route(load(config), case["labels"])

    expected = [
        {key: defaults[key] if value == "default" else value for key, value in node.items()} for node in case["routes"]
    ]
    assert [(hit.receiver, hit.path, sorted(hit.group_by), hit.group_by_all) for hit in found] == [
        (node["receiver"], node["key"], sorted(node["group_by"]), node["group_by_all"]) for node in expected
    ]
    assert [(hit.group_wait, hit.group_interval, hit.repeat_interval) for hit in found] == [
        tuple(seconds[node[key]] for key in ("group_wait", "group_interval", "repeat_interval")) for node in expected
    ]


def test_amtools_own_cases():
    """corpus/alertmanager/routing/amtool.json, three of three."""
    path = CORPUS / "routing" / "amtool.json"
    if not path.exists():
        pytest.skip(f"no corpus at {path}")
    for case in json.loads(path.read_text()):
        config = load((CORPUS / case["config"]).read_text())
        assert [hit.receiver for hit in route(config, case["labels"])] == case["receivers"]


def generated(seed: int) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A random configuration and ten label sets for it."""
    rng = random.Random(seed)
    values = {"severity": ["critical", "warning", "page"], "team": ["a", "b", "shop"], "env": ["prod", "dev-1", ""]}
    receivers = [f"r{number}" for number in range(5)]

    def matcher() -> str:
        name = rng.choice(list(values))
        op = rng.choice(["=", "!=", "=~", "!~"])
        pool = (
            values[name] if op in ("=", "!=") else ["a|b", ".+", "prod|critical", "(?i)PAGE", "d.*", "crit[a-z]+", ""]
        )
        return f'{name}{op}"{rng.choice(pool)}"'

    def node(depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {"matchers": [matcher() for _ in range(rng.randint(0 if depth else 1, 2))]}
        if rng.random() < 0.7:
            found["receiver"] = rng.choice(receivers)
        if rng.random() < 0.4:
            found["continue"] = True
        if depth and rng.random() < 0.6:
            found["routes"] = [node(depth - 1) for _ in range(rng.randint(1, 3))]
        return found

    config = {
        "route": {"receiver": "r0", "routes": [node(2) for _ in range(rng.randint(1, 4))]},
        "receivers": [{"name": name} for name in receivers],
    }
    labels = [{name: rng.choice(pool) for name, pool in values.items() if rng.random() < 0.8} for _ in range(10)]
    return config, [{name: value for name, value in one.items() if value} or {"team": "z"} for one in labels]


@pytest.mark.real
def test_amtool_agrees_on_200_generated_pairs(tmp_path: Path):
    """20 random trees × 10 label sets: the same receivers in the same order."""
    if AMTOOL is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "amtool is required and not installed"
        pytest.skip("amtool is not installed")
    path = tmp_path / "alertmanager.yml"
    pairs = 0
    for seed in range(20):
        written, label_sets = generated(seed)
        path.write_text(yaml.safe_dump(written))
        config = load(path.read_text())
        for labels in label_sets:
            asked = [f"{name}={value}" for name, value in labels.items()]
            done = subprocess.run(
                [AMTOOL, "config", "routes", "test", f"--config.file={path}", *asked], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            ours = ",".join(hit.receiver for hit in route(config, labels))
            assert ours == done.stdout.strip(), (seed, labels)
            pairs += 1
    assert pairs == 200


ATOMS = [
    "a",
    "ab",
    ".",
    r"\d",
    r"\w",
    "[a-c]",
    "[^a]",
    "[[:alpha:]]",
    "[[:^alpha:]]",
    "[]a]",
    r"[\S]",
    "(a|b)",
    "(?i)A",
    "(?i:B)",
]
ATOMS += [
    "(?P<x>a)",
    r"\Qa.\E",
    "^",
    "$",
    r"\b",
    r"\z",
    r"\Z",
    "{",
    "{,2}",
    "a{2,1}",
    r"\1",
    "(?=a)",
    "(?!a)",
    r"\x41",
    r"\x{42}",
]
ATOMS += [r"\101", r"\_", r"\e", r"[\d-]", "[z-a]", "[a", "(", "|", "é", "[a&&b]"]
REPEATS = ["", "", "*", "+", "?", "{2}", "*?", "**", "?+", "{1001}"]


@pytest.mark.real
def test_amtool_takes_the_same_regexes_and_they_match_the_same(tmp_path: Path):
    """100 random patterns: RE2's verdict and RE2's matches, through amtool."""
    if AMTOOL is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "amtool is required and not installed"
        pytest.skip("amtool is not installed")
    rng = random.Random(12)
    path = tmp_path / "alertmanager.yml"
    taken = 0
    for _ in range(100):
        pattern = "".join(rng.choice(ATOMS) + rng.choice(REPEATS) for _ in range(rng.randint(1, 3)))
        written = {
            "route": {"receiver": "no", "routes": [{"receiver": "yes", "match_re": {"x": pattern}}]},
            "receivers": [{"name": "no"}, {"name": "yes"}],
        }
        path.write_text(yaml.safe_dump(written))
        accepted = subprocess.run([AMTOOL, "check-config", path], capture_output=True).returncode == 0
        try:
            config = load(path.read_text())
        except RoutingError:
            assert not accepted, pattern
            continue
        assert accepted, pattern
        taken += 1
        value = rng.choice(["a", "b", "ab", "A", "AB", "aa", "1", "_", "a.", "é", "a-b"])
        asked = [AMTOOL, "config", "routes", "test", f"--config.file={path}", f"x={value}"]
        theirs = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
        assert [hit.receiver for hit in route(config, {"x": value})] == [theirs], (pattern, value)
    assert taken > 20


@pytest.mark.real
def test_amtool_accepts_what_we_say_it_can_read():
    """A file that amtool refuses and we accept needs something newer, and we name it."""
    if AMTOOL is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "amtool is required and not installed"
        pytest.skip("amtool is not installed")
    if not CORPUS.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    for path in sorted(CORPUS.glob("*/*.y*ml")):
        accepted = subprocess.run([AMTOOL, "check-config", path], capture_output=True).returncode == 0
        try:
            newer = routing.needs(load(path.read_text(), path.name))
        except InputError:
            assert not accepted, path.name
            continue
        assert accepted or newer, f"{path.name}: amtool refuses it and we don't say why"


def test_a_newer_field_is_told_with_its_version():
    """Against an older Alertmanager the person reads "needs ≥ X"."""
    text = SHOP.replace("pagerduty_configs: [{routing_key: x}]", "webhook_configs: [{url: 'http://x', timeout: 5s}]")

    assert routing.needs(load(text)) == (("webhook_configs.timeout", "0.28"),)


def test_continue_and_inheritance_give_every_receiver():
    """The child wins over its parent; `continue` goes on to the sibling."""
    config = load(SHOP)

    found = route(config, {"severity": "critical", "team": "shop", "service": "cart"})

    assert [(hit.receiver, hit.group_by, hit.group_wait) for hit in found] == [
        ("checkout-pager", ("alertname", "run_id"), 0.0),
        ("hole", ("alertname",), 30.0),
    ]


def test_a_receiver_without_integrations_reaches_nobody():
    """A route to it looks fine and pages no one. (P45)"""
    config = load(SHOP)

    assert routing.reaches_nobody(config, {"severity": "page"})
    assert not routing.reaches_nobody(config, {"severity": "critical", "team": "shop"})


def test_times_mute_and_activate_routes():
    """Muted at night; outside office hours inactive; the hit says which interval."""
    config = load(SHOP)

    (night,) = route(config, {"severity": "page"}, WEDNESDAY_23H)
    (noon,) = route(config, {"severity": "page"}, WEDNESDAY_NOON)

    assert (night.muted_by, night.inactive) == (("nights",), True)
    assert (noon.muted_by, noon.inactive) == ((), False)
    assert routing.reaches_nobody(config, {"severity": "warning"}, WEDNESDAY_23H)
    assert not routing.reaches_nobody(config, {"severity": "warning"}, WEDNESDAY_NOON)


def test_an_alert_that_nothing_matches_falls_to_the_default():
    """The root is a route too, but nobody chose it for this alert."""
    config = load(SHOP)

    assert routing.only_default(config, {"severity": "info"})
    assert not routing.only_default(config, {"severity": "page"})


def test_inhibition_needs_equal_labels_and_a_source():
    """And an alert that is on both sides is not its own reason."""
    config = load(SHOP)
    target = {"severity": "warning", "service": "cart"}

    assert routing.inhibited_by(config, target, [{"severity": "critical", "service": "other"}]) == ()
    (found,) = routing.inhibited_by(config, target, [target, {"severity": "critical", "service": "cart"}])
    assert found.source == {"severity": "critical", "service": "cart"}
    assert "inhibits" in found.rule


def test_an_alert_on_both_sides_does_not_inhibit_its_own_kind():
    """Alertmanager's exception: source and target both match both."""
    text = SHOP.replace('target_matchers: [severity="warning"]', 'target_matchers: [severity=~"critical|warning"]')
    config = load(text)
    one, other = ({"severity": "critical", "service": "cart", "pod": pod} for pod in "ab")

    assert routing.inhibited_by(config, one, [one, other]) == ()


def test_critical_receivers_have_an_example_that_reaches_them():
    """One per receiver on a critical path; its labels really lead there. (P45)"""
    config = load(SHOP)

    found = routing.critical_receivers(config, "severity", ("critical", "page"), base={"alertname": "Probe"})

    assert [one.name for one in found] == ["pager", "checkout-pager", "hole"]
    for one in found:
        assert one.example is not None
        assert one.example["alertname"] == "Probe"
        assert one.name in [hit.receiver for hit in route(config, one.example)]
    assert found[0].integrations[0].kind == "pagerduty"
    assert found[2].integrations == ()


def test_a_critical_alert_that_is_given_adds_what_it_reaches():
    """Even the default receiver, if a real critical alert ends there."""
    config = load(SHOP)

    found = routing.critical_receivers(config, "severity", ("disaster",), alerts=[{"severity": "disaster"}])

    assert [(one.name, one.example) for one in found] == [("default", {"severity": "disaster"})]


def test_a_path_that_contradicts_itself_has_no_example():
    """It is listed all the same: a route that names critical and can never match is worth knowing."""
    text = SHOP.replace('service=~"checkout|cart"', 'team="other"')
    (found,) = [
        one
        for one in routing.critical_receivers(load(text), "severity", ("critical", "page"))
        if one.name == "checkout-pager"
    ]

    assert found.example is None


def test_no_secret_is_in_what_we_keep():
    """A Slack webhook's URL is a secret: only the channel is kept."""
    (chat,) = [one for one in routing.receivers(load(SHOP)) if one.name == "chat"]

    assert chat.integrations[0].target == "#ops"
    assert "hooks.example.org" not in repr(load(SHOP))


@pytest.mark.parametrize("text", ["", "BAD", "[]", "route: [", "route:\n  receiver: a\n  receiver: b\n"])
def test_what_is_no_configuration_is_an_error_and_no_crash(text: str):
    """Files of people hold anything."""
    with pytest.raises(InputError):
        load(text)


def test_an_unknown_field_passes_where_a_live_server_has_accepted_it():
    """Strict for files; lenient for what Alertmanager itself reports."""
    text = SHOP.replace("routing_key: x", "routing_key: x, invented: 1")

    with pytest.raises(RoutingError, match="field invented not found"):
        load(text)
    assert load(text, strict=False).receivers
