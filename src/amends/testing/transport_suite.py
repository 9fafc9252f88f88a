"""What every transport must do, as cases that any adapter can be run through.

    @pytest.mark.parametrize("case", transport_suite.CASES, ids=transport_suite.name)
    async def test_my_transport(case): await case(connect)

Rules
- `connect` is all that an adapter's test writes: given what the participant does, by command name, it opens a transport
  to such a participant, reached in the adapter's own way, and closes both.
- A case says one thing that holds for all transports, over plain asserts; it waits for signals and never sleeps.
- What only one technology has (statuses, topics, half answers) is tested beside its adapter.
It does not: import an adapter, or a test framework.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeAlias

import msgspec

from amends.core.effect import Direction, SendCommand, command_id
from amends.core.outcome import Failed, Refused, Succeeded
from amends.ports.transport import Transport

LONGEST_REASON = 300
"""More than this of foreign text, with what an adapter says around it, is too much for a reason."""


class Received(NamedTuple):
    """A command, as it reached the participant."""

    namespace: str
    saga_id: str
    step: str
    direction: str
    round: int
    attempt: int
    command_id: str
    name: str
    payload: bytes


class Done(NamedTuple):
    """The participant did it, and replies with this JSON."""

    reply: bytes


class No(NamedTuple):
    """The participant refuses."""

    code: str
    reason: str


class Trouble(NamedTuple):
    """The participant cannot say: its database is away, it raised."""

    text: str


Says: TypeAlias = Done | No | Trouble
Participant: TypeAlias = Callable[[Received], Awaitable[Says]]
Connect: TypeAlias = Callable[[Mapping[str, Participant]], AbstractAsyncContextManager[Transport]]
Case: TypeAlias = Callable[[Connect], Awaitable[None]]


def command(
    name: str = "reserve-stock",
    payload: bytes = b'{"sku":"A1"}',
    *,
    direction: Direction = "do",
    saga_id: str = "order-1",
    attempt: int = 1,
) -> SendCommand:
    """Make a command to send."""
    return SendCommand(
        namespace="default",
        saga_id=saga_id,
        saga="place-order",
        step="reserve-stock[A1]",
        direction=direction,
        round=1,
        attempt=attempt,
        command_id=command_id("default", saga_id, "reserve-stock[A1]", direction, 1),
        participant="inventory",
        name=name,
        payload=payload,
        due=None,
    )


def name(case: Case) -> str:
    """Name a case for a test report."""
    return getattr(case, "__name__", repr(case)).replace("_", "-")


async def the_reply_comes_back(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Done('{"reservation":"R-7","place":"Zürich","count":3}'.encode())

    async with connect({"reserve-stock": reserve}) as transport:
        answer = await transport.send(command())
    assert isinstance(answer, Succeeded)
    assert msgspec.json.decode(answer.reply) == {"reservation": "R-7", "place": "Zürich", "count": 3}


async def nothing_to_say_is_null(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Done(b"null")

    async with connect({"reserve-stock": reserve}) as transport:
        assert await transport.send(command()) == Succeeded(b"null")


async def the_participant_learns_who_it_works_for(connect: Connect) -> None:
    sent = command(payload='{"sku":"Käse","count":2}'.encode(), direction="undo", attempt=4)
    seen: list[Received] = []

    async def reserve(received: Received) -> Says:
        seen.append(received)
        return Done(b"{}")

    async with connect({"reserve-stock": reserve}) as transport:
        await transport.send(sent)
    (received,) = seen
    assert msgspec.json.decode(received.payload) == {"sku": "Käse", "count": 2}
    for field in ("namespace", "saga_id", "step", "direction", "round", "attempt", "command_id", "name"):
        assert getattr(received, field) == getattr(sent, field), field


async def a_no_keeps_its_code_and_reason(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return No("out-of-stock", "only 2 left")

    async with connect({"reserve-stock": reserve}) as transport:
        assert await transport.send(command()) == Refused("out-of-stock", "only 2 left")
        assert await transport.send(command(direction="undo")) == Refused("out-of-stock", "only 2 left")


async def trouble_is_transient_and_not_repeated(connect: Connect) -> None:
    seen: list[Received] = []

    async def reserve(received: Received) -> Says:
        seen.append(received)
        return Trouble("the database is away")

    async with connect({"reserve-stock": reserve}) as transport:
        for direction in ("do", "undo"):
            answer = await transport.send(command(direction=direction))
            assert isinstance(answer, Failed)
            assert answer.fault == "transient"
            assert "the database is away" in answer.reason
    assert [received.direction for received in seen] == ["do", "undo"], "a transport sends once"


async def long_and_hostile_text_is_cut_and_escaped(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Trouble("disk\r\n2026-11-20 ERROR forged\x1b[31m \u202e" + "x" * 5_000)

    async with connect({"reserve-stock": reserve}) as transport:
        answer = await transport.send(command())
    assert isinstance(answer, Failed)
    assert answer.reason.isprintable()
    assert len(answer.reason) <= LONGEST_REASON


async def an_unknown_command_is_a_fault_of_configuration(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Done(b"null")

    async with connect({"reserve-stock": reserve}) as transport:
        answer = await transport.send(command("reserve-stok"))
    assert isinstance(answer, Failed)
    assert answer.fault == "configuration"


async def an_attempt_after_another_has_the_same_command_id(connect: Connect) -> None:
    seen: list[Received] = []

    async def reserve(received: Received) -> Says:
        seen.append(received)
        return Done(b"null")

    async with connect({"reserve-stock": reserve}) as transport:
        for attempt in (1, 2, 3):
            await transport.send(command(attempt=attempt))
    assert len({received.command_id for received in seen}) == 1
    assert [received.attempt for received in seen] == [1, 2, 3]


async def answers_at_the_same_time_are_not_mixed_up(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Done(msgspec.json.encode(received.saga_id))

    sagas = [f"order-{number}" for number in range(50)]
    async with connect({"reserve-stock": reserve}) as transport:
        answers = await asyncio.gather(*(transport.send(command(saga_id=saga)) for saga in sagas))
    assert answers == [Succeeded(msgspec.json.encode(saga)) for saga in sagas]


async def one_that_is_slow_holds_up_nobody(connect: Connect) -> None:
    reached, released = asyncio.Event(), asyncio.Event()

    async def slow(received: Received) -> Says:
        reached.set()
        await released.wait()
        return Done(b'"slow"')

    async def quick(received: Received) -> Says:
        return Done(b'"quick"')

    async with connect({"reserve-stock": slow, "charge": quick}) as transport:
        waiting = asyncio.create_task(transport.send(command()))
        await reached.wait()
        assert await transport.send(command("charge")) == Succeeded(b'"quick"')
        released.set()
        assert await waiting == Succeeded(b'"slow"')


async def cancellation_ends_the_call_and_nothing_else(connect: Connect) -> None:
    reached, released = asyncio.Event(), asyncio.Event()

    async def hang(received: Received) -> Says:
        reached.set()
        await released.wait()
        return Done(b"null")

    async def quick(received: Received) -> Says:
        return Done(b'"quick"')

    async with connect({"reserve-stock": hang, "charge": quick}) as transport:
        waiting = asyncio.create_task(transport.send(command()))
        await reached.wait()
        waiting.cancel()
        (ended,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), "cancellation is not an answer"
        assert await transport.send(command("charge")) == Succeeded(b'"quick"')
        released.set()


async def closing_twice_is_harmless(connect: Connect) -> None:
    async def reserve(received: Received) -> Says:
        return Done(b"null")

    async with connect({"reserve-stock": reserve}) as transport:
        await transport.send(command())
        await transport.close()
        await transport.close()
        late = await transport.send(command())
        assert isinstance(late, Succeeded | Failed), "a late command gets an answer, not an exception"


CASES: tuple[Case, ...] = (
    the_reply_comes_back,
    nothing_to_say_is_null,
    the_participant_learns_who_it_works_for,
    a_no_keeps_its_code_and_reason,
    trouble_is_transient_and_not_repeated,
    long_and_hostile_text_is_cut_and_escaped,
    an_unknown_command_is_a_fault_of_configuration,
    an_attempt_after_another_has_the_same_command_id,
    answers_at_the_same_time_are_not_mixed_up,
    one_that_is_slow_holds_up_nobody,
    cancellation_ends_the_call_and_nothing_else,
    closing_twice_is_harmless,
)
