"""How far connectors are behind their databases, as a worker's page of metrics tells."""

from __future__ import annotations

import re
from collections.abc import Mapping

LAG = "headrace_debezium_source_lag_seconds"
LONGEST_LAG = 1e10
"""Seconds beyond which a lag is no number to tell, as what a page calls NaN or +Inf is none."""


def read(page: bytes) -> Mapping[str, float]:
    """Find the lags on a metrics page; the exporter has the two parts of a prefix as labels (jmx-exporter.yaml)."""
    lines = re.findall(rb"^" + LAG.encode() + rb"\{.*", page, re.MULTILINE)
    return dict(told for line in lines if (told := _lag(line.decode(errors="replace"))) is not None)


def _lag(line: str) -> tuple[str, float] | None:
    labels = dict(re.findall(r'(resource_namespace|connector)="([^"]*)"', line))
    try:
        lag = float(line.rpartition(" ")[2])
    except ValueError:
        return None
    known = len(labels) == 2 and 0 <= lag < LONGEST_LAG
    return (f"{labels['resource_namespace']}.{labels['connector']}", lag) if known else None
