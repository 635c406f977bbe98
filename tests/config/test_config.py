"""A wrong configuration is refused by file, line and key."""

from pathlib import Path

import pytest

from ray_tui import config
from ray_tui.core.errors import ConfigError

GOOD = """
[run]
release = "v1"

[services.checkout]
critical = true

[thresholds]
coverage = 0.95
"""

WORK = '[[maintenance]]\nreason = "upgrade"\nstart = 2026-01-01T00:00:00Z\n'


def load(text):
    return config.parse(text, Path("ray-tui.toml"))


def test_a_small_configuration_is_enough():
    """Everything but the release has a default."""
    chosen = load(GOOD)
    assert chosen.run.environment == "production"
    assert chosen.services["checkout"].required_signals == ("metrics", "logs", "traces", "synthetics")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("coverage = 0.95", "coverge = 0.95"), "ray-tui.toml:9: thresholds.coverge: is not a known key"),
        (("coverage = 0.95", 'coverage = "high"'), "ray-tui.toml:9: thresholds.coverage"),
        (("critical = true", "critical = true\nownr = 'x'"), "ray-tui.toml:7: services.checkout.ownr"),
        (('release = "v1"', ""), "ray-tui.toml:2: run.release"),
        (("[services", "[services"), ""),
        (
            ("critical = true", "critical = true\nowner = 'ghosts'"),
            "services.checkout.owner: 'ghosts' is not in [owners]",
        ),
        (('release = "v1"', 'release = "v1"\ndeployed_at = 2026-01-01T00:00:00'), "needs a time zone"),
        (("[thresholds]", '[metrics]\nkind = "graphite"\n[thresholds]'), "metrics.kind: 'graphite' is not known"),
        (("[thresholds]", "[thresholds"), "not valid TOML"),
        (("[thresholds]", f"{WORK}end = 2026-01-01T00:00:00Z\n[thresholds]"), "end must be after start"),
        (("[thresholds]", f"{WORK}end = 2026-01-02T00:00:00\n[thresholds]"), "need a time zone"),
        (
            ("[thresholds]", f'{WORK}end = 2026-01-02T00:00:00Z\nservices = ["ghost"]\n[thresholds]'),
            "maintenance.0.services: 'ghost' is not in [services]",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(change, said):
    """File, line and key stand in the message."""
    text = GOOD.replace(*change)
    if not said:
        load(text)
        return
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert said in str(caught.value)


def test_a_literal_secret_is_refused_without_showing_it():
    """Secrets are references; a literal one is an error that does not repeat it."""
    text = GOOD + '[dashboards]\nkind = "grafana"\nurl = "http://g"\nbearer_token = "glsa_supersecret"\n'
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith("ray-tui.toml:13: dashboards.bearer_token: a secret is not written here")
    assert "env:" in str(caught.value)
    assert "supersecret" not in str(caught.value)


NOTIFY = '[notify.20]\nkind = "webhook"\nurl = "http://h"\nsecret_url = "https://x"\n'
FILES = '[[incidents]]\nkind = "file"\npath = "a"\n'
PAGER = '[[incidents]]\nkind = "pagerduty"\ntoken = "abc"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NOTIFY, ["ray-tui.toml:13: notify.20.secret_url: "]),
        (FILES + PAGER, ["ray-tui.toml:15: incidents.1.token: "]),
        (
            '[schedule.assets]\n"a:b" = { cadence = "1 1 * * *", owner = "" }\n"a:c" = { cadnce = "x", owner = "" }\n',
            ["ray-tui.toml:12: schedule.assets.\"a:c\".cadnce: is not a known key; did you mean 'cadence'?"],
        ),
        (
            '[alerting]\nkind = "alertmanager"\nurll = "http://a"\n[logs]\nkind = "loki"\nurl = "http://l"\nold = 1\n',
            ["ray-tui.toml:12: alerting.urll: is not a known key", "ray-tui.toml:16: logs.old: is not a known key"],
        ),
        (
            '[logs]\nkind = "splunk"\n[thresholds.x]\n',
            ["ray-tui.toml:11: logs.kind: 'splunk' is not known", "ray-tui.toml:12: thresholds.x: "],
        ),
        ("[owners.a]\npeople = ['b']\n", ["ray-tui.toml:11: owners.a.people: 'b' is not in [people]"]),
        ("coverage = 0.9\n", ["ray-tui.toml:10: is not valid TOML: Cannot overwrite a value", "coverage is there"]),
        ("[run]\n", ["ray-tui.toml:10: is not valid TOML: ", "run"]),
        ("x = '", ["ray-tui.toml:10: is not valid TOML: "]),
    ],
)
def test_each_fault_stands_on_its_own_line(text, said):
    """In lists of tables, under quoted keys, in several systems at once, where a key stands twice."""
    with pytest.raises(ConfigError) as caught:
        load(GOOD + text)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[schedule]\ntimezone = "Mars/Olympus"\n', 'ray-tui.toml:11: schedule.timezone: time zone "Mars/Olympus"'),
        (
            '[schedule.alerts]\ncadence = "not cron"\nowner = ""\n',
            'ray-tui.toml:11: schedule.alerts.cadence: cron "not cron": write five fields',
        ),
        (
            '[schedule.assets]\n"a:b" = { cadence = "61 * * * *", owner = "" }\n',
            'ray-tui.toml:11: schedule.assets."a:b".cadence: cron "61 * * * *": ',
        ),
        ('[people.mira]\ntimezone = "Berlin"\n', 'ray-tui.toml:11: people.mira.timezone: time zone "Berlin"'),
        ('[people.mira]\nquiet_hours = "25:00-99:00"\n', "ray-tui.toml:11: people.mira.quiet_hours: '25:00-99:00'"),
        ('[people.mira]\nquiet_hours = "always"\n', "write it as 22:00-07:00"),
    ],
)
def test_a_time_that_nobody_can_keep_is_refused(text, said):
    """Cron, time zone, quiet hours: before the run, with the line."""
    with pytest.raises(ConfigError) as caught:
        load(GOOD + text)
    assert said in str(caught.value)


def test_a_file_of_another_encoding_is_named_with_its_line(tmp_path):
    """Where the first strange byte stands; a byte order mark is on the first line."""
    file = tmp_path / "ray-tui.toml"
    file.write_bytes(b"[run]\nrelease = '\xe4'\n")
    with pytest.raises(ConfigError, match=r"ray-tui\.toml:2: is not text"):
        config.load(file)
    file.write_text(GOOD, encoding="utf-8-sig")
    with pytest.raises(ConfigError, match=r"ray-tui\.toml:1: begins with a byte order mark"):
        config.load(file)


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[thresholds]", "ack_sla_seconds"),
        ("[policy]", "approval_days"),
        ("[host]", "live_seconds"),
        ('[metrics]\nkind = "prometheus"\nurl = "http://m"', "read_seconds"),
    ],
)
def test_a_number_that_is_none_is_refused(table, key, number):
    """An infinite limit would let everything pass."""
    text = f'[run]\nrelease = "v1"\n{table}\n{key} = {number}\n'
    with pytest.raises(ConfigError, match=f"{key}: Input should be"):
        load(text)


def test_a_missing_file_says_what_to_do(tmp_path):
    """The path and the next command stand in the message."""
    with pytest.raises(ConfigError, match="ray-tui init"):
        config.load(tmp_path / "ray-tui.toml")


def test_the_digest_moves_with_thresholds_and_not_with_looks():
    """An approval becomes outdated when what it approved changes, not when the theme does."""
    one, two = load(GOOD), load(GOOD.replace("0.95", "0.90"))
    assert one.digest() != two.digest()
    assert one.digest() == load(GOOD + '[ui]\ntheme = "ray-light"\n').digest()
