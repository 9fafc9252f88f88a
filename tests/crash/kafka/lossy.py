"""Sagas over a way that loses, repeats, reorders and delays: once inside the process, once over Kafka.

    await over_the_port(directory, Trial(sagas=20_000, weather=Weather(seed=7)))
    await over_kafka(directory, server, Trial(...))

Rules
- Both directions are lossy: commands to the services, and replies to the orchestrator. What is late arrives after its
  saga has ended, and what that leads to is waited for as well.
- Over the port the orchestrator's transport hands a command to the lossy way, and the reply comes back through another
  as a late reply. Over Kafka a relay reads `NAME.SERVICE.commands` and `NAME.answers` and writes what is left of them
  to `NAME.SERVICE.lossy` and `NAME.replies`; the services are processes of their own.
- In the end all sagas have ended, positions have no gap, nothing is open, and the services' books add up.
It does not: break the broker (`outages`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import msgspec

from amends import Orchestrator, sqlite
from amends.adapters.kafka import Address, KafkaCluster, KafkaIntake, KafkaSender, behind, make_topics
from amends.application.errors import Overloaded
from amends.application.gate import Budget, Protection
from amends.application.late_replies import record_reply
from amends.application.service import Service
from amends.bootstrap import incoming, sqlite_parked
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Refused, Succeeded
from amends.participant import Answer, Command, Database
from amends.ports import CallbackReply, Transport
from amends.ports.intake import Outcome, Record
from amends.wire.topics import TopicBindings
from tests.crash.expedition import faults_of
from tests.crash.kafka.fates import LossyWay, Weather
from tests.crash.kafka.services import services
from tests.crash.kafka.shop import (
    COMMANDS,
    SERVICES,
    Purchase,
    database,
    order_id,
    purchase,
    saga,
    wrong_ends,
    wrong_in_books,
)

GOOD_ENDS: Final = frozenset({"completed", "compensated"})
ENDS: Final = GOOD_ENDS | {"abandoned", "stuck"}
PROTECTED: Final = Protection(
    do_budget=Budget(share=2.0, least=1_000), undo_budget=Budget(share=5.0, least=1_000)
)
"""A way that loses a quarter of all attempts needs more retries than a participant that is well."""
PARTITIONS: Final = 4
STORE: Final = "sagas.db"

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried."""

    sagas: int
    weather: Weather
    abreast: int = 1_000
    timeout: timedelta = timedelta(seconds=4)
    within: float = 900.0
    """Seconds in which all must have ended."""
    tell: Tell = lambda _: None


@dataclass
class Result:
    """What was found."""

    wrong: list[str] = field(default_factory=list[str])
    figures: dict[str, float] = field(default_factory=dict[str, float])
    ends: dict[str, str] = field(default_factory=dict[str, str])


class Quiet(Protocol):
    """Waits until nothing is on its way any more."""

    async def __call__(self) -> None: ...


async def over_the_port(directory: Path, trial: Trial) -> Result:
    """Run the trial with services in this process."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    there, back = LossyWay(trial.weather), LossyWay(trial.weather)
    kept = {service: database(directory, service) for service in SERVICES}
    transports = {service: LossyTransport(service, each, there, back) for service, each in kept.items()}

    async def quiet() -> None:
        while not (there.is_idle and back.is_idle):
            await there.idle()
            await back.idle()

    amends = _orchestrator(directory, trial, transports)
    async with amends:
        for each in transports.values():
            each.amends = amends
        result = await _drive(amends, trial, (there, back), quiet)
    for service in kept.values():
        service.close()
    result.wrong += [
        f"{number} replies answered what was not asked"
        for each in transports.values()
        if (number := each.verdicts["unknown"])
    ]
    return _judged(result, directory, trial, (there, back))


async def over_kafka(directory: Path, server: str, trial: Trial, *, name: str = "lossy") -> Result:
    """Run the trial over the broker at `server`, with services as a process of their own."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    address = Address((server,))
    relay = Relay(name, address, trial.weather)
    bindings = TopicBindings(native={each: f"{name}.{each}.commands" for each in SERVICES})
    cluster = KafkaCluster(address, bindings, group=f"{name}-amends", replies=f"{name}.replies", partitions=0)
    await make_topics(address, [*relay.topics, *cluster.topics], partitions=PARTITIONS, replicas=1)
    amends = _orchestrator(directory, trial, cluster.transports)
    came = incoming(amends, cluster, sqlite_parked(directory / f"{STORE}.parked"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(services(server, directory, name, "lossy"))
        await stack.enter_async_context(relay.running())
        await stack.enter_async_context(Service(amends, incoming=came))
        result = await _drive(amends, trial, (relay.there, relay.back), relay.quiet)
        parked = await came.arrivals.parked.find()
        result.wrong += [
            f"a record was parked: {each.code}, {each.reason}" for each in parked if each.state != "replayed"
        ]
    return _judged(result, directory, trial, (relay.there, relay.back))


def _orchestrator(directory: Path, trial: Trial, transports: Mapping[str, Transport]) -> Orchestrator:
    return Orchestrator(
        sagas=[saga(timeout=trial.timeout)],
        store=sqlite(directory / STORE),
        participants=transports,
        most_live=trial.abreast * 2 + 1_000,
        most_waiting=trial.sagas + 1_000,
        protection=PROTECTED,
    )


async def _drive(amends: Orchestrator, trial: Trial, ways: Sequence[LossyWay], quiet: Quiet) -> Result:
    result, began = Result(), time.monotonic()
    numbers = iter(range(1, trial.sagas + 1))

    def ended(saga_id: str, status: str) -> None:
        result.ends[saga_id] = status
        for way in ways:
            way.ended(saga_id)

    async def go_on() -> None:
        for number in numbers:
            data = msgspec.json.encode(purchase(number))
            await amends.begin("purchase", data, saga_id=order_id(number))
            view = await amends.wait(order_id(number), until="stuck")
            ended(order_id(number), view.status)
            trial.tell(f"{len(result.ends)} of {trial.sagas} sagas have ended")

    try:
        async with asyncio.timeout(trial.within):
            await asyncio.gather(*(go_on() for _ in range(trial.abreast)))
            result.figures["first_ends_s"] = time.monotonic() - began
            await _settle(amends, trial, result, quiet)
    except TimeoutError:
        result.wrong.append(f"not all was over after {trial.within:g} s")
    finally:
        for way in ways:
            await way.stop()
    result.wrong += [f"a copy was not delivered: {error!r}" for way in ways for error in way.errors]
    result.figures["seconds"] = time.monotonic() - began
    return result


async def _settle(amends: Orchestrator, trial: Trial, result: Result, quiet: Quiet) -> None:
    """Wait until what came late has had its consequences as well."""
    reopened: set[str] = set()
    while True:
        await quiet()
        trial.tell("what came late is waited for")
        still = 0
        for saga_id in result.ends:
            view = await amends.get(saga_id)
            if view.status not in ENDS:
                reopened.add(saga_id)
                still += 1
                view = await amends.wait(saga_id, until="stuck")
            result.ends[saga_id] = view.status
        if not still:
            result.figures["reopened"] = len(reopened)
            return


def _judged(result: Result, directory: Path, trial: Trial, ways: Sequence[LossyWay]) -> Result:
    purchases: list[Purchase] = [purchase(number) for number in range(1, trial.sagas + 1)]
    result.wrong += wrong_ends(result.ends, purchases, may_run_out=True)
    result.wrong += faults_of(directory / STORE)
    result.wrong += wrong_in_books(directory, result.ends, purchases)
    met: Counter[str] = sum((way.met for way in ways), Counter[str]())
    result.figures |= {
        "sagas": trial.sagas,
        "completed": sum(end == "completed" for end in result.ends.values()),
        "compensated": sum(end == "compensated" for end in result.ends.values()),
        "sagas_per_s": trial.sagas / max(result.figures["seconds"], 0.001),
        "messages": met["sent"],
        **{f"{what}_percent": 100 * met[what] / max(met["sent"], 1) for what in ("lost", "late")},
        **{
            f"{what}_percent": 100 * met[what] / max(met["sent"] - met["lost"], 1)
            for what in ("twice", "overtaken")
        },
    }
    return result


# --- over the port --------------------------------------------------------------------------------------------------


class LossyTransport:
    """Hands commands to a lossy way; what the service answers comes back through another."""

    def __init__(self, service: str, kept: Database, there: LossyWay, back: LossyWay) -> None:
        self._handlers = COMMANDS[service]
        self._kept, self._there, self._back = kept, there, back
        self.amends: Orchestrator | None = None
        self.verdicts: Counter[str] = Counter()

    async def send(self, command: SendCommand) -> Accepted:
        name = f"{command.command_id}#{command.attempt}"
        self._there.put(name, command.saga_id, lambda: self._execute(command, name))
        return Accepted()

    async def close(self) -> None:
        """Nothing is open."""

    async def _execute(self, command: SendCommand, name: str) -> None:
        received = Command(
            command_id=command.command_id,
            namespace=command.namespace,
            saga_id=command.saga_id,
            step=command.step,
            direction=command.direction,
            round=command.round,
            attempt=command.attempt,
            name=command.name,
            payload=msgspec.json.decode(command.payload),
        )
        answer = await self._kept.execute(received, self._handlers[command.name])
        reply = CallbackReply(
            command_id=command.command_id,
            saga_id=command.saga_id,
            namespace=command.namespace,
            step=command.step,
            direction=command.direction,
            round=command.round,
            attempt=command.attempt,
            answer=_said(answer),
        )
        self._back.put(f"re {name}", command.saga_id, lambda: self._record(reply))

    async def _record(self, reply: CallbackReply) -> None:
        assert self.amends is not None
        while True:
            try:
                self.verdicts[await record_reply(self.amends.engine.entrance, reply)] += 1
            except Overloaded:
                await asyncio.sleep(0)
            else:
                return


def _said(answer: Answer) -> Succeeded | Refused:
    if answer.outcome == "refused":
        told = msgspec.json.decode(answer.body, type=dict[str, str])
        return Refused(told["code"], told["reason"])
    return Succeeded(answer.body)


# --- over Kafka -----------------------------------------------------------------------------------------------------


class Relay:
    """Reads what was written, and writes on what a lossy way leaves of it."""

    def __init__(self, name: str, address: Address, weather: Weather) -> None:
        self._name, self._address = name, address
        self.there, self.back = LossyWay(weather), LossyWay(weather)
        self._answers = f"{name}.answers"
        self._sender = KafkaSender(address)
        self._read = [*(f"{name}.{service}.commands" for service in SERVICES), self._answers]
        self._group = f"{name}-relay"
        self._intake = KafkaIntake(address, self._read, group=self._group)

    @property
    def topics(self) -> Sequence[str]:
        """What it reads and writes."""
        return [
            *self._read,
            *(f"{self._name}.{service}.lossy" for service in SERVICES),
            f"{self._name}.replies",
        ]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Relay until the end."""
        await self._intake.start(self._take)
        try:
            yield
        finally:
            await self._intake.stop()
            await self._sender.close()

    @property
    def _readers(self) -> dict[str, Sequence[str]]:
        """What each group reads."""
        services = {f"{self._name}-{each}": [f"{self._name}.{each}.lossy"] for each in SERVICES}
        return {self._group: self._read, **services, f"{self._name}-amends": [f"{self._name}.replies"]}

    async def _take(self, record: Record) -> Outcome:
        told = dict(record.headers)
        saga_id, attempt = told["ce_subject"].decode(), told["ce_amendsattempt"].decode()
        if record.topic == self._answers:
            way, topic = self.back, f"{self._name}.replies"
            name = f"re {told['ce_amendscommandid'].decode()}#{attempt}"
        else:
            way, topic = self.there, f"{record.topic.removesuffix('.commands')}.lossy"
            name = f"{told['ce_id'].decode()}#{attempt}"
            told["ce_amendsreplyto"] = self._answers.encode()
        way.put(name, saga_id, self._copy(topic, record, [*told.items()]))
        return "recorded"

    def _copy(
        self, topic: str, record: Record, headers: list[tuple[str, bytes]]
    ) -> Callable[[], Awaitable[None]]:
        return lambda: self._sender.publish(topic, key=record.key, value=record.value, headers=headers)

    async def quiet(self) -> None:
        """Wait until nothing is on its way: in the relay, at the services, at the orchestrator."""
        calm = 0
        while calm < 2:
            await self.there.idle()
            await self.back.idle()
            left = [await behind(self._address, group, topics) for group, topics in self._readers.items()]
            calm = calm + 1 if not any(left) and self.there.is_idle and self.back.is_idle else 0
