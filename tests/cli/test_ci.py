"""The CI script and the pinned versions are what they say."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_ci_script_is_bash_that_parses_and_stops_at_the_first_error():
    """A failing part must never be a green run."""
    text = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in text
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
    assert 'part "the tests collect from a clone alone" collects_alone' in text
    assert text.rstrip().splitlines()[-1].startswith("RAY_TUI_REQUIRE_REAL=1 ")


def test_every_dependency_is_pinned_and_none_by_address():
    """Names and versions only, for everything that pyproject.toml asks for."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+!]+", line)] == []
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in wanted}
    assert names - pinned == set()
    assert "ray-tui" not in pinned
