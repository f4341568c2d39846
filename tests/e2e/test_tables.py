"""The second example: each change of a table reaches a Python function, from a ConfigMap and from an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.images import buildah, ingredients, store
from tests.cluster.stack import stack
from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

EXAMPLE = Path(__file__).parents[2] / "operator" / "examples" / "tables-python.yaml"
TABLE = "CREATE TABLE IF NOT EXISTS customers (id int PRIMARY KEY, name text, email text); DELETE FROM customers;"
SNAPSHOT = "INSERT INTO customers VALUES (5, 'fifth', 'fifth@example.com');"
ROWS_READ = 'max(last_over_time(headrace_debezium_snapshot_rows_total{connector="customers-db"}[1d]))'
CHANGES = """
INSERT INTO customers VALUES (1, 'first', 'first@example.com'), (2, 'second', 'nowhere');
UPDATE customers SET name = 'third' WHERE id = 1;
DELETE FROM customers WHERE id = 1;
"""
GREETINGS = ("hello first", "hello third")
"""In this order: both are of one row."""
RECIPE = """
FROM {runtime}
COPY shipped.py /app/
"""
SHIPPED = """
import logging


def handle(record):
    logging.getLogger("shipped").info("shipped %s", record.key_text())
"""


@pytest.fixture(scope="module")
def customers(told: str) -> Iterator[str]:
    """The example, in the demo's namespace; its database stays, as the connector's offsets do."""
    stack.up([stack.postgres("shop", "customers-db")])
    _sql(TABLE + SNAPSHOT)
    world.kubectl("-n", "shop", "apply", "-f", str(EXAMPLE))
    yield "shop"
    world.kubectl("-n", "shop", "delete", "consumers.headrace.dev/shipped", "--ignore-not-found")
    world.kubectl("-n", "shop", "delete", "-f", str(EXAMPLE))
    until("the end of their pods", lambda: not _pods("shipped") + _pods("greeting"))


def test_changes_of_a_table_reach_a_python_function(customers: str) -> None:
    until("the Connector running", world.is_ready(customers, "connectors", "customers-db"))
    before = _dead_letters()
    _sql(CHANGES)
    until("the Consumer running", world.is_ready(customers, "consumers", "greeting"))

    until("both greetings", lambda: all(one in _log("greeting") for one in GREETINGS))
    world.await_no_difference("-n", customers, "-f", str(EXAMPLE))
    until("the dead letter of the row that is refused", lambda: _dead_letters() == before + 1)

    assert re.findall('logger=greeting msg="(hello (?:first|third))"', _log("greeting")) == list(GREETINGS)
    [*_, letter] = until("the command to list it", lambda: world.dead_letters(customers, "greeting"))
    assert "this is no e-mail address" in str(letter)


def test_the_snapshot_of_a_table_is_measured(customers: str) -> None:
    """Only the first time: the slot and the offsets stay, so that no later connector reads the table again."""
    until("the rows that the snapshot read", lambda: world.prometheus(ROWS_READ) >= 1)


def test_a_function_may_be_in_an_image_of_its_own(customers: str, tmp_path: Path) -> None:
    until("the Connector running", world.is_ready(customers, "connectors", "customers-db"))
    source = {"connector": "customers-db", "tables": ["public.customers"]}
    python = {"function": "shipped:handle", "image": _image(tmp_path)}
    _sql("INSERT INTO customers VALUES (7, 'seventh', 'seventh@example.com')")

    world.apply(customers, world.resource("Consumer", "shipped", {"from": source, "handler": {"python": python}}))

    until("the Consumer running", world.is_ready(customers, "consumers", "shipped"))
    until("the new row", lambda: r'msg="shipped {\"id\":7}"' in _log("shipped"))


def _image(folder: Path) -> str:
    """Build and push an image with the function in it, without libraries of its own, and return its reference."""
    registry, _, version = store.references()["runtime"].rpartition("/runtime:")
    made = ingredients.digest(RECIPE.encode(), SHIPPED.encode(), version.encode())
    (folder / "shipped.py").write_text(SHIPPED)
    (folder / "Dockerfile").write_text(RECIPE.format(runtime=f"localhost/headrace-runtime:{version}"))
    local, reference, log = f"localhost/headrace-shipped:{made}", f"{registry}/shipped:{made}", folder / "log"
    buildah.build(local, context=folder, dockerfile=folder / "Dockerfile", arguments={}, log=log)
    buildah.push(local, reference, log=log)
    return reference


def _sql(statements: str) -> None:
    login = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -qh localhost -U "$POSTGRES_USER" "$POSTGRES_DB"'
    world.kubectl("-n", "shop", "exec", "-i", "statefulset/customers-db", "--", "sh", "-c", login, stdin=statements)


def _pods(consumer: str) -> list[dict[str, Any]]:
    return world.listed("shop", "pods", f"headrace.dev/consumer={consumer}")


def _log(consumer: str) -> str:
    return world.kubectl("-n", "shop", "logs", "-l", f"headrace.dev/consumer={consumer}", "--tail=-1")


def _dead_letters() -> int:
    status = world.get("shop", "consumers", "greeting").get("status", {})
    return int(status.get("deadLetters", {}).get("outstanding") or 0)
