"""The page for Prometheus, in its text format 0.0.4: what `prometheus_client` would write, in half of its time.

Gauges are most of it: a thousand Consumers have a hundred thousand. The library judges and escapes each name in each
line; those of gauges are our own, and only the values of labels may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Told = dict[int, tuple[Mapping[str, str], str]]
"""Labels, by which object they are, with their text; held, so that no other object becomes the same."""

SPECIAL = re.compile(r'[\\\n"]')


def page(registry: CollectorRegistry) -> bytes:
    """Return all that ``registry`` collects."""
    told: Told = {}
    return b"".join(_gauge(one, told) if one.type == "gauge" else _other(one) for one in registry.collect())


class _Only(Collector):
    """One metric, which was collected already."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _other(metric: Metric) -> bytes:
    return generate_latest(_Only(metric))


def _gauge(metric: Metric, told: Told) -> bytes:
    text = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
    head = f"# HELP {metric.name} {text}\n# TYPE {metric.name} gauge\n"
    values = map(floatToGoString, (one.value for one in metric.samples))
    lines = (
        f"{one.name}{_labels(one.labels, told)} {value}\n" for one, value in zip(metric.samples, values, strict=True)
    )
    return (head + "".join(lines)).encode()


def _labels(labels: Mapping[str, str], told: Told) -> str:
    """Return labels as text, which is made once for the series that share them."""
    if id(labels) not in told:
        told[id(labels)] = labels, _text(labels)
    return told[id(labels)][1]


def _text(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    if SPECIAL.search(value) is None:
        return value
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
