"""The one place that prints, for a person or a script that is waiting: whole lines, at once."""

import sys


def echo(text: str, *, err: bool = False) -> None:
    """To standard output, or to standard error. Raises BrokenPipeError where nobody reads any more."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
