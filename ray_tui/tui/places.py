"""Where this run's files lie and how our own commands are written: what makes a copied line work where it is pasted."""

import shlex
from collections.abc import Callable

from ray_tui.core.value import Value


def _bare(*words: object) -> str:
    return " ".join(["ray-tui", *(shlex.quote(str(word)) for word in words)])


class Places(Value):
    """Absolute paths, as text; empty where nothing is known of them."""

    command: Callable[..., str] = _bare
    """A command line of this program, for this run's configuration."""
    journal: str = "journal.jsonl"
    package: str = ""
    """The archive that the journal lies in, where it is read out of one."""
    run: str = ""
    """What ``replay`` opens; by default the run's id."""
    rules: str = ""
    """The folder that rule files are written to."""

    def journal_line(self, seq: int) -> str:
        if self.package:
            return f"unzip -p {shlex.quote(self.package)} {shlex.quote(self.journal)} | sed -n {seq}p"
        return f"sed -n {seq}p {shlex.quote(self.journal)}"

    def rule_file(self, name: str) -> str:
        return shlex.quote(f"{self.rules}/{name}" if self.rules else name)
