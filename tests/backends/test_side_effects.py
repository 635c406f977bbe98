"""The class that each adapter declares is the one that docs/backends.md tells; no verb that acts is left out."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_tui import testing
from ray_tui.backends import KINDS, Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core import ports
from ray_tui.core.errors import NotSupported
from ray_tui.core.ports import SideEffect

DOCS = Path(__file__).parents[2] / "docs" / "backends.md"
ROW = re.compile(r"^\| `(\w+)` ([\w, -]+?) \| (`[^|]+`) \| (\w+) \|", re.MULTILINE)
URL = {"url": "http://127.0.0.1:1"}
SMTP = {"smtp_host": "h", "from_address": "a@b.example"}
SETTINGS: dict[tuple[str, str], dict[str, Any]] = {
    ("rules", "directory"): {"directory": "rules"},
    ("alerting", "alertmanager"): {"urls": [URL["url"]]},
    ("paging", "pagerduty"): {"token": "env:TOKEN"},
    ("chat", "slack"): {"token": "env:TOKEN"},
    ("mail", "smtp-imap"): {**SMTP, "imap_host": "h", "user": "u", "password": "env:TOKEN"},
    ("notifiers", "slack"): {"token": "env:TOKEN", "channel": "C0RELEASE"},
    ("notifiers", "github"): {"repository": "shop/operations", "token": "env:TOKEN"},
    ("notifiers", "mail"): {**SMTP, "to": ["a@b.example"]},
}
"""What a kind needs beyond ``url`` to be opened."""
VARIANTS: dict[tuple[str, str], tuple[str, ...]] = {("notifiers", "webhook"): ("honours_idempotency_key",)}
"""Switches that change a kind's class."""
READING = frozenset(
    ("health", "query", "query_range", "rules", "targets", "metadata", "alerts", "alertmanagers", "read", "find",
     "status", "silences", "notifications", "sent", "last_seen", "known_services", "operations", "visit", "get",
     "search", "datasources", "annotations", "contact_points", "services", "on_call", "policies", "pages", "receipts",
     "last_ping", "pushed", "told", "between", "sign", "rule_files")
)  # fmt: skip
"""Verbs that change nothing out there."""

Declared = dict[str, tuple[str, ...]]
"""Attribute -> the verbs that its docstring says it is about."""


def declarations() -> dict[str, Declared]:
    """Protocol -> what it declares, from ports.py itself: a field ``…side_effect`` and the docstring below it."""
    found: dict[str, Declared] = {}
    for one in ast.parse(inspect.getsource(ports)).body:
        if not isinstance(one, ast.ClassDef):
            continue
        for field, below in zip(one.body, one.body[1:], strict=False):
            named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if named and field.target.id.endswith("side_effect"):
                verbs = tuple(re.findall(r"``(\w+)``", ast.unparse(below)))
                assert verbs, f"{one.name}.{field.target.id} does not say of which verbs"
                found.setdefault(one.name, {})[field.target.id] = verbs
    return found


def protocols() -> Iterator[type[Any]]:
    for _, one in inspect.getmembers(ports, inspect.isclass):
        if getattr(one, "_is_protocol", False) and one.__module__ == ports.__name__:
            yield one


def opened(port: str, kind: str, *switches: str) -> Any:
    more = SETTINGS.get((port, kind), URL)
    settings = settings_model(port, kind)(kind=kind, **more, **dict.fromkeys(switches, True))
    return open_backend(port, settings, Opening(Clock(), jitter=lambda: 0.1, config_folder=Path("/")))


def rows() -> set[tuple[str, str, tuple[str, ...], str]]:
    """(port, kind and switch, verbs, class) for every adapter that acts, as the code says it."""
    known, found = declarations(), set()
    for port in (port for port, protocol in testing.PROTOCOLS.items() if protocol.__name__ in known):
        for kind in KINDS[port]:
            for switch in ("", *VARIANTS.get((port, kind), ())):
                adapter = opened(port, kind, *([switch] if switch else []))
                name = f"{kind}, {switch}" if switch else kind
                for declared in known.values():
                    for attribute, verbs in declared.items():
                        if all(hasattr(adapter, verb) for verb in verbs):
                            effect = getattr(adapter, attribute)
                            assert isinstance(effect, SideEffect), f"{port} {kind}: {attribute} is {effect!r}"
                            found.add((port, name, verbs, effect.value))
    return found


def test_the_table_in_the_docs_is_what_the_adapters_declare() -> None:
    """Every adapter that acts, with its verbs and its class; nothing that is not there."""
    written = {
        (port, kind, tuple(re.findall(r"`(\w+)`", verbs)), effect)
        for port, kind, verbs, effect in ROW.findall(DOCS.read_text(encoding="utf-8"))
    }

    assert written == rows()


@pytest.mark.parametrize("protocol", list(protocols()), ids=lambda one: one.__name__)
def test_every_verb_either_reads_or_has_a_class(protocol: type[Any]) -> None:
    """A new verb must be said to read, or the port must say what a resumed run may do about it."""
    verbs = {name for name, one in vars(protocol).items() if inspect.iscoroutinefunction(one)}
    acting = {verb for declared in declarations().get(protocol.__name__, {}).values() for verb in declared}
    own = {name for name in vars(protocol).get("__annotations__", {}) if name.endswith("side_effect")}

    assert verbs - READING == acting
    assert bool(acting) == bool(own)


async def test_what_cannot_be_asked_says_so() -> None:
    """A webhook and mail to others cannot be looked up: no answer may pass for "not there"."""
    for kind in ("webhook", "mail"):
        with pytest.raises(NotSupported):
            await opened("notifiers", kind).told("token", 0.0)
