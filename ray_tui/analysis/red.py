"""The PromQL that asks for freshness, rate, errors and duration: one expression for all services that share labels."""

import re
from collections.abc import Iterable, Mapping, Sequence

Labels = Mapping[str, str]


def grouped(services: Mapping[str, Labels]) -> dict[tuple[str, ...], dict[str, Labels]]:
    """Our service names by the label names that select them, so that each group is one question."""
    groups: dict[tuple[str, ...], dict[str, Labels]] = {}
    for name, labels in services.items():
        groups.setdefault(tuple(sorted(labels)), {})[name] = labels
    return groups


def selector(metric: str, services: Iterable[Labels], more: str = "") -> str:
    """``metric{label=~"a|b",more}`` for services that share their label names; every value is taken literally."""
    rows = list(services)
    matchers = []
    for name in sorted({name for labels in rows for name in labels}):
        values = sorted({labels[name] for labels in rows if name in labels})
        if len(values) == 1:
            matchers.append(f"{name}={quoted(values[0])}")
        else:
            matchers.append(f"{name}=~{quoted('|'.join(literal(value) for value in values))}")
    matchers += [more] if more else []
    return f"{metric}{{{','.join(matchers)}}}"


def quoted(text: str) -> str:
    """A PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A text as an RE2 expression that matches only it."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def by(names: Sequence[str]) -> str:
    return f"by ({', '.join(names)})"


def last_seen(metric: str, names: Sequence[str], services: Iterable[Labels]) -> str:
    """The time of each service's newest sample, unix seconds."""
    return f"max {by(names)} (timestamp({selector(metric, services)}))"


def scraped_since(chosen: str, names: Sequence[str], since: float) -> str:
    """How many of a selector's series have a sample from after a time: one from before it stays visible for minutes."""
    return f"count {by(names)} (timestamp({chosen}) > {since:.3f})"


def rate(metric: str, names: Sequence[str], services: Iterable[Labels], window: str, more: str = "") -> str:
    """Events a second of each service."""
    return f"sum {by(names)} (rate({selector(metric, services, more)}[{window}]))"


def quantile(q: float, duration: str, names: Sequence[str], services: Iterable[Labels], window: str) -> str:
    """A latency quantile of each service in seconds, from ``<duration>_bucket``."""
    buckets = selector(f"{duration}_bucket", services)
    return f"histogram_quantile({q:g}, sum {by((*names, 'le'))} (rate({buckets}[{window}])))"


def seconds(duration: float) -> str:
    """A PromQL duration of whole seconds, at least one."""
    return f"{max(1, round(duration))}s"


def status_label(errors: str) -> str:
    """The label that an error matcher looks at: ``status`` of ``status=~"5.."``; empty where it has none."""
    found = re.match(r'\s*"?([A-Za-z_][\w.]*)"?\s*(?:=~|!~|!=|=)', errors)
    return found.group(1) if found else ""


def owner_of(labels: Labels, services: Mapping[str, Labels]) -> str | None:
    """Which of our services an answered series belongs to."""
    return next(
        (name for name, own in services.items() if all(labels.get(key) == value for key, value in own.items())), None
    )
