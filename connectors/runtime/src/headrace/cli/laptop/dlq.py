"""``headrace dlq``: look at the dead letters of a Consumer. It must not change anything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from headrace import headers, printable
from headrace.cli import answers
from headrace.cli.failure import Failure, unwell, usage
from headrace.cli.laptop import errand, output
from headrace.cli.laptop.cluster import Access, Cluster
from headrace.cli.laptop.options import ConsumerName, Context, Kubeconfig, Namespace, Output
from headrace.cli.laptop.output import Format
from headrace.cli.laptop.waiting import progress
from headrace.letters import reading
from headrace.letters.reading import Header, Letter, Opened

STACK_INDENT = "\n      "

app = typer.Typer(no_args_is_help=True, help="Look at the dead letters of a Consumer.")


@app.command("list")
def list_(
    consumer: ConsumerName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = Format.TABLE,
    limit: Annotated[int, typer.Option(min=0, help="Most dead letters to list; 0: all.")] = 1000,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Those that were put back or discarded, instead.")
    ] = False,
    lost: Annotated[
        bool, typer.Option("--lost", help="Those that were put back and are not in the retry topic, instead.")
    ] = False,
) -> None:
    """List the outstanding dead letters, without their payloads."""
    if resolved and lost:
        raise usage("--resolved and --lost exclude each other", "Give one of them: lost ones are resolved, too.")
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    kind = "lost" if lost else "resolved" if resolved else "outstanding"
    letters, total = _fetch(cluster, consumer, limit, [f"--{kind}"] if lost or resolved else [])
    rows = [letter.model_dump(mode="json", by_alias=True) for letter in letters]
    if rows or form is not Format.TABLE:
        output.write(output.render(rows, columns(letters, datetime.now(UTC)), form))
    if total == 0:
        output.say(f"No {kind} dead letters of {consumer} in namespace {cluster.namespace}.")
    elif total > len(letters):
        output.say(f"{len(letters)} of {output.counted(total, f'{kind} dead letter')} shown; --limit 0 shows all.")


@app.command()
def show(
    consumer: ConsumerName,
    place: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET", help="The dead letter, as dlq list names it.")],
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = Format.TABLE,
) -> None:
    """Show one dead letter with its headers and its payload."""
    try:
        reading.parse_place(place)
    except ValueError as error:
        raise usage(str(error), f"headrace dlq list {consumer} names them.") from error
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    opened = _open(cluster, consumer, place)
    if form is Format.TABLE:
        output.write(described(opened))
    else:
        row = {"name": opened.letter.name, **opened.model_dump(mode="json", by_alias=True)}
        output.write(output.render([row], {}, form))


def columns(letters: Sequence[Letter], now: datetime) -> dict[str, list[str]]:
    """Return the table of ``letters`` as people read it at ``now``."""
    return {
        "NAME": [letter.name for letter in letters],
        "KEY": [letter.key or "-" for letter in letters],
        "SOURCE": [_source(letter) for letter in letters],
        "REASON": [letter.reason or "unknown" for letter in letters],
        "ATTEMPTS": [_number(letter.attempts) for letter in letters],
        "REDRIVEN": [str(letter.redrive_count) for letter in letters],
        "AGE": [_age(letter.last_failed_at, now) for letter in letters],
        "ERROR": [_line(_error(letter)) for letter in letters],
    }


def described(opened: Opened) -> str:
    """Return one dead letter as text for people: what it is, its headers, then its payload.

    Only what it is stands at the beginning of a line.
    """
    letter = opened.letter
    facts = {
        "Name": letter.name,
        "Key": letter.key or "-",
        "Source": _source(letter),
        "Message id": letter.message_id or "-",
        "Reason": letter.reason or "unknown",
        "Attempts": _number(letter.attempts),
        "Handler status": _number(letter.handler_status),
        "Error": _line(letter.error),
        "Exception": letter.exception or "-",
        "Raised at": letter.location or "-",
        "First failed": _moment(letter.first_failed_at),
        "Last failed": _moment(letter.last_failed_at),
        "Redriven": output.counted(letter.redrive_count, "time"),
        "State": "outstanding" if opened.resolution is None else f"{opened.resolution.get('action')}",
        "Resolution key": opened.resolution_key or "-",
    }
    lines = [f"{name + ':':<16}{value}" for name, value in facts.items()]
    told = [printable.line(line) for line in (*lines, "Headers:")]
    told += [*map(_header, opened.headers), f"Value{_mark(opened.value_encoding)}:"]
    value = printable.block(_value(opened))
    return "".join(f"{line}\n" for line in told) + f"  {value}\n"


def _fetch(cluster: Cluster, consumer: str, limit: int, among: Sequence[str]) -> tuple[list[Letter], int]:
    letters: list[Letter] = []
    total = 0
    words = ["dlq-list", "--limit", str(limit), *among]
    with progress() as note, closing(errand.run(cluster, consumer, words, note)) as told:
        for answer in told:
            if isinstance(answer, answers.Listed):
                letters.append(answer.letter)
                note(f"{output.counted(len(letters), 'dead letter')} read")
            elif isinstance(answer, answers.Done):
                total = answer.count
    return letters, total


def _open(cluster: Cluster, consumer: str, place: str) -> Opened:
    with progress() as note, closing(errand.run(cluster, consumer, ["dlq-show", place], note)) as told:
        for answer in told:
            if isinstance(answer, answers.Found):
                return answer.opened
    raise _silent(place)


def _silent(place: str) -> Failure:
    return unwell(f"the pod said nothing about {place}", "Bring command and image to the same version.")


def _source(letter: Letter) -> str:
    return f"{letter.source.topic}/{letter.source.partition}/{letter.source.offset}" if letter.source else "-"


def _error(letter: Letter) -> str:
    left = f"(without value: {letter.pointer.bytes} bytes) " if letter.pointer else ""
    return left + (letter.error or "-") + (f" ({letter.location})" if letter.location else "")


def _value(opened: Opened) -> str:
    at = opened.letter.pointer
    if at is not None:
        place = f"{at.topic}/{at.partition}/{at.offset}"
        return f"<too large for the dead-letter topic: {at.bytes} bytes at {place}, SHA-256 {at.sha256}>"
    return "<null>" if opened.value is None else opened.value


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _age(at: datetime | None, now: datetime) -> str:
    return "-" if at is None else output.age((now - at).total_seconds())


def _moment(at: datetime | None) -> str:
    return "-" if at is None else at.isoformat(timespec="seconds")


def _line(text: str | None) -> str:
    return " ".join((text or "-").split())


def _header(one: Header) -> str:
    """Return a header as one line; a stack keeps its own, further to the right."""
    number = reading.number(one)
    if number is not None:
        return f"  {one.name}: {number}"
    if one.name == headers.STACK and one.encoding == "text":
        return f"  {one.name}:{STACK_INDENT}{printable.block(one.value or '', STACK_INDENT[1:])}"
    return printable.line(f"  {one.name}: {one.value}{_mark(one.encoding)}")


def _mark(encoding: str) -> str:
    return "" if encoding == "text" else f" ({encoding})"
