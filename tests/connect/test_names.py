"""Tables of any name are captured, and their topics are those that Consumers of them subscribe."""

from __future__ import annotations

import json

import pytest

from headrace_operator.api.consumer import Source
from headrace_operator.plan import sources
from tests.connect.capturing import Parts
from tests.operator import worlds

pytestmark = pytest.mark.slow

SEEN = ("Order Details", "audit$log", "Größen", "OrderItems")
OTHERS = ("orders", "v1.orders", "it's", "a\\b", "(x)+[y]{z}?*|^", "🙂")


@pytest.mark.case("databases-9")
@pytest.mark.parametrize("names", [SEEN, OTHERS], ids=["seen", "others"])
def test_tables_of_any_name_are_captured_and_consumed(parts: Parts, names: tuple[str, ...]) -> None:
    tables = [f"public.{name}" for name in names]
    insert = "".join(f'INSERT INTO public."{name}" VALUES ({{0}});' for name in names)
    with parts.database() as database:
        database.sql("".join(f'CREATE TABLE public."{name}" (id int PRIMARY KEY);' for name in names))
        database.sql("CREATE TABLE public.auditlog (id int PRIMARY KEY); INSERT INTO auditlog VALUES (7);")
        database.sql(insert.replace("{0}", "1"))
        captured = database.capture({"tables": tables})
        database.sql(insert.replace("{0}", "2"))
        source = Source.model_validate({"connector": "c", "tables": tables})
        connector = worlds.resource("Connector", "c", {}, status={"topicPrefix": captured.name})
        topics = sources.topics(source, connector)
        seen = {
            topic: [json.loads(one.value())["after"]["id"] for one in captured.records(topic, 2)]
            for topic in (name.removeprefix(f"{captured.name}.") for name in topics)
        }

    assert len(topics) == len(names)
    assert set(map(tuple, seen.values())) == {(1, 2)}


@pytest.mark.case("databases-9")
def test_an_outbox_of_an_odd_name_is_captured(parts: Parts) -> None:
    with parts.database() as database:
        database.sql(
            'CREATE TABLE public."Out box$" (id int PRIMARY KEY, aggregatetype text, aggregateid text, payload text);'
            "INSERT INTO public.\"Out box$\" VALUES (1, 'order', '1', 'a');"
        )
        captured = database.capture({"outbox": {"table": "public.Out box$"}})
        database.sql("INSERT INTO public.\"Out box$\" VALUES (2, 'order', '1', 'b');")
        seen = captured.records("outbox.order", 2)

    assert [one.value() for one in seen] == [b"a", b"b"]
