"""The checks for outside backends pass on ours and catch the mistakes that they are there for."""

import pytest

from ray_tui import testing
from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core.ports import Health, Vector
from tests.fakes import all_ports

PORTS = all_ports()
NAMED = {name: getattr(PORTS, name) for name in testing.PROTOCOLS if name not in ("incidents", "notifiers")}
NAMED |= {"incidents": PORTS.incidents[0], "notifiers": PORTS.notifiers["20"]}
HTTP = {"metrics": "prometheus", "logs": "loki", "traces": "tempo", "dashboards": "grafana", "webhook": "sink"}


@pytest.mark.parametrize(
    ("port", "check"), [(port, check) for port in NAMED for check in testing.checks(port)],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)  # fmt: skip
async def test_the_fakes_keep_every_promise(port, check):
    """A backend that keeps its port's promises passes."""
    await check(NAMED[port])


@pytest.mark.parametrize("port", sorted(HTTP))
async def test_real_backends_say_that_nobody_is_there(port):
    """An address where nobody listens is unwell, and an error, never an empty answer."""
    settings = settings_model(port, HTTP[port])(kind=HTTP[port], url="http://127.0.0.1:1", connect_seconds=1)
    backend = open_backend(port, settings, Opening(Clock(), jitter=lambda: 0.1))
    try:
        await testing.unreachable_is_an_error(port, backend)
    finally:
        await backend.close()


class Calm:
    """A careless backend: an outage looks like an empty answer."""

    name = "calm"

    async def health(self):
        return Health(False, "nobody answers")

    async def query(self, expr, at=None):
        return Vector(())


async def test_an_outage_that_looks_like_calm_is_caught():
    """The most dangerous mistake of a backend."""
    with pytest.raises(AssertionError, match="must not look like calm"):
        await testing.unreachable_is_an_error("metrics", Calm())


async def test_missing_methods_are_named():
    """A port is more than its health."""
    with pytest.raises(AssertionError, match="no async alertmanagers, alerts"):
        await testing.checks("metrics")[0](Calm())


async def test_unclean_words_are_caught():
    """Text from outside must be cleaned at ingest."""

    class Loud(Calm):
        async def health(self):
            return Health(True, "well \x1b[2J")

    with pytest.raises(AssertionError, match="unclean"):
        await testing.health_answers(Loud())


def test_an_unknown_port_is_named():
    """A typo must not check nothing."""
    with pytest.raises(ValueError, match="no port 'metric'"):
        testing.checks("metric")
