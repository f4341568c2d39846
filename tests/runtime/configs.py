"""The contract of a Consumer that exists nowhere, for tests without Kafka."""

from __future__ import annotations

from headrace.config import Config, Handler, Kafka, Python, Topics

BILLING = Config(
    namespace="shop",
    consumer="billing",
    pipeline="orders",
    group="g",
    kafka=Kafka(bootstrap_servers="kafka:9092"),
    topics=Topics(sources=("orders",), retry="r", dead_letters="d", resolutions="s"),
    handler=Handler(python=Python(function="billing:handle")),
)
