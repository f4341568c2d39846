"""Two operators: one acts and the other stands by, whatever becomes of the first; never do both act."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import lines
from tests.cluster.fast import ApiServer
from tests.operator import scraped, worlds
from tests.operator.operator_process import Operator, kubectl, operator, relayed
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

LEASE = "the Lease"


@pytest.fixture
def place(server: ApiServer, request: pytest.FixtureRequest) -> str:
    """Make a namespace for one test, in which two operators of any rights look after a ConnectCluster."""
    name = f"standby-{request.node.originalname.replace('_', '-')[-40:].strip('-')}"
    server.client.create_namespace(name)
    for user in ("first", "second"):
        role = ("--clusterrole=cluster-admin", f"--user=headrace:{user}-{name}")
        kubectl(server, "create", "clusterrolebinding", f"{user}-{name}", *role)
    server.client.apply(worlds.MANIFESTS, name)
    return name


@contextmanager
def running(
    server: ApiServer, folder: Path, place: str, user: str, kubeconfig: Path | None = None
) -> Iterator[Operator]:
    """Run one as ``user``; both have one name, as have processes on one host."""
    (folder / user).mkdir()
    account = kubeconfig or server.kubeconfig_for(f"headrace:{user}-{place}")
    with operator(server, folder / user, kubeconfig=account, name="host", place=place, watched=place) as one:
        yield one


@contextmanager
def leading(server: ApiServer, folder: Path, place: str, kubeconfig: Path | None = None) -> Iterator[Operator]:
    """Run the first until it leads, has acted, and rests."""
    with running(server, folder, place, "first", kubeconfig) as first:
        until("it leads", lambda: leads(first))
        acts(server, place)
        rests(server, place, first)
        yield first


def leads(one: Operator) -> bool:
    """Tell whether one has taken the Lease."""
    return "Hold the Lease" in one.log.read_text()


def has_yielded(one: Operator) -> bool:
    """Tell whether one has said that it does not hold the Lease any more."""
    return "Do not hold the Lease" in one.log.read_text()


def acts(server: ApiServer, place: str) -> None:
    """Remove a child and wait until it is there again."""
    where = ("deployment", "main-connect", place)
    if server.client.exists(*where):
        server.client.delete(*where)
    until("somebody makes it again", lambda: server.client.exists(*where))


def writes(server: ApiServer, place: str, *users: str) -> list[tuple[str, str, str]]:
    """Return when which of ``users`` wrote what, in order, and each time that one of them took or renewed the Lease."""
    names = {f"headrace:{user}-{place}": user for user in users}
    found = [
        (event["requestReceivedTimestamp"], names[event["user"]["username"]], _what(event))
        for event in lines.events(server.audit_log)
        if event["stage"] == "ResponseComplete"
        and event["user"]["username"] in names
        and event["verb"] not in ("get", "list", "watch")
    ]
    return sorted((when, user, what) for when, user, what in found if what)


def _what(event: dict[str, Any]) -> str:
    """Return what was written; nothing for a Lease that another had written first."""
    resource = event["objectRef"]["resource"]
    if resource != "leases":
        return f"{event['verb']} {resource}"
    return LEASE if event["responseStatus"]["code"] < 300 else ""


def rests(server: ApiServer, place: str, one: Operator) -> None:
    """Wait until a whole pass of the first has written nothing: nothing of it is on its way."""
    seen = (0.0, -1)

    def quiet() -> bool:
        nonlocal seen
        before, seen = seen, (passes(one), len(acted(writes(server, place, "first"))))
        if seen[1] == before[1] and seen[0] < before[0] + 2:
            seen = before
        return seen[1] == before[1] and seen[0] > before[0]

    until("a pass that writes nothing", quiet)


def passes(one: Operator) -> float:
    """Return how many passes over ConnectClusters have ended."""
    return scraped.total(page(one).splitlines(), scraped.PASSES, kind="ConnectCluster")


def page(one: Operator, path: str = "metrics") -> str:
    """Return what one says of itself, nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{one.metrics_port}/{path}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def acted(written: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return who wrote each thing but the Lease, in order."""
    return [user for _, user, what in written if what != LEASE]


def await_handover(server: ApiServer, place: str) -> None:
    """Wait until the second has the Lease, as the first has gone."""

    def has_it() -> bool:
        return [user for _, user, what in writes(server, place, "first", "second") if what == LEASE][-1] == "second"

    until("the second has the Lease", has_it)


def assert_one_at_a_time(server: ApiServer, place: str) -> None:
    """Both wrote, each only while it was the last to take or to renew the Lease, whoever lost it how often."""
    written = writes(server, place, "first", "second")
    holder, past = "", list[tuple[str, str, str]]()
    for when, user, what in written:
        holder = user if what == LEASE else holder
        past.append((when, user, what))
        assert user == holder, past[-6:]
    assert {*acted(written)} == {"first", "second"}


@pytest.mark.case("clusters-1")
def test_a_holder_that_stood_still_does_nothing_when_it_goes_on(server: ApiServer, tmp_path: Path, place: str) -> None:
    """It is stopped until the other has acted; then there is something to do again, which the other does alone."""
    with leading(server, tmp_path, place) as first, running(server, tmp_path, place, "second") as second:
        os.kill(first.process.pid, signal.SIGSTOP)
        await_handover(server, place)
        acts(server, place)
        os.kill(first.process.pid, signal.SIGCONT)
        until("it finds out", lambda: has_yielded(first))
        acts(server, place)
        assert first.stop() == second.stop() == 0
    assert_one_at_a_time(server, place)


@pytest.mark.case("clusters-1")
def test_a_holder_that_is_cut_off_stops_before_the_other_begins(server: ApiServer, tmp_path: Path, place: str) -> None:
    """Nothing of it reaches the API server; when it does again, the other acts and goes on to."""
    account = server.kubeconfig_for(f"headrace:first-{place}")
    with (
        relayed(server, tmp_path, account) as relay,
        leading(server, tmp_path, place, relay.kubeconfig) as first,
        running(server, tmp_path, place, "second") as second,
    ):
        os.kill(relay.pid, signal.SIGSTOP)
        await_handover(server, place)
        acts(server, place)
        os.kill(relay.pid, signal.SIGCONT)
        acts(server, place)
        assert first.stop() == second.stop() == 0
    assert_one_at_a_time(server, place)


@pytest.mark.case("clusters-1")
def test_one_that_is_killed_is_replaced_by_the_other(server: ApiServer, tmp_path: Path, place: str) -> None:
    """The other tells nothing of the resources before, and what was missing is there again after."""
    with leading(server, tmp_path, place) as first, running(server, tmp_path, place, "second") as second:
        until("it stands by", lambda: page(second, "readyz"))
        assert "headrace_resource_condition{" not in page(second)
        first.process.kill()
        acts(server, place)
        until("it tells of them", lambda: "headrace_resource_condition{" in page(second))
        assert second.stop() == 0
    assert_one_at_a_time(server, place)
