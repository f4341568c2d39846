"""The remote parts of the world: one way in, for observers and for actions."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The clients of one operator."""

    kube: Kube
    connect: Connect
    kafkas: Kafkas
