"""No query of ours goes unnoticed: what a whole run asks is what the real Prometheus is asked too."""

from pathlib import Path

from tests.demo.recording import listed, record


async def test_a_whole_run_asks_what_is_listed(tmp_path: Path):
    """A new expression must be compared with the real Prometheus, and one that nobody asks any more must not."""
    code, said, asked = await record(tmp_path)

    assert code == 0, said
    assert asked == listed(), "`python -m tests.demo.recording` writes tests/demo/asked.txt anew"
