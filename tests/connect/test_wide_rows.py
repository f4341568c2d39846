"""Rows of hundreds of kilobytes: what a worker holds at a time is bounded by bytes, not by a number of rows."""

from __future__ import annotations

import re

import pytest

from headrace_operator.plan import causes, record_sizes
from tests.connect.capturing import Captured, Parts
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-11")]

ROWS = 800
TABLE = """
CREATE TABLE public.docs (id int PRIMARY KEY, text text);
ALTER TABLE public.docs ALTER text SET STORAGE EXTERNAL;
"""
INSERT = "INSERT INTO public.docs SELECT g, repeat(md5(g::text), 9400) FROM generate_series(1, %s) g"


def test_a_snapshot_of_wide_rows_fits_in_the_memory_of_a_worker(parts: Parts) -> None:
    """240 MB are read, of which the worker with its 384 MB could not hold three copies."""
    with parts.database() as database:
        database.sql(TABLE)
        database.sql(INSERT, (ROWS,))
        captured = database.capture({"tables": ["public.docs"]})

        captured.await_count("public.docs", ROWS)


def test_a_large_transaction_fits_in_the_memory_of_a_worker(parts: Parts) -> None:
    with parts.database() as database:
        database.sql(TABLE)
        captured = database.capture({"tables": ["public.docs"]})
        database.sql(INSERT, (ROWS,))

        captured.await_count("public.docs", ROWS)


ODD = """
CREATE TABLE public.odd (id int PRIMARY KEY, "the text, of it" text, pic bytea);
ALTER TABLE public.odd REPLICA IDENTITY FULL;
INSERT INTO public.odd VALUES (1, 'x', 'x');
"""


def failed(captured: Captured) -> str:
    """Wait until its task has failed, and return the trace."""
    until("a failed task", lambda: any(task["state"] == "FAILED" for task in captured.tasks()))
    return str(captured.tasks()[0]["trace"])


@pytest.mark.parametrize(
    ("change", "column", "size"),
    [
        ("INSERT INTO public.odd VALUES (2, repeat('secret', 200000), 'x')", "the+text%2C+of+it", 1200000),
        ("INSERT INTO public.odd VALUES (2, 'x', convert_to(repeat('secret', 200000), 'UTF8'))", "pic", 1200000),
        ("UPDATE public.odd SET pic = convert_to(repeat('secret', 150000), 'UTF8')", "pic", 900000),
    ],
)
def test_a_row_that_no_record_takes_is_named_by_topic_and_column(
    parts: Parts, change: str, column: str, size: int
) -> None:
    """No value of it stands in the trace."""
    with parts.database() as database:
        database.sql(ODD)
        captured = database.capture({"tables": ["public.odd"]})
        captured.await_count("public.odd", 1)
        database.sql(change)
        trace = failed(captured)

    found = re.search(record_sizes.WORDS, trace)
    assert found is not None, trace
    assert (found[1], found[3], found[4]) == (f"{captured.name}.public.odd", column, "1048576")
    assert f"column {column} {size}, " in trace
    assert (causes.of(trace).name, "secret" in trace) == ("Size", False)


def test_a_row_that_a_record_takes_is_written_as_before(parts: Parts) -> None:
    """Also a deleted one's, which has no value, and what is as large as may be."""
    with parts.database() as database:
        database.sql(ODD)
        captured = database.capture({"tables": ["public.odd"]})
        captured.await_count("public.odd", 1)
        database.sql("INSERT INTO public.odd VALUES (2, repeat('x', 1040000), NULL)")
        database.sql("DELETE FROM public.odd WHERE id = 1")
        values = [one.value() for one in captured.records("public.odd", 4)]

    assert [value is None for value in values] == [False, False, False, True]
    assert len(values[1] or b"") > 1040000
