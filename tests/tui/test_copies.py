"""What is taken away from a row: all that it says, nobody else's mark, and lines that work where they are pasted."""

from pathlib import Path
from typing import Any

import pytest

from ray_tui.core.presence import Look
from ray_tui.tui.about import about
from ray_tui.tui.copies import copies
from ray_tui.tui.panes.phases import PHASES, said
from ray_tui.tui.places import Places
from ray_tui.tui.view import View
from tests.tui.fake_handle import T0, FakeHandle, baseline, coverage, done, folded, late_run, mid_run, opened, until
from tests.tui.on_screen import console

LONG = "Apply 4 changes to the live monitoring of production, for checkout v2.4.1, as the plan says"
QUERY = 'sum by (service) (rate(http_requests_total{service="checkout"}[30s]))'


def measured() -> dict[str, Any]:
    data = baseline()
    data["kpis"][0] |= {"kpi": "request_rate", "unit": "reqps", "now": 37.7, "prior": 37.3, "relative": 0.011,
                        "service": "frontend", "query": QUERY}  # fmt: skip
    data["window"] = {"start": T0, "end": T0 + 300, "step": 30.0}
    return data


async def test_a_row_is_copied_whole_and_without_the_marks_of_others(tmp_path: Path) -> None:
    """y: what a narrow screen has cut is there, and neither the cursor nor who looks at the row."""
    handle = FakeHandle(*opened(), *done("2.1", LONG))
    async with console(handle, (80, 24), copy_folder=tmp_path) as (app, pilot):
        app._looks = (Look("c-sam", "sam", "2.1"),)
        await pilot.press("2")
        app.console_screen.pane(2).choose("step:2.1")
        await pilot.press("y")
        await until((tmp_path / "copied.txt").exists, "the file")
    copied = (tmp_path / "copied.txt").read_text()
    assert copied.endswith(LONG)
    assert "◦" not in copied
    assert "▸" not in copied


def test_a_big_figure_is_copied_as_a_figure() -> None:
    """Large digits with their chart are the value, its unit, the service and the finding."""
    view = View(state=folded(*opened(), *done("1.3", "measured", measured())), now=T0)
    assert said(view, "data:1.3/kpis/0") == "37.7 req/s frontend rate ok, +1% vs 37.3 req/s before"


def test_every_row_that_can_be_chosen_says_something() -> None:
    """No target of a pane is copied as nothing."""
    view = View(state=folded(*late_run()), now=T0 + 400)
    targets = {row.target for paint in PHASES for row in paint(view.but(roomy=True), 120) if row.target}
    assert len(targets) > 30
    assert [target for target in targets if not said(view, target)] == []
    assert [target for target in targets if "…" in said(view, target)] == []


def test_a_cell_is_copied_alone() -> None:
    """Y offers each signal of a service by itself: its verdict and the age of its newest sample."""
    view = View(state=folded(*opened(), *done("1.2", "seen", coverage())), now=T0)
    found = dict(copies(view, "service:search"))
    assert found["metrics: cell"] == "search: metrics passed, newest sample 10s old"
    assert found["traces: cell"].startswith("search: traces inconclusive")


def test_a_kpi_is_asked_again_as_1_3_asked_it() -> None:
    """Its query stands in the detail, and Y makes promtool and curl lines over the window that was measured."""
    view = View(state=folded(*opened(), *done("1.3", "measured", measured())), now=T0)
    _, lines = about(view, "data:1.3/kpis/0", 100)
    assert QUERY in "".join(text for line in lines for text, _ in line)
    found = dict(copies(view, "data:1.3/kpis/0"))
    assert found["query"] == QUERY
    window = f"--start={T0:.3f} --end={T0 + 300:.3f} --step=30.000s"
    assert found["promtool"] == f"promtool query range {window} $PROMETHEUS_URL '{QUERY}'"
    assert f"/api/v1/query_range -d start={T0:.3f}" in found["curl"]


@pytest.mark.parametrize(
    ("target", "name", "line"),
    [
        ("entry:5", "journal line", "sed -n 5p '/a b/journal.jsonl'"),
        ("entry:5", "replay from here", "ray-tui replay r1 --config /c.toml   # then  :5"),
        ("step:gate.alert_validation", "ray-tui: judge it offline", "ray-tui gate alerts --json --config /c.toml"),
        ("data:2.1/plan/0", "promtool: check", "promtool check rules /rules/release.yml"),
    ],
)
def test_copied_commands_name_their_files_and_the_configuration(target: str, name: str, line: str) -> None:
    """Pasted in any folder they find the journal, the rule files and the configuration of this run."""
    plan = {"plan": [{"kind": "rules", "name": "release.yml", "action": "create", "detail": "new"}]}
    view = View(state=folded(*opened(), *done("2.1", "planned", plan)), now=T0)
    places = Places(
        command=lambda *words: " ".join(["ray-tui", *map(str, words), "--config", "/c.toml"]),
        journal="/a b/journal.jsonl", run="r1", rules="/rules",
    )  # fmt: skip
    assert dict(copies(view, target, places))[name] == line


def test_a_line_of_a_packed_journal_is_read_out_of_its_archive() -> None:
    """A replay of a package has no journal of its own on the disk."""
    places = Places(package="/p/MONITORING-PACKAGE.zip")
    assert places.journal_line(7) == "unzip -p /p/MONITORING-PACKAGE.zip journal.jsonl | sed -n 7p"


def test_a_probe_is_copied_as_what_was_seen_of_it() -> None:
    """Its hops with who and when, instead of the drawing."""
    view = View(state=folded(*mid_run()), now=T0)
    assert "acked by Priya after 41s" in said(view, "probe:7f3a-a1-1")
