"""Who waits for the answer to a commit learns it from those that come."""

from __future__ import annotations

from headrace.kafka.answers import Answers


def test_who_waits_is_told_once_all_that_was_under_way_is_answered() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent(None)
    answers.sent(heard.append)
    answers.sent(None)
    answers.came(taken=True)
    assert heard == []
    answers.came(taken=True)
    assert heard == [True]
    answers.came(taken=False)
    assert (heard, answers.outstanding) == ([True], 0)


def test_an_answer_that_was_on_its_way_before_confirms_nothing() -> None:
    """One of a time before may be refused, or taken; it says nothing of what was sent after it."""
    answers, heard = Answers(), list[bool]()
    answers.sent(None)
    answers.sent(heard.append)
    answers.came(taken=False)
    answers.came(taken=True)
    assert heard == [False]


def test_what_is_not_answered_any_more_was_not_taken() -> None:
    answers, heard = Answers(), list[bool]()
    answers.sent(heard.append)
    answers.end()
    assert (heard, answers.outstanding) == ([False], 0)


def test_who_sends_again_as_it_is_told_waits_anew() -> None:
    answers, heard = Answers(), list[bool]()

    def then(taken: bool) -> None:
        heard.append(taken)
        answers.sent(heard.append)

    answers.sent(then)
    answers.came(taken=False)
    answers.came(taken=True)
    assert heard == [False, True]
