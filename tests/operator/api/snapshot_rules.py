"""What the schema refuses of a Snapshot, beside `test_rules`, which has the other kinds."""

from __future__ import annotations

from typing import Any

IS_ASKED: dict[str, Any] = {"signal": {"offset": 3}}
RULES: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("Snapshot", "spec", 0, {"filter": [{"table": "public.other", "where": "true"}]}),
    ("Snapshot", "spec", 1, {"type": "Blocking", "paused": True}),
    ("Snapshot", "spec.tables[]", 0, {"tables": ["outbox"]}),
    ("Snapshot", "spec.filter[].table", 0, {"filter": [{"table": "outbox", "where": "true"}]}),
    ("Snapshot", "spec.filter[].where", 0, {"filter": [{"table": "public.outbox", "where": "true; DROP TABLE a"}]}),
)
KEPT: tuple[tuple[str, int, dict[str, Any], dict[str, Any]], ...] = (
    ("Snapshot", 0, {"connector": "other"}, IS_ASKED),
    ("Snapshot", 1, {"tables": ["public.outbox", "public.other"]}, IS_ASKED),
    ("Snapshot", 2, {"type": "Blocking"}, IS_ASKED),
    ("Snapshot", 3, {"filter": [{"table": "public.outbox", "where": "id > 3"}]}, IS_ASKED),
)
