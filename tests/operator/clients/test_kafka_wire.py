"""Bytes of Kafka's protocol and of logins: what is not an answer is said to be none, whatever it is."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from headrace_operator.clients import kafka_login
from headrace_operator.clients.kafka_wire import (
    COORDINATORS,
    OFFSETS,
    VERSIONS,
    Call,
    Reader,
    coordinators,
    coordinators_of,
    logged_in,
    offsets,
    offsets_of,
    versions,
)

READS: tuple[Callable[[Reader], object], ...] = (versions, logged_in, coordinators, offsets)
NONCE = "rOprNGfwEbeRWgbNEkqO"
CHALLENGE = f"r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


@given(data=some.binary(max_size=200))
@example(data=b"\0\0\0\0\xff\xff\xff\xff\x0f")
@example(data=b"\0\0\0\0\xff\xff\xff\xff\xff\xff")
@example(data=b"\0\0\x7f\xff\xff\xff")
@example(data=b"\0\0\x80\0\0\0")
def test_whatever_bytes_come_they_are_read_or_refused(data: bytes) -> None:
    """Also a list of four billion things: it is at its end when the bytes are."""
    for read in READS:
        try:
            read(Reader(data))
        except ValueError:
            continue


@pytest.mark.parametrize("call", [VERSIONS, COORDINATORS, OFFSETS])
def test_an_answer_to_another_question_is_none(call: Call) -> None:
    with pytest.raises(ValueError, match="another question"):
        call.answer(7, struct.pack(">i", 8) + b"\0")


@given(
    groups=some.dictionaries(
        some.text(max_size=300),
        some.lists(some.tuples(some.text(max_size=20), some.integers(0, 2**31 - 1)), unique=True, max_size=5),
        max_size=3,
    )
)
def test_what_is_asked_reads_back(groups: dict[str, list[tuple[str, int]]]) -> None:
    read = Reader(offsets_of(groups))
    asked = {}
    for _ in range(read.length() - 1):
        name, found = read.text(), list[tuple[str | None, int]]()
        for _ in range(read.length() - 1):
            topic = read.text()
            found += [(topic, read.number(struct.Struct(">i"))) for _ in range(read.length() - 1)]
            read.tags()
        read.tags()
        asked[name] = sorted(found)
    names = Reader(coordinators_of(groups))

    assert asked == {name: sorted(parts) for name, parts in groups.items()}
    assert read.some(2) == b"\0\0"
    assert names.some(1) == b"\0"
    assert [names.text() for _ in range(names.length() - 1)] == list(groups)


def test_a_login_with_scram_is_that_of_rfc_7677() -> None:
    login = kafka_login._scram("sha256", "user", "pencil", NONCE)

    assert next(login) == f"n,,n=user,r={NONCE}".encode()
    proof = login.send(CHALLENGE.encode())
    assert proof.decode().endswith(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    with pytest.raises(StopIteration):
        login.send(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("said", [b"v=" + base64.b64encode(b"x" * 32), b"e=other-error", b"", b"v=a", b"\xff"])
def test_a_broker_that_does_not_know_the_password_is_not_believed(said: bytes) -> None:
    login = kafka_login._scram("sha256", "user", "pencil", NONCE)
    next(login)
    login.send(CHALLENGE.encode())
    with pytest.raises(ValueError):  # noqa: PT011 - also that of a text that is none
        login.send(said)


@pytest.mark.parametrize(
    "said",
    [
        CHALLENGE.replace("4096", "999999999"),
        CHALLENGE.replace("4096", "0"),
        CHALLENGE.replace("4096", "x"),
        CHALLENGE.replace(NONCE, "another"),
        "",
        "e=unknown-user",
    ],
)
def test_a_challenge_that_no_kafka_makes_is_refused(said: str) -> None:
    """A thousand million rounds of hashing would take the operator's processor."""
    login = kafka_login._scram("sha256", "user", "pencil", NONCE)
    next(login)
    with pytest.raises(ValueError, match=r"challenge|invalid literal"):
        login.send(said.encode())


def test_names_and_passwords_with_any_character_are_sent_whole() -> None:
    assert list(kafka_login.steps("PLAIN", "a,b=c", "ü ,=")) == ["\0a,b=c\0ü ,=".encode()]
    first = next(kafka_login.steps("SCRAM-SHA-512", "a,b=c", "x"))
    assert first.startswith(b"n,,n=a=2Cb=3Dc,r=")
    assert len({next(kafka_login.steps("SCRAM-SHA-512", "a", "x")) for _ in range(5)}) == 5


def test_a_login_by_a_token_is_that_of_rfc_7628() -> None:
    """A broker says why it refuses one, and then awaits an answer before it gives its error."""
    assert list(kafka_login.bearer("a.b.c")) == [b"n,,\1auth=Bearer a.b.c\1\1"]
    refused = kafka_login.bearer("a.b.c")
    next(refused)
    assert refused.send(b'{"status":"invalid_token"}') == b"\1"


def test_a_login_of_another_kind_is_not_tried_here() -> None:
    assert kafka_login.understands({"bootstrap.servers": "a:1", "socket.keepalive.enable": "true"})
    for more in ({"sasl.mechanism": "GSSAPI"}, {"sasl.oauthbearer.config": "x"}):
        assert not kafka_login.understands({"bootstrap.servers": "a:1", **more})
