"""Real sagas across services in Go, Java and TypeScript, from one orchestrator."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from amends import Orchestrator, RetryPolicy, Saga, Step, http, memory, sequence
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Refused
from amends.ports.transport import Transport
from examples.languages.build import LANGUAGES, Language, ToolMissing, built
from examples.languages.saga import (
    INVENTORY,
    ORDER_IN_THREE_LANGUAGES,
    PAYMENT,
    SHIPPING,
    Order,
    cancel,
    charge,
    refund,
    release,
    reserve,
    ship,
)
from tests.examples.languages.served import Served, served

WITHIN = 60.0
KETTLES, CENTS = 1000 + 1, 10_000_000 + 10
"""What the services begin with."""


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Mapping[str, Served]]:
    async with served(tmp_path, list(LANGUAGES)) as services:
        yield services


def bound(services: Mapping[str, Served]) -> dict[str, Transport]:
    return {name: http(f"{service.url}/commands") for name, service in services.items()}


async def standing(services: Mapping[str, Served]) -> dict[str, int]:
    return {name: (await service.state())["standing"] for name, service in services.items()}


async def expect_effects(services: Mapping[str, Served], orders: list[Order]) -> None:
    """Of these orders everything stands, and nothing of any other."""
    assert await standing(services) == dict.fromkeys(services, len(orders))
    kept = KETTLES - sum(order.quantity for order in orders)
    assert (await services["inventory"].state())["on_hand"] == kept
    paid = CENTS - sum(order.cents for order in orders)
    assert (await services["payment"].state())["cents"] == paid


DECLINED = {
    "out-of-stock": (Order(order_id="", sku="toaster", quantity=2), ()),
    "insufficient-funds": (Order(order_id="", account="bob"), ("reserve",)),
    "no-carrier": (Order(order_id="", country="AQ"), ("reserve", "charge")),
}


async def test_orders_are_completed_or_undone_wherever_they_are_declined(
    services: Mapping[str, Served],
) -> None:
    good = [Order(order_id=f"good-{number}", cents=100 + number) for number in range(20)]
    bad = {code: replace(order, order_id=f"bad-{code}") for code, (order, _) in DECLINED.items()}
    async with Orchestrator(
        sagas=[ORDER_IN_THREE_LANGUAGES], store=memory(), participants=bound(services)
    ) as amends:
        views = await asyncio.wait_for(
            asyncio.gather(
                *(
                    amends.run(ORDER_IN_THREE_LANGUAGES, order, saga_id=order.order_id)
                    for order in (*good, *bad.values())
                )
            ),
            WITHIN,
        )
    assert [view.status for view in views[: len(good)]] == ["completed"] * len(good)
    for (code, (_, undone)), view in zip(DECLINED.items(), views[len(good) :], strict=True):
        assert view.status == "compensated"
        assert view.cause is not None
        assert view.cause.code == code
        assert sorted(view.undone) == sorted(undone)
    await expect_effects(services, good)


class Repeating:
    """Delivers every command three times at once; all answers have to be the same."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.repeated = 0

    async def send(self, command: SendCommand) -> Answer | Accepted:
        answers = await asyncio.gather(*(self._inner.send(command) for _ in range(3)))
        assert answers[1:] == answers[:-1]
        self.repeated += 1
        return answers[0]

    async def close(self) -> None:
        await self._inner.close()


async def test_every_command_may_come_three_times_at_once(services: Mapping[str, Served]) -> None:
    repeating = {name: Repeating(transport) for name, transport in bound(services).items()}
    orders = [Order(order_id=f"order-{number}") for number in range(5)]
    declined = Order(order_id="declined", country="AQ")
    async with Orchestrator(
        sagas=[ORDER_IN_THREE_LANGUAGES], store=memory(), participants=repeating
    ) as amends:
        for order in (*orders, declined):
            view = await asyncio.wait_for(
                amends.run(ORDER_IN_THREE_LANGUAGES, order, saga_id=order.order_id), WITHIN
            )
            assert view.status == ("compensated" if order is declined else "completed")
    assert {name: each.repeated for name, each in repeating.items()} == {
        "inventory": 7,
        "payment": 7,
        "shipping": 6,
    }
    await expect_effects(services, orders)


ONCE = RetryPolicy(attempts=1)
HURRIED = Saga(
    "hurried",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve", INVENTORY, do=reserve, undo=release, retry=ONCE),
        Step("charge", PAYMENT, do=charge, undo=refund, retry=ONCE),
        Step("ship", SHIPPING, do=ship, undo=cancel, retry=ONCE),
    ),
)


class Late:
    """Keeps each do back, as a slow network would, until the test lets it through."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._kept: list[SendCommand] = []
        self.undone: list[Answer | Accepted] = []

    async def send(self, command: SendCommand) -> Answer | Accepted:
        if command.direction == "do":
            self._kept.append(command)
            return Failed("the line is slow", "timeout")
        self.undone.append(await self._inner.send(command))
        return self.undone[-1]

    async def let_through(self) -> list[Answer | Accepted]:
        return [await self._inner.send(command) for command in self._kept for _ in range(2)]

    async def close(self) -> None:
        """Closed by the test, which uses it longer than the orchestrator does."""

    async def end(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("name", ["inventory", "payment", "shipping"])
async def test_an_undo_before_its_do_is_confirmed_and_the_late_do_refused(
    services: Mapping[str, Served], name: str
) -> None:
    participants = bound(services)
    late = Late(participants[name])
    async with Orchestrator(
        sagas=[HURRIED], store=memory(), participants={**participants, name: late}
    ) as amends:
        view = await asyncio.wait_for(amends.run(HURRIED, Order(order_id="o"), saga_id="o"), WITHIN)
    assert view.status == "compensated"
    assert len(late.undone) == 1
    await expect_effects(services, [])
    answers = await late.let_through()
    await late.end()
    assert [type(answer) for answer in answers] == [Refused, Refused]
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"already-undone"}
    await expect_effects(services, [])


STEPS = {"inventory": "reserve", "payment": "charge", "shipping": "ship"}


@pytest.mark.parametrize("name", STEPS)
async def test_a_service_is_killed_after_it_acted_and_before_it_answered(
    services: Mapping[str, Served], name: str
) -> None:
    service = services[name]
    await service.stop()
    await service.start(crash_on=f"killed/{STEPS[name]}/do/1")
    order = Order(order_id="killed")
    async with Orchestrator(
        sagas=[ORDER_IN_THREE_LANGUAGES], store=memory(), participants=bound(services)
    ) as amends:
        await amends.start(ORDER_IN_THREE_LANGUAGES, order, saga_id="killed")
        assert await service.crashed() == -signal.SIGKILL
        await service.start()
        # It has acted, though nobody knows yet.
        view = await asyncio.wait_for(amends.wait("killed"), WITHIN)
    assert view.status == "completed"
    assert [step.attempts > 1 for step in view.steps] == [step.path == STEPS[name] for step in view.steps]
    await expect_effects(services, [order])


async def test_an_undo_survives_the_kill_as_well(services: Mapping[str, Served]) -> None:
    service = services["payment"]
    await service.stop()
    await service.start(crash_on="declined/charge/undo/1")
    async with Orchestrator(
        sagas=[ORDER_IN_THREE_LANGUAGES], store=memory(), participants=bound(services)
    ) as amends:
        order = Order(order_id="declined", country="AQ")
        await amends.start(ORDER_IN_THREE_LANGUAGES, order, saga_id="declined")
        assert await service.crashed() == -signal.SIGKILL
        await service.start()
        view = await asyncio.wait_for(amends.wait("declined"), WITHIN)
    assert view.status == "compensated"
    await expect_effects(services, [])


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Language = replace(LANGUAGES["go"], tools={"no-such-go": "Go 1.26 or newer"})
    monkeypatch.setattr("examples.languages.build.LANGUAGES", {"go": missing})
    with pytest.raises(ToolMissing, match=r"needs no-such-go, which is not installed: install Go 1\.26"):
        built("go")
