"""What judges and reads evidence takes its folder and thresholds from the configuration that is found."""

import json

from ray_tui import config, scaffold
from ray_tui.evidence import text
from tests.cli.runs import clean
from tests.gates.test_instrumentation import evidence


def test_gates_are_judged_where_and_as_the_configuration_says(ray, tmp_path):
    """Its store and its thresholds; what the command line says wins."""
    scaffold.write(tmp_path)
    clean(ray("config", "set", "thresholds.coverage", "0.6"), 0)
    store = config.load(tmp_path / "ray-tui.toml").store
    store.mkdir(parents=True)
    for name, twin in evidence().items():
        (store / name).write_bytes(text.dumps(twin))
    below = tmp_path / "src"
    below.mkdir()

    def required(*arguments):
        found = json.loads(ray("gate", "instrumentation", "--json", *arguments, folder=below).stdout)
        return next(one["required"] for one in found["criteria"] if one["id"] == "coverage.completeness")

    assert "60%" in required()
    assert "80%" in required("--threshold", "0.8")
    assert "2 files indexed" in clean(ray("evidence", folder=below), 0).stdout
