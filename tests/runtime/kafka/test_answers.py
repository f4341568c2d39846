"""Who waits for the answer to a commit learns it from those that come."""

from __future__ import annotations

import pytest

from headrace.kafka.answers import Answers


def test_who_waits_is_told_once_all_that_was_under_way_is_answered() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent("a", None)
    answers.sent("b", heard.append)
    answers.sent("c", None)
    answers.came("a", taken=True)
    assert heard == []
    answers.came("b", taken=True)
    assert heard == [True]
    answers.came("c", taken=False)
    assert (heard, answers.outstanding) == ([True], 0)


def test_an_answer_that_was_on_its_way_before_confirms_nothing() -> None:
    """One of a time before may be refused, or taken; it says nothing of what was sent after it."""
    answers, heard = Answers(), list[bool]()
    answers.sent("a", None)
    answers.sent("a", heard.append)
    answers.came("a", taken=False)
    answers.came("a", taken=True)
    assert heard == [False]


@pytest.mark.case("delivery-6")
def test_an_answer_to_what_was_sent_later_confirms_nothing() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent("a", heard.append)
    answers.sent("b", None)
    answers.came("b", taken=True)
    assert (heard, answers.outstanding) == ([], 1)
    answers.came("a", taken=True)
    assert (heard, answers.outstanding) == ([True], 0)


def test_an_answer_that_is_of_none_is_the_next() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent("a", heard.append)
    answers.came("b", taken=True)
    answers.came("a", taken=True)
    assert (heard, answers.outstanding) == ([True], 0)


def test_what_is_not_answered_any_more_was_not_taken() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent("a", heard.append)
    answers.end()
    assert (heard, answers.outstanding) == ([False], 0)


def test_who_sends_again_as_it_is_told_waits_anew() -> None:
    answers, heard = Answers(), list[bool]()

    def then(taken: bool) -> None:
        heard.append(taken)
        answers.sent("a", heard.append)

    answers.sent("a", then)
    answers.came("a", taken=False)
    answers.came("a", taken=True)
    assert heard == [False, True]
