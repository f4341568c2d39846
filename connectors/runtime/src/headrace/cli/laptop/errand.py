"""Send an errand pod, bring back its answers, and leave nothing behind: also on Ctrl-C and when it fails.

Each way a pod can fail to start is told with what to do about it. It must not print: it reports waiting through
``note``.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress

from headrace.cli import answers
from headrace.cli.failure import Exit, Failure, not_found, unreachable, unwell
from headrace.cli.laptop import conditions, errand_pod, interrupts
from headrace.cli.laptop.cluster import Cluster, Json

START = 120.0
"""Seconds that a pod has to start: a node may have to be found, an image pulled."""

SILENCE = 60.0
"""Seconds without a line after which the log is followed anew."""

Note = Callable[[str], None]

_HOPELESS = {
    "ImagePullBackOff": "Check the image of the Consumer and its pull Secret.",
    "ErrImageNeverPull": "Check the image of the Consumer.",
    "InvalidImageName": "Check the image of the Consumer.",
    "CreateContainerConfigError": "Check that the Secret and ConfigMap that it names exist.",
    "CreateContainerError": "Check that the image has the headrace command.",
    "RunContainerError": "Check that the image has the headrace command.",
}


def run(cluster: Cluster, consumer: str, arguments: Sequence[str], note: Note) -> Generator[answers.Answer, None, None]:
    """Yield the answers of ``headrace internal <arguments>`` run with the access of ``consumer``.

    The pod is gone once it is exhausted or closed. Raises ``Failure`` when the pod cannot be made, does not start, or
    says that it failed.
    """
    pod = _manifest(cluster, consumer, arguments)
    name = pod["metadata"]["name"]
    with interrupts.held() as signals:
        note("making a pod")
        _make(cluster, pod)
        try:
            with signals.allowed():
                _await_start(cluster, name, note)
                yield from _answers(cluster, name)
        finally:
            cluster.delete_pod(name)


def waiting(pod: Json) -> tuple[str, str]:
    """Return why ``pod`` does not run yet, as a reason and a message; both empty when it says nothing."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        held = container.get("state", {}).get("waiting")
        if held:
            return held.get("reason", ""), held.get("message", "")
    scheduled = conditions.of(status, "PodScheduled")
    if scheduled.get("status", "True") != "True":
        return scheduled.get("reason", ""), scheduled.get("message", "")
    return "", ""


def hopeless(name: str, pod: Json) -> Failure | None:
    """Return the failure of a pod that will not start by waiting longer, or None."""
    reason, message = waiting(pod)
    remedy = _HOPELESS.get(reason)
    return unwell(f"pod {name} cannot start: {reason}: {message}", remedy) if remedy else None


def _manifest(cluster: Cluster, consumer: str, arguments: Sequence[str]) -> Json:
    deployment = _deployment(cluster, consumer)
    try:
        return errand_pod.manifest(deployment, consumer, ["headrace", "internal", *arguments], uuid.uuid4().hex[:8])
    except ValueError as error:
        raise unwell(f"deployment {consumer}-consumer is not a Consumer's: {error}") from error


def _make(cluster: Cluster, pod: Json) -> None:
    try:
        cluster.create_pod(pod)
    except Failure:
        with suppress(Failure):  # only the answer may have been lost
            cluster.delete_pod(pod["metadata"]["name"])
        raise


def _deployment(cluster: Cluster, consumer: str) -> Json:
    try:
        return cluster.deployment(f"{consumer}-consumer")
    except Failure as failure:
        if failure.exit_code is not Exit.NOT_FOUND:
            raise
        raise _absent(cluster, consumer) from failure


def _absent(cluster: Cluster, consumer: str) -> Failure:
    try:
        cluster.resource("consumers", consumer)
    except Failure:
        return not_found(
            f"no Consumer {consumer} in namespace {cluster.namespace}",
            "See what there is: headrace status -A; another namespace: -n NAME.",
        )
    return not_found(
        f"Consumer {consumer} in namespace {cluster.namespace} has no Deployment yet",
        f"Its conditions say why: kubectl describe consumers.headrace.dev {consumer} -n {cluster.namespace}",
    )


def _await_start(cluster: Cluster, name: str, note: Note) -> None:
    deadline = time.monotonic() + START
    while (pod := cluster.pod(name)).get("status", {}).get("phase", "Pending") == "Pending":
        if failure := hopeless(name, pod):
            raise failure
        reason, message = waiting(pod)
        if time.monotonic() > deadline:
            raise unreachable(
                f"pod {name} did not start within {START:.0f} s: {reason} {message}".rstrip(),
                f"Its Events say why: kubectl events -n {cluster.namespace} --for pod/{name}",
            )
        note(f"waiting for pod {name}: {message or reason or 'starting'}")
        time.sleep(0.5)


def _answers(cluster: Cluster, name: str) -> Iterator[answers.Answer]:
    heard = 0
    other: deque[str] = deque(maxlen=5)
    while True:
        ended = _ended(cluster.pod(name))
        for line in _after(cluster.log(name, SILENCE), heard):
            heard += 1
            answer = answers.decode(line)
            if answer is None:
                other.append(line)
                continue
            if isinstance(answer, answers.Failed):
                raise Failure(Exit(answer.exit_code), answer.what, answer.remedy)
            yield answer
            if isinstance(answer, answers.Done):
                return
        if ended:
            raise _died(cluster.pod(name), name, other)


def _after(lines: Iterator[str], heard: int) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number >= heard:
            yield line


def _ended(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _died(pod: Json, name: str, other: Sequence[str]) -> Failure:
    status = pod.get("status", {})
    ends = [one.get("state", {}).get("terminated") or {} for one in status.get("containerStatuses", [])]
    why = status.get("reason") or next((end.get("reason", "") for end in ends if end), "")
    code = next((end.get("exitCode") for end in ends if end), None)
    tail = "\n".join(other)
    return unwell(
        f"pod {name} ended before it was done: {why} (exit code {code}); it said last:\n{tail}",
        "What was committed before stays, the rest is as it was: run the same command again.",
    )
