"""An orchestrator over the shared broker, with topics and a group of its own, and a participant's side to speak from.

Rules: a test writes records as a participant, or anybody, would, and waits for what was taken, never for time.
It does not: know what a record should come to.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from amends import (
    Command,
    Orchestrator,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Step,
    Traces,
    each,
    memory,
    sequence,
)
from amends.adapters.kafka import Address, Formats, KafkaCluster, KafkaSender, driver, make_topics
from amends.adapters.memory.parked import MemoryParkedStore
from amends.application.arrivals import Arrivals
from amends.application.orchestrator import SystemClock
from amends.application.service import Incoming, Service
from amends.core.effect import command_id
from amends.ports import EventStore
from amends.ports.intake import Outcome, Record, Take, TakeSoon
from amends.ports.parked import ParkedStore
from amends.wire.topics import StartTopic, StepTopics, TopicBindings, WayTopics
from tests.adapters.kafka.shared_broker import broker, new_name

PATIENT = RetryPolicy(attempts=5, first=timedelta(milliseconds=10), jitter=0)
LONG = timedelta(minutes=5)
SESSION = 6.0
JSON = ("content-type", b"application/json")


class Item(msgspec.Struct, frozen=True):
    sku: str
    order: str = ""


class Goods(msgspec.Struct, frozen=True):
    order: str
    items: tuple[Item, ...] = (Item("a"),)


class Held(msgspec.Struct, frozen=True):
    place: str


def items(goods: Goods) -> Sequence[Item]:
    return [Item(item.sku, goods.order) for item in goods.items]


def sku(item: Item) -> str:
    return item.sku


def hold(item: Item) -> Command[Held]:
    return Command("hold", item)


def let_go(item: Item, _rollback: Rollback[Held]) -> Command[None]:
    return Command("let-go", item)


def pack(goods: Goods) -> Command[None]:
    return Command("pack", goods)


def ship(goods: Goods) -> Command[None]:
    return Command("ship", goods)


def unpack(goods: Goods, _rollback: Rollback[None]) -> Command[None]:
    return Command("unpack", goods)


STOCK, PACKERS = Participant("stock"), Participant("packers")
HOLD = Step("hold", STOCK, do=hold, undo=let_go, retry=PATIENT, undo_retry=PATIENT, timeout=LONG)
PACK = Step("pack", PACKERS, do=pack, undo=unpack, retry=PATIENT, undo_retry=PATIENT, timeout=LONG)
SHIP = Step("ship", PACKERS, do=ship, kind="retriable", retry=PATIENT, timeout=LONG)
SEND = Saga("send", version=1, data=Goods, body=sequence(each(items, HOLD, key=sku), PACK, SHIP))


class Counting:
    """An intake that lets a test wait until so many records were taken."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self.cluster = cluster
        self.outcomes: dict[tuple[str, int, int], Outcome] = {}
        self.taken = 0
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def trouble(self) -> str:
        return self.cluster.trouble

    def offer(self, soon: TakeSoon) -> None:
        def counted(record: Record, told: Callable[[Outcome | None], None]) -> bool:
            def heard(outcome: Outcome | None) -> None:
                if outcome is not None:
                    self._count(record, outcome)
                told(outcome)

            return soon(record, heard)

        self.cluster.offer(counted)

    async def start(self, take: Take) -> None:
        async def counted(record: Record) -> Outcome:
            outcome = await take(record)
            self._count(record, outcome)
            return outcome

        await self.cluster.start(counted)

    def _count(self, record: Record, outcome: Outcome) -> None:
        self.outcomes[record.topic, record.partition, record.offset] = outcome
        self.taken += 1
        for number, waiter in self._awaited:
            if self.taken >= number and not waiter.done():
                waiter.set_result(None)

    async def stop(self) -> None:
        await self.cluster.stop()

    async def until(self, number: int) -> None:
        """Wait until `number` records were taken."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.taken >= number:
            return
        self._awaited.append((number, waiter))
        async with asyncio.timeout(150):
            await waiter


class World:
    """`stock` speaks in events, `packers` in the native contract; `NAME.created` starts sagas."""

    def __init__(
        self,
        name: str,
        address: Address,
        store: EventStore,
        parked: ParkedStore,
        *,
        formats: Callable[[TopicBindings, str], Formats] | None = None,
        traces: Traces | None = None,
    ) -> None:
        self.name, self.address = name, address
        self.replies = f"{name}.replies"
        self.held, self.refused, self.created = f"{name}.held", f"{name}.refused", f"{name}.created"
        hold_way = WayTopics(topic=f"{name}.hold", succeeded=(self.held,), refused=(self.refused,))
        let_go_way = WayTopics(topic=f"{name}.let-go", succeeded=(f"{name}.gone",))
        steps = (StepTopics(step="hold", saga_id="order", keys=("sku",), do=hold_way, undo=let_go_way),)
        bindings = TopicBindings(
            native={"packers": f"{name}.packers"},
            events={"stock": steps},
            starts=(StartTopic(topic=self.created, saga="send", saga_id="order"),),
        )
        self.rebalanced = asyncio.Event()
        cluster = KafkaCluster(
            address,
            bindings,
            group=f"{name}-amends",
            replies=self.replies,
            session=SESSION,
            partitions=0,
            on_rebalance=self.rebalanced.set,
            formats=formats(bindings, self.replies) if formats else None,
        )
        self.bindings, self.cluster = bindings, cluster
        self.intake = Counting(cluster)
        self.amends = Orchestrator(sagas=[SEND], store=store, participants=cluster.transports, traces=traces)
        self.arrivals = Arrivals(
            self.amends, read=cluster.read, unpack=cluster.unpack, parked=parked, clock=SystemClock()
        )
        self.service = Service(self.amends, incoming=Incoming(self.intake, self.arrivals))
        self.other = KafkaSender(address)
        self.written = 0

    async def write(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (JSON,),
    ) -> None:
        """Write a record, as anybody may."""
        self.written += 1
        await self.other.publish(topic, key=key, value=value, headers=headers)

    async def many(self, topic: str, value: bytes, *, key: bytes, times: int) -> None:
        """Write the same record so many times."""
        self.written += times
        producer = driver.producer(self.address, longest=1 << 20, within=5)
        await producer.start()
        try:
            await asyncio.gather(*[await producer.send(topic, value, key) for _ in range(times)])
        finally:
            await producer.stop()

    async def event(self, topic: str, document: object, *, key: str | None = None) -> None:
        """Write an event; its key is the order unless another is given."""
        order = document["order"] if isinstance(document, Mapping) else ""
        await self.write(topic, msgspec.json.encode(document), key=(key or str(order)).encode())

    async def reply(self, saga_id: str, step: str, document: object = None, **changed: bytes) -> None:
        """Write a native reply that says `succeeded`; `changed` headers replace those of a good one."""
        headers = {**reply_headers(saga_id, step), **{f"ce_{name}": each for name, each in changed.items()}}
        await self.write(
            self.replies, msgspec.json.encode(document), key=saga_id.encode(), headers=[*headers.items()]
        )


def reply_headers(saga_id: str, step: str, outcome: str = "succeeded") -> dict[str, bytes]:
    """Return the headers of a good reply to the do of `step`."""
    called = command_id("default", saga_id, step, "do", 1)
    told = {
        "ce_specversion": "1.0",
        "ce_type": "amends.reply",
        "ce_source": "/participants/packers",
        "ce_id": f"{called}/1",
        "ce_subject": saga_id,
        "ce_amendscommandid": called,
        "ce_amendsnamespace": "default",
        "ce_amendsstep": step,
        "ce_amendsdirection": "do",
        "ce_amendsround": "1",
        "ce_amendsattempt": "1",
        "ce_amendsoutcome": outcome,
        "content-type": "application/json",
    }
    return {name: value.encode() for name, value in told.items()}


@asynccontextmanager
async def world(
    *,
    name: str | None = None,
    store: EventStore | None = None,
    parked: ParkedStore | None = None,
    formats: Callable[[TopicBindings, str], Formats] | None = None,
    traces: Traces | None = None,
) -> AsyncGenerator[World]:
    """A running world; another one of the same `name` goes on where it was."""
    address = Address((broker().address,))
    kept = parked or MemoryParkedStore()
    made = World(name or new_name(), address, store or memory(), kept, formats=formats, traces=traces)
    await make_topics(address, made.cluster.topics, partitions=2, replicas=1)
    try:
        async with made.service:
            yield made
    finally:
        await made.other.close()
