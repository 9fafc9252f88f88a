"""The three services as real processes over HTTP: each command, again, out of order, and with a crash in between."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from examples.fulfilment.checks import TOPICS, check
from examples.fulfilment.demo import EXAMPLE
from examples.fulfilment.messages import (
    CancelShipment,
    Item,
    Order,
    ProcessPayment,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    ShipOrder,
)
from examples.fulfilment.seed import Seed
from examples.running.cases import Case, Expected
from examples.running.fleet import Fleet
from examples.running.seed import load_seed
from tests.examples.running.calls import Caller, headers_of

States = dict[str, dict[str, list[dict[str, object]]]]
ITEMS = (Item(sku="kettle", quantity=2), Item(sku="cup", quantity=1))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A service's do and undo, what the do answers, and how much of it there is: `(state) -> effects`."""

    service: str
    do: msgspec.Struct
    undo: Callable[[str | None], msgspec.Struct]
    reference: str
    effects: Callable[[dict[str, list[dict[str, object]]]], int]

    @property
    def do_name(self) -> str:
        return type(self.do).__name__

    @property
    def undo_name(self) -> str:
        return type(self.undo(None)).__name__


def taken(state: dict[str, list[dict[str, object]]]) -> int:
    """Cents that left the accounts."""
    sums = [Decimal(str(a["initial"])) - Decimal(str(a["balance"])) for a in state["accounts"]]
    return int(sum(sums) * 100)


def off_the_shelf(state: dict[str, list[dict[str, object]]]) -> int:
    return sum(int(str(p["initial"])) - int(str(p["on_hand"])) for p in state["products"])


def on_the_way(state: dict[str, list[dict[str, object]]]) -> int:
    return sum(shipment["state"] == "shipped" for shipment in state["shipments"])


INVENTORY = Pair(
    service="inventory",
    do=ReserveInventory(order_id="o1", items=ITEMS),
    undo=lambda known: ReleaseInventory(order_id="o1", reference=known),
    reference="R-1",
    effects=off_the_shelf,
)
PAYMENT = Pair(
    service="payment",
    do=ProcessPayment(order_id="o1", account="ada", amount=Decimal("10.00")),
    undo=lambda known: RefundPayment(order_id="o1", reference=known),
    reference="P-1",
    effects=taken,
)
SHIPPING = Pair(
    service="shipping",
    do=ShipOrder(order_id="o1", items=ITEMS, country="DE"),
    undo=lambda known: CancelShipment(order_id="o1", reference=known),
    reference="S-1",
    effects=on_the_way,
)
PAIRS = {INVENTORY: 3, PAYMENT: 1_000, SHIPPING: 1}
"""Each with the effect of its do."""


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = Fleet(directory=tmp_path, services=EXAMPLE.services, seed=EXAMPLE.seed)
    async with fleet, ClientSession() as client:
        yield Caller(fleet, client)


async def do(caller: Caller, pair: Pair, *, saga: str = "o1") -> tuple[int | None, bytes]:
    answer = await caller.send(pair.service, pair.do_name, pair.do, saga=saga, step="it")
    return answer.status, answer.body


async def undo(
    caller: Caller, pair: Pair, *, known: str | None = None, saga: str = "o1"
) -> tuple[int | None, bytes]:
    answer = await caller.send(
        pair.service, pair.undo_name, pair.undo(known), saga=saga, step="it", undo=True
    )
    return answer.status, answer.body


async def effects(caller: Caller, pair: Pair) -> int:
    return pair.effects(await caller.state(pair.service))


UNDONE = (200, b'{"reference":null,"reply":"Success"}')


async def test_each_do_acts_once_and_each_undo_takes_it_back_once(caller: Caller) -> None:
    for pair, effect in PAIRS.items():
        done = (200, f'{{"reference":"{pair.reference}","reply":"Success"}}'.encode())
        assert [await do(caller, pair) for _ in range(3)] == [done] * 3
        assert await effects(caller, pair) == effect
        assert [await undo(caller, pair, known=pair.reference) for _ in range(2)] == [UNDONE] * 2
        assert await effects(caller, pair) == 0
        assert await do(caller, pair) == done, "a duplicate that comes late gets its old answer"
        assert await effects(caller, pair) == 0, "and does nothing"


async def test_an_undo_that_comes_first_keeps_its_do_out(caller: Caller) -> None:
    for pair in PAIRS:
        assert await undo(caller, pair) == (200, b"{}")
        status, body = await do(caller, pair)
        assert (status, b"already-undone" in body) == (409, True)
        assert await effects(caller, pair) == 0


async def test_an_undo_without_a_reference_finds_what_was_done_for_the_order_alone(caller: Caller) -> None:
    for pair in PAIRS:
        await caller.misbehave(pair.service, pair.do_name, "hang", instance="o1", times=1_000)
    answers = await asyncio.gather(*(do(caller, pair) for pair in PAIRS))
    assert [status for status, _ in answers] == [None] * 3
    for pair, effect in PAIRS.items():
        assert await effects(caller, pair) == effect
        assert await undo(caller, pair) == UNDONE
        assert await effects(caller, pair) == 0


async def test_an_order_that_is_tried_once_more_gets_back_only_what_is_not_back_yet(caller: Caller) -> None:
    for pair, effect in PAIRS.items():
        for saga in ("first", "second"):
            assert (await do(caller, pair, saga=saga))[0] == 200
            assert await effects(caller, pair) == effect
            assert await undo(caller, pair, saga=saga) == UNDONE
            assert await effects(caller, pair) == 0


async def test_a_crash_between_act_and_answer_has_one_effect(caller: Caller) -> None:
    for pair, effect in PAIRS.items():
        await caller.misbehave(pair.service, pair.do_name, "crash", instance="o1")
        await caller.misbehave(pair.service, pair.undo_name, "crash", instance="o1")
        assert (await do(caller, pair))[0] == 200
        assert await effects(caller, pair) == effect
        assert await undo(caller, pair, known=pair.reference) == UNDONE
        assert await effects(caller, pair) == 0
        assert caller.fleet.restarts(pair.service) == 2


DECLINED: tuple[tuple[Pair, dict[str, object], str], ...] = (
    (
        INVENTORY,
        {"items": [{"sku": "samovar", "quantity": 1}]},
        "out of stock: 1 of samovar wanted, 0 available",
    ),
    (INVENTORY, {"items": [{"sku": "dragon", "quantity": 1}]}, "out of stock"),
    (PAYMENT, {"account": "eve"}, "insufficient funds"),
    (PAYMENT, {"account": "nobody"}, "there is no account nobody"),
    (SHIPPING, {"country": "AQ"}, "no carrier delivers to AQ"),
)


async def test_each_business_no_is_declined_with_its_reason(caller: Caller) -> None:
    for number, (pair, change, reason) in enumerate(DECLINED):
        payload = {**msgspec.to_builtins(pair.do), **change}
        url = f"{caller.fleet.commands(pair.service)}/{pair.do_name}"
        headers = headers_of(f"o{number}", "it", "do")
        async with caller.client.post(url, json=payload, headers=headers) as got:
            problem = await got.json(content_type=None)
        assert (got.status, problem["code"]) == (409, "Declined")
        assert reason in problem["detail"]
        assert await effects(caller, pair) == 0


async def test_a_reservation_takes_all_items_or_none(caller: Caller) -> None:
    wanted = ReserveInventory(order_id="o1", items=(*ITEMS, Item(sku="samovar", quantity=1)))
    answer = await caller.send("inventory", "ReserveInventory", wanted, saga="o1", step="it")
    assert answer.status == 409
    assert await effects(caller, INVENTORY) == 0


async def test_misbehaviour_meets_its_own_order_only(caller: Caller) -> None:
    await caller.misbehave("shipping", "ShipOrder", "decline", instance="another")
    assert (await do(caller, SHIPPING))[0] == 200
    declined = ShipOrder(order_id="another", items=ITEMS, country="DE")
    answer = await caller.send("shipping", "ShipOrder", declined, saga="another", step="it")
    assert (answer.status, b'"code": "Declined"' in answer.body) == (409, True)


def test_a_bad_seed_is_named(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"accounts": [{"account": "a", "balance": 1.5}]}')
    with pytest.raises(ValueError, match=r"seed\.json cannot be used: .*two decimals"):
        load_seed(seed, Seed)


# --- the checks --------------------------------------------------------------------------------------------------


def case(order_id: str, status: str) -> Case[Order]:
    order = Order(order_id=order_id, account="ada", items=ITEMS, amount=Decimal("10.00"), country="DE")
    return Case(about=order_id, given=order, expect=msgspec.convert({"status": status}, Expected))


CASES = (case("o1", "completed"), case("o2", "compensated"))


async def fulfilled(caller: Caller) -> States:
    """o1 was fulfilled, o2 went all the way and back."""
    for order_id in ("o1", "o2"):
        for pair in PAIRS:
            payload = msgspec.structs.replace(pair.do, order_id=order_id)
            await caller.send(pair.service, pair.do_name, payload, saga=order_id, step="it")
    for pair in PAIRS:
        back = msgspec.structs.replace(pair.undo(None), order_id="o2")
        await caller.send(pair.service, pair.undo_name, back, saga="o2", step="it", undo=True)
    return {service: await caller.state(service) for service in EXAMPLE.services}


async def test_the_checks_hold_and_each_sees_what_is_tampered_with(caller: Caller) -> None:
    states = await fulfilled(caller)
    verdict = check(CASES, states)
    assert verdict.passed, verdict.explanations
    assert sorted(verdict.checks) == sorted(name for topic in TOPICS for name in topic.checks)
    assert TOPICS[0].well(states).startswith("Stock adds up: 3 pieces left")
    assert TOPICS[1].well(states).startswith("Money adds up: 10.00 left")
    for name, tamper in TAMPERINGS.items():
        tampered = copy.deepcopy(states)
        tamper(tampered)
        found = check(CASES, tampered)
        assert not found.checks[name], f"{name} does not see its tampering"
        assert all(found.explanations[name]), f"{name} does not say what is wrong"
    assert set(TAMPERINGS) == set(verdict.checks)


def drop(entries: list[dict[str, object]], **wanted: object) -> None:
    entries[:] = [entry for entry in entries if not wanted.items() <= entry.items()]


TAMPERINGS: dict[str, Callable[[States], object]] = {
    "stock-adds-up": lambda s: s["inventory"]["products"][0].update(on_hand=999_999),
    "stock-reserved-for-fulfilled-orders-only": lambda s: s["inventory"]["reservations"][1].update(
        state="reserved"
    ),
    "money-adds-up": lambda s: s["payment"]["accounts"][0].update(balance="0.01"),
    "fulfilled-orders-paid-exactly": lambda s: s["payment"]["movements"][0].update(amount="9.99"),
    "fulfilled-orders-shipped-exactly": lambda s: s["shipping"]["shipments"][0].update(items=[]),
    "nothing-shipped-that-is-not-paid": lambda s: drop(
        s["payment"]["movements"], order_id="o1", kind="payment"
    ),
    "nothing-paid-that-is-not-shipped-or-refunded": lambda s: drop(
        s["payment"]["movements"], order_id="o2", kind="refund"
    ),
    "every-effect-once": lambda s: s["payment"]["movements"].append(s["payment"]["movements"][0]),
}
