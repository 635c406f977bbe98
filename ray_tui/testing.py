"""What every backend promises, as checks that a team's own backend can be held to; usable from any test runner.

::

    import pytest
    from ray_tui import testing
    from mine import MyMetrics

    @pytest.mark.parametrize("check", testing.checks("metrics"), ids=lambda check: check.__name__)
    async def test_it_keeps_the_port_s_promises(check):
        await check(MyMetrics("http://127.0.0.1:9090"))

    async def test_nobody_there_is_a_backend_error():
        await testing.unreachable_is_an_error("metrics", MyMetrics("http://127.0.0.1:1"))

Each check takes an open backend and raises AssertionError with what was promised and what came. None has a side effect.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ray_tui.core import ports
from ray_tui.core.errors import BackendError
from ray_tui.core.untrusted import clean

Check = Callable[[Any], Awaitable[None]]
NOBODY = "ray-tui-nobody-has-this-name-4f1d"
"""A name, token or label value that no system knows."""
LONG_AGO, JUST_AFTER = 946_684_800.0, 946_684_860.0
"""The first minute of the year 2000: a time that no system kept anything of."""

NOTHING_FOUND: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "metrics": lambda backend: backend.query(f'up{{job="{NOBODY}"}}'),
    "alerting": lambda backend: backend.find({"alertname": NOBODY}),
    "dashboards": lambda backend: backend.get(NOBODY),
    "paging": lambda backend: backend.pages(NOBODY, LONG_AGO),
    "mail": lambda backend: backend.find(NOBODY, LONG_AGO),
    "webhook": lambda backend: backend.receipts(NOBODY, LONG_AGO),
    "pusher": lambda backend: backend.pushed({"job": NOBODY}),
    "incidents": lambda backend: backend.between(LONG_AGO, JUST_AFTER),
    "rules": lambda backend: backend.read(f"{NOBODY}.yml"),
}
"""Port -> a question whose true answer is "nothing", and which changes nothing."""

PROTOCOLS: dict[str, type[Any]] = {
    "metrics": ports.Metrics,
    "alerting": ports.Alerting,
    "logs": ports.Logs,
    "traces": ports.Traces,
    "visits": ports.Visits,
    "dashboards": ports.Dashboards,
    "paging": ports.Paging,
    "chat": ports.Chat,
    "mail": ports.Mailbox,
    "webhook": ports.WebhookSink,
    "heartbeat": ports.Heartbeat,
    "pusher": ports.Pusher,
    "notifiers": ports.Notifier,
    "incidents": ports.Incidents,
    "rules": ports.RuleStore,
}


def checks(port: str) -> tuple[Check, ...]:
    """Every check that fits a port; ValueError, naming the known ones, for a port that there is not."""
    if port not in PROTOCOLS:
        raise ValueError(f"there is no port {port!r}: known are {', '.join(PROTOCOLS)}")

    async def has_every_method(backend: Any) -> None:
        verbs_are_all_there(port, backend)

    async def nothing_is_empty(backend: Any) -> None:
        await nothing_found_is_empty(port, backend)

    chosen: list[Check] = [has_every_method]
    if port != "rules":
        chosen.append(health_answers)
    if port in NOTHING_FOUND:
        chosen.append(nothing_is_empty)
    return tuple(chosen)


def verbs_are_all_there(port: str, backend: Any) -> None:
    """Each method of the port exists and is async; what acts declares its side-effect class."""
    promised = {
        name for name, member in inspect.getmembers(PROTOCOLS[port])
        if inspect.iscoroutinefunction(member) and not name.startswith("_")
    }  # fmt: skip
    lost = sorted(name for name in promised if not inspect.iscoroutinefunction(getattr(backend, name, None)))
    assert not lost, f"{port}: no async {', '.join(lost)}"
    assert isinstance(getattr(backend, "name", None), str), f"{port}: has no name to be shown by"
    for declared in (name for name in vars(PROTOCOLS[port]).get("__annotations__", ()) if name.endswith("side_effect")):
        effect = getattr(backend, declared, None)
        assert isinstance(effect, ports.SideEffect), f"{port}: {declared} is {effect!r}, not a core.ports.SideEffect"


async def health_answers(backend: Any) -> None:
    """``health`` gives a Health in clean words, and does not raise: being unwell is an answer."""
    try:
        health = await backend.health()
    except BackendError as exc:
        raise AssertionError(f"health() raised {exc!r}; it should say so with ok=False") from exc
    assert isinstance(health, ports.Health), f"health() gave {type(health).__name__}, not Health"
    assert isinstance(health.ok, bool), f"health().ok is {health.ok!r}"
    assert health.detail, "health() has no detail: say what answered, or what did not"
    assert clean(health.detail) == health.detail, "health().detail holds unclean text: pass it through core.untrusted"


async def nothing_found_is_empty(port: str, backend: Any) -> None:
    """Asking for what is not there gives an empty answer or None: no exception, and nothing made up."""
    answer = await NOTHING_FOUND[port](backend)
    found = answer.samples if isinstance(answer, ports.Vector) else answer
    assert not found, f"{port}: asked for {NOBODY}, got {found!r}"


async def unreachable_is_an_error(port: str, backend: Any) -> None:
    """Where nobody is at its address: unwell by ``health``, and a BackendError from a question, never emptiness."""
    if port != "rules":
        health = await backend.health()
        assert not health.ok, f"{port}: well, although nobody is there: {health.detail}"
    if port in NOTHING_FOUND:
        try:
            answer = await NOTHING_FOUND[port](backend)
        except BackendError:
            return
        raise AssertionError(
            f"{port}: nobody is there, and the answer is {answer!r}: an outage must not look like calm"
        )
