"""A whole run, line by line, over a real host, its socket and the demo stack."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from ray_tui.journal import read

ROOT = Path(__file__).parents[2]
SECONDS = 140
REPLIES = {"(default)": "y", "Type exactly": "", "Approve?": "yes", "Note for": "", "or Enter": "1"}
"""What somebody types who agrees with everything, and retries what a slow machine has made late."""
ASKED = re.compile(
    r"(?P<what>\(default\)), l: later > |N (?P<again>\(default\)) > |(?P<typed>Type exactly): (?P<exact>.*?)   \(no"
    r"|(?P<approve>Approve\?) yes, no|(?P<note>Note for) the record|(?P<number>or Enter) for later > "
)


def reply(found: re.Match[str]) -> str:
    said = next(part for name, part in found.groupdict().items() if part and name != "exact")
    return found["exact"] or REPLIES[said]


def end(folder: Path) -> None:
    """Whatever a failed test has left running: the host and the stack."""
    pids = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        pids.append(json.loads((folder / "stack.json").read_text())["pid"])
    for path in (folder / ".artifacts" / "monitoring" / "runs").glob("*/journal.jsonl"):
        pids += [line.entry.fact.pid for line in read(path, tail=True) if line.entry.fact.kind == "HostStarted"]
    for pid in pids:
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and str(folder).encode() in command.read_bytes():
            os.kill(pid, signal.SIGKILL)


def test_a_person_can_carry_a_whole_run_out_line_by_line(tmp_path):
    """Every question of the protocol can be answered without a full screen, and the run completes."""
    folder = tmp_path / "demo"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "ray_tui", "demo", "--plain", "--dir", str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path
    )
    try:
        said = converse(process, time.monotonic() + SECONDS)
        assert process.wait(20) == 0, said[-3000:]
    finally:
        with process:
            process.kill()
        end(folder)
    assert "[MASTER RAY™ | PROTOCOL COMPLETE]" in said
    assert said.count("QUESTION: ") >= 8
    assert "Refused" not in said
    assert "Traceback" not in said


def converse(process, deadline: float) -> str:
    """Answer every question until the output ends; everything that was said."""
    said = unread = ""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"not over in time: {said[-3000:]}"
        data = os.read(process.stdout.fileno(), 65536)
        if not data:
            return said
        said += data.decode(errors="replace")
        unread += data.decode(errors="replace")
        while found := ASKED.search(unread):
            unread = unread[found.end() :]
            process.stdin.write(f"{reply(found)}\n".encode())
            process.stdin.flush()
