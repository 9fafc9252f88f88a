"""The four services as real processes over HTTP, misbehaviour included, and the checks that judge them."""

import asyncio
import copy
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from examples.order.cases import SEED, SERVICES, OrderCase
from examples.order.checks import check
from examples.order.demo import EXAMPLE
from examples.order.messages import CancelOrder, Charge, Order, Payment, Refund, ReserveStock, amount_due
from examples.order.seed import Seed
from examples.running.fleet import ROOT, DirectoryInUse, Fleet
from examples.running.misbehaviour import How
from examples.running.seed import load_seed
from tests.examples.order.walk import walk
from tests.examples.running.calls import Caller, headers_of

States = dict[str, dict[str, list[dict[str, object]]]]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(directory=tmp_path, services=SERVICES, seed=SEED) as started:
        yield started


@pytest.fixture
async def caller(fleet: Fleet) -> AsyncIterator[Caller]:
    async with ClientSession() as client:
        yield Caller(fleet, client)


async def states_of(caller: Caller) -> States:
    return {service: await caller.state(service) for service in SERVICES}


def charge(order_id: str = "o1", amount: str = "10.00", account: str = "card-ada") -> Charge:
    return Charge(
        order_id=order_id, payment_ref="card", method="card", account=account, amount=Decimal(amount)
    )


def refund(order_id: str = "o1") -> Refund:
    return Refund(order_id=order_id, payment_ref="card", amount=Decimal("10.00"))


async def balance(caller: Caller, account: str = "card-ada") -> object:
    accounts = (await caller.state("payment"))["accounts"]
    return next(found["balance"] for found in accounts if found["account"] == account)


async def misbehave(
    caller: Caller, service: str, command: str, how: How, *, times: int = 1, seconds: float = 0.0
) -> None:
    await caller.misbehave(service, command, how, instance="o1", times=times, seconds=seconds)


# --- all cases -----------------------------------------------------------------------------------------------


async def test_every_case_ends_as_expected_and_every_tampering_shows(caller: Caller) -> None:
    cases = EXAMPLE.load()
    assert len(cases) >= 24
    assert len({case.given.order_id for case in cases}) == len(cases)
    await asyncio.gather(*(walk(caller, case) for case in cases))
    states = await states_of(caller)
    verdict = check(cases, states)
    assert verdict.passed, verdict.explanations
    assert caller.fleet.restarts("payment") >= 1
    for name, tamper in TAMPERINGS.items():
        tampered = copy.deepcopy(states)
        tamper(tampered)
        found = check(cases, tampered)
        assert not found.checks[name], f"{name} does not see its tampering"
        assert all(found.explanations[name]), f"{name} does not say what is wrong"
    assert set(TAMPERINGS) == set(verdict.checks)


def first(entries: list[dict[str, object]], **wanted: object) -> dict[str, object]:
    return next(entry for entry in entries if wanted.items() <= entry.items())


TAMPERINGS: dict[str, Callable[[States], object]] = {
    "order-statuses": lambda s: s["order"]["orders"][0].update(status="CREATED"),
    "order-transitions": lambda s: s["order"]["transitions"].pop(),
    "stock-adds-up": lambda s: s["product"]["products"][0].update(on_hand=999_999),
    "nothing-set-aside": lambda s: first(s["product"]["reservations"], state="released").update(
        state="reserved"
    ),
    "goods-taken-for-completed-orders-only": lambda s: first(
        s["product"]["reservations"], state="released"
    ).update(state="taken"),
    "money-adds-up": lambda s: s["payment"]["accounts"][0].update(balance="0.01"),
    "orders-charged-exactly": lambda s: first(s["payment"]["movements"], kind="charge").update(amount="0.01"),
    "coupons-add-up": lambda s: s["promotion"]["coupons"][0].update(used=999),
    "coupons-used-by-completed-orders-only": lambda s: first(
        s["promotion"]["redemptions"], state="cancelled"
    ).update(state="redeemed"),
    "every-effect-once": lambda s: s["payment"]["movements"].append(s["payment"]["movements"][0]),
}


# --- each misbehaviour ---------------------------------------------------------------------------------------


async def test_a_crash_between_act_and_answer_has_one_effect(caller: Caller) -> None:
    await misbehave(caller, "payment", "charge", "crash", times=2)
    answer = await caller.send("payment", "charge", charge(), saga="s1", step="pay")
    assert (answer.status, answer.body) == (200, b'{"payment_id":"P-1"}')
    assert caller.fleet.restarts("payment") == 2
    assert await balance(caller) == "99990.00"


async def test_an_undo_after_a_silent_do_finds_it_by_the_business_key(caller: Caller) -> None:
    await misbehave(caller, "payment", "charge", "hang", times=1_000)
    silent = await caller.send("payment", "charge", charge(), saga="s1", step="pay")
    assert silent.status is None
    assert await balance(caller) == "99990.00"
    undone = await caller.send("payment", "refund", refund(), saga="s1", step="pay", undo=True)
    assert undone.status == 200
    assert await balance(caller) == "100000.00"


async def test_an_undo_before_its_do_keeps_the_do_out(caller: Caller) -> None:
    undone = await caller.send("payment", "refund", refund(), saga="s1", step="pay", undo=True)
    late = await caller.send("payment", "charge", charge(), saga="s1", step="pay")
    assert (undone.status, late.status) == (200, 409)
    assert b"already-undone" in late.body
    assert await balance(caller) == "100000.00"


async def test_a_slow_do_that_is_overtaken_by_its_undo_does_nothing(caller: Caller) -> None:
    await misbehave(caller, "payment", "charge", "slow", seconds=0.5)
    slow = asyncio.create_task(caller.send("payment", "charge", charge(), saga="s1", step="pay"))
    undone = await caller.send("payment", "refund", refund(), saga="s1", step="pay", undo=True)
    late = await slow
    assert (undone.status, late.status) == (200, 409)
    assert b"already-undone" in late.body
    assert await balance(caller) == "100000.00"


async def test_a_declined_do_stays_declined_and_a_declined_undo_does_not(caller: Caller) -> None:
    await misbehave(caller, "payment", "charge", "decline")
    for _ in range(2):
        declined = await caller.send("payment", "charge", charge(), saga="s0", step="pay")
        assert (declined.status, b'"code": "declined"' in declined.body) == (409, True)
    await caller.send("payment", "charge", charge(), saga="s1", step="pay")
    await misbehave(caller, "payment", "refund", "decline")
    undos = [
        await caller.send("payment", "refund", refund(), saga="s1", step="pay", undo=True) for _ in range(2)
    ]
    assert [undo.status for undo in undos] == [409, 200]
    assert await balance(caller) == "100000.00"


async def test_unavailable_answers_503_so_many_times_and_survives_a_restart(caller: Caller) -> None:
    await misbehave(caller, "product", "reserve-stock", "unavailable", times=2)
    await caller.fleet.kill("product")
    statuses: list[int] = []
    wanted = msgspec.json.encode(ReserveStock(order_id="o1", sku="sku-1", quantity=1))
    for _ in range(3):
        url = f"{caller.fleet.commands('product')}/reserve-stock"
        async with caller.client.post(url, data=wanted, headers=headers_of("s1", "r", "do")) as got:
            statuses.append(got.status)
    assert statuses == [503, 503, 200]


# --- plain behaviour -----------------------------------------------------------------------------------------


async def test_an_order_is_placed_once_and_cancelled_without_a_do(caller: Caller) -> None:
    order = EXAMPLE.load()[0].given
    placed = [(await caller.post("order", "/orders", order)).status for _ in range(2)]
    other = msgspec.structs.replace(order, customer="somebody else")
    assert [*placed, (await caller.post("order", "/orders", other)).status] == [201, 200, 409]
    cancel = CancelOrder(order_id=order.order_id, status="PAYMENT_FAILED", reason="card declined")
    for _ in range(2):
        answer = await caller.send("order", "cancel-order", cancel, saga="s1", step="cancel", undo=True)
        assert (answer.status, answer.body) == (200, b'{"status":"PAYMENT_FAILED"}')
    async with caller.client.get(f"{caller.fleet.url('order')}/orders/{order.order_id}") as got:
        assert (await got.json())["reason"] == "card declined"
    async with caller.client.get(f"{caller.fleet.url('order')}/orders/none") as got:
        assert got.status == 404
    async with caller.client.get(f"{caller.fleet.url('order')}/orders") as got:
        assert len(await got.json()) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"order_id": "x"}', b'{"order_id": "x", "order_id": "y"}'])
async def test_a_bad_order_is_refused(caller: Caller, body: bytes) -> None:
    async with caller.client.post(f"{caller.fleet.url('order')}/orders", data=body) as got:
        assert (got.status, got.content_type) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"account": "nobody"}, b'"code": "unknown-account"'),
        ({"account": "card-poor"}, b'"code": "declined"'),
        ({"amount": "1.5"}, b"exactly two decimals"),
        ({"amount": "-1.50"}, b"between 0.00"),
    ],
)
async def test_a_charge_is_refused(caller: Caller, change: dict[str, str], code: bytes) -> None:
    fields = {**msgspec.to_builtins(charge()), **change}
    url = f"{caller.fleet.commands('payment')}/charge"
    async with caller.client.post(url, json=fields, headers=headers_of("s1", "pay", "do")) as got:
        assert got.status in {409, 422}
        assert code in await got.read()


def pid_files(directory: Path) -> list[Path]:
    return list(directory.glob("*.pid"))


async def test_a_second_fleet_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    async with Fleet(directory=tmp_path, services=SERVICES, seed=SEED) as fleet, ClientSession() as client:
        await Caller(fleet, client).send("payment", "charge", charge(), saga="s1", step="pay")
        with pytest.raises(DirectoryInUse, match="another fleet"):
            await Fleet(directory=tmp_path, services=SERVICES).start()
    assert not pid_files(tmp_path)
    async with Fleet(directory=tmp_path, services=SERVICES, seed=SEED) as fleet, ClientSession() as client:
        caller = Caller(fleet, client)
        answer = await caller.send("payment", "charge", charge(), saga="s1", step="pay")
        assert answer.body == b'{"payment_id":"P-1"}'
        assert await balance(caller) == "99990.00"


def started_alone(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "examples.order.participants.payment_service", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", str(path), "--with-parent"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"ready http://127.0.0.1:")
    return process


def test_a_service_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    with started_alone(tmp_path / "payment.db") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_a_service_ends_with_the_one_who_started_it(tmp_path: Path) -> None:
    with started_alone(tmp_path / "payment.db") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 0


def test_a_bad_seed_is_named_and_nothing_starts(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"accounts": [{"account": "a", "balance": 1.5}]}')
    with pytest.raises(ValueError, match="two decimals"):
        load_seed(seed, Seed)


# --- money ---------------------------------------------------------------------------------------------------


def payments(*parts: tuple[str, str]) -> tuple[Payment, ...]:
    return msgspec.convert(
        [{"method": method, "account": "a", "amount": amount} for method, amount in parts],
        tuple[Payment, ...],
    )


@pytest.mark.parametrize(
    ("parts", "payable", "due"),
    [
        ([("card", "10.00")], "9.00", ["9.00"]),
        ([("card", "6.00"), ("wallet", "4.00")], "10.00", ["6.00", "4.00"]),
        ([("wallet", "4.00"), ("card", "6.00")], "9.00", ["4.00", "5.00"]),
        ([("wallet", "4.00"), ("card", "6.00")], "3.00", ["3.00", "0.00"]),
        ([("wallet", "4.00"), ("voucher", "3.00"), ("card", "3.00")], "5.00", ["4.00", "1.00", "0.00"]),
    ],
)
def test_the_card_pays_what_the_fixed_parts_leave(
    parts: list[tuple[str, str]], payable: str, due: list[str]
) -> None:
    found = payments(*parts)
    amounts = [amount_due(found, payment, payable=Decimal(payable)) for payment in found]
    assert [str(amount) for amount in amounts] == due


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"total": "1.00"}, "total must be the sum"),
        ({"lines": []}, "lines must not be empty"),
        ({"payments": []}, "payments must not be empty"),
        ({"total": "19.9"}, "two decimals"),
        ({"coupons": "TEN"}, "unknown field"),
    ],
)
def test_an_order_that_does_not_add_up_is_refused(change: dict[str, object], says: str) -> None:
    fields = {**msgspec.to_builtins(EXAMPLE.load()[0].given), **change}
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(fields, Order)


def test_a_case_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    case: OrderCase = EXAMPLE.load()[0]
    path.write_bytes(msgspec.json.encode(case) + b'\n{"order": 1}\n')
    with pytest.raises(ValueError, match=r"orders\.jsonl:2: "):
        EXAMPLE.load(path)
