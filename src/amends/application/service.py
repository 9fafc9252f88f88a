"""The service: an orchestrator with everything that looks on: follower, read side, feed, meter, relay.

Rules: what is opened last is closed first; what looks on opens after the orchestrator and closes before it, so it never
holds the engine up. Without a read model there are no queries, and everything else works.
It does not: choose adapters (`amends.bootstrap`), or serve a network (`amends.delivery`).
"""

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from amends.application.arrivals import Arrivals
from amends.application.concert import Concert
from amends.application.errors import NotRunning
from amends.application.feed import Feed
from amends.application.follower import Follower, Listener
from amends.application.metrics import Meter
from amends.application.orchestrator import Orchestrator
from amends.application.participants import ParticipantView
from amends.application.presence import Presence
from amends.application.projector import Projector
from amends.application.queries import Queries
from amends.application.relay import Relay
from amends.application.retention import Retention
from amends.ports import (
    SHARDS,
    Archive,
    Discovery,
    Outlet,
    ReadModel,
    RelayedStore,
    RetainedStore,
    SharedStore,
)
from amends.ports.exchange import Exchange
from amends.ports.intake import Behind, Intake, Quick

POLL = 0.2
"""Seconds after which it is looked for what other processes committed."""


class Gauges(NamedTuple):
    """How things stand now."""

    live: int
    """Instances in memory."""
    waiting: int
    """Callers that wait for room."""
    commits: int
    """Since opening."""
    appended: int
    """Transitions since opening, lost locks included."""
    participants: tuple[ParticipantView, ...]
    lag: dict[str, int]
    """About how many transitions each listener of the log is behind, by its name."""
    is_ready: bool
    troubles: dict[str, str]
    """What keeps records from moving, services from being found, or processes from acting together, by name."""
    behind: dict[tuple[str, int], int]
    """How many records are still to be taken, by topic and partition, of what this process reads."""
    members: int
    """Processes that share the store, this one among them."""
    shards: int
    """Of 64, those whose instances this process decides."""
    sent: int
    """Triggers on their way to other processes, or waiting for their answer."""
    received: int
    """Triggers out of the inbox that are being decided."""
    parked: int
    """Triggers in the inbox that were left to a person, since opening."""
    spans_lost: int
    """Spans that could not be kept, since opening."""


class Retained(NamedTuple):
    """How long finished instances stay in the store, and where they go then."""

    archive: Archive
    age: timedelta
    interval: timedelta = timedelta(hours=1)
    """Between two runs."""


class Incoming(NamedTuple):
    """Where records come in, and what brings them to their instances."""

    intake: Intake
    arrivals: Arrivals

    async def begin(self) -> None:
        """Begin to take what comes in."""
        intake, arrivals = self
        if isinstance(intake, Quick):
            intake.offer(arrivals.take_soon)
        await intake.start(arrivals.take)


class Service:
    """Use it as ``async with Service(orchestrator, read_model=...) as service``; it opens the orchestrator itself."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        read_model: ReadModel | None = None,
        retained: Retained | None = None,
        incoming: Incoming | None = None,
        outlet: Outlet | None = None,
        exchange: Exchange | None = None,
        discovery: Discovery | None = None,
    ) -> None:
        """Join `orchestrator`, not open yet, with what looks on; `read_model` holds the rows of lists.

        `retained`: what becomes of finished instances; without it they stay. `outlet`: where transitions leave to.
        `exchange`: where processes that call the same participants tell one another how these are. `discovery`: the
        registry of services in which this one is, and others are looked up; it is asked before anything is sent.

        Raises:
            TypeError: the store cannot give up anything, or has no checkpoint for an outlet.
        """
        self._orchestrator = orchestrator
        self._incoming = incoming
        self._read_model = read_model
        store, namespace = orchestrator.store, orchestrator.namespace
        engine = orchestrator.engine
        self._follower = Follower(
            store, poll=POLL if engine.shards.is_shared else None, availability=engine.availability
        )
        self._meter = Meter()
        engine.consequences.witnesses = (*engine.consequences.witnesses, self._meter)
        self._listeners: list[Listener] = []
        if incoming is not None:
            self._listeners.append(incoming.arrivals.beginnings)
        self._queries: Queries | None = None
        projector: Projector | None = None
        if read_model is not None:
            projector = Projector(store, read_model)
            projector.on_look = partial(self._follower.note, projector)
            self._listeners.append(projector)
            self._queries = Queries(
                read_model=read_model,
                store=store,
                follower=self._follower,
                projector=projector,
                namespace=namespace,
            )
        self._discovery = discovery
        self._presence = None if discovery is None else Presence(discovery, is_ready=lambda: self.is_ready)
        self._outlet = outlet
        self._relay = None if outlet is None else self._relay_to(outlet)
        self._retained = retained
        self._retention = (
            None
            if retained is None
            else _retention(
                orchestrator, retained, read_model, projector, "" if outlet is None else outlet.name
            )
        )
        self._concert = (
            None
            if exchange is None
            else Concert(exchange, engine.dispatcher.lanes, orchestrator.clock, members=lambda: self.members)
        )
        self._feed = Feed(store, self._follower, namespace=namespace)
        self._opened: AsyncExitStack | None = None

    @property
    def orchestrator(self) -> Orchestrator:
        """What runs the sagas."""
        return self._orchestrator

    @property
    def queries(self) -> Queries | None:
        """Lists and counts; None when this service has no read model."""
        return self._queries

    @property
    def feed(self) -> Feed:
        """What happens, as it becomes durable."""
        return self._feed

    @property
    def relay(self) -> Relay | None:
        """What lets transitions leave; None when they do not."""
        return self._relay

    @property
    def follower(self) -> Follower:
        """What reads the log for all who look on."""
        return self._follower

    @property
    def meter(self) -> Meter:
        """What happened since this process opened."""
        return self._meter

    @property
    def retention(self) -> Retention | None:
        """What archives finished instances; None when they all stay."""
        return self._retention

    @property
    def arrivals(self) -> Arrivals | None:
        """What brings records to their instances; None when none come in."""
        return None if self._incoming is None else self._incoming.arrivals

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps records from moving, services from being found, or processes from acting together, by name."""
        found = dict(self._orchestrator.troubles)
        if self._incoming is not None and self._incoming.intake.trouble:
            found["intake"] = self._incoming.intake.trouble
        if self._relay is not None and self._relay.trouble:
            found[self._relay.name] = self._relay.trouble
        if self._concert is not None and self._concert.trouble:
            found["exchange"] = self._concert.trouble
        if self._discovery is not None and self._discovery.trouble:
            found["discovery"] = self._discovery.trouble
        return found

    def going_down(self) -> None:
        """Have the registry of services told that this one will take no work any more."""
        if self._presence is not None:
            self._presence.going()

    @property
    def members(self) -> int:
        """How many processes run on the store."""
        sharing = self._orchestrator.engine.sharing
        return sharing.leases.members if sharing else 1

    @property
    def is_ready(self) -> bool:
        """Tell whether sagas can be started and steered now."""
        return self.why_not_ready is None

    @property
    def why_not_ready(self) -> str | None:
        """Return why sagas cannot be started and steered now, without an address; None when they can."""
        engine = self._orchestrator.engine
        if reason := engine.availability.reason:
            return reason
        if self._opened is None:
            return "the service is not open yet"
        try:
            engine.check_running()
        except Exception:  # noqa: BLE001  whatever stopped it, it cannot be used
            return "the service has stopped; the log says why"
        return None

    def gauges(self) -> Gauges:
        """Return how things stand now."""
        engine = self._orchestrator.engine
        sharing = engine.sharing
        return Gauges(
            live=engine.live,
            waiting=engine.waiting,
            commits=engine.writer.commits,
            appended=engine.writer.appended,
            participants=self._orchestrator.participants,
            lag={listener.name: self._follower.lag(listener) for listener in self._listeners},
            is_ready=self.is_ready,
            troubles=self.troubles,
            behind=self._behind(),
            members=self.members,
            shards=len(engine.shards.held) if sharing else SHARDS,
            sent=sharing.sender.waiting if sharing else 0,
            received=sharing.receiver.in_hand if sharing else 0,
            parked=sharing.receiver.parked if sharing else 0,
            spans_lost=self._orchestrator.tracer.sink.lost if self._orchestrator.tracer else 0,
        )

    def _behind(self) -> dict[tuple[str, int], int]:
        if self._incoming is None or not isinstance(self._incoming.intake, Behind):
            return {}
        return dict(self._incoming.intake.behind)

    async def __aenter__(self) -> Self:
        """Open the orchestrator, then what looks on.

        Raises:
            DefinitionChanged: an open instance was begun on another definition of the same name and version.
            StoreError: the store, or the read model, cannot be used.
        """
        if self._opened is not None:
            raise NotRunning("this service is open already")
        async with AsyncExitStack() as stack:
            if self._concert is not None:
                stack.push_async_callback(self._concert.stop)
                self._concert.start()
            if self._discovery is not None:
                stack.push_async_callback(self._discovery.stop)
                await self._discovery.start()
            await stack.enter_async_context(self._orchestrator)
            if self._read_model is not None:
                stack.push_async_callback(self._read_model.close)
                await self._read_model.open()
            engine = self._orchestrator.engine
            engine.writer.on_commit = self._committed
            engine.timers.on_fired = self._meter.fired
            if self._relay is not None and self._outlet is not None:
                stack.push_async_callback(self._outlet.close)
                stack.push_async_callback(self._relay.stop)
            stack.push_async_callback(self._follower.stop)
            if self._incoming is not None:
                stack.push_async_callback(self._incoming.arrivals.close)
                await self._incoming.arrivals.open()
            await self._follower.start(*self._listeners)
            if self._retention is not None and self._retained is not None:
                stack.push_async_callback(self._retention.stop)
                self._retention.start(self._retained.interval)
            if self._incoming is not None:
                stack.push_async_callback(self._incoming.intake.stop)
                await self._incoming.begin()
            if self._presence is not None:
                stack.push_async_callback(self._presence.stop)
                self._presence.start()
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking on, then stop; what is outstanding goes on at the next opening."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    def _relay_to(self, outlet: Outlet) -> Relay:
        store = self._orchestrator.store
        if not isinstance(store, RelayedStore):
            raise TypeError("this store has no checkpoint for what leaves it")
        relay = Relay(store, store.relay_checkpoint(outlet.name), outlet)
        relay.on_look = partial(self._follower.note, relay)
        self._listeners.append(relay)
        return relay

    def _committed(self, transitions: int) -> None:
        self._meter.wrote(transitions)
        self._follower.committed(transitions)


def _retention(
    orchestrator: Orchestrator,
    retained: Retained,
    read_model: ReadModel | None,
    projector: Projector | None,
    topic: str,
) -> Retention:
    store = orchestrator.store
    if not isinstance(store, RetainedStore):
        raise TypeError("this store keeps everything: it has no way to give up finished instances")
    return Retention(
        store,
        retained.archive,
        orchestrator.clock,
        age=retained.age,
        read_model=read_model,
        relayed=store.relay_checkpoint(topic) if topic and isinstance(store, RelayedStore) else None,
        # In a shared store each member gives up what is of its own shards; otherwise who puts the rows does.
        may_run=lambda: isinstance(store, SharedStore) or projector is None or projector.leads,
    )
