"""How long a console takes to its first full screen, beside Textual's own hello on the same machine.

``python benchmarks/startup.py [--rounds 7]`` starts the demo, attaches to it on a real pty of 120×40 again and again,
each time next to a Textual app that shows one word, and prints medians and their ratio. Start-up is all Python and
imports: on a machine that is half as fast both take twice as long, and the ratio stays. An interpreter that was built
without profile-guided optimisation, as pyenv's are by default, is a fifth slower than a distribution's.
"""

import argparse
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
HELLO = "from textual.app import App\nfrom textual.widgets import Static\n" + (
    "class Hello(App):\n    def compose(self):\n        yield Static('hello-world')\nHello().run()\n"
)
LIMIT = 0.45
"""Seconds to the first full screen. On a machine or an interpreter of half the speed the ratio says more."""
PAINTED = b"Release Manager approval"
"""What the run waits for: only a screen that has read the whole run says it."""


def seconds_until(command: Sequence[str], sign: bytes, compiled: str, patience: float = 15.0) -> float:
    """From the start of the process to the moment that its terminal was sent this; NaN where it never was."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
    environment["PYTHONPYCACHEPREFIX"] = compiled  # an installed program is compiled; this tree may not be
    for name in ("NO_COLOR", "TMUX", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    seen, took = b"", float("nan")
    try:
        while time.monotonic() - began < patience:
            if select.select([master], [], [], 0.5)[0]:
                seen += os.read(master, 65_536)
            if sign in seen:
                took = time.monotonic() - began
                break
    except OSError:
        pass
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        os.close(master)
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    python = [sys.executable]
    with tempfile.TemporaryDirectory() as folder:
        command = [*python, "-m", "ray_tui", "demo", "--plain", "--dir", f"{folder}/demo"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        demo = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        try:
            assert demo.stdout is not None
            for line in demo.stdout:  # the run's first question: from then on nothing moves
                if b"pproval" in line:
                    break
            attach = [*python, "-m", "ray_tui", "attach", "--config", f"{folder}/demo/ray-tui.toml"]
            measured = {
                "Textual's hello": ([*python, "-c", HELLO], b"hello-world"),
                "ray-tui attach": (attach, PAINTED),
                "ray-tui --version": ([*python, "-m", "ray_tui", "--version"], b"ray-tui"),
            }
            took: dict[str, list[float]] = {name: [] for name in measured}
            for number in range(rounds + 1):
                for name, (started, sign) in measured.items():
                    seconds = seconds_until(started, sign, f"{folder}/compiled")
                    if number:  # the first round compiles
                        took[name].append(seconds)
        finally:
            demo.terminate()
            demo.wait()
            subprocess.run(["pkill", "-f", folder], check=False)  # its servers and the run's host outlive the command
    print(
        f"120×40, medians of {rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]} {sys.executable}"
    )
    for name, found in took.items():
        print(f"{name:20}{median(found) * 1000:>8.0f} ms   ({min(found) * 1000:.0f} to {max(found) * 1000:.0f})")
    hello, ours = median(took["Textual's hello"]), median(took["ray-tui attach"])
    print(f"attach / hello: ×{ours / hello:.2f}")
    print(f"full paint: {ours * 1000:.0f} ms, limit {LIMIT * 1000:.0f}: {'kept' if ours <= LIMIT else 'missed'}")
    unseen = [name for name, found in took.items() if any(seconds != seconds for seconds in found)]
    print("\n".join(f"{name} never showed what was waited for" for name in unseen), end="\n" * bool(unseen))
    return 0 if ours <= LIMIT and not unseen else 1


if __name__ == "__main__":
    sys.exit(main())
