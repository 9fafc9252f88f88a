"""Replies that come later, from end to end: an HTTP service answers 202 and calls back through the public API."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from amends import Callbacks, Orchestrator, SagaView, callbacks, http
from amends.core.effect import command_id
from amends.ports import Clock, EventStore
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, events_of, fire, orchestrator, until
from tests.application.shop import FULFIL, SAGAS, Order, Shop

PAID = {"outcome": "succeeded", "reply": {"payment": "p-7"}}
DECLINED = {"outcome": "refused", "code": "declined", "reason": "insufficient funds"}
DONE = {"outcome": "succeeded"}


@dataclass
class Bank:
    """An HTTP service that accepts every command and answers when the test says so."""

    client: aiohttp.ClientSession
    url: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])
    """The headers of what came."""

    async def accept(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        return web.Response(status=202)

    async def says(self, asked: Mapping[str, str], said: Mapping[str, object]) -> tuple[int, object]:
        """Call back with what was `asked`; return the status and the verdict."""
        body = {
            "command_id": asked["Idempotency-Key"],
            "saga_id": asked["Amends-Saga-Id"],
            "step": asked["Amends-Step"],
            "direction": asked["Amends-Direction"],
            "round": int(asked["Amends-Round"]),
        }
        return await self.post(asked["Amends-Reply-To"], body | dict(said))

    async def post(self, url: str, body: Mapping[str, object]) -> tuple[int, object]:
        async with self.client.post(url, json=body) as response:
            document = await response.json(content_type=None)
            return response.status, document.get("verdict")


@pytest.fixture
async def bank() -> AsyncIterator[Bank]:
    async with aiohttp.ClientSession() as client:
        bank = Bank(client)
        application = web.Application()
        application.router.add_post("/{command}", bank.accept)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        bank.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield bank
        await runner.cleanup()


def trading(
    store: EventStore, shop: Shop, bank: Bank, replies: Callbacks, clock: Clock | None = None
) -> Orchestrator:
    services = shop.bindings() | {"bank": http(bank.url, callback_url=replies.url)}
    return orchestrator(store, participants=services, clock=clock)


@asynccontextmanager
async def open_shop(
    store: EventStore, shop: Shop, bank: Bank, clock: Clock | None = None
) -> AsyncGenerator[Orchestrator]:
    async with callbacks() as replies, trading(store, shop, bank, replies, clock) as amends:
        replies.deliver_to(amends)
        yield amends


async def begun(amends: Orchestrator, bank: Bank) -> asyncio.Task[SagaView[Order]]:
    """Run an order as far as the payment that the bank has accepted."""
    run = asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-1"))
    await until(lambda: bank.asked)
    return run


async def test_a_success_that_comes_later_lets_the_saga_go_on(
    store: EventStore, shop: Shop, bank: Bank
) -> None:
    async with open_shop(store, shop, bank) as amends:
        run = await begun(amends, bank)
        assert await bank.says(bank.asked[0], PAID) == (200, "recorded")
        end = await run
    assert (end.status, end.data.payment, end.steps[1].reply) == ("completed", "p-7", {"payment": "p-7"})
    assert len(bank.asked) == 1


async def test_a_refusal_that_comes_later_turns_the_saga_round(
    store: EventStore, shop: Shop, bank: Bank
) -> None:
    async with open_shop(store, shop, bank) as amends:
        run = await begun(amends, bank)
        assert await bank.says(bank.asked[0], DECLINED) == (200, "recorded")
        end = await run
    assert (end.status, end.undone) == ("compensated", ("reserve",))
    assert end.cause is not None
    assert (end.cause.code, end.cause.reason) == ("declined", "insufficient funds")


async def test_a_failure_that_comes_later_is_an_attempt_that_failed(
    store: EventStore, shop: Shop, bank: Bank
) -> None:
    async with open_shop(store, shop, bank) as amends:
        run = await begun(amends, bank)
        assert await bank.says(bank.asked[0], {"outcome": "failed"}) == (200, "recorded")
        await until(lambda: len(bank.asked) == 2)
        assert await bank.says(bank.asked[1], PAID) == (200, "recorded")
        end = await run
    assert (end.status, end.steps[1].attempts) == ("completed", 2)
    assert len({asked["Idempotency-Key"] for asked in bank.asked}) == 1


async def test_the_same_answer_again_changes_nothing_and_another_is_shown(
    store: EventStore, shop: Shop, bank: Bank
) -> None:
    async with open_shop(store, shop, bank) as amends:
        run = await begun(amends, bank)
        assert await bank.says(bank.asked[0], PAID) == (200, "recorded")
        end = await run
        assert await bank.says(bank.asked[0], PAID) == (200, "duplicate")
        assert await amends.get("o-1") == end
        for _ in range(2):
            assert await bank.says(bank.asked[0], DECLINED) == (409, None)
        assert await bank.says(bank.asked[0], PAID) == (200, "duplicate"), "it is still the first that stands"
        view = await amends.get("o-1")
        assert (view.status, view.contradicted, view.position) == ("completed", ("pay",), end.position + 1)
        assert (await events_of(store, "o-1")).count("ReplyContradicted") == 1
    assert shop.named("ship")[1:] == []


@pytest.mark.parametrize(
    ("namespace", "saga_id", "step", "direction", "round_"),
    [
        ("default", "o-2", "pay", "do", 1),
        ("elsewhere", "o-1", "pay", "do", 1),
        ("default", "o-1", "nowhere", "do", 1),
        ("default", "o-1", "ship", "do", 1),
        ("default", "o-1", "pay", "do", 2),
        ("default", "o-1", "pay", "undo", 1),
        ("default", "o-1", "pay", "undo", 0),
        ("default", "ä/ö", "pay", "do", 1),
    ],
)
async def test_an_answer_to_no_command_is_unknown(
    shop: Shop,
    store: EventStore,
    bank: Bank,
    *,
    namespace: str,
    saga_id: str,
    step: str,
    direction: str,
    round_: int,
) -> None:
    async with open_shop(store, shop, bank) as amends:
        run = await begun(amends, bank)
        before = await amends.get("o-1")
        body = PAID | {
            "command_id": command_id(
                namespace, saga_id, step, "undo" if direction == "undo" else "do", round_
            ),
            "namespace": namespace,
            "saga_id": saga_id,
            "step": step,
            "direction": direction,
            "round": round_,
        }
        assert await bank.post(bank.asked[0]["Amends-Reply-To"], body) == (404, None)
        assert await amends.get("o-1") == before
        await bank.says(bank.asked[0], PAID)
        assert (await run).status == "completed"


async def test_a_success_after_the_step_was_given_up_is_recorded_and_undone(
    store: EventStore, shop: Shop, bank: Bank
) -> None:
    clock = ManualClock()
    async with open_shop(store, shop, bank, clock) as amends:
        run = await begun(amends, bank)
        while bank.asked[-1]["Amends-Direction"] == "do":
            await fire(amends, clock, by=timedelta(seconds=31))
        assert await bank.says(bank.asked[-1], DONE) == (200, "recorded")
        assert await bank.says(bank.asked[-1], DONE) == (200, "duplicate")
        assert (await run).status == "compensated"
        assert await bank.says(bank.asked[0], PAID) == (200, "recorded")
        await until(lambda: bank.asked[-1]["Amends-Round"] == "2")
        assert await bank.says(bank.asked[0], PAID) == (200, "duplicate")
        assert await bank.says(bank.asked[-1], DONE) == (200, "recorded")
        end = await amends.wait("o-1")
        assert (end.status, end.steps[1].undo_round) == ("compensated", 2)
        assert end.steps[1].reply == {"payment": "p-7"}


async def test_a_reply_that_cannot_be_recorded_is_asked_for_again(
    stores: Stores, shop: Shop, bank: Bank
) -> None:
    async with callbacks() as replies:
        async with trading(stores(), shop, bank, replies) as amends:
            await amends.start(FULFIL, Order(), saga_id="o-1")
            await until(lambda: bank.asked)
            assert await bank.says(bank.asked[0], PAID) == (503, None), "nobody takes it yet"
            replies.deliver_to(amends)
        assert await bank.says(bank.asked[0], PAID) == (503, None), "the orchestrator was closed"
        async with orchestrator(stores(), shop, sagas=SAGAS[1:]) as other:
            replies.deliver_to(other)
            assert await bank.says(bank.asked[0], PAID) == (503, None), "its definition is not deployed here"
        async with trading(stores(), shop, bank, replies) as amends:
            replies.deliver_to(amends)
            assert await bank.says(bank.asked[0], PAID) == (200, "recorded")
            assert (await amends.wait("o-1")).data.payment == "p-7"


async def test_the_port_may_be_chosen_and_is_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address"):
            async with callbacks(port=port):
                raise AssertionError("the port was taken")
    for _ in range(2):
        replies = callbacks(port=port)
        url = replies.url
        assert url == f"http://127.0.0.1:{port}/v1/callbacks"
        async with replies as opened:
            assert opened.url == url
