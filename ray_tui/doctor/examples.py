"""Where the configuration still names a host of the example that it was started from."""

import re
from collections.abc import Iterator, Mapping

from ray_tui import config
from ray_tui.config import Config
from ray_tui.config_errors import Fault

_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[\w-]+\.)*example(?::\d+)?(?:[/?#].*)?", re.IGNORECASE)
"""Names that end in .example are reserved: nobody has such a host. An address of mail is none."""


def faults(chosen: Config) -> list[Fault]:
    """Every system's address, and every service's, that is the example's."""
    tables = [(path, table) for _, path, table in config.backend_tables(dict(chosen))]
    tables += [(("services", name), {"url": service.url}) for name, service in chosen.services.items()]
    found = [(path, value) for start, table in tables for path, value in _texts(table, start) if _HOST.fullmatch(value)]
    return [Fault(path, f"{value!r} is still the example's") for path, value in found]


def _texts(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, number))
