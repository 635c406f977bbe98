"""A configuration that changes under a run is said at its halt, with the way to go on, and never taken for used."""

import pytest

from ray_tui.core import changed, state
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Criterion, Verdict

STARTED = f.HostStarted(pid=4711, config_digest="a")
OPENED = f.RunOpened(run_id="r-1", release="v1", environment="production", deployed_at=0.0, config_digest="a")
CHANGED = f.ConfigurationChanged(file="ray-tui.toml")


def after(*facts: f.Fact) -> state.RunState:
    return state.fold([f.Entry(seq=n, at=n, mono=n, actor=f.ENGINE, fact=fact) for n, fact in enumerate(facts, 1)])


def blocking(remedy: str) -> Criterion:
    return Criterion(id="a.b", title="A", verdict=Verdict.FAILED, required="x", actual="y", remedy=remedy)


def test_a_changed_file_is_said_until_a_host_reads_it_anew() -> None:
    """What the run goes by is what it began with; the next host reads the file again, and there is no more to say."""
    said = "ray-tui.toml has changed since; this run uses what it began with."
    live = after(OPENED, STARTED, CHANGED)
    assert changed.since(live) == said
    assert changed.since(after(OPENED, STARTED)) == ""
    assert changed.since(after(OPENED, STARTED, CHANGED, f.ConfigurationChanged(file="ray-tui.toml", back=True))) == ""
    assert changed.since(after(OPENED, STARTED, CHANGED, f.HostStopped(reason=""), STARTED)) == ""
    assert changed.since(after(OPENED, STARTED, CHANGED, f.RunAborted(reason="enough"))) == ""


def test_the_way_on_names_the_host_the_run_and_what_becomes_of_approvals() -> None:
    """A host is ended, not the run: what is typed stands there whole."""
    said = changed.to_go_on(after(OPENED, STARTED, CHANGED))
    assert "`kill 4711`" in said
    assert "`ray-tui run --resume --run r-1`" in said
    assert "prerequisites" not in said
    given = f.ApprovalRecorded(role="sre-lead", person="mira", subject="s", given_at=1.0)
    assert "run the prerequisites again" in changed.to_go_on(after(OPENED, STARTED, given, CHANGED))


@pytest.mark.parametrize(
    ("remedy", "names"),
    [
        ("add [logs] to the configuration, or waive it", True),
        ("Name its files under [paths] rules, slos and dashboards, run 2.1 again", True),
        ("Ask the store that keeps the history, or set thresholds.correlation_days to what is kept; then retry.", True),
        ("Name it under [[maintenance]]", True),
        ("Add a route for them to the Alertmanager configuration, reload it, and run 2.1 again", False),
        ("Name the Alertmanagers under `alerting:` in its configuration, reload, run 2.1 again", False),
        ("Retry, and accept, reject with a reason, or file it.", False),
    ],
)
def test_a_remedy_that_names_the_configuration_says_what_must_follow(remedy: str, names: bool) -> None:
    """A retry alone would judge by the old one."""
    said = changed.of_remedies(after(OPENED, STARTED), [blocking("wait"), blocking(remedy)])
    assert ("a retry alone sees no change" in said and "`kill 4711`" in said) is names
    assert bool(said) is names
