"""What the command line prints: tables, the other forms, the state of resources, the words of a plan."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from headrace.cli import answers
from headrace.cli.laptop import dlq, output, redriving, status
from headrace.cli.laptop.output import Format
from headrace.letters.reading import Header, Letter, Opened, Source

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def letter(**changes: Any) -> Letter:
    known: dict[str, Any] = {
        "name": "3/120",
        "key": "customer-7",
        "source": Source(topic="shop.orders", partition=3, offset=999),
        "reason": "non-retriable",
        "attempts": 1,
        "handler_status": 422,
        "error": "no such\ncustomer [red]",
        "first_failed_at": NOW - timedelta(minutes=9),
        "last_failed_at": NOW - timedelta(minutes=5),
        "redrive_count": 0,
        "message_id": "m-1",
        "bytes": 12,
    }
    return Letter(**{**known, **changes})


def rendered(form: Format) -> str:
    letters = [letter(), letter(name="4/1", key=None, source=None, reason=None, error=None, attempts=None)]
    rows = [one.model_dump(mode="json", by_alias=True) for one in letters]
    return output.render(rows, dlq.columns(letters, NOW), form)


def test_a_table_has_a_line_for_each_dead_letter() -> None:
    assert [line.split() for line in rendered(Format.TABLE).splitlines()] == [
        ["NAME", "KEY", "SOURCE", "REASON", "ATTEMPTS", "REDRIVEN", "AGE", "ERROR"],
        [
            "3/120",
            "customer-7",
            "shop.orders/3/999",
            "non-retriable",
            "1",
            "0",
            "5m",
            "no",
            "such",
            "customer",
            "[red]",
        ],
        ["4/1", "-", "-", "unknown", "-", "0", "5m", "-"],
    ]


def test_programs_get_the_names_of_the_custom_resources() -> None:
    whole = json.loads(rendered(Format.JSON))
    assert [one["name"] for one in whole] == ["3/120", "4/1"]
    assert whole[0]["redriveCount"] == 0
    assert whole == [json.loads(line) for line in rendered(Format.JSONL).splitlines()]
    assert whole == yaml.safe_load(rendered(Format.YAML))
    assert rendered(Format.NAME).split() == ["3/120", "4/1"]


def test_a_dead_letter_is_described_with_headers_and_payload() -> None:
    opened = Opened(
        letter=letter(),
        value="{}",
        value_encoding="text",
        headers=(Header(name="id", value="m-1"), Header(name="raw", value="AP8=", encoding="base64")),
        resolution=None,
    )
    text = dlq.described(opened)
    assert "outstanding" in text
    assert "  raw: AP8= (base64)" in text
    assert text.endswith("Value:\n  {}\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (45, "45s"), (150, "2m"), (3 * 3600, "3h"), (5 * 86400, "5d")]
)
def test_ages_read_as_kubectl_prints_them(seconds: float, text: str) -> None:
    assert output.age(seconds) == text


def test_a_line_of_an_answer_survives_the_log_and_other_lines_are_none() -> None:
    answer = answers.Listed(letter=letter())
    assert answers.decode(answers.encode(answer)) == answer
    assert answers.decode("%3|1700|FAIL| rdkafka: refused") is None
    assert answers.decode('{"headrace":"of another version"}') is None


def test_a_plan_is_said_with_count_reasons_and_keys() -> None:
    plan = answers.Planned(selected=3, outstanding=5, keys=2, reasons={"timeout": 1, "max-attempts": 2})
    assert redriving.sentence(plan, "billing") == (
        "To go back through the retry topic: 3 of 5 outstanding dead letters of billing "
        "(2 max-attempts, 1 timeout; different keys: 2)."
    )


def resource(name: str, **said: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name}, "status": said}


def ready(answer: str, reason: str = "Running", message: str = "") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": answer, "reason": reason, "message": message}]


def test_what_is_unwell_comes_first() -> None:
    states = [
        status.state(resource("well", conditions=ready("True")), "Consumer"),
        status.state({"metadata": {"namespace": "shop", "name": "new"}}, "Consumer"),
        status.state(resource("dead", conditions=ready("True"), deadLetters={"outstanding": 2}), "Consumer"),
        status.state(resource("broken", conditions=ready("False", "BadPassword", "no login")), "Connector"),
    ]
    ordered = status.worst_first(states)
    assert [one.name for one in ordered] == ["broken", "new", "dead", "well"]
    table = status.columns(ordered, everywhere=False)
    assert table["READY"] == ["False", "Unknown", "True", "True"]
    assert table["MESSAGE"][0] == "no login"


def test_the_figures_of_a_consumer_and_the_tasks_of_a_connector_are_shown() -> None:
    consumer = status.state(resource("c", replicas=3, readyReplicas=2, lag={"records": 70, "seconds": 4}), "Consumer")
    connector = status.state(resource("d", tasks=[{"state": "RUNNING"}, {"state": "FAILED"}]), "Connector")
    assert (consumer.replicas, consumer.lag, consumer.lag_seconds, consumer.dead_letters) == ("2/3", "70", "4", "-")
    assert connector.replicas == "1/2"
