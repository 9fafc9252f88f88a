"""Fake participants by themselves: what was said last counts first, and the barrier stands before all of it."""

import asyncio

import pytest
from msgspec.structs import replace

from amends import Failed, Refused, Succeeded
from amends.core.effect import SendCommand, command_id
from amends.ports import Transport
from amends.testing import EffectSpy, FakeParticipant
from amends.testing.transport_suite import command as a_command
from tests.testing.sagas import Charge, Paid


def charge(cents: int = 10, *, saga_id: str = "s-1", step: str = "pay") -> SendCommand:
    payload = b'{"order":"%s","cents":%d}' % (saga_id.encode(), cents)
    made = a_command("charge", payload, saga_id=saga_id)
    return replace(made, step=step, command_id=command_id("default", saga_id, step, "do", 1))


def refund_of(do: SendCommand) -> SendCommand:
    undo = command_id("default", do.saga_id, do.step, "undo", 1)
    return replace(do, direction="undo", name="refund", command_id=undo)


def dear(charge: Charge) -> bool:
    return charge.cents > 1000


def numbered(charge: Charge, command: SendCommand) -> Paid:
    return Paid(f"{command.saga_id}:{charge.cents}")


async def test_what_was_said_last_counts_first() -> None:
    bank = FakeParticipant("bank").succeeds("charge", Paid("P-1"))
    bank.refuses("charge", "declined", "too dear", when=dear).fails("charge", times=1)
    port: Transport = bank
    assert isinstance(await port.send(charge()), Failed)
    assert await port.send(charge()) == Succeeded(b'{"payment":"P-1"}')
    assert await port.send(charge(5000, saga_id="s-2")) == Refused("declined", "too dear")
    assert [came.saga_id for came in bank.named("charge")] == ["s-1", "s-1", "s-2"]


async def test_a_reply_may_be_made_of_the_payload() -> None:
    bank = FakeParticipant("bank").succeeds("charge", numbered)
    assert await bank.send(charge(7)) == Succeeded(b'{"payment":"s-1:7"}')


async def test_a_duplicate_gets_the_first_answer() -> None:
    bank = FakeParticipant("bank").succeeds("charge", Paid("P-2")).succeeds("charge", Paid("P-1"), times=1)
    first, again = await bank.send(charge()), await bank.send(charge())
    assert first == again == Succeeded(b'{"payment":"P-1"}')
    assert bank.spy.calls == ["pay"]
    bank.spy.exactly_once("pay")


async def test_a_do_after_its_undo_is_refused_and_an_undo_without_its_do_has_no_effect() -> None:
    bank = FakeParticipant("bank").succeeds("charge")
    assert await bank.send(refund_of(charge())) == Succeeded(b"{}")
    answer = await bank.send(charge())
    assert isinstance(answer, Refused)
    assert answer.code == "already-undone"
    assert bank.spy.effects == []


async def test_an_undo_succeeds_unless_told_otherwise() -> None:
    bank = FakeParticipant("bank").succeeds("charge").fails("refund", times=1)
    await bank.send(charge())
    assert isinstance(await bank.send(refund_of(charge())), Failed)
    assert await bank.send(refund_of(charge())) == Succeeded(b"null")
    bank.spy.in_order("pay", "undo pay")
    bank.spy.nothing_left()


async def test_undo_only_acts_without_a_do() -> None:
    orders = FakeParticipant("orders").undo_only("refund", {"closed": True})
    assert await orders.send(refund_of(charge())) == Succeeded(b'{"closed":true}')
    orders.spy.in_order("undo pay")


async def test_one_that_hangs_can_be_cancelled() -> None:
    bank = FakeParticipant("bank").hangs("charge")
    call = asyncio.create_task(bank.send(charge()))
    await asyncio.sleep(0)
    assert bank.hanging == 1
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert bank.hanging == 0


async def test_a_do_that_nobody_spoke_of_is_a_fault_of_configuration() -> None:
    bank = FakeParticipant("bank").succeeds("refund")
    answer = await bank.send(charge())
    said = "bank, charge (pay): it was not told how to answer; it knows refund"
    assert answer == Failed(said, "configuration")
    assert bank.faults == [said]


async def test_the_spy_says_what_is_wrong() -> None:
    spy = EffectSpy()
    bank = FakeParticipant("bank", spy=spy).succeeds("charge")
    await bank.send(charge())
    with pytest.raises(AssertionError, match="expected effects: ship; there are: pay"):
        spy.exactly_once("ship")
    with pytest.raises(AssertionError, match="expected effects: pay, ship; there are: pay"):
        spy.in_order("pay", "ship")
    with pytest.raises(AssertionError, match="still done: pay of s-1; the effects: pay"):
        spy.nothing_left()
