"""What users and participants may do wrong: functions that raise anywhere, replies of the wrong shape, bad services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from amends import (
    Command,
    Refuse,
    Rollback,
    Saga,
    SagaView,
    Step,
    Succeeded,
    each,
    http,
    parallel,
    sequence,
    tolerate,
    when,
)
from amends.core.effect import SendCommand
from amends.core.outcome import Answer
from amends.definition import Node
from amends.ports import EventStore
from tests.application.conftest import Stores
from tests.application.engine_world import orchestrator, until
from tests.application.shop import (
    BANK,
    FULFIL,
    QUICK,
    STOCK,
    Order,
    Paid,
    Shop,
    pay,
    refund,
    reserve,
    reserving,
    shipping,
)

WITHOUT_BANK = Saga("without-bank", version=1, data=Order, body=reserving)
ENDS = ("completed", "compensated", "stuck")


class Nasty(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ordinary": lambda: ValueError("a defect"),
    "surrogate": lambda: ValueError("\udcff\ud800"),
    "wordless": Nasty,
    "long": lambda: RuntimeError("x" * 100_000),
    "recursion": lambda: RecursionError("deep"),
    "memory": MemoryError,
    "exit": lambda: SystemExit(3),
    "cancelled": asyncio.CancelledError,
    "generator": GeneratorExit,
}


def sagas_that_raise(error: Callable[[], BaseException]) -> dict[str, Saga[Order]]:
    """Return, by the place where it raises, sagas whose user function does."""

    def do(_order: Order) -> Command[Paid]:
        raise error()

    def undo(_order: Order, _rollback: Rollback[Paid]) -> Command[None]:
        raise error()

    def merge(_order: Order, _paid: Paid) -> Order:
        raise error()

    def condition(_order: Order) -> bool:
        raise error()

    def items(_order: Order) -> Sequence[Order]:
        raise error()

    def key(_order: Order) -> str:
        raise error()

    def one(order: Order) -> Sequence[Order]:
        return [order]

    failing = Step("fail", BANK, do=do, undo=refund, retry=QUICK, undo_retry=QUICK)
    refusing = Step(
        "refuse", STOCK, do=refuse, undo=lambda _order, _rollback: Command("release"), retry=QUICK
    )
    bodies: dict[str, Node[Order]] = {
        "do": sequence(reserving, failing),
        "first-do": failing,
        "undo": sequence(Step("pay", BANK, do=pay, undo=undo, retry=QUICK, undo_retry=QUICK), refusing),
        "merge": sequence(reserving, Step("pay", BANK, do=pay, undo=refund, merge=merge, retry=QUICK)),
        "retriable-do": sequence(reserving, Step("late", STOCK, do=do, kind="retriable", retry=QUICK)),
        "when": sequence(reserving, when(condition, failing)),
        "items": sequence(reserving, each(items, reserving_item, key=lambda item: item.sku)),
        "key": sequence(reserving, each(one, reserving_item, key=key)),
        "tolerated": sequence(reserving, tolerate(failing), shipping),
        "beside": parallel(reserving, failing),
    }
    return {name: Saga(f"raises-{name}", version=1, data=Order, body=body) for name, body in bodies.items()}


def refuse(_order: Order) -> Command[None]:
    return Command("reserve", {"sku": "refuse"})


reserving_item = Step("reserve-item", STOCK, do=reserve, undo=lambda _order, _rollback: Command("release"))


async def settled(store: EventStore, shop: Shop, saga: Saga[Order]) -> SagaView[Order]:
    """Run the saga until it ends or is stuck."""
    async with orchestrator(store, shop, sagas=[saga, FULFIL]) as amends:
        await amends.start(saga, Order(), saga_id="o-1")
        view = await amends.get("o-1")
        while view.status not in ENDS:
            await asyncio.sleep(0)
            view = await amends.get("o-1")
        assert (await amends.run(FULFIL, Order(sku="other"))).status == "completed", "others are not harmed"
        await until(lambda: amends.engine.live == 0)
        return view


@pytest.mark.parametrize("error", ["ordinary", "surrogate", "wordless", "long", "recursion", "memory"])
@pytest.mark.parametrize("place", sagas_that_raise(ERRORS["ordinary"]))
async def test_a_user_function_that_raises_ends_its_step_by_policy(
    store: EventStore, shop: Shop, place: str, error: str
) -> None:
    shop.on("reserve", refuse_by_payload)
    view = await settled(store, shop, sagas_that_raise(ERRORS[error])[place])
    expected = {"undo": "stuck", "tolerated": "completed"}
    assert view.status == expected.get(place, "compensated")


def refuse_by_payload(command: SendCommand) -> object:
    if b"refuse" in command.payload:
        raise Refuse("no")
    return None


@pytest.mark.parametrize("error", ["exit", "cancelled", "generator"])
async def test_a_user_function_cannot_end_the_process(stores: Stores, shop: Shop, error: str) -> None:
    """Whether it becomes a fact or a trigger without effect, the engine, its neighbours and the next opening go on."""
    sagas = sagas_that_raise(ERRORS[error])
    async with orchestrator(stores(), shop, sagas=[*sagas.values(), FULFIL]) as amends:
        for place, saga in sagas.items():
            start = asyncio.create_task(amends.start(saga, Order(), saga_id=place))
            await asyncio.gather(start, return_exceptions=True)
        assert (await amends.run(FULFIL, Order())).status == "completed"
    async with orchestrator(stores(), shop, sagas=[*sagas.values(), FULFIL]) as amends:
        assert (await amends.run(FULFIL, Order())).status == "completed"


class Saying:
    """A bank that says what it is told to, and nothing else."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply

    async def send(self, command: SendCommand) -> Answer:
        return Succeeded(self.reply if command.direction == "do" else b"null")

    async def close(self) -> None:
        """Nothing to release."""


REPLIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "another type": b'{"payment":7}',
    "a field is missing": b"{}",
    "no JSON": b"<html>",
    "no UTF-8": b'{"payment":"\xff"}',
    "cut off": b'{"payment":"p',
    "too deep": b'{"payment":' + b"[" * 100_000,
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_a_reply_of_the_wrong_shape_is_unknown_in_the_end_and_undone(
    store: EventStore, shop: Shop, reply: bytes
) -> None:
    async with orchestrator(store, participants=shop.bindings() | {"bank": Saying(reply)}) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        assert (end.status, end.undone) == ("compensated", ("reserve", "pay"))
        assert end.cause is not None
        assert end.cause.code == "unknown"
        assert msgspec.json.encode(end.as_dict())


@pytest.mark.parametrize(
    "extra", [b'"\xff"', b'"\\ud800"', b"1e999", b'"\x00"'], ids=["bytes", "half", "big", "zero"]
)
async def test_what_a_reply_says_beyond_its_type_kills_nothing(
    stores: Stores, shop: Shop, extra: bytes
) -> None:
    """Fields that nobody reads are skipped by the decoder; the store may still be unable to keep them."""
    bank = Saying(b'{"payment":"p-1","more":' + extra + b"}")
    participants = shop.bindings() | {"bank": bank}
    async with orchestrator(stores(), sagas=[FULFIL, WITHOUT_BANK], participants=participants) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        assert end.status in ("completed", "compensated")
        assert (await amends.run(WITHOUT_BANK, Order())).status == "completed"
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.get("o-1")).status == end.status


@asynccontextmanager
async def service(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/{command}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def html(_request: web.Request) -> web.Response:
    return web.Response(text="<html>It works!</html>", content_type="text/html")


async def ten_megabytes(_request: web.Request) -> web.Response:
    return web.Response(body=b'"' + b"x" * 10_000_000 + b'"', content_type="application/json")


async def nothing(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def silence(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


@pytest.mark.parametrize("bad", [html, ten_megabytes, nothing, silence], ids=lambda bad: bad.__name__)
async def test_a_service_that_answers_nonsense_ends_the_step_by_policy(
    store: EventStore, shop: Shop, bad: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await bad(request) if request.headers["Amends-Direction"] == "do" else web.json_response(None)

    async with service(answer) as url:
        participants = shop.bindings() | {"bank": http(url, timeout=timedelta(milliseconds=150))}
        async with orchestrator(store, participants=participants) as amends:
            end = await amends.run(FULFIL, Order(), saga_id="o-1")
            assert (end.status, end.undone) == ("compensated", ("reserve", "pay"))
