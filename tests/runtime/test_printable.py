"""No text of others makes a terminal do anything, and none forges a line: every renderer of the command and the log."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from contextlib import redirect_stderr
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import printable
from headrace.cli import answers
from headrace.cli.laptop import dlq, output, redriving, status, waiting
from headrace.cli.laptop.output import Format
from headrace.headers import STACK
from headrace.letters.reading import Header, Opened
from headrace.logs import Logfmt
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile import preview
from tests.operator import worlds
from tests.runtime.cli import transcripts

pytestmark = pytest.mark.case("seeing-4")

OWNED = "a\x1b[2J\x1b]0;owned\x07\nfake-row \x9b31m \u202egnp.exe \u2066 \u2028 \x7f \ud800"
TEXT = st.text(st.characters(exclude_categories=()), max_size=60) | st.lists(
    st.sampled_from(["\x1b]52;c;ZXZpbA==\x07", "\n", "\r", "\x9b", "\u202e", "\u2069", "\ud83d", "Name:  1/1", "x"])
).map("".join)


def obeyed(text: str) -> list[str]:
    """Return what of ``text`` a terminal obeys, or turns around, besides newlines."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return [
        one
        for one in text
        if one != "\n"
        and (unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(one) in turning)
    ]


def said(text: str) -> str:
    """Return what stderr is given when ``text`` is the words of an error, its remedy, a note and a plan."""
    with redirect_stderr(io.StringIO()) as err:
        output.say_error(text, text)
        output.say(redriving.sentence(
            answers.Planned(selected=1, outstanding=1, keys=1, reasons={text: 1}), "billing"
        ))  # fmt: skip
        with waiting.progress() as note:
            note(text)
    return err.getvalue()


@given(TEXT)
@example(OWNED)
def test_a_line_is_one_line_and_says_what_it_escapes(text: str) -> None:
    line = printable.line(text)

    assert not obeyed(line)
    assert "\n" not in line
    assert [one for one in line if one in text] or not text or obeyed(text) or "\n" in text


@given(TEXT)
@example(OWNED)
def test_tables_have_a_line_for_each_row(text: str) -> None:
    letters = [transcripts.letter(key=text, error=text, reason=text), transcripts.letter()]
    states = [
        status.state(transcripts.resource("a", ready="False", reason=text, message=text), "Consumer"),
        *transcripts.STATES,
    ]
    for columns in (dlq.columns(letters, transcripts.NOW), status.columns(states, everywhere=True)):
        printed = output.render([], columns, Format.TABLE)
        assert not obeyed(printed)
        assert printed.count("\n") == 1 + len(columns["NAME"])


@given(TEXT)
@example(OWNED)
def test_programs_read_what_was_there(text: str) -> None:
    rows: list[dict[str, Any]] = [{"name": "0/1", "key": text, "headers": [{"name": text, "value": text}]}]
    printed = {form: output.render(rows, {}, form) for form in (Format.JSON, Format.JSONL, Format.YAML)}

    assert not any(obeyed(one) for one in printed.values())
    assert json.loads(printed[Format.JSON]) == [json.loads(printed[Format.JSONL])] == rows
    assert printed[Format.JSONL].count("\n") == 1
    if text.isprintable():
        assert yaml.safe_load(printed[Format.YAML]) == rows


@given(TEXT)
@example(OWNED)
def test_no_line_of_a_dead_letter_can_be_forged(text: str) -> None:
    """What begins a line is ours; headers and payload stand to the right of it."""
    opened = Opened(
        letter=transcripts.letter(key=text, error=text, reason=text, message_id=text, exception=text, location=text),
        value=text,
        value_encoding="text",
        headers=(Header(name=text, value=text), Header(name="x", value=text), Header(name=STACK, value=text)),
        resolution={"action": text},
    )
    printed = dlq.described(opened)
    ours = [line for line in printed.split("\n") if line and not line.startswith("  ")]

    assert not obeyed(printed)
    assert [line.split(":")[0] for line in ours] == [
        "Name", "Key", "Source", "Message id", "Reason", "Attempts", "Handler status", "Error", "Exception",
        "Raised at", "First failed", "Last failed", "Redriven", "State", "Resolution key",
        "Headers", "Value",
    ]  # fmt: skip


@given(TEXT)
@example(OWNED)
def test_errors_and_notes_are_safe_and_begin_no_line(text: str) -> None:
    printed = said(text)
    begun = [line for line in printed.split("\n") if line and not line.startswith(" ")]

    assert not obeyed(printed)
    assert len(begun) <= 3


@given(TEXT)
@example(OWNED)
def test_a_record_of_the_log_is_one_safe_line(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        info = (ValueError, error, None)
    record = logging.LogRecord("headrace", logging.ERROR, "f", 1, "%s", (text,), info)
    line = Logfmt().format(record)

    assert not obeyed(line)
    assert "\n" not in line


@given(TEXT)
@example(OWNED)
def test_a_plan_of_the_operator_has_a_safe_line_for_each_condition(text: str) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "TaskFailed", "message": text}
    resource = worlds.consumer_world().resource
    printed = preview.text(((resource, Plan(actions=(), status={"conditions": [condition]})),))

    assert not obeyed(printed)
    assert printed.count("\n") == 3


def test_numbers_of_springs_headers_are_numbers() -> None:
    """In base64 nobody reads them."""
    opened = Opened(
        letter=transcripts.letter(), value="{}", value_encoding="text", resolution=None,
        headers=(
            Header(name="kafka_dlt-original-partition", value="AAAAAw==", encoding="base64"),
            Header(name="kafka_dlt-original-offset", value="AAAAAAAAKEY=", encoding="base64"),
            Header(name="retry_topic-backoff-timestamp", value="Ab3", encoding="text"),
            Header(name="other", value="AAAAAw==", encoding="base64"),
        ),
    )  # fmt: skip
    printed = dlq.described(opened)

    assert "  kafka_dlt-original-partition: 3\n" in printed
    assert "  kafka_dlt-original-offset: 10310\n" in printed
    assert f"  retry_topic-backoff-timestamp: {int.from_bytes(b'Ab3', 'big')}\n" in printed
    assert "  other: AAAAAw== (base64)\n" in printed


@pytest.mark.parametrize(("number", "text"), [(0, "0 dead letters"), (1, "1 dead letter"), (2, "2 dead letters")])
def test_one_is_not_many(number: int, text: str) -> None:
    assert output.counted(number, "dead letter") == text
