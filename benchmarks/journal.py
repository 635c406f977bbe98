"""Journal throughput, side by side in one run: every fact synced, observations batched, read back, verified.

    python benchmarks/journal.py [facts]

Prints rates and their ratio to the synced appends. Judges nothing: clocks differ by machine.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ray_tui.core import facts as f
from ray_tui.core.state import fold
from ray_tui.journal import Journal, read


def entries(count: int, start: int, fact: f.Fact) -> list[f.Entry]:
    return [f.Entry(seq=start + n, at=1.0, mono=1.0, actor=f.ENGINE, fact=fact) for n in range(count)]


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal, _ = Journal.open(path)
        note, progress = f.NoteAdded(text="x" * 120), f.Progressed(step="2.2", text="x" * 120)
        synced = rate(count, lambda: [journal.append([entry]) for entry in entries(count, 1, note)])
        batched = rate(count, lambda: [journal.append([entry]) for entry in entries(count, 1 + count, progress)])
        journal.close()
        read_back = rate(2 * count, lambda: sum(1 for _ in read(path)))
        folded = rate(2 * count, lambda: fold(line.entry for line in read(path)))
    for name, figure in (
        ("append, every fact synced", synced),
        ("append, observations batched", batched),
        ("read and verify the chain", read_back),
        ("read, verify and fold", folded),
    ):
        print(f"{name:32} {figure:12,.0f} facts/s   {figure / synced:6.1f} ×")


if __name__ == "__main__":
    main()
