"""Breakers before real HTTP services, on the machine's clock: one goes away and comes back, another hangs."""

import asyncio
from collections import Counter
from datetime import timedelta
from time import monotonic

from aiohttp import web

from amends import BreakerPolicy, Orchestrator, Protection, RetryPolicy, Saga, Step, http, sequence
from amends.ports import EventStore
from tests.application.engine_world import orchestrator, until
from tests.application.shop import BANK, STOCK, Order, pay, refund, release, reserve

MS = timedelta(milliseconds=1)
PATIENT = RetryPolicy(attempts=20, first=20 * MS, cap=200 * MS)
BREAKER = BreakerPolicy(failures=3, open_for=50 * MS, longest=100 * MS, ramp=500 * MS, ramp_first=20)
BOTH = Saga(
    "both",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve", STOCK, do=reserve, undo=release),
        Step("pay", BANK, do=pay, undo=refund, retry=PATIENT),
    ),
)
STOCK_ONLY = Saga("stock-only", version=1, data=Order, body=Step("reserve", STOCK, do=reserve, undo=release))


class Service:
    """A service that can close its port and open it again, or hang."""

    def __init__(self) -> None:
        self.port = 0
        self.hangs = False
        self.calls = 0
        self.hanging = 0
        self.done: Counter[str] = Counter()
        self.moments: list[float] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_post("/{name}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.moments.append(monotonic())
        if self.hangs:
            self.hanging += 1
            await asyncio.Event().wait()
        self.done[request.headers["Idempotency-Key"]] += 1
        return web.json_response({"payment": "p-1"} if request.match_info["name"] == "pay" else None)


def over_http(store: EventStore, stock: Service, bank: Service, **timeouts: timedelta) -> Orchestrator:
    longest = timeouts.get("timeout", timedelta(seconds=10))
    return orchestrator(
        store,
        sagas=[BOTH, STOCK_ONLY],
        participants={
            "stock": http(f"http://127.0.0.1:{stock.port}"),
            "bank": http(f"http://127.0.0.1:{bank.port}", timeout=longest),
        },
        protection=Protection(breaker=BREAKER),
    )


async def test_a_service_that_goes_away_under_load_costs_time_and_nothing_else(store: EventStore) -> None:
    stock, bank = Service(), Service()
    await stock.start()
    await bank.start()
    async with over_http(store, stock, bank) as amends:
        await bank.stop()
        for number in range(100):
            await amends.start(BOTH, Order(), saga_id=f"o-{number}")
        lane = amends.engine.dispatcher.lanes["bank"]
        await until(lambda: lane.gate.breaker.trips >= 2, "the breaker to open, and a probe to fail")
        await until(lambda: len(stock.done) == 100 and amends.engine.live == 0, "all to wait outside memory")
        quick = await asyncio.gather(*(amends.run(STOCK_ONLY, Order(), saga_id=f"s-{n}") for n in range(50)))
        assert {view.status for view in quick} == {"completed"}
        await bank.start()
        ends = await asyncio.gather(*(amends.wait(f"o-{number}") for number in range(100)))
        assert {view.status for view in ends} == {"completed"}
        assert sum(view.steps[1].attempts == 1 for view in ends) >= 50, "most were not asked in vain"
        assert set(bank.done.values()) == {1}
        first = bank.moments[0]
        assert sum(moment < first + 0.05 for moment in bank.moments) <= 20, "no stampede"
    await stock.stop()
    await bank.stop()


async def test_a_service_that_hangs_holds_nobody_else_up(store: EventStore) -> None:
    stock, bank = Service(), Service()
    await stock.start()
    await bank.start()
    bank.hangs = True
    async with over_http(store, stock, bank, timeout=200 * MS) as amends:
        for number in range(150):
            await amends.start(BOTH, Order(), saga_id=f"o-{number}")
        lane = amends.engine.dispatcher.lanes["bank"]
        await until(lambda: lane.gate.breaker.trips >= 1, "the breaker to open")
        quick = await asyncio.gather(*(amends.run(STOCK_ONLY, Order(), saga_id=f"s-{n}") for n in range(50)))
        assert {view.status for view in quick} == {"completed"}
        assert bank.hanging <= 150, "most commands wait, and nobody calls again and again"
        bank.hangs = False
        ends = await asyncio.gather(*(amends.wait(f"o-{number}") for number in range(150)))
        assert {view.status for view in ends} == {"completed"}
        assert len(bank.done) == 150, "a call that was too slow is made again, with the same id"
    await stock.stop()
    await bank.stop()
