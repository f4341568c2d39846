"""What is shown of a Java trace."""

from __future__ import annotations

import pytest

from headrace_operator.plan import traces

FRAME = "\n\tat io.debezium.Some.method(Some.java:1)"


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (None, None),
        ("", None),
        (f"java.io.IOException: gone{FRAME}", "java.io.IOException: gone"),
        (
            f"a.Outer: it failed{FRAME}\nCaused by: b.Middle: so{FRAME}\nCaused by: c.Root: the disk is full{FRAME}",
            "a.Outer: it failed (root cause: c.Root: the disk is full)",
        ),
        (
            f"a.Outer: b.Root: the disk is full{FRAME}\nCaused by: b.Root: the disk is full{FRAME}",
            "a.Outer: b.Root: the disk is full",
        ),
        (f"a.Outer: no{FRAME}\nCaused by: b.Bare{FRAME}", "a.Outer: no (root cause: b.Bare)"),
        (
            f"a.Outer: it failed{FRAME}\n\tSuppressed: b.Other: x\n\tCaused by: b.Other: not this one",
            "a.Outer: it failed",
        ),
    ],
)
def test_a_trace_is_its_first_line_and_its_root_cause_where_that_says_more(
    trace: str | None, expected: str | None
) -> None:
    assert traces.summary(trace) == expected


def test_a_long_trace_is_one_line_of_at_most_500_characters_that_holds_both() -> None:
    said = traces.summary(f"a.Outer: {'x' * 900}{FRAME}\nCaused by: c.Root: {'y' * 900}{FRAME}") or ""

    assert len(said) <= 500
    assert "\n" not in said
    assert said.startswith("a.Outer")
    assert "root cause: c.Root" in said
