"""What is said of a store that is away: once when it goes, once when it is back, however many wait."""

import asyncio

import pytest

from amends import NotRunning
from amends.application import availability
from amends.application.availability import Availability
from amends.application.patience import Patience
from amends.ports import StoreFull, StoreUnavailable

AWAY = StoreUnavailable("postgresql://db/shop does not answer now")


@pytest.fixture
def store() -> Availability:
    return Availability()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "amends.store"]


async def test_two_lines_however_many_wait_and_however_often(
    store: Availability, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        store.missed("writer", AWAY)
        store.missed("timers", AWAY)
    assert store.is_away
    store.answered("timers")
    assert store.is_away, "the writer waits"
    assert lines(caplog) == [f"the store cannot be used now, what needs it waits: {AWAY}"]
    store.answered("writer")
    assert not store.is_away
    assert store.reason is None
    assert lines(caplog)[1].startswith("the store can be used again, after ")
    assert len(lines(caplog)) == 2


async def test_the_reason_names_no_address(store: Availability) -> None:
    store.missed("writer", AWAY)
    assert store.reason == "the store does not answer (0 s now); the log says more"
    store.missed("writer", StoreFull("no space left on postgresql://db/shop"))
    assert store.reason == "the store has no space left (0 s now); the log says more"


async def test_who_leaves_unanswered_ends_no_outage(store: Availability) -> None:
    store.missed("reader", AWAY)
    store.left("reader")
    assert store.is_away, "nobody was answered"
    store.answered("another")
    assert not store.is_away


async def test_a_commit_that_takes_long_counts_as_away_until_it_returns(
    store: Availability, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "SLOW", 0.0)
    store.asked("writer")
    while not store.is_away:  # noqa: ASYNC110  the loop's own timer is waited for
        await asyncio.sleep(0)
    store.heard("writer")
    assert store.is_away, "it returned, and nobody has said yet that it was an answer"
    store.answered("writer")
    assert not store.is_away
    store.asked("writer")
    store.heard("writer")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not store.is_away, "what returned is not slow"


async def test_patience_has_an_end_where_one_is_set(store: Availability) -> None:
    asked = 0

    async def question() -> None:
        nonlocal asked
        asked += 1
        raise AWAY

    with pytest.raises(StoreUnavailable):
        await Patience(store).ask(question, within=0.0)
    assert (asked, store.is_away) == (1, False), "nobody waits"
    with pytest.raises(StoreUnavailable):
        await Patience(store).ask(question, within=0.06)
    assert asked == 4, "at once, after 50 ms, and when the time is over"


async def test_who_waits_for_a_store_that_was_closed_is_told_so(store: Availability) -> None:
    """An outage ends some day; a closed store answers nobody any more."""
    patience = Patience(store)
    asked = asyncio.Event()

    async def question() -> None:
        asked.set()
        raise AWAY

    waiting = asyncio.create_task(patience.ask(question))
    await asked.wait()
    patience.end(NotRunning("the orchestrator was closed"))
    with pytest.raises(NotRunning, match="was closed"):
        await asyncio.wait_for(waiting, 30)
