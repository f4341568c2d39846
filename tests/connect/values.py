"""What each type of PostgreSQL becomes in a record: the table of docs/values.md, which a test holds real parts to.

``python -m tests.connect.values`` writes the table.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/values.md"

SETUP = """
CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN price AS numeric(10,2);
CREATE DOMAIN day AS date;
CREATE TYPE address AS (street text, number int);
CREATE TYPE floatrange AS RANGE (subtype = float8);
"""

VALUES: tuple[tuple[str, str, Any], ...] = (
    ("smallint", "1", 1),
    ("integer", "-5", -5),
    ("bigint", "9007199254740993", 9007199254740993),
    ("numeric(10,2)", "12.3", "12.30"),
    ("numeric(5,-2)", "12345", "12300"),
    ("numeric", "0.075", "0.075"),
    ("numeric", "1e20", "100000000000000000000"),
    ("numeric", "'NaN'", "NaN"),
    ("numeric", "'-Infinity'", "-Infinity"),
    ("money", "-1234567.89", "-1234567.89"),
    ("real", "1.5", 1.5),
    ("double precision", "0.1", 0.1),
    ("double precision", "'Infinity'", "Infinity"),
    ("boolean", "true", True),
    ("text", "'a'", "a"),
    ("varchar(5)", "'a'", "a"),
    ("char(3)", "'a'", "a  "),
    ("name", "'a'", "a"),
    ('"char"', "'a'", "a"),
    ("citext", "'A'", "A"),
    ("uuid", "'7d5e8f9a-0000-4000-8000-000000000001'", "7d5e8f9a-0000-4000-8000-000000000001"),
    ("bytea", r"'\x00ff'", "AP8="),
    ("bit(1)", "B'1'", True),
    ("bit(4)", "B'1010'", "1010"),
    ("varbit", "B'10101'", "10101"),
    ("date", "'2026-03-01'", "2026-03-01"),
    ("date", "'0044-03-15 BC'", "-0043-03-15"),
    ("date", "'infinity'", "infinity"),
    ("time", "'10:00'", "10:00:00"),
    ("time", "'10:00:00.123456'", "10:00:00.123456"),
    ("time", "'24:00'", "24:00:00"),
    ("timetz", "'10:00+01'", "09:00:00Z"),
    ("timestamp", "'2026-03-01 10:00'", "2026-03-01T10:00:00"),
    ("timestamp(3)", "'2026-03-01 10:00:00.12'", "2026-03-01T10:00:00.12"),
    ("timestamp", "'0044-03-15 10:00 BC'", "-0043-03-15T10:00:00"),
    ("timestamp", "'-infinity'", "-infinity"),
    ("timestamptz", "'2026-03-01 10:00+01'", "2026-03-01T09:00:00Z"),
    ("timestamptz", "'12026-03-01 10:00:00.5+00'", "+12026-03-01T10:00:00.5Z"),
    ("timestamptz", "'infinity'", "infinity"),
    ("interval", "'1 year 2 mons 3 days 04:05:06.789'", "P1Y2M3DT4H5M6.789S"),
    ("interval", "'-1 day +02:00'", "P0Y0M-1DT2H0M0S"),
    ("json", """'{"a":  1.0}'""", '{"a":  1.0}'),
    ("jsonb", """'{"a": [1, null]}'""", '{"a": [1, null]}'),
    ("hstore", "'a=>1, b=>NULL'", '{"a":"1","b":null}'),
    ("xml", "'<a/>'", "<a/>"),
    ("ltree", "'a.b'", "a.b"),
    ("tsvector", "'a:1 b:2'", "'a':1 'b':2"),
    ("tsquery", "'a & b'", "'a' & 'b'"),
    ("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    ("cidr", "'10.0.0.0/8'", "10.0.0.0/8"),
    ("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05"),
    ("oid", "42", 42),
    ("pg_lsn", "'0/16B3748'", "0/16B3748"),
    ("point", "'(1,2)'", {"x": 1.0, "y": 2.0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": None}),
    ("line", "'{1,2,3}'", "{1.0,2.0,3.0}"),
    ("lseg", "'[(1,2),(3,4)]'", "[(1.0,2.0),(3.0,4.0)]"),
    ("box", "'(1,2),(3,4)'", "(3.0,4.0),(1.0,2.0)"),
    ("path", "'((1,2),(3,4))'", "((1.0,2.0),(3.0,4.0))"),
    ("polygon", "'((1,2),(3,4),(5,6))'", "((1.0,2.0),(3.0,4.0),(5.0,6.0))"),
    ("circle", "'<(1,2),3>'", "<(1.0,2.0),3.0>"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("numrange", "'[1.5,)'", "[1.5,)"),
    ("daterange", "'[2026-03-01,2026-03-05)'", "[2026-03-01,2026-03-05)"),
    ("int4multirange", "'{[1,5),[7,9)}'", "{[1,5),[7,9)}"),
    ("integer[]", "'{1,NULL}'", [1, None]),
    ("bigint[]", "'{{1,2},{3,4}}'", [1, 2, 3, 4]),
    ("numeric(10,2)[]", "'{12.3,NULL}'", ["12.30", None]),
    ("numeric[]", "'{NaN}'", ["NaN"]),
    ("money[]", "'{12.34,NULL}'", ["12.34", None]),
    ("double precision[]", "'{0.1,NaN}'", [0.1, "NaN"]),
    ("boolean[]", "'{t,f}'", [True, False]),
    ("text[]", """'{a,NULL,"NULL","b, \\"c\\""}'""", ["a", None, "NULL", 'b, "c"']),
    ("text[]", "'[0:1]={a,b}'", ["a", "b"]),
    ("varchar[]", "'{}'", []),
    ("name[]", "'{a}'", ["a"]),
    ("uuid[]", "'{7d5e8f9a-0000-4000-8000-000000000001}'", ["7d5e8f9a-0000-4000-8000-000000000001"]),
    ("bytea[]", r"ARRAY['\x00ff'::bytea]", ["AP8="]),
    ("varbit[]", "ARRAY[B'1010']", ["1010"]),
    ("date[]", "'{2026-03-01,NULL,infinity}'", ["2026-03-01", None, "infinity"]),
    ("time[]", "'{10:00}'", ["10:00:00"]),
    ("timetz[]", "'{10:00+01}'", ["09:00:00Z"]),
    ("timestamp[]", "'{2026-03-01 10:00}'", ["2026-03-01T10:00:00"]),
    ("timestamptz[]", "'{2026-03-01 10:00+01}'", ["2026-03-01T09:00:00Z"]),
    ("interval[]", "'{1 day}'", ["P0Y0M1DT0H0M0S"]),
    ("jsonb[]", """ARRAY['{"a": 1}'::jsonb]""", ['{"a": 1}']),
    ("hstore[]", "ARRAY['a=>1'::hstore]", ['{"a":"1"}']),
    ("xml[]", "ARRAY['<a/>'::xml]", ["<a/>"]),
    ("point[]", "ARRAY[point '(1,2)']", ["(1,2)"]),
    ("box[]", "ARRAY[box '(1,2),(3,4)']", ["(3,4),(1,2)"]),
    ("mood", "'ok'", "ok"),
    ("mood[]", "'{ok,NULL}'", ["ok", None]),
    ("price", "12.3", "12.30"),
    ("price[]", "'{1.5,NULL}'", ["1.50", None]),
    ("day", "'2026-03-01'", "2026-03-01"),
    ("address", "ROW('main', 5)", "(main,5)"),
    ("address[]", "ARRAY[ROW('main', 5)::address]", ["(main,5)"]),
    ("floatrange", "'[1.5,2.5)'", "[1.5,2.5)"),
)
"""Type, value as SQL, and what ``json.loads`` gives for it."""


def current(text: str) -> str:
    """Return the page with its table of types as it should be."""
    head = "| type | value in SQL | value in the record |\n|---|---|---|\n"
    rows = (f"| `{name}` | {_code(value)} | {_code(json.dumps(became))} |\n" for name, value, became in VALUES)
    return re.sub(r"^\| type \| value in SQL(?:.*\n\|)+.*\n", lambda _: head + "".join(rows), text, flags=re.MULTILINE)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text()))
