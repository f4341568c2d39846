"""What a real Debezium streams of a real database, by the publications that it makes and by those that a user made."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.operator.capturing import Capturing, slot

pytestmark = pytest.mark.slow
OUTBOX = (
    "CREATE TABLE public.{0} (id uuid DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text, type text, "
    "payload jsonb, PRIMARY KEY (id, aggregateid))"
)
EVENT = (
    "INSERT INTO public.outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', '{0}', 'Created', '{{}}')"
)
EVENTS = {"outbox": {"table": "public.outbox"}}


def published(shop: Capturing, publication: str) -> list[str]:
    """Return the tables of a publication."""
    query = f"SELECT tablename FROM pg_publication_tables WHERE pubname = '{publication}' ORDER BY 1"
    return [name for (name,) in shop.run(query)]


async def keys(shop: Capturing, topic: str, count: int) -> list[bytes]:
    """Return the keys of the first records of a topic of this shop, sorted, while passes are made."""
    return sorted(key or b"" for key, _ in await shop.rows_while_looking(f"shop.{shop.name}.{topic}", count))


@pytest.mark.case("databases-3")
async def test_a_table_that_is_added_streams_and_one_that_is_removed_stops(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.apply(shop.name, {"tables": ["public.a"]})
    await shop.until(shop.name, "True", "Ready")
    shop.run("INSERT INTO public.a VALUES (1)")
    first = await keys(shop, "public.a", 1)
    shop.apply(shop.name, {"tables": ["public.a", "public.b"]})
    await shop.streams(shop.name, lambda: published(shop, slot(shop.name)) == ["a", "b"])
    shop.run("INSERT INTO public.b VALUES (2)", "INSERT INTO public.a VALUES (3)")
    both = await keys(shop, "public.b", 1) + await keys(shop, "public.a", 2)
    shop.apply(shop.name, {"tables": ["public.b"]})
    await shop.streams(shop.name, lambda: published(shop, slot(shop.name)) == ["b"])
    shop.run("INSERT INTO public.a VALUES (4)", "INSERT INTO public.b VALUES (5)")

    assert first == [b'{"id":1}']
    assert both == [b'{"id":2}', b'{"id":1}', b'{"id":3}']
    assert await keys(shop, "public.b", 2) == [b'{"id":2}', b'{"id":5}']
    assert shop.count(f"shop.{shop.name}.public.a") == 2


@pytest.mark.case("databases-3")
async def test_a_publication_of_the_users_own_is_used_as_it_is(shop: Capturing) -> None:
    shop.run(OUTBOX.format("outbox"), "CREATE TABLE public.customers (id int PRIMARY KEY)")
    shop.run("CREATE PUBLICATION shop_pub FOR TABLE public.outbox, public.customers")
    shop.apply(shop.name, EVENTS, postgres={**shop.postgres, "publication": "shop_pub"})
    await shop.until(shop.name, "True", "Ready")
    shop.run(EVENT.format(1), "INSERT INTO public.customers VALUES (1)", EVENT.format(2))

    assert await keys(shop, "outbox.order", 2) == [b"1", b"2"]
    assert published(shop, "shop_pub") == ["customers", "outbox"]
    assert shop.condition(shop.name, "Ready")["status"] == "True"


@pytest.mark.case("databases-3")
async def test_a_missing_publication_is_told_with_the_statement_that_makes_it(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", 'CREATE TABLE public."Odd" (id int PRIMARY KEY)')
    shop.apply(
        shop.name, {"tables": ["public.t", "public.Odd"]}, postgres={**shop.postgres, "publication": "shop_tables"}
    )
    failed = await shop.until(shop.name, "False", "TaskFailed")
    (statement,) = re.findall("CREATE PUBLICATION .*?\\)", shop.condition(shop.name, "Accepted")["message"])
    shop.run(statement)
    await shop.until(shop.name, "False", "Recovering")
    shop.run("INSERT INTO public.t VALUES (1)", 'INSERT INTO public."Odd" VALUES (2)')

    assert "Publication autocreation is disabled" in failed["message"]
    assert await keys(shop, "public.t", 1) == [b'{"id":1}']
    assert await keys(shop, "public.Odd", 1) == [b'{"id":2}']


@pytest.mark.case("databases-3")
async def test_a_signal_table_that_an_outboxs_publication_lacks_is_told_and_loses_nothing(shop: Capturing) -> None:
    """Debezium cannot alter that publication, as its statement is no SQL; the owner can."""
    shop.run(OUTBOX.format("outbox"))
    shop.run("CREATE TABLE public.signals (id varchar(42) PRIMARY KEY, type varchar(32), data varchar(2048))")
    shop.apply(shop.name, EVENTS)
    await shop.until(shop.name, "True", "Ready")
    shop.apply(shop.name, EVENTS, config={"signal.data.collection": "public.signals"})
    failed = await shop.until(shop.name, "False", "TaskFailed")
    shop.run(EVENT.format(1), f"ALTER PUBLICATION {slot(shop.name)} ADD TABLE public.signals")
    await shop.until(shop.name, "False", "Recovering")
    shop.run(EVENT.format(2))

    assert 'syntax error at or near "WITH"' in failed["message"]
    assert await keys(shop, "outbox.order", 2) == [b"1", b"2"]


@pytest.mark.case("databases-4")
async def test_a_partitioned_table_streams_to_the_topic_of_its_parent(shop: Capturing) -> None:
    shop.run(
        "CREATE TABLE public.events (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE public.e26 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "INSERT INTO public.events VALUES (1, '2026-02-01')",
    )
    shop.apply(shop.name, {"tables": ["public.events"]})
    await shop.until(shop.name, "True", "Ready")
    shop.run(
        "INSERT INTO public.events VALUES (2, '2026-02-02')",
        "CREATE TABLE public.e27 PARTITION OF public.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "INSERT INTO public.events VALUES (3, '2027-02-02')",
    )

    found = [re.sub(rb',"at".*', b"", key or b"") for key in await keys(shop, "public.events", 3)]
    assert found == [b'{"id":1', b'{"id":2', b'{"id":3']
    assert shop.run(f"SELECT pubviaroot FROM pg_publication WHERE pubname = '{slot(shop.name)}'") == [(True,)]


@pytest.mark.case("databases-4")
async def test_a_partitioned_outbox_streams(shop: Capturing) -> None:
    shop.run(
        f"{OUTBOX.format('outbox')} PARTITION BY HASH (aggregateid)",
        "CREATE TABLE public.o0 PARTITION OF public.outbox FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE public.o1 PARTITION OF public.outbox FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        EVENT.format(0),
    )
    shop.apply(shop.name, EVENTS)
    await shop.until(shop.name, "True", "Ready")
    shop.run(*(EVENT.format(number) for number in range(1, 6)))

    assert await keys(shop, "outbox.order", 6) == [str(number).encode() for number in range(6)]
    await shop.until(shop.name, "True", "Ready")


@pytest.mark.case("databases-4")
async def test_a_publication_of_before_is_mended_by_one_statement(shop: Capturing) -> None:
    shop.run(
        "CREATE TABLE public.events (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE public.e26 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    )
    shop.apply(shop.name, {"tables": ["public.events"]}, config={"publish.via.partition.root": "false"})
    await shop.until(shop.name, "True", "Ready")
    shop.run(f"ALTER PUBLICATION {slot(shop.name)} SET (publish_via_partition_root = true)")
    shop.apply(shop.name, {"tables": ["public.events"]})
    await shop.until(shop.name, "True", "Ready")
    shop.run("INSERT INTO public.events VALUES (2, '2026-02-02')")

    assert len(await keys(shop, "public.events", 1)) == 1


@pytest.mark.case("databases-13")
async def test_a_table_without_a_key_is_told_of_with_the_statement_that_mends_it(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.log (id int, v text)", "INSERT INTO public.log VALUES (1, 'a')")
    shop.apply(shop.name, {"tables": ["public.log"]})
    await shop.until(shop.name, "True", "Ready")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        shop.run("UPDATE public.log SET v = 'b'")
    (statement,) = re.findall("ALTER TABLE .* FULL", shop.condition(shop.name, "Accepted")["message"])
    shop.run(statement, "UPDATE public.log SET v = 'b'", "DELETE FROM public.log")

    values = [value or b"" for _, value in await shop.rows(f"shop.{shop.name}.public.log", 3)]
    assert [re.findall(rb'"op":"(.)"', value) for value in values] == [[b"r"], [b"u"], [b"d"]]


@pytest.mark.case("databases-13")
async def test_a_partitioned_table_without_a_key_needs_an_identity_on_each_partition(shop: Capturing) -> None:
    shop.run(
        "CREATE TABLE public.log (id int, v text) PARTITION BY LIST (id)",
        "CREATE TABLE public.one PARTITION OF public.log FOR VALUES IN (1)",
        "INSERT INTO public.log VALUES (1, 'a')",
        "ALTER TABLE public.log REPLICA IDENTITY FULL",
    )
    shop.apply(shop.name, {"tables": ["public.log"]})
    await shop.until(shop.name, "True", "Ready")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        shop.run("UPDATE public.log SET v = 'b'")
    shop.run("ALTER TABLE public.one REPLICA IDENTITY FULL", "UPDATE public.log SET v = 'b'")

    assert "where it is partitioned, each partition" in shop.condition(shop.name, "Accepted")["message"]
    values = [value or b"" for _, value in await shop.rows(f"shop.{shop.name}.public.log", 2)]
    assert [re.findall(rb'"op":"(.)"', value) for value in values] == [[b"r"], [b"u"]]


@pytest.mark.case("databases-13")
async def test_an_outbox_without_a_key_is_updated_and_deleted_as_ever(shop: Capturing) -> None:
    """Of an outbox only inserts are published, so that PostgreSQL asks for no key, and nothing is said of one."""
    shop.run("CREATE TABLE public.outbox (id uuid, aggregatetype text, aggregateid text, type text, payload jsonb)")
    shop.apply(shop.name, EVENTS)
    await shop.until(shop.name, "True", "Ready")
    shop.run(EVENT.format(1), "UPDATE public.outbox SET payload = '[]'", "DELETE FROM public.outbox")

    assert await keys(shop, "outbox.order", 1) == [b"1"]
    assert shop.condition(shop.name, "Accepted")["message"] == "The spec is accepted."
