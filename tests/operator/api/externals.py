"""Specs of ConnectClusters that others run, and defaults of Connectors, which a rule refuses."""

from __future__ import annotations

from typing import Any


def external(url: str = "https://connect:8083", more: dict[str, Any] | None = None, **part: Any) -> dict[str, Any]:
    """Return what makes a ConnectCluster one that others run."""
    return {"workers": None, "external": {"url": url, **part}, **(more or {})}


REFUSED: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("ConnectCluster", "spec", 0, {"external": {"url": "http://connect:8083"}}),
    ("ConnectCluster", "spec", 1, external(more={"rest": {"tls": {"secret": "a"}}})),
    ("ConnectCluster", "spec.external", 0, external("http://connect:8083", auth={"credentials": {"secret": "a"}})),
    ("ConnectCluster", "spec.external.url", 0, external("https://me:s3cret@connect:8083")),
    ("ConnectCluster", "spec.external.url", 1, external("http://169.254.169.254")),
    ("ConnectCluster", "spec.external.secretReference", 0, external(secretReference="s3cret")),
    *(
        ("ConnectCluster", "spec.connectorDefaults.postgres", index, {"connectorDefaults": {"postgres": properties}})
        for index, properties in enumerate(
            (
                {"signal.consumer.ssl.key.password": "x"},
                {"database.sslpassword": "${secrets:shop/shop-db:password}"},
                {"slot.name": "x"},
                {"database.hostname": "elsewhere"},
                {"producer.override.security.protocol": "PLAINTEXT"},
                {"database.socketFactory": "evil.All"},
                {"x.url": "http://169.254.169.254/"},
                {"x.url": "http://2852039166/"},
            )
        )
    ),
)
"""Kind, field, number of the rule there, and what is different from a spec that is well."""
