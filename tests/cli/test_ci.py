"""The CI script and the pinned versions are what they say."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_ci_script_is_bash_that_parses_and_stops_at_the_first_error():
    """A failing part must never be a green run."""
    text = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in text
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
    assert re.search(r'^both .* "the tests collect from a clone alone" collects_alone$', text, re.MULTILINE)
    assert text.rstrip().splitlines()[-1].startswith("RAY_TUI_REQUIRE_REAL=1 ")


@pytest.mark.parametrize(("one", "other"), [("good", "good"), ("bad", "good"), ("good", "bad"), ("bad", "bad")])
def test_of_two_parts_side_by_side_either_fails_the_run(tmp_path, one, other):
    """Each stops at its first error, both are shown whole, and what comes after is reached only if both held."""
    functions = re.findall(
        r"^(?:part|both)\(\) \{.*?^\}\n", (ROOT / ".ci" / "run").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(functions) == 2
    parts = "good() { echo held; }\nbad() { echo begun; false; echo never; }\n"
    script = f"set -euo pipefail\nwork={tmp_path}\n{''.join(functions)}{parts}both one {one} other {other}\necho green"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode == 0) is ("green" in done.stdout) is (one == other == "good")
    assert done.stdout.count("held") == [one, other].count("good")
    assert done.stdout.count("begun") == [one, other].count("bad")
    assert "never" not in done.stdout
    assert "=== one" in done.stdout
    assert "=== other" in done.stdout


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
