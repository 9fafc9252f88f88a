"""How a service stands is told to a registry: when it is ready, when it is not, and before it ends."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from amends import memory, service
from amends.application import presence
from amends.application.presence import Presence
from amends.application.service import Service
from amends.ports.discovery import Condition, Instances
from tests.application.engine_world import orchestrator, until


class Known:
    """Nobody."""

    urls: tuple[str, ...] = ()
    next_look = timedelta(0)


class Registry:
    """Fills the port; notes what happens to it, in turn."""

    def __init__(self) -> None:
        self.trouble = ""
        self.noted: list[str] = []
        self.on_note: Callable[[], object] = lambda: None

    def note(self, what: str) -> None:
        self.noted.append(f"{what} {self.on_note()}")

    def instances(self, service: str) -> Instances:
        return Known()

    async def start(self) -> None:
        self.note("start")

    def announce(self, condition: Condition) -> None:
        self.note(condition)

    async def stop(self) -> None:
        self.note("stop")


def joined(registry: Registry) -> Service:
    made = service(orchestrator(memory()), discovery=registry)
    registry.on_note = lambda: "ready" if made.is_ready else "not ready"
    return made


async def test_it_is_up_when_it_is_ready_and_down_before_it_ends() -> None:
    registry = Registry()
    made = joined(registry)
    async with made:
        await until(lambda: len(registry.noted) > 1, "being told")
        made.going_down()
        made.going_down()
    assert registry.noted == ["start not ready", "up ready", "down ready", "stop not ready"]


async def test_it_is_down_before_it_ends_also_when_nobody_says_so() -> None:
    registry = Registry()
    async with joined(registry):
        await until(lambda: len(registry.noted) > 1, "being told")
    assert [each.partition(" ")[0] for each in registry.noted] == ["start", "up", "down", "stop"]


async def test_a_service_that_does_not_open_was_never_up() -> None:
    registry = Registry()
    store = memory()
    await store.open()
    made = Service(orchestrator(store), discovery=registry)
    with pytest.raises(Exception, match="open"):
        async with made:
            raise AssertionError("it must not open")
    assert [each.partition(" ")[0] for each in registry.noted] == ["start", "stop"]


async def test_it_follows_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "INTERVAL", 0.0)
    registry = Registry()
    ready = [False]
    told = Presence(registry, is_ready=lambda: ready[0])
    told.start()
    told.look()
    assert registry.noted == []
    for wanted in (True, False, True):
        ready[0] = wanted
        await until(
            lambda: registry.noted and registry.noted[-1].startswith("up" if ready[0] else "down"), "news"
        )
    await told.stop()
    await told.stop()
    assert [each.strip() for each in registry.noted] == ["up None", "down None", "up None", "down None"]


async def test_a_registry_that_is_away_is_trouble_and_the_service_is_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    registry = Registry()
    async with joined(registry) as opened:
        assert opened.troubles == {}
        registry.trouble = "it does not answer"
        assert opened.troubles == {"discovery": "it does not answer"}
        assert opened.gauges().troubles == opened.troubles
        assert opened.is_ready
