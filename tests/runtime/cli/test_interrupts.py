"""Interrupts that are held back, by real signals to this process: none is lost, and none ends what must not end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from headrace.cli.laptop import interrupts


@pytest.fixture(autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """A shell has what it starts in the background ignore interrupts, and nohup the end of its terminal."""
    before = {number: signal.getsignal(number) for number in interrupts.ENDS}
    for number in interrupts.ENDS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in interrupts.ENDS]


def errand(reached: list[str], **signals: int) -> None:
    """Make something, work with it and remove it, with the signal of each step amid it; tell what was ``reached``."""

    def step(name: str) -> None:
        if name in signals:
            signal.raise_signal(signals[name])
        reached.append(name)

    with interrupts.held() as held:
        step("made")
        try:
            with held.allowed():
                try:
                    step("done")
                finally:
                    step("left")
        finally:
            step("removed")


@pytest.mark.parametrize("number", interrupts.ENDS)
@pytest.mark.parametrize(
    ("when", "gets_to"),
    [
        (["made"], ["made", "removed"]),
        (["done"], ["made", "left", "removed"]),
        (["left"], ["made", "done", "removed"]),
        (["removed"], ["made", "done", "left", "removed"]),
        (["made", "removed"], ["made", "removed"]),
        (["done", "left", "removed"], ["made", "left", "removed"]),
    ],
)
def test_what_was_made_is_removed(number: int, when: list[str], gets_to: list[str]) -> None:
    """Also when others follow the first: there is no moment in which the next one could end a removal."""
    before, reached = handlers(), list[str]()
    with pytest.raises(KeyboardInterrupt):
        errand(reached, **dict.fromkeys(when, number))
    assert reached == gets_to
    assert handlers() == before


def test_one_takes_effect_as_ever_afterwards() -> None:
    with interrupts.held() as signals, signals.allowed():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_failure_meanwhile_is_told_where_no_interrupt_came() -> None:
    with pytest.raises(ValueError, match="why"), interrupts.held():
        raise ValueError("why")


def test_what_is_ignored_stays_so() -> None:
    """As under nohup, and in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.held() as signals, signals.allowed():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_no_handler_is_touched_outside_of_the_main_thread() -> None:
    before, during = handlers(), []

    def elsewhere() -> None:
        with ExitStack() as stack:
            stack.enter_context(stack.enter_context(interrupts.held()).allowed())
            during.extend(handlers())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert during == before
