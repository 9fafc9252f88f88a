"""Orchestrators that share nothing but a Redis and a bank that they call: what tests of the concert stand on.

Rules: each has a store of its own, as if its processes were on other machines; time is the machine's. The bank notes
when it was called, and how many calls it had at a time.
It does not: judge.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta

from amends import Orchestrator, Saga, Step, bootstrap, memory
from amends.application.breakers import BreakerPolicy, Stage
from amends.application.gate import Protection
from amends.application.service import Service
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Succeeded
from servers import redis
from tests.application.shop import BANK, QUICK, Order, pay, refund

PATIENCE = 20.0
OPEN_FOR = timedelta(seconds=0.4)
PLAIN = Protection(
    breaker=BreakerPolicy(failures=3, open_for=OPEN_FOR, longest=OPEN_FOR, ramp=timedelta(0)),
)
PAYMENT = Saga(
    "payment",
    version=1,
    data=Order,
    body=Step("pay", BANK, do=pay, undo=refund, retry=QUICK, timeout=timedelta(seconds=30)),
)


class Bank:
    """A participant that all of them call."""

    def __init__(self) -> None:
        self.mode = "up"
        self.calls: list[float] = []
        self.at_once = self.most_at_once = 0

    async def send(self, command: SendCommand) -> Answer | Accepted:
        self.calls.append(time.monotonic())
        with self._counted():
            await asyncio.sleep(0)
            if self.mode == "down":
                return Failed("connection refused")
        return Succeeded(b'{"payment":"p-1"}')

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        """Nothing to release."""


def player(
    bank: Bank,
    server: redis.Server,
    namespace: str,
    protection: Protection = PLAIN,
    password: str | None = None,
) -> Service:
    orchestrator = Orchestrator(
        sagas=[PAYMENT], store=memory(), participants={"bank": bank}, protection=protection
    )
    exchange = bootstrap.redis("127.0.0.1", port=server.port, namespace=namespace, password=password)
    return bootstrap.service(orchestrator, exchange=exchange)


@asynccontextmanager
async def players(
    number: int, bank: Bank, server: redis.Server, namespace: str, protection: Protection = PLAIN
) -> AsyncGenerator[list[Service]]:
    """Give so many of them, each of which knows of the others."""
    async with AsyncExitStack() as stack:
        every = [player(bank, server, namespace, protection) for _ in range(number)]
        for each in every:
            await stack.enter_async_context(each)
        await until(lambda: all(members(each) == number for each in every), "all to have met")
        yield every


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let time pass until `condition` holds."""
    latest = time.monotonic() + PATIENCE
    happened = asyncio.Event()
    while not condition():
        assert time.monotonic() < latest, f"waited in vain{f' for {what}' if what else ''}"
        try:
            async with asyncio.timeout(0.005):
                await happened.wait()
        except TimeoutError:
            continue


def stage(service: Service) -> Stage:
    return service.orchestrator.engine.dispatcher.lanes["bank"].gate.stage


def members(service: Service) -> int:
    return service.orchestrator.engine.dispatcher.lanes["bank"].gate.breaker.sharers


async def begin(service: Service, number: int) -> list[str]:
    """Start so many payments; return their ids."""
    return [(await service.orchestrator.start(PAYMENT, Order())).id for _ in range(number)]


async def completed(service: Service, ids: list[str]) -> None:
    """Wait until all of these have ended well."""
    ends = await asyncio.gather(*(service.orchestrator.wait(each) for each in ids))
    assert {end.status for end in ends} == {"completed"}
