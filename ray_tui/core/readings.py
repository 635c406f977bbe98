"""Live telemetry in passing: bounded, lossy, never evidence. What a verdict relied on goes into facts instead."""

from collections import deque

from ray_tui.core.record import Record
from ray_tui.core.value import Changing, field


class Reading(Record):
    """One value to show: ``series`` is a stable name (``checkout/p99``), ``at`` unix seconds, ``unit`` as Grafana's."""

    series: str
    at: float
    value: float
    unit: str = "short"


class Gauge(Changing):
    """The last readings of one series, oldest dropped."""

    unit: str = "short"
    points: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=240))

    def add(self, reading: Reading) -> None:
        """Of several readings within half a second the last one counts: charts move at 2 Hz, and hold two minutes."""
        self.unit = reading.unit
        last = self.points[-1][0] if self.points else None
        if last is not None and last <= reading.at and _half_second(reading.at) == _half_second(last):
            self.points[-1] = (reading.at, reading.value)
        elif last is None or reading.at >= last:
            self.points.append((reading.at, reading.value))


def _half_second(at: float) -> int:
    return int(at * 2)


class Gauges(Changing):
    """Every live series that a console knows, at most ``most`` of them."""

    most: int = 512
    series: dict[str, Gauge] = field(default_factory=dict)

    def add(self, reading: Reading) -> bool:
        """False when the reading was dropped because there are too many series."""
        gauge = self.series.get(reading.series)
        if gauge is None:
            if len(self.series) >= self.most:
                return False
            gauge = self.series[reading.series] = Gauge()
        gauge.add(reading)
        return True
