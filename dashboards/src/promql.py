"""The few forms of PromQL that panels are made of. Gauges of the operator are read with max, never summed over pods."""

from __future__ import annotations

ONLY = 'resource_namespace=~"$namespace"'
WHERE = f'{ONLY}, pipeline=~"$pipeline"'
SHARED = 'resource_namespace=~"$namespace|", pipeline=~"$pipeline|"'
"""Also what has no pipeline, because several share it, or no namespace of its own."""

K = "resource_namespace, consumer"
C = "resource_namespace, connector"
R = "resource_namespace, outbox_relay"
S = "resource_namespace, connector, snapshot"
CONSUMER = "{{resource_namespace}}/{{consumer}}"
CONNECTOR = "{{resource_namespace}}/{{connector}}"
RELAY = "{{resource_namespace}}/{{outbox_relay}}"
SNAPSHOT = "{{resource_namespace}}/{{snapshot}} of {{connector}}"


def most(by: str, metric: str, where: str = WHERE) -> str:
    """Return the greatest value of a gauge."""
    return f"max by ({by}) ({metric}{{{where}}})"


def total(by: str, metric: str, where: str = WHERE) -> str:
    """Return the sum of a gauge over pods that each have their part."""
    return f"sum by ({by}) ({metric}{{{where}}})"


def rate(by: str, metric: str, where: str = WHERE) -> str:
    """Return by how much a counter grows a second."""
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def count(by: str, metric: str, where: str = WHERE) -> str:
    """Return how often it happened in each bar: by how much counters are above where the bar before left them.

    So each event is in one bar, whatever scrapes and bars last. A new counter begins at 0, and so does one that fell.
    """
    counter = f"{metric}{{{where}}}"
    now, before = f"last_over_time({counter}[$__interval])", f"last_over_time({counter}[1h] offset $__interval)"
    return f"sum by ({by}) ({now} - ({before} <= {now} or {now} * 0))"


def changed(by: str, metric: str, where: str = WHERE) -> str:
    """Return the bars in which, or since the one before, a gauge has changed, whichever pod told it."""
    gauge = f"{metric}{{{where}}}"
    now, before = f"last_over_time({gauge}[$__interval])", f"last_over_time({gauge}[1h] offset $__interval)"
    return (
        f"max by ({by}) (changes({gauge}[$__interval])) > 0"
        f" or (max by ({by}) ({now}) != bool max by ({by}) ({before})) > 0"
    )


def quantile(share: int, metric: str, by: str, where: str = WHERE) -> str:
    """Return what `share` of 100 observations of a histogram do not exceed."""
    return f"histogram_quantile(0.{share}, {rate(f'le, {by}', f'{metric}_bucket', where)})"


def quantiles(metric: str) -> dict[str, str]:
    """Return the usual three of each Consumer."""
    return {f"{CONSUMER} p{share}": quantile(share, metric, K) for share in (50, 95, 99)}
