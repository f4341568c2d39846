"""What of a cluster's refusals passes, and is asked again."""

from __future__ import annotations

from subprocess import CompletedProcess

import pytest

from tests.cluster.passing import outlasted

PASSING = [
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request\n",
    "Error from server: etcdserver: request timed out\n",
    "Unable to connect to the server: net/http: TLS handshake timeout\n",
    'Error from server (BadRequest): container "handler" in pod "billing-1" is waiting to start: ContainerCreating\n',
]


def ended(code: int, said: str) -> CompletedProcess[str]:
    return CompletedProcess([], code, "out", said)


@pytest.mark.parametrize("said", PASSING)
def test_what_passes_is_asked_again(said: str) -> None:
    answers = iter([ended(1, said), ended(1, said), ended(0, "")])

    assert outlasted(lambda: next(answers)).returncode == 0
    assert not list(answers)


@pytest.mark.parametrize("done", [ended(1, 'Error from server (NotFound): pods "a" not found\n'), ended(0, PASSING[0])])
def test_an_answer_is_taken_the_first_time(done: CompletedProcess[str]) -> None:
    answers = iter([done])

    assert outlasted(lambda: next(answers)) is done
