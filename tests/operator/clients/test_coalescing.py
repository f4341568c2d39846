"""Questions that fall together are read once; each asker gets its own, and its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from headrace_operator.clients.coalescing import Coalesced

pytestmark = pytest.mark.looptime


class Source:
    """Counts its reads; knows the length of each word but of ``bad``."""

    def __init__(self) -> None:
        self.reads: list[frozenset[str]] = []

    async def read(self, words: frozenset[str]) -> Mapping[str, int | Exception]:
        self.reads.append(words)
        await asyncio.sleep(1)
        return {word: LookupError(word) if word == "bad" else len(word) for word in words}


async def test_many_ask_and_one_reads() -> None:
    source = Source()
    coalesced = Coalesced(source.read)

    found = await asyncio.gather(*(coalesced.ask(("a", "b" * number)) for number in range(2, 22)))

    assert len(source.reads) == 1
    assert found == [{"a": 1, "b" * number: number} for number in range(2, 22)]


async def test_who_comes_while_one_reads_is_read_next() -> None:
    source = Source()
    coalesced = Coalesced(source.read)
    first = asyncio.create_task(coalesced.ask(("a",)))
    await asyncio.sleep(0.5)

    assert await coalesced.ask(("bb",)) == {"bb": 2}
    assert await first == {"a": 1}
    assert source.reads == [frozenset({"a"}), frozenset({"bb"})]


async def test_a_failure_and_a_cancelled_asker_harm_nobody_else() -> None:
    coalesced = Coalesced(Source().read)
    gone = asyncio.create_task(coalesced.ask(("gone",)))
    bad = asyncio.create_task(coalesced.ask(("bad", "ok")))
    well = asyncio.create_task(coalesced.ask(("well",)))
    await asyncio.sleep(0.5)
    gone.cancel()

    assert await well == {"well": 4}
    with pytest.raises(LookupError, match="bad"):
        await bad
    assert await coalesced.ask(()) == {}


@pytest.mark.case("clusters-6")
async def test_a_question_that_fails_as_a_whole_is_asked_apart() -> None:
    """Who asked for what spoils it gets the failure, and is asked for no second time; the others get their own."""
    reads: list[frozenset[str]] = []

    async def read(words: frozenset[str]) -> Mapping[str, int]:
        reads.append(words)
        await asyncio.sleep(1)
        if "" in words:
            raise ValueError("an empty word")
        return {word: len(word) for word in words}

    coalesced = Coalesced(read)
    first, second, third = await asyncio.gather(
        coalesced.ask(["a"]), coalesced.ask(["bb", "ccc"]), coalesced.ask([""]), return_exceptions=True
    )
    assert first == {"a": 1}
    assert second == {"bb": 2, "ccc": 3}
    assert isinstance(third, ValueError)
    with pytest.raises(ValueError, match="empty"):
        await coalesced.ask([""])
    assert reads == [frozenset({"a", "bb", "ccc", ""}), {"a"}, {"bb", "ccc"}, {""}, {""}]
