"""Rows of hundreds of kilobytes: what a worker holds at a time is bounded by bytes, not by a number of rows."""

from __future__ import annotations

import pytest

from tests.connect.capturing import Parts

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
