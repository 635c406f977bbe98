"""ray-tui as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ray(tmp_path):
    """Run ray-tui in an empty folder; nothing of the machine's own configuration is seen."""

    def run(*arguments, folder=tmp_path, **environment):
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "ray_tui", *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "XDG_CONFIG_HOME": str(home), **environment},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run
