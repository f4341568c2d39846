"""Mounted credentials that are rotated under a process that runs: it goes on without being started anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace import config as contract
from tests.cluster import authority
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-13")]

IMPATIENT = {"socket.timeout.ms": "3000", "connections.max.idle.ms": "3000"}
"""With these a client gives up connections to a broker that says nothing, and those that are not used."""


def mount(folder: Path, **contents: str) -> None:
    """Put files in place at once, each whole, as Kubernetes does with a mounted Secret."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f".{name}").write_text(content)
        os.replace(folder / f".{name}", folder / name)


def with_login(world: World, folder: Path) -> contract.Config:
    """Return the Consumer logged in by what is mounted."""
    files = {f"{name}_file": str(folder / name) for name in ("username", "password")}
    sasl = contract.Sasl(mechanism="SCRAM-SHA-512", **files)
    return _reached(world, contract.Kafka(bootstrap_servers=world.broker.sasl_servers, sasl=sasl, properties=IMPATIENT))


def with_authority(world: World, folder: Path) -> contract.Config:
    """Return the Consumer that knows the brokers by what is mounted."""
    tls = contract.Tls(ca_file=str(folder / "authority"))
    return _reached(world, contract.Kafka(bootstrap_servers=world.broker.tls_servers, tls=tls, properties=IMPATIENT))


def with_certificate(world: World, folder: Path) -> contract.Config:
    """Return the Consumer logged in by a client certificate that is mounted."""
    files = {"certificate_file": str(folder / "certificate"), "key_file": str(folder / "key")}
    tls = contract.Tls(ca_file=str(world.broker.authority / "ca.crt"), **files)
    return _reached(world, contract.Kafka(bootstrap_servers=world.broker.mutual_servers, tls=tls, properties=IMPATIENT))


def certificate(world: World, folder: Path) -> dict[str, str]:
    """Return the files of a client certificate of a new authority, which is made in ``folder``."""
    name = world.config.consumer
    authority.issue(folder, [authority.Certificate(file=name, user=name)])
    return {kind: (folder / f"{name}.{end}").read_text() for kind, end in (("certificate", "crt"), ("key", "key"))}


def trusted(world: World, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files of two client certificates, each of an authority of its own, and let the broker trust both."""
    first, second = (certificate(world, folder / name) for name in ("first", "second"))
    both = folder / "both.crt"
    both.write_text("".join((folder / name / "ca.crt").read_text() for name in ("first", "second")))
    world.broker.trust(both)
    return first, second


def _reached(world: World, kafka: contract.Kafka) -> contract.Config:
    return world.config.model_copy(update={"kafka": kafka})


def handle_all(world: World, running: Running, number: int) -> None:
    """Let the process handle a record of each partition and bury one, and say so when it has."""
    for partition in (0, 1):
        world.produce([(f"k{partition}", {"n": number})], partition=partition)
    world.produce([("buried", {"n": number, "reject": True})], partition=1)
    until("all handled", lambda: len(world.effects()) == 2 * number)
    until("all committed", lambda: sum(world.committed().values()) == 3 * number)
    assert len(world.dead_letters(number)) == number
    assert running.process.poll() is None


def cut(broker: KafkaBroker, running: Running, after: str) -> None:
    """Let the broker say nothing until connections were given up since ``after`` was logged last."""
    seen = running.log.read_text().count(after)
    with broker.silent():
        until("connections given up", lambda: running.log.read_text().count(after) > seen)


@pytest.mark.parametrize(
    ("user", "password", "mounted_first"),
    [
        ("{}", "another", False),
        ("{}-too", "of another user", True),
        pytest.param("{}", "another", True, marks=pytest.mark.sweep),
        pytest.param("{}-too", "of another user", False, marks=pytest.mark.sweep),
    ],
    ids=["password-late", "user-first", "password-first", "user-late"],
)
def test_a_login(kafka_broker: KafkaBroker, tmp_path: Path, user: str, password: str, mounted_first: bool) -> None:
    """The Secret may reach the pod before its connections end, or long after, when the old one is refused."""
    world = make_world(kafka_broker, tmp_path)
    login, name = tmp_path / "login", world.config.consumer
    kafka_broker.add_user(name, "first")
    mount(login, username=name, password="first\n")
    with consuming(world, with_login(world, login)) as running:
        handle_all(world, running, 1)
        kafka_broker.add_user(name, "nobody knows")
        kafka_broker.add_user(user.format(name), password)
        if mounted_first:
            mount(login, username=user.format(name), password=password)
            until("the change noticed", lambda: "the login to Kafka changed" in running.log.read_text())
        cut(kafka_broker, running, "timed out")
        if not mounted_first:
            until("a refusal", lambda: "uthentication" in running.log.read_text())
            mount(login, username=user.format(name), password=password)
        handle_all(world, running, 2)
        assert password not in running.log.read_text()
        assert running.stop() == 0


@pytest.mark.parametrize("mounted_first", [True, pytest.param(False, marks=pytest.mark.sweep)])
def test_an_authority(kafka_broker: KafkaBroker, tmp_path: Path, mounted_first: bool) -> None:
    """Both are mounted first, as a careful rotation does; or the new one alone, when it is too late."""
    world = make_world(kafka_broker, tmp_path)
    files = tmp_path / "files"
    first = kafka_broker.certify(tmp_path / "first").read_text()
    mount(files, authority=first)
    with consuming(world, with_authority(world, files)) as running:
        handle_all(world, running, 1)
        second = kafka_broker.certify(tmp_path / "second").read_text()
        if mounted_first:
            mount(files, authority=first + second)
            until("the change noticed", lambda: "authority of Kafka changed" in running.log.read_text())
        cut(kafka_broker, running, "timed out")
        if not mounted_first:
            until("a refusal", lambda: "certificate verify failed" in running.log.read_text())
            mount(files, authority=second)
        handle_all(world, running, 2)
        assert running.stop() == 0


@pytest.mark.parametrize("mounted_first", [pytest.param(True, marks=pytest.mark.sweep), False])
def test_a_client_certificate(kafka_broker: KafkaBroker, tmp_path: Path, mounted_first: bool) -> None:
    """The new one is mounted while both are good; or when the brokers refuse the old one already."""
    world = make_world(kafka_broker, tmp_path)
    files = tmp_path / "files"
    first, second = trusted(world, tmp_path)
    mount(files, **first)
    with consuming(world, with_certificate(world, files)) as running:
        handle_all(world, running, 1)
        if mounted_first:
            mount(files, **second)
            until("the change noticed", lambda: "client certificate changed" in running.log.read_text())
            handle_all(world, running, 2)
        kafka_broker.trust(tmp_path / "second" / "ca.crt")
        cut(kafka_broker, running, "timed out")
        if not mounted_first:
            until("a refusal", lambda: "alert" in running.log.read_text())
            mount(files, **second)
        handle_all(world, running, 3 if mounted_first else 2)
        assert running.stop() == 0


def test_a_certificate_that_comes_before_its_key(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Until both are there, the last ones stay in use."""
    world = make_world(kafka_broker, tmp_path)
    files = tmp_path / "files"
    first, second = trusted(world, tmp_path)
    mount(files, **first)
    with consuming(world, with_certificate(world, files)) as running:
        handle_all(world, running, 1)
        mount(files, certificate=second["certificate"])
        until("it said", lambda: "no certificate with its own key" in running.log.read_text())
        handle_all(world, running, 2)
        mount(files, key=second["key"])
        until("the change noticed", lambda: "client certificate changed" in running.log.read_text())
        handle_all(world, running, 3)
        assert running.stop() == 0


def test_files_that_cannot_be_read_for_a_while(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The last ones stay in use, and that is said once."""
    world = make_world(kafka_broker, tmp_path)
    login, name = tmp_path / "login", world.config.consumer
    kafka_broker.add_user(name, "first")
    mount(login, username=name, password="first")
    with consuming(world, with_login(world, login)) as running:
        handle_all(world, running, 1)
        (login / "password").unlink()
        until("it said", lambda: "cannot be read" in running.log.read_text())
        handle_all(world, running, 2)
        kafka_broker.add_user(name, "second")
        mount(login, password="second")
        until("the change noticed", lambda: "the login to Kafka changed" in running.log.read_text())
        cut(kafka_broker, running, "timed out")
        handle_all(world, running, 3)
        assert running.log.read_text().count("cannot be read") == 1
        assert running.stop() == 0
