"""Poison among good messages: all of it is parked with its reason, and the good ones pass as quickly as without it.

    await poisoned(directory, server, Dose(messages=100_000, poison=1_000, seed=7))

Rules
- The good messages are events that start sagas, and each must begin with its own data. The poison is of a dozen kinds,
  drawn by the seed: nothing, no JSON, Avro, no correlation, a wrong one, another key, headers that are no text, sagas
  that cannot begin.
- Messages are written in portions, with poison and without it in turn, and a portion's time is that from its release
  to its last record's end, poison included. Before the next one begins, those who follow the log have followed: a
  portion would otherwise do the work that the one before it left. The first portion warms up and is not compared.
- What is compared is good messages a second, of two portions that follow one another, now the one first and now the
  other: a machine that is busy is busy for both. The median of these ratios counts. The processor's time for a good
  message is compared in the same way, and shown: it tells what others on the machine do not disturb.
It does not: run sagas beyond their beginning.
"""

import asyncio
import random
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from amends import Orchestrator, Saga, sqlite, wait_for
from amends.adapters.kafka import Address, KafkaCluster, driver, make_topics
from amends.application.arrivals import Arrivals
from amends.application.orchestrator import SystemClock
from amends.application.service import Incoming, Service
from amends.bootstrap import sqlite_parked
from amends.ports.intake import Outcome, Record, Take
from amends.wire.topics import StartTopic, TopicBindings
from tests.adapters.kafka.world import reply_headers
from tests.crash.kafka.lossy import STORE, Result, Tell

PARTITIONS: Final = 4
PORTION: Final = 5_000
LEAST: Final = 0.9
"""How quick the good messages must be with poison among them, as a share of how quick they are without."""


class Wanted(msgspec.Struct, frozen=True):
    """What an event says that starts a saga."""

    order: str
    place: int


IDLE: Final = Saga(
    "idle", version=1, data=Wanted, body=wait_for("go", dict[str, str], timeout=timedelta(days=1))
)


class Message(NamedTuple):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Dose:
    """How much of both."""

    seed: int
    messages: int = 100_000
    poison: int = 1_000
    portion: int = PORTION
    is_speed_judged: bool = True
    """No: whether few messages pass quickly is chance."""
    tell: Tell = lambda _: None


class Topics(NamedTuple):
    """Where messages come in."""

    starts: str
    replies: str


Make = Callable[[Topics, int], Message]


def _start(value: bytes | None, *, key: str = "odd-{}") -> Make:
    return lambda topics, number: Message(topics.starts, key.format(number).encode(), value, [])


def _reply(**changed: bytes | None) -> Make:
    def make(topics: Topics, number: int) -> Message:
        saga_id = f"odd-{number}"
        headers = reply_headers(saga_id, "pay")
        for name, value in changed.items():
            headers.pop(f"ce_{name}")
            if value is not None:
                headers[f"ce_{name}"] = value
        return Message(topics.replies, saga_id.encode(), b"null", [*headers.items()])

    return make


KINDS: Final[Mapping[str, tuple[str, Make]]] = {
    "a null value": ("empty", _start(None)),
    "no JSON": ("not-json", _start(b"{order: 1}")),
    "half a document": ("not-json", _start(b'{"order":"odd')),
    "Avro": ("not-json", _start(b"\x00\x00\x00\x00\x07\x06abc")),
    "no saga id": ("no-correlation", _start(b'{"place":1}')),
    "another key": ("key-differs", _start(b'{"order":"somebody","place":1}')),
    "data that do not fit": ("bad-start", _start(b'{"order":"odd id","place":"x"}', key="odd id")),
    "no command id": ("no-correlation", _reply(amendscommandid=None)),
    "a wrong command id": ("bad-correlation", _reply(amendscommandid=b"p-1/pay/do/1")),
    "a header that is no text": ("bad-header", _reply(amendsstep=b"\xff\xfe")),
    "an unknown type": ("unknown", _reply(type=b"amends.reply.v9")),
    "an outcome that there is not": ("bad-body", _reply(amendsoutcome=b"perhaps")),
}
"""What it is parked as, and how it is made."""


class Counted:
    """An intake that says when so many records were taken."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._cluster = cluster
        self._taken, self._wanted = 0, 0
        self._reached = asyncio.Event()

    @property
    def trouble(self) -> str:
        return self._cluster.trouble

    async def start(self, take: Take) -> None:
        async def counted(record: Record) -> Outcome:
            outcome = await take(record)
            self._taken += 1
            if self._taken >= self._wanted:
                self._reached.set()
            return outcome

        await self._cluster.start(counted)

    async def stop(self) -> None:
        await self._cluster.stop()

    async def until(self, number: int) -> None:
        """Wait until `number` records were taken since the beginning."""
        self._wanted = number
        if self._taken < number:
            self._reached.clear()
            await self._reached.wait()


class Pace(NamedTuple):
    """How the good messages of a portion passed."""

    per_s: float
    cpu_each: float
    """Seconds of the processor for each: the orchestrator's, and that of writing it."""


class Pair(NamedTuple):
    """Two portions that followed one another."""

    without: Pace
    among: Pace


@dataclass
class Trial:
    """One run."""

    dose: Dose
    topics: Topics
    address: Address
    draw: random.Random
    written: int = 0
    good: int = 0
    kinds: list[str] = field(default_factory=list[str])
    pairs: list[Pair] = field(default_factory=list[Pair])

    def portion(self, poison: int) -> Sequence[Message]:
        """Return a portion with so much poison among it, in a drawn order."""
        made = [self._good() for _ in range(self.dose.portion - poison)]
        for kind in self.draw.choices(list(KINDS), k=poison):
            self.kinds.append(kind)
            made.append(KINDS[kind][1](self.topics, len(self.kinds)))
        self.draw.shuffle(made)
        return made

    def _good(self) -> Message:
        self.good += 1
        wanted = Wanted(order=f"good-{self.good:07}", place=self.good)
        return Message(self.topics.starts, wanted.order.encode(), msgspec.json.encode(wanted), [])

    async def play(self, service: Service, counted: Counted, producer: driver.Producer) -> None:
        """Write all portions, one after the other, and take the time of each."""

        async def passed(poison: int) -> Pace:
            messages = self.portion(poison)
            began, cpu_began = time.monotonic(), time.process_time()
            sent = [await producer.send(*_arguments(each), headers=each.headers) for each in messages]
            await asyncio.gather(*sent)
            self.written += len(messages)
            await counted.until(self.written)
            took, cpu = time.monotonic() - began, time.process_time() - cpu_began
            assert service.arrivals is not None
            end = await service.orchestrator.store.log_end()
            await service.follower.taken(service.arrivals.beginnings, end)
            good = len(messages) - poison
            return Pace(good / took, cpu / good)

        await passed(0)
        portions = self.dose.messages // self.dose.portion
        given = 0
        for number in range(1, portions + 1):
            poison = self.dose.poison * number // portions - given
            given += poison
            if number % 2:
                pair = Pair(without=await passed(0), among=await passed(poison))
            else:
                pair = Pair(among=await passed(poison), without=await passed(0))
            self.pairs.append(pair)
            self.dose.tell(f"{number} of {portions} portions, {given} of {self.dose.poison} poison")


def _arguments(message: Message) -> tuple[str, bytes | None, bytes | None]:
    return message.topic, message.value, message.key


async def poisoned(directory: Path, server: str, dose: Dose, *, name: str = "poison") -> Result:
    """Play it against the broker at `server`."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    address, topics = Address((server,)), Topics(f"{name}.starts", f"{name}.replies")
    starts = (StartTopic(topic=topics.starts, saga="idle", saga_id="order"),)
    bindings = TopicBindings(native={}, events={}, starts=starts)
    cluster = KafkaCluster(address, bindings, group=name, replies=topics.replies, partitions=0)
    await make_topics(address, cluster.topics, partitions=PARTITIONS, replicas=1)
    amends = Orchestrator(sagas=[IDLE], store=sqlite(directory / STORE), participants={})
    parked = sqlite_parked(directory / f"{STORE}.parked")
    counted = Counted(cluster)
    arrivals = Arrivals(amends, read=cluster.read, parked=parked, clock=SystemClock())
    trial = Trial(dose, topics, address, random.Random(dose.seed))
    producer = driver.producer(address, longest=1 << 20, within=30)
    async with Service(amends, incoming=Incoming(counted, arrivals)) as service:
        await producer.start()
        try:
            await trial.play(service, counted, producer)
        finally:
            await producer.stop()
    return await asyncio.to_thread(_judged, trial, directory)


def _judged(trial: Trial, directory: Path) -> Result:
    result = Result()
    due = Counter(KINDS[kind][0] for kind in trial.kinds)
    with closing(sqlite3.connect(directory / f"{STORE}.parked")) as connection:
        rows = connection.execute("SELECT code, reason, state, value FROM parked").fetchall()
    found = Counter(code for code, _reason, state, _value in rows if state == "parked")
    result.wrong += [
        f"{code} was parked {found[code]} times, {due[code]} were due"
        for code in sorted(due | found)
        if found[code] != due[code]
    ]
    result.wrong += [f"{code} was parked without a reason" for code, reason, *_ in rows if not reason]
    with closing(sqlite3.connect(directory / STORE)) as connection:
        body = "SELECT json_extract(body, '$.data') FROM event WHERE type = 'SagaStarted'"
        begun = Counter(msgspec.json.decode(data)["order"] for (data,) in connection.execute(body))
    wanted = {f"good-{number:07}" for number in range(1, trial.good + 1)}
    result.wrong += [f"{order} did not begin" for order in sorted(wanted - begun.keys())]
    result.wrong += [f"{order} began, and nobody wanted it" for order in sorted(begun.keys() - wanted)]
    result.figures |= {
        "messages": trial.written,
        "poison": len(trial.kinds),
        "parked": sum(found.values()),
        "good_per_s_without": statistics.median(pair.without.per_s for pair in trial.pairs),
        "good_per_s_among_poison": statistics.median(pair.among.per_s for pair in trial.pairs),
        "ratio": ratio_of(trial.pairs),
        "cpu_ratio": statistics.median(pair.without.cpu_each / pair.among.cpu_each for pair in trial.pairs),
    }
    result.wrong += wrong_speed(trial.dose, trial.pairs)
    return result


def ratio_of(pairs: Sequence[Pair]) -> float:
    """Return how quick the good messages are among poison, as a share of how quick they are without."""
    return statistics.median(pair.among.per_s / pair.without.per_s for pair in pairs)


def wrong_speed(dose: Dose, pairs: Sequence[Pair]) -> list[str]:
    """Say that poison holds the good messages up, if it does and that is judged."""
    ratio = ratio_of(pairs)
    if not dose.is_speed_judged or ratio >= LEAST:
        return []
    return [f"with poison the others pass at {ratio:.2f} of their speed"]
