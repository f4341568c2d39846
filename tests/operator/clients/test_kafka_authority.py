"""The authority that a KafkaConnection names: what its Secret may hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from headrace_operator.clients.errors import Invalid
from headrace_operator.clients.kafka_connections import Kafkas
from tests.cluster import authority
from tests.operator import worlds

SPEC: dict[str, Any] = {
    "bootstrapServers": "127.0.0.1:1",
    "tls": {"ca": {"secret": "authority", "key": "ca.crt"}},
    "sasl": {"mechanism": "PLAIN", "credentials": {"secret": "login"}},
}


class Held:
    """An API server whose Secrets have this text for an authority."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def secret_values(self, *_: str) -> Mapping[str, bytes]:
        return {"username": b"me", "password": b"x", "ca.crt": self._text.encode()}


async def opened(text: str) -> None:
    """Open a Kafka whose brokers are known by this authority."""
    kafkas = Kafkas(cast(Any, Held(text)))
    try:
        await kafkas.open(
            worlds.resource("KafkaConnection", "kafka", SPEC, status={"accepted": {"generation": 1, "spec": SPEC}})
        )
    finally:
        kafkas.close()


@pytest.mark.parametrize("text", ["", "\n", "  "])
async def test_an_empty_one_is_not_the_systems(text: str) -> None:
    """A login goes to no Kafka that only the system's authorities know."""
    with pytest.raises(Invalid, match=r"Key ca\.crt of Secret authority is empty: put"):
        await opened(text)


async def test_words_of_any_language_may_stand_beside_it(tmp_path: Path) -> None:
    authority.issue(tmp_path, [])
    await opened(f"# Autorité de certification, 認証局\n{(tmp_path / 'ca.crt').read_text()}")
