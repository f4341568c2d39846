"""``headrace connector`` against a real API server: what it writes, with which rights, and what it waits for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import fast
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import install
from tests.runtime.cli import users
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.apiserver, pytest.mark.case("databases-12")]

ROOT = Path(__file__).parents[3]
BEFORE = [{"partition": {"server": "shop.orders-db"}, "offset": {"lsn": 22218640}}]


def headrace(kubeconfig: Path, *words: str, text: str = "") -> tuple[int, str, str]:
    return users.headrace(kubeconfig, "connector", *words, "-n", "shop", text=text)


def connector(server: ApiServer) -> dict[str, Any]:
    return server.client.get("hrconn", "orders-db", "shop")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with fast.apiserver() as made:
        install(made)
        made.client.create_namespace("shop")
        example = yaml.safe_load_all((ROOT / "operator/examples/outbox.yaml").read_text())
        made.client.create(next(one for one in example if one["kind"] == "Connector"), "shop")
        yield made


@pytest.fixture(scope="module")
def ada(server: ApiServer) -> Path:
    """The kubeconfig of a user who has the rights that the guide shows, and no others."""
    return users.ada(server, ROOT / "docs/connector-operations.md", "hrconn", "orders-db")


@contextmanager
def answering(server: ApiServer, annotation: str, **record: Any) -> Iterator[list[str]]:
    """Answer, as the operator does, what is asked by an annotation from now on; yields what was asked.

    ``record`` is of the operation, or, of `requested-at`, of the status.
    """
    old = connector(server)["metadata"].get("annotations", {}).get(f"headrace.dev/{annotation}")
    asked: list[str] = []

    def answer() -> None:
        def is_asked() -> bool:
            value = connector(server)["metadata"].get("annotations", {}).get(f"headrace.dev/{annotation}")
            if value not in (None, old):
                asked.append(value)
            return bool(asked)

        until("a question", is_asked)
        word = json.loads(asked[0])["id"] if annotation in ("offsets", "skip") else asked[0]
        operation = {annotation: {"id": word, "since": "2026-01-02T03:04:05Z", **record}}
        told = {"lastHandledRequest": word, **record} if annotation == "requested-at" else {"operations": operation}
        body = {"status": {"offsets": BEFORE, "conditions": None, **told}}
        server.client.patch("hrconn", "orders-db", body, "shop", part="status")

    thread = threading.Thread(target=answer)
    thread.start()
    yield asked
    thread.join(PATIENCE)


def test_a_connector_is_paused_and_goes_on_as_it_was(server: ApiServer, ada: Path) -> None:
    before = connector(server)["spec"]

    code, out, _ = headrace(ada, "pause", "orders-db")
    paused = connector(server)["spec"]
    resumed, told, _ = headrace(ada, "resume", "orders-db")

    assert (code, resumed) == (0, 0)
    assert (out, told) == ("shop/orders-db: paused\n", "shop/orders-db: resumed\n")
    assert paused == {**before, "state": "Paused"}
    assert connector(server)["spec"] == before


def test_a_restart_is_asked_for_and_waited_for(server: ApiServer, ada: Path) -> None:
    with answering(server, "restart", action="Restart", phase="Done", message="Well."):
        code, out, _ = headrace(ada, "restart", "orders-db")

    assert (code, out) == (0, "shop/orders-db: restarted\n")


def test_what_is_refused_is_told(server: ApiServer, ada: Path) -> None:
    with answering(server, "restart", action="Restart", phase="Refused", message="Nothing was restarted: why."):
        code, out, said = headrace(ada, "restart", "orders-db")

    assert (code, out) == (1, "")
    assert "Nothing was restarted: why." in said


def test_offsets_are_shown_as_they_are_set(server: ApiServer, ada: Path) -> None:
    with answering(server, "requested-at"):
        code, shown, _ = headrace(ada, "offsets", "show", "orders-db")
    with answering(server, "offsets", action="SetOffsets", phase="Done", message="Well.", previous=BEFORE) as asked:
        done, printed, _ = headrace(ada, "offsets", "set", "orders-db", "-", "--yes", text=shown)

    assert (code, done) == (0, 0)
    assert json.loads(shown) == json.loads(printed) == BEFORE
    assert {**json.loads(asked[0]), "id": ""} == {"id": "", "action": "set", "offsets": BEFORE}


def running(status: str, message: str) -> list[dict[str, str]]:
    at = "2026-01-02T03:04:05Z"
    return [{"type": "Running", "status": status, "reason": "R", "message": message, "lastTransitionTime": at}]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        ({"conditions": running("Unknown", "Connect did not answer.")}, 5, "was not told: Connect did not answer."),
        (
            {"offsets": None, "conditions": running("False", "It is not made yet.")},
            1,
            "is not known: It is not made yet.",
        ),
        ({"offsets": None, "conditions": running("True", "Tasks run.")}, 1, "256 KiB"),
    ],
)
def test_offsets_that_nobody_told_are_not_shown_as_none(
    server: ApiServer, ada: Path, status: dict[str, Any], code: int, told: str
) -> None:
    """Nor as what was seen last: given to `set`, either would have the connector read elsewhere."""
    with answering(server, "requested-at", **status):
        found, out, said = headrace(ada, "offsets", "show", "orders-db")

    assert (found, out) == (code, "")
    assert told in said


def test_a_connector_without_offsets_has_none(server: ApiServer, ada: Path) -> None:
    with answering(server, "requested-at", offsets=[]):
        assert headrace(ada, "offsets", "show", "orders-db")[:2] == (0, "[]\n")


def test_offsets_are_reset(server: ApiServer, ada: Path) -> None:
    with answering(server, "offsets", action="ResetOffsets", phase="Done", message="Well.", previous=BEFORE) as asked:
        code, printed, said = headrace(ada, "offsets", "reset", "orders-db", "--yes")

    assert (code, json.loads(printed)) == (0, BEFORE)
    assert "Those of before" in said
    assert json.loads(asked[0])["action"] == "reset"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("restart", "nobody"), 3, "no connectors.headrace.dev nobody in namespace shop"),
        (("offsets", "reset", "orders-db"), 2, "--yes"),
        (("offsets", "set", "orders-db", "/nowhere", "--yes"), 2, "cannot read offsets from /nowhere"),
        (("offsets", "set", "orders-db", "-", "--yes"), 2, "cannot read offsets"),
        (("restart", "orders-db", "--timeout", "1"), 1, "the operator did not answer"),
    ],
)
def test_what_cannot_be_done_is_told(ada: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done, out, told = headrace(ada, *words)

    assert (done, out) == (code, "")
    assert said in told


def test_without_the_right_nothing_is_asked(server: ApiServer) -> None:
    code, _, said = headrace(server.kubeconfig_for("bob"), "restart", "orders-db")

    assert (code, "you may not patch connectors.headrace.dev orders-db in namespace shop" in said) == (4, True)


@pytest.mark.case("databases-8")
def test_the_row_that_stands_in_the_way_is_passed_by(server: ApiServer, ada: Path) -> None:
    """The one that the status names, unless another is given; nobody is asked where there is no terminal."""
    standing = {"status": {"restarts": {"attempts": 0, "row": "a%2C+b"}}}
    server.client.patch("hrconn", "orders-db", standing, "shop", part="status")

    unsure, _, why = headrace(ada, "skip", "orders-db")
    with answering(server, "skip", action="SkipRow", phase="Done", message="Well.", rows=["a%2C+b"]) as asked:
        code, out, _ = headrace(ada, "skip", "orders-db", "--yes")
    with answering(server, "skip", action="SkipRow", phase="Refused", message="Nothing is passed by: why.") as other:
        refused, _, said = headrace(ada, "skip", "orders-db", "7", "--yes")

    assert (unsure, "--yes is not given" in why) == (2, True)
    assert (code, out) == (0, "shop/orders-db: passed by the outbox row with id a%2C+b\n")
    assert [json.loads(one[0])["row"] for one in (asked, other)] == ["a%2C+b", "7"]
    assert (refused, "Nothing is passed by: why." in said) == (1, True)


@pytest.mark.case("databases-8")
def test_without_such_a_row_nothing_is_asked_for(server: ApiServer, ada: Path) -> None:
    server.client.patch("hrconn", "orders-db", {"status": {"restarts": None}}, "shop", part="status")
    before = connector(server)["metadata"]

    code, out, said = headrace(ada, "skip", "orders-db", "--yes")

    assert (code, out) == (1, "")
    assert "no row of an outbox stands in the way of Connector orders-db in namespace shop" in said
    assert connector(server)["metadata"]["resourceVersion"] == before["resourceVersion"]
