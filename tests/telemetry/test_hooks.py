"""Hooks around each attempt: what they are told and when, and that one that raises harms nobody."""

import asyncio
import logging
from pathlib import Path

import pytest

from amends import Attempt, AttemptEnd, Orchestrator, StepHook, memory, sqlite
from amends.application.hooks import Hooks
from amends.application.instance import Instance
from amends.core.effect import SendCommand
from amends.core.state import initial
from amends.ports import EventStore, StreamKey
from tests.application.engine_world import until
from tests.application.shop import FULFIL, Order, Paid, Shop


class Noted:
    """Notes what the hooks are told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, int, str]] = []
        self.ends: list[AttemptEnd] = []
        self.hook = StepHook(before=self.before, after=self.after)

    def before(self, attempt: Attempt) -> None:
        self.told.append(("before", attempt.step, attempt.direction, attempt.attempt, ""))

    def after(self, attempt: Attempt, end: AttemptEnd) -> None:
        self.told.append(("after", attempt.step, attempt.direction, attempt.attempt, end.outcome))
        self.ends.append(end)


def amends(shop: Shop, *hooks: StepHook, store: EventStore | None = None) -> Orchestrator:
    return Orchestrator(sagas=[FULFIL], store=store or memory(), participants=shop.bindings(), hooks=hooks)


async def test_around_each_attempt_forward_and_back() -> None:
    shop, noted = Shop(), Noted()
    tries = iter([True, False])

    def pay(_command: SendCommand) -> object:
        if next(tries):
            raise RuntimeError("busy")
        return Paid("p-1")

    shop.on("pay", pay)
    async with amends(shop, noted.hook) as orchestrator:
        await orchestrator.run(FULFIL, Order(), saga_id="good")
        shop.refuse("pay", "declined")
        await orchestrator.run(FULFIL, Order(), saga_id="bad")
    assert noted.told == [
        ("before", "reserve", "do", 1, ""),
        ("after", "reserve", "do", 1, "succeeded"),
        ("before", "pay", "do", 1, ""),
        ("after", "pay", "do", 1, "failed"),
        ("before", "pay", "do", 2, ""),
        ("after", "pay", "do", 2, "succeeded"),
        ("before", "ship", "do", 1, ""),
        ("after", "ship", "do", 1, "succeeded"),
        ("before", "reserve", "do", 1, ""),
        ("after", "reserve", "do", 1, "succeeded"),
        ("before", "pay", "do", 1, ""),
        ("after", "pay", "do", 1, "refused"),
        ("before", "reserve", "undo", 1, ""),
        ("after", "reserve", "undo", 1, "succeeded"),
    ]
    assert (noted.ends[1].code, "busy" in noted.ends[1].reason) == ("transient", True)
    assert noted.ends[5].code == "declined"


async def test_nothing_is_told_before_it_is_durable() -> None:
    shop, told = Shop(), list[str]()

    def note(attempt: Attempt, *_end: AttemptEnd) -> None:
        told.append(f"{attempt.step} {orchestrator.engine.writer.commits}")

    async with amends(shop, StepHook(before=note, after=note)) as orchestrator:
        await orchestrator.run(FULFIL, Order(), saga_id="order-1")
    assert told == ["reserve 1", "reserve 2", "pay 2", "pay 3", "ship 3", "ship 4"]


async def test_after_a_restart_before_is_called_again_and_after_once(tmp_path: Path) -> None:
    shop, noted = Shop(), Noted()
    never: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    shop.on("pay", lambda _command: never)
    async with amends(shop, noted.hook, store=sqlite(tmp_path / "sagas.db")) as orchestrator:
        await orchestrator.start(FULFIL, Order(), saga_id="order-1")
        await until(lambda: shop.named("pay"), "the call that hangs")
    del shop.handlers["pay"]
    async with amends(shop, noted.hook, store=sqlite(tmp_path / "sagas.db")) as orchestrator:
        await orchestrator.wait("order-1")
    of_pay = [each for each in noted.told if each[1] == "pay"]
    assert of_pay == [
        ("before", "pay", "do", 1, ""),
        ("before", "pay", "do", 1, ""),
        ("after", "pay", "do", 1, "succeeded"),
    ]


async def test_a_hook_that_raises_harms_neither_the_saga_nor_the_other_hooks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noted = Noted()

    def broken(*_told: object) -> None:
        raise ZeroDivisionError("mine")

    with caplog.at_level(logging.WARNING):
        async with amends(Shop(), StepHook(before=broken, after=broken), noted.hook) as orchestrator:
            ends = [await orchestrator.run(FULFIL, Order(), saga_id=f"order-{n}") for n in range(5)]
    assert {end.status for end in ends} == {"completed"}
    assert len(noted.told) == 5 * 6
    # A line for each attempt would help nobody: one for each function says it.
    lines = [record for record in caplog.records if record.name == "amends.hooks"]
    assert len(lines) == 1
    assert lines[0].exc_info is not None
    assert getattr(lines[0], "saga", "") == "order-0"


def test_a_hook_that_goes_on_raising_is_logged_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]

    def broken(_attempt: Attempt) -> None:
        raise ZeroDivisionError("mine")

    hooks = Hooks([StepHook(before=broken)], trace_id=lambda _saga: "", monotonic=lambda: now[0])
    instance = Instance(StreamKey("default", "order-1"), None, initial("default", "order-1"))
    command = SendCommand(
        namespace="default",
        saga_id="order-1",
        saga="fulfil",
        step="pay",
        direction="do",
        round=1,
        attempt=1,
        command_id="order-1/pay/do/1",
        participant="bank",
        name="pay",
        payload=b"null",
        due=None,
    )
    with caplog.at_level(logging.WARNING):
        for at in (0.0, 1.0, 9.9, 10.1, 10.2):
            now[0] = at
            assert hooks.sending(instance, command) is command
    assert len(caplog.records) == 2
