"""``headrace redrive``: put dead letters back through the retry topic.

It shows what is meant and asks before it does it; it must not act on less than a clear yes.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from headrace.cli import answers
from headrace.cli.failure import unwell, usage
from headrace.cli.laptop import errand, output
from headrace.cli.laptop.cluster import Access, Cluster
from headrace.cli.laptop.consent import Sure
from headrace.cli.laptop.options import ConsumerName, Context, Kubeconfig, Namespace
from headrace.cli.laptop.waiting import progress
from headrace.letters import reading


def redrive(
    consumer: ConsumerName,
    *,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    key: Annotated[list[str] | None, typer.Option(help="Only dead letters of this key; may be given again.")] = None,
    offset: Annotated[
        list[str] | None, typer.Option(metavar="PARTITION/OFFSET", help="Only this dead letter; may be given again.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only dead letters with this reason.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, in order of partition and offset.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All outstanding dead letters.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Of those that were resolved before; with --key, --offset or --reason.")
    ] = False,
    lost: Annotated[
        bool, typer.Option("--lost", help="Of those that were put back and are not in the retry topic.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Sure = False,
) -> None:
    """Put dead letters back: through the retry topic, in one transaction with the note that they are resolved.

    On a terminal, no selection means all outstanding ones, after a question.

    Elsewhere --yes and a selection (or --all) are required.
    """
    selection = _selection(key or [], offset or [], reason, limit)
    if everything and (key or offset or reason):
        raise usage("--all and a selection exclude each other", "Give one of them.")
    if again and not (key or offset or reason):
        raise usage("--again without a selection would repeat everything", "Select with --key, --offset or --reason.")
    selection += [*(["--again"] if again else []), *(["--lost"] if lost else [])]
    if not dry_run:
        _consent(selected=everything or bool(key or offset or reason), sure=yes)
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    if dry_run or not yes:
        planned, _ = _send(cluster, consumer, [*selection, "--dry-run"], announce=True)
        if dry_run or planned.selected == 0:
            return
        typer.confirm(f"Redrive {output.counted(planned.selected, 'dead letter')} of {consumer}?", abort=True, err=True)
    _, done = _send(cluster, consumer, [*selection, "--by", cluster.user()], announce=yes)
    output.write(f"{cluster.namespace}/{consumer}: {output.counted(done, 'dead letter')} redriven\n")


def sentence(plan: answers.Planned, consumer: str, kind: str = "outstanding") -> str:
    """Return the plan in the user's words; ``kind`` says which dead letters it selected from."""
    outstanding = f"{output.counted(plan.outstanding, f'{kind} dead letter')} of {consumer}"
    if plan.selected == 0:
        return f"Nothing to redrive: {outstanding}, none selected."
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(plan.reasons.items()))
    return (
        f"To go back through the retry topic: {plan.selected} of {outstanding} "
        f"({reasons}; different keys: {plan.keys})."
    )


def _selection(keys: list[str], offsets: list[str], reason: str | None, limit: int | None) -> list[str]:
    for offset in offsets:
        try:
            reading.parse_place(offset)
        except ValueError as error:
            raise usage(f"--offset: {error}", "headrace dlq list names them.") from error
    return [
        *(f"--key={key}" for key in keys),
        *(f"--offset={offset}" for offset in offsets),
        *([f"--reason={reason}"] if reason else []),
        *([f"--limit={limit}"] if limit else []),
    ]


def _consent(*, selected: bool, sure: bool) -> None:
    if sys.stdin.isatty():
        return
    if not sure:
        raise usage("nobody can be asked here, and --yes is not given", "Add --yes, or --dry-run to only look.")
    if not selected:
        raise usage("nothing is selected", "Select with --key, --offset or --reason, or say --all.")


def _kind(arguments: list[str]) -> str:
    return "lost" if "--lost" in arguments else "resolved" if "--again" in arguments else "outstanding"


def _send(cluster: Cluster, consumer: str, arguments: list[str], *, announce: bool) -> tuple[answers.Planned, int]:
    planned: answers.Planned | None = None
    done = 0
    with progress() as note, closing(errand.run(cluster, consumer, ["redrive", *arguments], note)) as told:
        for answer in told:
            match answer:
                case answers.Planned():
                    planned = answer
                    if announce:
                        kind = _kind(arguments)
                        output.say(sentence(planned, consumer, kind))
                case answers.Progress():
                    note(f"{answer.done} of {output.counted(answer.total, 'dead letter')} redriven")
                case answers.Done():
                    done = answer.count
    if planned is None:
        raise unwell("the pod said nothing of what it would do", "Bring command and image to the same version.")
    return planned, done
