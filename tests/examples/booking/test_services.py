"""The three services as real processes over HTTP: what each keeps to, what the engine makes of them, and the checks."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from amends import Orchestrator, SagaConflict, http, memory
from examples.booking.checks import BookingCase, check
from examples.booking.demo import EXAMPLE
from examples.booking.messages import (
    BookedProduct,
    BookingCreated,
    CancelBooking,
    ConfirmBooking,
    RefundPayment,
    ReleaseStock,
    RequestPayment,
    RequestStock,
)
from examples.booking.saga import BOOKING, BookingData
from examples.booking.seed import Seed
from examples.running.cases import Misbehaving
from examples.running.fleet import Fleet
from examples.running.seed import load_seed
from tests.examples.booking.bookings import booking
from tests.examples.running.calls import Caller

States = dict[str, dict[str, list[dict[str, object]]]]
PATIENCE = 60.0
SILENT = ("hang", "slow")


BOOKING_ALONE, PRODUCT_ALONE, PAYMENT_ALONE = (
    pytest.mark.parametrize("fleet", [name], indirect=True, ids=["alone"])
    for name in ("booking", "product", "payment")
)
"""A test of one service starts no other."""


@pytest.fixture
async def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fleet]:
    """The services, all of them unless the test says which one."""
    alone = getattr(request, "param", "")
    services = {alone: EXAMPLE.services[alone]} if alone else EXAMPLE.services
    async with Fleet(directory=tmp_path, services=services, seed=EXAMPLE.seed) as started:
        yield started


@pytest.fixture
async def caller(fleet: Fleet) -> AsyncIterator[Caller]:
    async with ClientSession() as client:
        yield Caller(fleet, client)


@pytest.fixture
async def amends(fleet: Fleet) -> AsyncIterator[Orchestrator]:
    """The engine in this process, over the real services."""
    bindings = {name: http(fleet.commands(name)) for name in EXAMPLE.services}
    async with Orchestrator(sagas=[BOOKING], store=memory(), participants=bindings) as orchestrator:
        yield orchestrator


async def states_of(caller: Caller) -> States:
    return {service: await caller.state(service) for service in EXAMPLE.services}


async def balance(caller: Caller, account: str = "account-ada") -> object:
    accounts = (await caller.state("payment"))["accounts"]
    return next(found["balance"] for found in accounts if found["account"] == account)


async def free(caller: Caller, product: str) -> object:
    products = (await caller.state("product"))["products"]
    return next(found["free"] for found in products if found["productId"] == product)


async def misbehave(caller: Caller, service: str, command: str, how: str, *, times: int = 1) -> None:
    ordered = msgspec.convert(
        {"service": service, "command": command, "how": how, "times": times}, Misbehaving
    )
    answer = await caller.post(service, "/misbehave", ordered.at("b-1"))
    assert answer.status == 204, answer.body


def lamps(quantity: int = 7) -> RequestStock:
    return RequestStock(booking_id="b-1", product_id="lamp", quantity=quantity)


RELEASE = ReleaseStock(booking_id="b-1", product_id="lamp")
PAYMENT = RequestPayment(booking_id="b-1", account="account-ada", total=Decimal("10.00"))
REFUND = RefundPayment(booking_id="b-1", total=Decimal("10.00"))


# --- product service ------------------------------------------------------------------------------------------------


@PRODUCT_ALONE
async def test_a_reservation_replies_what_it_costs_and_a_duplicate_reserves_nothing_more(
    caller: Caller,
) -> None:
    first = await caller.send("product", "request-stock", lamps(), saga="b-1", step="lamp")
    again = await caller.send("product", "request-stock", lamps(), saga="b-1", step="lamp")
    assert (first.status, first.body) == (200, b'{"reservationId":"R-1","price":"2.31"}')
    assert again == first
    assert await free(caller, "lamp") == 993


@PRODUCT_ALONE
async def test_a_release_before_its_reservation_keeps_the_reservation_out(caller: Caller) -> None:
    undone = await caller.send("product", "release-stock", RELEASE, saga="b-1", step="lamp", undo=True)
    late = await caller.send("product", "request-stock", lamps(), saga="b-1", step="lamp")
    assert (undone.status, late.status) == (200, 409)
    assert b"already-undone" in late.body
    assert await free(caller, "lamp") == 1_000


@PRODUCT_ALONE
async def test_a_release_after_a_crash_finds_the_reservation_by_booking_and_product(caller: Caller) -> None:
    await misbehave(caller, "product", "request-stock", "crash")
    await caller.send("product", "request-stock", lamps(), saga="b-1", step="lamp")
    assert caller.fleet.restarts("product") == 1
    assert await free(caller, "lamp") == 993
    for _ in range(2):
        undone = await caller.send("product", "release-stock", RELEASE, saga="b-1", step="lamp", undo=True)
        assert undone.status == 200
    assert await free(caller, "lamp") == 1_000


@pytest.mark.parametrize(("product", "code"), [("castle", b"out-of-stock"), ("moon", b"unknown-product")])
@PRODUCT_ALONE
async def test_what_cannot_be_reserved_is_refused(caller: Caller, product: str, code: bytes) -> None:
    wanted = RequestStock(booking_id="b-1", product_id=product, quantity=1)
    answer = await caller.send("product", "request-stock", wanted, saga="b-1", step=product)
    assert answer.status == 409
    assert code in answer.body


# --- payment service ------------------------------------------------------------------------------------------------


@PAYMENT_ALONE
async def test_a_payment_that_nobody_heard_of_is_refunded_once_by_the_booking_alone(caller: Caller) -> None:
    await misbehave(caller, "payment", "request-payment", "crash", times=2)
    paid = await caller.send("payment", "request-payment", PAYMENT, saga="b-1", step="pay")
    assert (paid.status, paid.body) == (200, b'{"paymentId":"P-1"}')
    assert await balance(caller) == "99990.00"
    for _ in range(2):
        back = await caller.send("payment", "refund-payment", REFUND, saga="b-1", step="pay", undo=True)
        assert back.status == 200
    assert await balance(caller) == "100000.00"


@PAYMENT_ALONE
async def test_a_payment_that_comes_after_its_refund_takes_nothing(caller: Caller) -> None:
    back = await caller.send("payment", "refund-payment", REFUND, saga="b-1", step="pay", undo=True)
    late = await caller.send("payment", "request-payment", PAYMENT, saga="b-1", step="pay")
    assert (back.status, late.status) == (200, 409)
    assert await balance(caller) == "100000.00"


@PAYMENT_ALONE
async def test_a_refund_of_another_sum_than_was_paid_is_refused(caller: Caller) -> None:
    await caller.send("payment", "request-payment", PAYMENT, saga="b-1", step="pay")
    other = RefundPayment(booking_id="b-1", total=Decimal("9.99"), payment_id="P-1")
    answer = await caller.send("payment", "refund-payment", other, saga="b-1", step="pay", undo=True)
    assert answer.status == 409
    assert b"total-differs" in answer.body
    assert await balance(caller) == "99990.00"


# --- booking service ------------------------------------------------------------------------------------------------


@BOOKING_ALONE
async def test_a_booking_is_made_once(caller: Caller) -> None:
    answers = [
        await caller.post("booking", "/bookings", booking(*products))
        for products in (("room",), ("room",), ("desk",))
    ]
    assert [answer.status for answer in answers] == [201, 200, 409]
    bad = BookedProduct(product_id="", quantity=1)
    assert (await caller.post("booking", "/bookings", bad)).status == 422
    assert len((await caller.state("booking"))["bookings"]) == 1


@BOOKING_ALONE
async def test_a_cancelled_booking_is_not_confirmed(caller: Caller) -> None:
    cancelled = CancelBooking(booking_id="b-1", reason="no")
    unknown = await caller.send("booking", "cancel-booking", cancelled, saga="b-1", step="c", undo=True)
    assert unknown.status == 409
    assert b"unknown-booking" in unknown.body
    await caller.post("booking", "/bookings", booking("room"))
    done = await caller.send("booking", "cancel-booking", cancelled, saga="b-1", step="c", undo=True)
    confirm = ConfirmBooking(booking_id="b-1", total=Decimal("80.00"))
    late = await caller.send("booking", "confirm-booking", confirm, saga="b-1", step="confirm")
    assert (done.status, late.status) == (200, 409)
    assert b"not-open" in late.body


# --- the engine over them -------------------------------------------------------------------------------------------


async def test_a_customer_who_cancels_while_the_payment_hangs_gets_the_money_back(
    caller: Caller, amends: Orchestrator
) -> None:
    await misbehave(caller, "payment", "request-payment", "hang", times=1_000)
    made = booking("room", "boat")
    await caller.post("booking", "/bookings", made)
    await amends.start(BOOKING, BookingData(booking=made), saga_id="b-1")
    async with asyncio.timeout(PATIENCE):
        # The service does not say when it took the money; each look is a request of its own.
        while await balance(caller) == "100000.00":
            pass
        assert (await amends.get("b-1")).business_status == "WAITING_PAYMENT"
        asked = await amends.cancel("b-1", by="ada", reason="changed her mind")
        assert asked.business_status == "COMPENSATING"
        end = await amends.wait("b-1")
    assert (end.status, end.business_status) == ("compensated", "CANCELLED")
    assert set(end.undone) == {
        "request-payment",
        "request-stock[room]",
        "request-stock[boat]",
        "cancel-booking",
    }
    assert (await balance(caller), await free(caller, "boat")) == ("100000.00", 1_000)
    (kept,) = (await caller.state("booking"))["bookings"]
    assert (kept["status"], kept["reason"]) == ("CANCELLED", "ada: changed her mind")


async def test_there_is_one_instance_for_each_booking(caller: Caller, amends: Orchestrator) -> None:
    made = booking("room")
    await caller.post("booking", "/bookings", made)
    ends = [await amends.run(BOOKING, BookingData(booking=made), saga_id="b-1") for _ in range(2)]
    assert {(end.business_status, end.position) for end in ends} == {("COMPLETED", ends[0].position)}
    assert ends[0].data.total == Decimal("80.00")
    with pytest.raises(SagaConflict):
        await amends.start(BOOKING, BookingData(booking=booking("desk")), saga_id="b-1")
    assert (await balance(caller), await free(caller, "room")) == ("99920.00", 999)


# --- the checks -----------------------------------------------------------------------------------------------------


async def test_what_went_well_adds_up_and_every_tampering_shows(caller: Caller, amends: Orchestrator) -> None:
    cases = [case for case in EXAMPLE.load() if not any(wrong.how in SILENT for wrong in case.misbehave)]
    for case in cases:
        for wrong in case.misbehave:
            await caller.post(wrong.service, "/misbehave", wrong.at(case.given.booking_id))
        await caller.post("booking", "/bookings", case.given)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(live(case, amends) for case in cases))
    states = await states_of(caller)
    verdict = check(cases, states)
    assert verdict.passed, verdict.explanations
    for name, tamper in TAMPERINGS.items():
        tampered = copy.deepcopy(states)
        tamper(tampered)
        found = check(cases, tampered)
        assert not found.checks[name], f"{name} does not see its tampering"
        assert all(found.explanations[name]), f"{name} does not say what is wrong"
    assert set(TAMPERINGS) == set(verdict.checks)


async def live(case: BookingCase, amends: Orchestrator) -> None:
    """Bring one case to the end that it expects."""
    made = case.given
    end = await amends.run(BOOKING, BookingData(booking=made), saga_id=made.booking_id)
    assert (end.status, end.business_status) == (case.expect.status, case.expect.business_status), case.about


def first(entries: list[dict[str, object]], **wanted: object) -> dict[str, object]:
    return next(entry for entry in entries if wanted.items() <= entry.items())


TAMPERINGS: dict[str, Callable[[States], object]] = {
    "booking-transitions": lambda s: s["booking"]["transitions"].pop(),
    "stock-adds-up": lambda s: s["product"]["products"][0].update(free=999_999),
    "reserved-for-confirmed-bookings-only": lambda s: first(
        s["product"]["reservations"], state="released"
    ).update(state="reserved"),
    "money-adds-up": lambda s: s["payment"]["accounts"][0].update(balance="0.01"),
    "bookings-paid-exactly": lambda s: first(s["payment"]["movements"], kind="payment").update(amount="0.01"),
    "confirmed-at-what-was-paid": lambda s: first(s["booking"]["bookings"], status="CONFIRMED").update(
        total="0.01"
    ),
    "every-effect-once": lambda s: s["payment"]["movements"].append(s["payment"]["movements"][0]),
}


def test_the_cases_of_the_demo_can_start_a_saga_and_name_what_the_seed_has() -> None:
    cases = EXAMPLE.load()
    assert len(cases) >= 12
    assert len({case.given.booking_id for case in cases}) == len(cases)
    assert {len(case.given.products) for case in cases} >= {1, 5}
    products = {product.product_id for product in load_seed(EXAMPLE.seed, Seed).products}
    named = {product.product_id for case in cases for product in case.given.products}
    assert named - products == {"moon"}
    for case in cases:
        again = msgspec.json.decode(msgspec.json.encode(case.given), type=BookingCreated)
        assert again == case.given
