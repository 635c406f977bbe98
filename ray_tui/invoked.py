"""How this program was started: what stands before a command that a person will paste into the same terminal."""

import shlex
import shutil
import sys
from pathlib import Path

NAME = "ray-tui"


def program() -> str:
    """``ray-tui`` where the shell would find this very one by that name; else what it was started by."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py" and started.parent.name == "ray_tui":
        return NAME if shutil.which(NAME) else f"{shlex.quote(sys.executable)} -m ray_tui"
    if started.name != NAME or not started.exists():
        return NAME
    found = shutil.which(NAME)
    here = found is not None and Path(found).resolve() == started.resolve()
    return NAME if here else shlex.quote(str(started.absolute()))


def command(*words: object) -> str:
    """A command line of ours, quoted for a shell."""
    return " ".join([program(), *(shlex.quote(str(word)) for word in words)])
