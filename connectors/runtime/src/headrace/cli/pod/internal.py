"""``headrace internal …``: what the errand pod runs. Speaks only the lines of ``headrace.cli.answers`` on stdout.

Nobody types it, so it asks nothing and has no options for people; it must not talk to Kubernetes.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from headrace import config as contract
from headrace.cli import answers
from headrace.cli.failure import Exit, Failure, not_found, unwell
from headrace.config import Config
from headrace.kafka.connection import properties
from headrace.kafka.topics import FencedError, Reader, RefusedError, TopicMissingError, UnansweredError, Writer
from headrace.letters import reading, redrive

app = typer.Typer(hidden=True, no_args_is_help=True)

TOLD = 5
"""Dead letters that were not put back of which each is told why."""

_KNOWN = (
    TopicMissingError,
    UnansweredError,
    RefusedError,
    FencedError,
    redrive.MismatchError,
    redrive.FollowerError,
)

Keys = Annotated[list[str], typer.Option("--key", default_factory=list)]
Offsets = Annotated[list[str], typer.Option("--offset", default_factory=list)]


@app.command("dlq-list")
def dlq_list(limit: int = 0, *, resolved: bool = False, lost: bool = False) -> None:
    """Say which dead letters are outstanding, resolved or lost, at most ``limit`` (0: all), and how many in all."""
    _speak(lambda: _listed(_config(), limit, resolved=resolved, lost=lost))


@app.command("dlq-show")
def dlq_show(place: str) -> None:
    """Say all about one dead letter."""
    _speak(lambda: _shown(_config(), place))


@app.command("redrive")
def redrive_(
    keys: Keys,
    offsets: Offsets,
    reason: str = "",
    limit: int = 0,
    by: str = "unknown",
    *,
    again: bool = False,
    lost: bool = False,
    dry_run: bool = False,
) -> None:
    """Say what is meant and, unless ``dry_run``, put it back."""
    selection = redrive.Selection(
        keys=frozenset(keys),
        places=frozenset(map(reading.parse_place, offsets)),
        reason=reason or None,
        limit=limit or None,
        again=again,
        lost=lost,
    )
    if dry_run:
        _speak(lambda: _dry(_config(), selection))
    else:
        order = redrive.Order(redrive_id=str(uuid.uuid4()), by=by)
        _speak(lambda: _redriven(_config(), selection, order))


def _listed(config: Config, limit: int, *, resolved: bool = False, lost: bool = False) -> Iterator[answers.Answer]:
    count = 0
    with Reader(properties(config.kafka)) as reader:
        among = reading.wanted(reader, config.topics, put_back=resolved, gone=lost)
        for count, letter in enumerate(among, start=1):
            if not limit or count <= limit:
                yield answers.Listed(letter=letter)
    yield answers.Done(count=count)


def _shown(config: Config, place: str) -> Iterator[answers.Answer]:
    with Reader(properties(config.kafka)) as reader:
        opened = reading.find(reader, config.topics, reading.parse_place(place))
    if opened is None:
        raise not_found(
            f"no dead letter {place} in {config.topics.dead_letters}",
            f"See what is outstanding: headrace dlq list {config.consumer} -n {config.namespace}",
        )
    yield answers.Found(opened=opened)
    yield answers.Done(count=1)


def _dry(config: Config, selection: redrive.Selection) -> Iterator[answers.Answer]:
    with Reader(properties(config.kafka)) as reader:
        planned = redrive.plan(reader, config, selection)
    yield _planned(planned)
    yield answers.Done(count=len(planned.places))


def _redriven(config: Config, selection: redrive.Selection, order: redrive.Order) -> Iterator[answers.Answer]:
    connection = properties(config.kafka)
    name = redrive.transactional_id(config)
    done, refused = 0, list[tuple[reading.Place, str]]()
    with Writer(connection, name) as writer, Reader(connection) as reader:
        planned = redrive.plan(reader, config, selection)
        yield _planned(planned)
        try:
            for step in redrive.execute(reader, writer, config, order, planned, now=lambda: datetime.now(UTC)):
                done = step.done
                refused += step.refused
                yield answers.Progress(done=done, total=len(planned.places))
        except FencedError as error:
            raise _fenced(config, done, len(planned.places)) from error
    if refused:
        raise _not_put_back(refused, done)
    yield answers.Done(count=done)


def _planned(plan: redrive.Plan) -> answers.Planned:
    return answers.Planned(
        selected=len(plan.places), outstanding=plan.outstanding, keys=plan.keys, reasons=dict(plan.reasons)
    )


def _config() -> Config:
    path = os.environ.get("HEADRACE_CONFIG", contract.PATH)
    try:
        return contract.load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unwell(
            f"the consumer's configuration {path} cannot be read: {error}",
            "Bring the headrace command, the image and the operator to the same version.",
        ) from error


def _speak(errand: Callable[[], Iterable[answers.Answer]]) -> None:
    try:
        for answer in errand():
            sys.stdout.write(answers.encode(answer) + "\n")
            sys.stdout.flush()
    except (Failure, *_KNOWN, OSError, ValueError) as error:
        failure = _failure(error)
        said = answers.Failed(exit_code=failure.exit_code, what=failure.what, remedy=failure.remedy)
        sys.stdout.write(answers.encode(said) + "\n")
        raise typer.Exit(failure.exit_code) from error


def _failure(error: Exception) -> Failure:
    match error:
        case Failure():
            return error
        case TopicMissingError():
            return not_found(
                f"topic {error} does not exist, or the consumer's Kafka login may not see it",
                "The operator makes it when the Consumer is accepted: see its conditions, and the login's ACLs.",
            )
        case RefusedError():
            return Failure(Exit.FORBIDDEN, f"Kafka refused: {error}", "Give the consumer's Kafka login that right.")
        case UnansweredError():
            return Failure(
                Exit.UNREACHABLE,
                f"Kafka did not answer the pod: {error}",
                "Check that Kafka runs, that the KafkaConnection's addresses are right, and NetworkPolicies.",
            )
        case redrive.MismatchError():
            return unwell(
                f"nothing was put back, as it would run beside its key: {error}",
                "The operator adds the partitions where its login may (Alter on the topic; the Consumer's condition "
                "TopicsKept tells). Else add them (kafka-topics.sh --alter --partitions). Then run this command again.",
            )
        case redrive.FollowerError():
            return unwell(
                f"nothing was put back: {error}",
                "Put that one back, or discard it: those behind it then go back by themselves, in their order.",
            )
        case FencedError():
            return unwell(f"another redrive took over before this one began: {error}", "Try again when it is done.")
        case _:
            return unwell(f"{type(error).__name__}: {error}")


def _not_put_back(refused: Sequence[tuple[reading.Place, str]], done: int) -> Failure:
    told = "; ".join(f"{place}: {why}" for place, why in refused[:TOLD])
    more = f"; and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
    return unwell(
        f"{len(refused)} dead letters were not put back and stay outstanding, {done} were put back. {told}{more}",
        "Where a topic takes too little, raise its max.message.bytes, where it has too few partitions, add some, then "
        "run the same command again. A record that is gone cannot be put back: its producer must send it anew.",
    )


def _fenced(config: Config, done: int, total: int) -> Failure:
    return unwell(
        f"another redrive of {config.consumer} took over after {done} of {total} dead letters: this one stopped",
        "Nothing was lost or put back twice; the other one does the rest if it selected them: headrace dlq list "
        f"{config.consumer} -n {config.namespace}",
    )
