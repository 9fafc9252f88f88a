"""The behaviour of the checkpoints that stores keep for what leaves them, as scenarios beside `event_store_suite`.

Rules: the factory gives a new object over the same storage each time; the storage is empty at the scenario's beginning.
`SCENARIOS` hold for every store, `PERSISTENCE_SCENARIOS` for those that outlive their object, `SHARED_SCENARIOS` for
those that several may have open.
It does not: need pytest, or reach behind the ports.
"""

# A scenario's name says what must hold.

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeAlias

from amends.ports import ClaimLost, RelayCheckpoint, StoreUnavailable
from amends.testing.event_store_suite import expect


class Store(Protocol):
    """A store as far as this is about it."""

    async def open(self) -> None: ...

    def relay_checkpoint(self, topic: str) -> RelayCheckpoint: ...

    async def close(self) -> None: ...


RelayedFactory: TypeAlias = Callable[[], Store]
Scenario: TypeAlias = Callable[[RelayedFactory], Awaitable[None]]

TOPIC: Final = "amends.transitions"


@asynccontextmanager
async def opened(make: RelayedFactory) -> AsyncGenerator[Store]:
    """An open store."""
    store = make()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def claimed(store: Store, topic: str = TOPIC) -> AsyncGenerator[RelayCheckpoint]:
    """A checkpoint with the right to move it."""
    checkpoint = store.relay_checkpoint(topic)
    try:
        _holds(await checkpoint.claim(), "nobody else has it")
        yield checkpoint
    finally:
        await checkpoint.close()


async def a_topic_begins_at_nothing_and_moves_on(make: RelayedFactory) -> None:
    async with opened(make) as store, claimed(store) as checkpoint:
        expect(await checkpoint.reached(), 0, "nothing has left")
        await checkpoint.move(3)
        expect(await checkpoint.reached(), 3, "it has moved")
        await checkpoint.move(2**40)
        expect(await checkpoint.reached(), 2**40, "and again")
        _holds(await checkpoint.claim(), "it is still ours")


async def it_never_goes_back(make: RelayedFactory) -> None:
    async with opened(make) as store, claimed(store) as checkpoint:
        await checkpoint.move(7)
        await checkpoint.move(5)
        expect(await checkpoint.reached(), 7, "the greater one stands")


async def each_topic_has_its_own(make: RelayedFactory) -> None:
    async with opened(make) as store, claimed(store) as first, claimed(store, "Ä/b' --") as second:
        await first.move(7)
        expect(await second.reached(), 0, "another topic has nothing")
        await second.move(3)
        expect((await first.reached(), await second.reached()), (7, 3), "each stands by itself")


async def it_is_read_without_a_claim(make: RelayedFactory) -> None:
    async with opened(make) as store, claimed(store) as checkpoint:
        await checkpoint.move(7)
        expect(await store.relay_checkpoint(TOPIC).reached(), 7, "whoever asks is told")


async def a_closed_store_is_unavailable(make: RelayedFactory) -> None:
    async with opened(make) as store:
        checkpoint = store.relay_checkpoint(TOPIC)
    await _refuses(checkpoint.reached(), StoreUnavailable)


async def it_outlives_its_object(make: RelayedFactory) -> None:
    async with opened(make) as store, claimed(store) as checkpoint:
        await checkpoint.move(7)
    async with opened(make) as store, claimed(store) as checkpoint:
        expect(await checkpoint.reached(), 7, "it is durable")


async def one_at_a_time_has_the_right(make: RelayedFactory) -> None:
    async with opened(make) as store, opened(make) as other:
        late = other.relay_checkpoint(TOPIC)
        async with claimed(store) as checkpoint:
            _holds(not await late.claim(), "somebody has it")
            async with claimed(other, "another"):
                await checkpoint.move(7)
            await _refuses(late.move(9), ClaimLost)
            expect(await late.reached(), 7, "nothing was noted")
        _holds(await late.claim(), "it was given up")
        await late.move(8)
        expect(await late.reached(), 8, "the other goes on")
        await late.close()


def _holds(fact: bool, what: str) -> None:  # noqa: FBT001  it is the fact that is looked at
    if not fact:
        raise AssertionError(what)


async def _refuses(asked: Awaitable[Any], error: type[Exception]) -> None:
    try:
        await asked
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")


SCENARIOS: Final[tuple[Scenario, ...]] = (
    a_topic_begins_at_nothing_and_moves_on,
    it_never_goes_back,
    each_topic_has_its_own,
    it_is_read_without_a_claim,
    a_closed_store_is_unavailable,
)
PERSISTENCE_SCENARIOS: Final[tuple[Scenario, ...]] = (it_outlives_its_object,)
SHARED_SCENARIOS: Final[tuple[Scenario, ...]] = (one_at_a_time_has_the_right,)
