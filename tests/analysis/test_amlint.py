"""Our routing and validity against amlint's: a second opinion beside amtool's, without any of Debian's binaries.

Where the two differ, amtool or Alertmanager's own source is the judge; what is amlint's own is listed with its reason.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_tui.analysis import routing
from ray_tui.core.errors import InputError
from tests.routing_cases import generated, with_inhibitions

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "alertmanager"
AMLINT = Path(sys.executable).with_name("amlint")
TREES = 12
REFUSES = "Alertmanager refuses"
"""How amlint says that a finding is about whether the file loads at all."""

pytestmark = pytest.mark.skipif(not AMLINT.exists(), reason="amlint is not installed: pip install '.[test]'")


def amlint(*arguments: str | Path) -> Any:
    """What it prints as JSON; its exit code only says whether it found something."""
    done = subprocess.run([AMLINT, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def judged(folder: Path, seed: int, tree: dict[str, Any], cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every case of one configuration, in one process; each row holds amlint's own answer, whatever was expected."""
    config, tests = folder / f"{seed}.yml", folder / f"{seed}.tests.yml"
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    tests.write_text(yaml.safe_dump(cases), encoding="utf-8")
    rows: list[dict[str, Any]] = amlint("test", "--format", "json", config, tests)
    assert len(rows) == len(cases)
    assert not [row for row in rows if "error" in row]
    return rows


def test_generated_pairs_end_where_amlint_says(tmp_path: Path) -> None:
    """240 pairs of a random tree and a label set: the same receivers in the same order."""
    worlds = {seed: generated(seed) for seed in range(700, 700 + TREES)}
    with ThreadPoolExecutor(2) as pool:
        rows = dict(
            zip(
                worlds,
                pool.map(
                    lambda seed: judged(
                        tmp_path, seed, worlds[seed][0], [{"labels": one, "receivers": []} for one in worlds[seed][1]]
                    ),
                    worlds,
                ),
                strict=True,
            )
        )
    differing, ends = [], set()
    for seed, (tree, sets) in worlds.items():
        config = routing.load(yaml.safe_dump(tree))
        for labels, row in zip(sets, rows[seed], strict=True):
            ours = ", ".join(hit.receiver for hit in routing.route(config, labels))
            ends.add(ours)
            if ours != row["actual"]:
                differing.append((seed, labels, ours, row["actual"]))
    assert differing == []
    assert sum(len(found) for found in rows.values()) >= 200
    assert len(ends) > 12  # the trees do tell labels apart


def test_generated_inhibitions_hold_where_amlint_says(tmp_path: Path) -> None:
    """120 alerts beside others that fire: suppressed or not, and by the alert that amlint names."""
    held, free = 0, 0
    for seed in range(900, 906):
        tree, pairs = with_inhibitions(seed)
        config = routing.load(yaml.safe_dump(tree))
        cases = [{"labels": labels, "firing": firing, "inhibited": False} for labels, firing in pairs]
        for (labels, firing), row in zip(pairs, judged(tmp_path, seed, tree, cases), strict=True):
            ours = routing.inhibited_by(config, labels, firing)
            assert bool(ours) == row["inhibited"], (seed, labels, firing, row["inhibited_by"])
            held, free = held + bool(ours), free + (not ours)
    assert held > 20
    assert free > 20


# --- validity --------------------------------------------------------------------------------------------------------

SILENT = {
    "inline-invalid/TestGroupByInvalidLabel.yml": "it does not look at label names in group_by",
    "inline-invalid/TestGroupIntervalIsGreaterThanZero.yml": "it has no check for a group_interval of 0",
    "testdata/conf.mattermost-both-webhook-url-and-file.yml": "no check for a value beside its _file",
    "testdata/conf.mattermost-valid-receiver-both-webhook-url-and-file.yml": "no check for a value beside its _file",
    "testdata/conf.opsgenie-both-file-and-apikey.yml": "no check for a value beside its _file",
    "testdata/conf.rocketchat-both-tokenid-and-tokenidfile.yml": "no check for a value beside its _file",
    "testdata/conf.telegram-valid-receiver-both-bot-token-and-file.yml": "no check for a value beside its _file",
    "testdata/conf.slack-both-url-and-token.yml": "no check for a token beside a webhook",
    "testdata/conf.slack-update-message-and-webhook.yml": "does not know update_message",
}
"""What Alertmanager refuses (EXPECTED.json, from its own tests) and amlint 0.8.5 passes."""
WRONG = {"testdata/conf.telegram-default-bot-token.yml": "does not know the global telegram_bot_token, which is newer"}
"""What Alertmanager loads and amlint 0.8.5 refuses."""


def refused(*files: Path) -> dict[str, list[str]]:
    """File -> why Alertmanager would not load it, by amlint."""
    found: dict[str, list[str]] = {str(path): [] for path in files}
    for row in amlint("check", "--format", "json", "--exit-zero", *files):
        if row["level"] == "error":
            found[row["file"]].append(f"{row['code']}: {row['message']}")
    return found


@pytest.mark.skipif(not CORPUS.exists(), reason=f"no corpus at {CORPUS}")
def test_files_of_the_corpus_are_refused_by_both_or_by_neither() -> None:
    """Where amlint speaks of what loads, it agrees with us, who agree with EXPECTED.json; the rest is listed."""
    expected = json.loads((CORPUS / "EXPECTED.json").read_text(encoding="utf-8"))
    theirs = refused(*(CORPUS / name for name in expected))
    silent, wrong = set(), set()
    for name, says in expected.items():
        try:
            routing.load((CORPUS / name).read_text(encoding="utf-8"), name)
            ours = True
        except InputError:
            ours = False
        assert ours is says["valid"], name
        reasons = theirs[str(CORPUS / name)]
        if ours and reasons:
            assert all(REFUSES in reason for reason in reasons), reasons
            wrong.add(name)
        if not ours and not reasons:
            silent.add(name)

    assert silent == set(SILENT)
    assert wrong == set(WRONG)
    assert len(expected) - len(silent) - len(wrong) >= 20  # there is something to agree about


def _part(**fields: Any) -> dict[str, Any]:
    return {
        "route": {"receiver": "r", "routes": [{"receiver": "r", "mute_time_intervals": ["x"]}]},
        "receivers": [{"name": "r"}],
        "time_intervals": [{"name": "x", "time_intervals": [fields]}],
    }


INTERVALS: dict[str, tuple[dict[str, Any], bool]] = {
    "a plain span": ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, True),
    "to the end of the day": ({"times": [{"start_time": "00:00", "end_time": "24:00"}]}, True),
    "backwards": ({"times": [{"start_time": "17:00", "end_time": "09:00"}]}, False),
    "of no length": ({"times": [{"start_time": "09:00", "end_time": "09:00"}]}, False),
    "without an end": ({"times": [{"start_time": "09:00"}]}, False),
    "25 o'clock": ({"times": [{"start_time": "25:00", "end_time": "26:00"}]}, False),
    "weekdays": ({"weekdays": ["monday:friday", "Sunday"]}, True),
    "weekdays backwards": ({"weekdays": ["friday:monday"]}, False),
    "a day that there is not": ({"weekdays": ["someday"]}, False),
    "days from the end": ({"days_of_month": ["-5:-1", "1:15"]}, True),
    "day 0": ({"days_of_month": ["0"]}, False),
    "day 32": ({"days_of_month": ["32"]}, False),
    "days backwards": ({"days_of_month": ["10:5"]}, False),
    "days across the end": ({"days_of_month": ["-1:5"]}, False),
    "months by name and number": ({"months": ["january:march", "12"]}, True),
    "month 13": ({"months": ["13"]}, True),
    "a negative year": ({"years": ["-3"]}, True),
    "days from the 29th to the last": ({"days_of_month": ["29:-1"]}, False),
    "days from the 27th to the last": ({"days_of_month": ["27:-1"]}, True),
    "months backwards": ({"months": ["may:february"]}, False),
    "years": ({"years": ["2026:2030"]}, True),
    "years backwards": ({"years": ["2030:2026"]}, False),
    "a place": ({"weekdays": ["monday"], "location": "Europe/Berlin"}, True),
    "a place that there is not": ({"weekdays": ["monday"], "location": "Middle/Earth"}, False),
}


def test_time_intervals_load_where_amlint_says(tmp_path: Path) -> None:
    """Each field, right and wrong: refused by both or by neither."""
    files = {}
    for number, (name, (fields, _)) in enumerate(INTERVALS.items()):
        files[name] = tmp_path / f"{number}.yml"
        files[name].write_text(yaml.safe_dump(_part(**fields)), encoding="utf-8")
    theirs = refused(*files.values())
    for name, (_, valid) in INTERVALS.items():
        try:
            routing.load(files[name].read_text(encoding="utf-8"))
            ours = True
        except InputError:
            ours = False
        assert (ours, not theirs[str(files[name])]) == (valid, valid), (name, theirs[str(files[name])])
