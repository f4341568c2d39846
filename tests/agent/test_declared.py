"""What is declared, as both sides read and write it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headrace_agent import declared
from headrace_agent.declared import Heartbeat, Tls
from tests.agent.declarations import declaration, source

FULL = declaration(
    source(
        tls=Tls(mode="verify-full", ca_file="/ca", certificate_file="/crt", key_file="/key"),
        heartbeat=Heartbeat(prefix="headrace.shop.orders-db"),
    ),
    source("billing-db"),
)


def test_what_is_written_is_read() -> None:
    assert declared.load(declared.dump(FULL)) == FULL


def test_equal_declarations_have_one_digest_and_others_another() -> None:
    assert declared.digest(declared.load(declared.dump(FULL))) == declared.digest(FULL)
    assert declared.digest(declaration(source())) != declared.digest(declaration(source(port=5433)))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"version": 2, "namespace": "n", "cluster": "c", "sources": []}', "version"),
        ('{"namespace": "n", "cluster": "c", "sources": [], "later": 1}', "later"),
        ('{"namespace": "n", "cluster": "c"}', "sources"),
    ],
)
def test_what_another_version_wrote_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        declared.load(text)


def test_a_source_is_declared_once() -> None:
    with pytest.raises(ValidationError, match="declared twice: orders-db"):
        declaration(source(), source(port=5433))


def test_a_certificate_goes_with_its_key() -> None:
    with pytest.raises(ValidationError, match="go together"):
        Tls(mode="require", certificate_file="/crt")
