"""What happens to a broker under load, and what must hold after it: killed, crowded, a topic gone, a permission gone.

    async with Scene.opened(directory) as scene: await scene.play("killed", killed, times=10)

Rules
- `amends serve` over a SQLite file, the three services as a process of their own, a broker of its own. Clients start
  purchases over REST, ask until they are answered, and then until the purchase has ended, all the while.
- While something is broken `GET /ready` has to name it under `troubles`; after it, nothing, within `CLEAR_WITHIN`.
- After each phase: no acknowledged start is missing, each purchase came to its one end, every effect stands once in the
  services' books, positions have no gap, and to each service the commands of a saga came in the order of their issue.
It does not: end anything that it did not start.
"""

import asyncio
import itertools
import random
import signal
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from amends.adapters.kafka import make_topics
from tests.adapters.kafka import administration
from tests.adapters.kafka.administration import Rule
from tests.crash.cluster.services import pause
from tests.crash.expedition import faults_of
from tests.crash.kafka.broker import Broker, Visitor
from tests.crash.kafka.lossy import ENDS, STORE, Result, Tell
from tests.crash.kafka.services import came, services, wrong_order
from tests.crash.kafka.shop import SERVICES, order_id, purchase, wrong_ends, wrong_in_books
from tests.crash.restarts import Service, free_port

TOPICS: Final = {service: f"{service}.commands" for service in SERVICES}
REPLIES: Final = "replies"
GROUP: Final = "amends"
PARTITIONS: Final = 4
SHOWN_WITHIN: Final = 60.0
"""Seconds within which readiness has to tell a trouble."""
CLEAR_WITHIN: Final = 60.0
"""Seconds within which it has to be clear again, and sagas to end."""
LASTS: Final = 3.0
"""Seconds for which readiness is watched while something is broken."""
ENDED_WITHIN: Final = 150.0
ISSUED: Final = """
SELECT saga_id, json_extract(body, '$.step'), coalesce(json_extract(body, '$.direction'), 'do'),
    coalesce(json_extract(body, '$.round'), 1)
FROM event WHERE type = 'CommandIssued' ORDER BY saga_id, position
"""

CONFIGURATION: Final = """\
server: {{port: {port}}}
database: {{url: "sqlite:{store}"}}
log: {{level: warning}}
kafka:
  bootstrap-servers: ["{server}"]
  bindings: {bindings}
  consumer-group: {group}
  partitions: 0
  topics: {{replies: {replies}}}
"""


@dataclass
class Shoppers:
    """Clients that start purchases and see them through."""

    session: ClientSession
    service: Service
    wrong: list[str] = field(default_factory=list[str])
    acknowledged: set[str] = field(default_factory=set[str])
    ends: dict[str, str] = field(default_factory=dict[str, str])
    started: int = 0
    _over: bool = False
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list["asyncio.Task[None]"])
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def begin(self, abreast: int) -> None:
        """Have so many purchases under way until `finish`."""
        self._over = False
        self._tasks = [asyncio.create_task(self._go_on()) for _ in range(abreast)]

    async def finish(self, within: float) -> None:
        """Begin no more, and wait for the ends of those that began."""
        self._over = True
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*self._tasks)
        except TimeoutError:
            self.wrong.append(f"not all had ended {within:g} s after the last began")
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def more_ended(self, number: int, within: float) -> None:
        """Wait until so many more have ended than now."""
        wanted = len(self.ends) + number
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: len(self.ends) >= wanted)
        except TimeoutError:
            self.wrong.append(f"{number} more had not ended within {within:g} s")

    async def _go_on(self) -> None:
        while not self._over:
            self.started += 1
            await self._see_through(self.started)

    async def _see_through(self, number: int) -> None:
        saga_id = order_id(number)
        body = msgspec.json.encode({"saga": "purchase", "id": saga_id, "data": purchase(number)})
        while True:
            is_known = saga_id in self.acknowledged
            # Without waiting at first, so that there is an acknowledgement to be lost.
            status, document = await self._post(f"/v1/sagas?wait={int(is_known)}", body)
            if status == 201 and is_known:
                self.wrong.append(f"{saga_id}: an acknowledged start was lost")
            if status in {200, 201}:
                self.acknowledged.add(saga_id)
                if document["status"] in ENDS:
                    break
            elif status not in {429, 503}:
                self.wrong.append(f"{saga_id}: {status} {document}")
                return
        async with self._news:
            self.ends[saga_id] = document["status"]
            self._news.notify_all()

    async def _post(self, path: str, body: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        while True:
            with suppress(ClientError, TimeoutError, msgspec.DecodeError):
                async with self.session.post(
                    f"{self.service.url}{path}", data=body, headers=headers
                ) as answer:
                    return answer.status, msgspec.json.decode(await answer.read())
            await pause(0.1)

    async def troubles(self) -> Mapping[str, str]:
        """Return what readiness tells."""
        async with self.session.get(f"{self.service.url}/ready") as answer:
            found: Mapping[str, str] = msgspec.json.decode(await answer.read()).get("troubles", {})
            return found


@dataclass
class Scene:
    """Everything that runs, and what was found."""

    directory: Path
    broker: Broker
    shoppers: Shoppers
    draw: random.Random
    tell: Tell
    result: Result = field(default_factory=Result)

    async def until_shown(self, *wanted: str) -> None:
        """Wait until readiness names one of these ways."""
        await self._until(
            lambda told: bool(told.keys() & set(wanted)), SHOWN_WITHIN, f"readiness did not name {wanted}"
        )

    async def stays_shown(self, wanted: str) -> None:
        """Hold readiness to naming this way for as long as nothing is mended."""
        until = time.monotonic() + LASTS
        while time.monotonic() < until:
            if wanted not in await self.shoppers.troubles():
                self.result.wrong.append(f"readiness ceased to name {wanted} while nothing was mended")
                return
            await pause(0.05)

    async def until_clear(self) -> float:
        """Wait until readiness names nothing; return how many seconds that took."""
        return await self._until(lambda told: not told, CLEAR_WITHIN, "readiness was not clear again")

    async def _until(
        self, holds: Callable[[Mapping[str, str]], bool], within: float, otherwise: str
    ) -> float:
        began = time.monotonic()
        told: Mapping[str, str] = {}
        while time.monotonic() - began < within:
            told = await self.shoppers.troubles()
            if holds(told):
                return time.monotonic() - began
            await pause(0.05)
        self.result.wrong.append(f"{otherwise} within {within:g} s: {dict(told)}")
        return within


Breaking = Callable[[Scene], Awaitable[None]]


@asynccontextmanager
async def opened(directory: Path, *, seed: int, tell: Tell = lambda _: None) -> AsyncGenerator[Scene]:
    """A scene that runs; its books are looked at when it closes."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(directory / "broker"))
        await make_topics(broker.address, [*TOPICS.values(), REPLIES], partitions=PARTITIONS, replicas=1)
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=30)))
        port = free_port()
        path = _configure(directory, broker.address.servers[0], port)
        service = Service(
            directory, ["tests.crash.kafka.shop:SAGAS", "--config", str(path)], f"http://127.0.0.1:{port}"
        )
        scene = Scene(directory, broker, Shoppers(session, service), random.Random(seed), tell)
        # The services end last, so that all that came is written down.
        async with services(broker.address.servers[0], directory, "", "commands"):
            await service.start()
            try:
                yield scene
            finally:
                await service.end(signal.SIGTERM)
        scene.result.wrong += [*service.wrong, *wrong_books(scene)]


def _configure(directory: Path, server: str, port: int) -> Path:
    bindings = directory / "topics.yaml"
    lines = [f"  {service}: {{commands: {topic}}}" for service, topic in TOPICS.items()]
    bindings.write_text("\n".join(["participants:", *lines]) + "\n")
    path = directory / "application.yaml"
    text = CONFIGURATION.format(
        port=port, store=directory / STORE, server=server, bindings=bindings, group=GROUP, replies=REPLIES
    )
    path.write_text(text)
    return path


def wrong_books(scene: Scene) -> list[str]:
    """Tell what does not add up, when everything has ended and been closed."""
    shoppers, directory = scene.shoppers, scene.directory
    purchases = [purchase(number) for number in range(1, shoppers.started + 1)]
    with closing(sqlite3.connect(directory / STORE)) as connection:
        there = {saga_id for (saga_id,) in connection.execute("SELECT saga_id FROM stream")}
        issued: dict[str, list[str]] = {}
        for saga_id, step, direction, round_ in connection.execute(ISSUED):
            issued.setdefault(saga_id, []).append(f"{saga_id}/{step}/{direction}/{round_}")
    lost = sorted(shoppers.acknowledged - there)
    return [
        *shoppers.wrong,
        *(f"{saga_id} was acknowledged and is not there" for saga_id in lost),
        *wrong_ends(shoppers.ends, purchases),
        *faults_of(directory / STORE),
        *wrong_in_books(directory, shoppers.ends, purchases),
        *wrong_order(came(directory), issued),
    ]


# --- what is broken -------------------------------------------------------------------------------------------------


async def killed(scene: Scene) -> None:
    """SIGKILL of the broker, and its start."""
    await asyncio.to_thread(scene.broker.kill)
    await scene.until_shown("intake", *SERVICES)
    await scene.broker.start()


async def deleted(scene: Scene) -> None:
    """A topic is deleted with what is in it, and made again."""
    for topic, shown in ((TOPICS["inventory"], "inventory"), (REPLIES, "intake")):
        await administration.delete(scene.broker.address, [topic])
        await scene.until_shown(shown)
        await scene.stays_shown(shown)
        await make_topics(scene.broker.address, [topic], partitions=PARTITIONS, replicas=1)
        await scene.until_clear()


async def forbidden(scene: Scene) -> None:
    """What the orchestrator needs is not allowed any more, one thing after the other, and then allowed again."""
    rules = (
        (Rule("topic", TOPICS["payments"], "write"), "payments"),
        (Rule("topic", REPLIES, "read"), "intake"),
        (Rule("group", GROUP, "read"), "intake"),
    )
    for rule, shown in rules:
        await administration.forbid(scene.broker.address, rule)
        await scene.until_shown(shown)
        await scene.stays_shown(shown)
        await administration.allow(scene.broker.address, rule)
        await scene.until_clear()


def crowded(rebalances: int) -> Breaking:
    """Members come to every group and leave it, until each has had so many rebalances."""

    async def crowd(scene: Scene) -> None:
        groups = {GROUP: [REPLIES], **{f"-{service}": [topic] for service, topic in TOPICS.items()}}
        visitors = [Visitor(scene.broker.address, group, topics) for group, topics in groups.items()]

        async def visit(visitor: Visitor) -> None:
            while visitor.rebalances < rebalances:
                await visitor.visit(within=60)
                scene.tell(", ".join(f"{each.group} {each.rebalances}" for each in visitors))

        await asyncio.gather(*(visit(each) for each in visitors))
        scene.result.figures["rebalances"] = min(each.rebalances for each in visitors)

    return crowd


async def under_load(scene: Scene, breaking: Breaking, *, times: int, abreast: int = 40) -> None:
    """Break something so often while purchases are made; each time some end before and after it."""
    scene.shoppers.begin(abreast)
    clear: list[float] = []
    for number in itertools.count(1):
        await scene.shoppers.more_ended(scene.draw.randint(abreast // 2, abreast * 2), ENDED_WITHIN)
        scene.tell(f"{number} of {times}, {len(scene.shoppers.ends)} ended")
        await breaking(scene)
        clear.append(await scene.until_clear())
        if number == times:
            break
    await scene.shoppers.more_ended(abreast, ENDED_WITHIN)
    await scene.shoppers.finish(ENDED_WITHIN)
    scene.result.figures |= {
        "sagas": scene.shoppers.started,
        "outages": times,
        "kills": scene.broker.kills,
        "clear_again_s": max(clear),
    }


PHASES: Final[Sequence[str]] = ("killed", "rebalanced", "deleted", "forbidden")
