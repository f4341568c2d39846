"""What of deeds stands in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headrace_agent.looking import news
from headrace_agent.told import Deed, Unknown

THEN = datetime(2026, 1, 1, tzinfo=UTC)
REFUSED = Unknown(cause="RightMissing", why="permission denied")
MADE = Deed(kind="MakePublication", at=THEN, statement="CREATE", failure=None)
BEAT = Deed(kind="Beat", at=THEN, statement="SELECT", failure=None)


def _later(deed: Deed, failure: Unknown | None) -> Deed:
    return deed.model_copy(update={"at": deed.at + timedelta(seconds=10), "failure": failure})


def test_what_was_done_is_told_once_and_a_heartbeat_never() -> None:
    assert news((), (MADE, BEAT)) == [MADE]
    assert news((MADE, BEAT), (MADE, _later(BEAT, None))) == []


def test_what_fails_is_told_once_until_it_fails_otherwise_or_not() -> None:
    failed = _later(MADE, REFUSED)
    otherwise = _later(failed, REFUSED.model_copy(update={"why": "lock timeout"}))

    assert news((MADE,), (failed, _later(BEAT, REFUSED))) == [failed, _later(BEAT, REFUSED)]
    assert news((failed,), (_later(failed, REFUSED),)) == []
    assert news((failed,), (otherwise,)) == [otherwise]
    assert news((failed,), (_later(failed, None),)) == [_later(failed, None)]
