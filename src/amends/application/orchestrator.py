"""The orchestrator as a library: start sagas, watch them, steer them.

Rules: every verb returns when what it caused is durable; nothing is acknowledged before. An act on an instance carries
who did it and why. A saga id that cannot be one, and data without a JSON form, are ValueErrors before anything happens.
It does not: choose adapters (`amends.bootstrap`), or serve a network (`amends.delivery`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar

from amends.application.bindings import needed
from amends.application.definitions import DefinitionView, definition_view
from amends.application.engine import Engine
from amends.application.errors import DataUnfit, NotEncodable, SagaIdInvalid
from amends.application.gate import STANDARD, Protection
from amends.application.history import EventView, events_of, state_at
from amends.application.hooks import Hooks, StepHook
from amends.application.instance import Ask, Until
from amends.application.observer import Observer
from amends.application.participants import ParticipantView, participant_view, steer
from amends.application.registry import Registry
from amends.application.saga_id import SagaIds, checked
from amends.application.tracer import Tracer
from amends.application.view import SagaView, view
from amends.core import trigger as t
from amends.core.codec import Codec, JsonCodec, Unreadable
from amends.core.decision import ANY_ATTEMPT
from amends.core.effect import Direction
from amends.core.outcome import Answer, Refused, Succeeded
from amends.core.plan import LIBRARY, Defaults, Plan
from amends.core.state import State
from amends.definition import Saga
from amends.ports import Clock, EventStore, StreamKey, Transport
from amends.ports.telemetry import Traces

D = TypeVar("D")

MOST_TRIES = 64 * 8
"""How many ids are made to find one of an own shard."""
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def namespace_checked(namespace: str) -> str:
    """Return `namespace`. Raises ValueError when it cannot be one."""
    if not NAMESPACE.fullmatch(namespace):
        raise ValueError(f"namespace {namespace!r}: use 1 to 63 lower-case letters, digits and '-'")
    return namespace


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        # It is asked for every trigger: so the question is built in, without a frame of its own.
        self.now: Callable[[], datetime] = partial(datetime.now, UTC)
        """Return the current instant in UTC."""


class Begun(NamedTuple):
    """What a start by name came to."""

    view: SagaView[Any]
    is_new: bool
    """False: the instance was there already, begun with the same data."""


class Orchestrator:
    """Runs sagas durably in this process.

    Use it as ``async with Orchestrator(sagas=[...], store=..., participants={...}) as amends``.
    """

    def __init__(
        self,
        *,
        sagas: "Iterable[Saga[Any]]",
        store: EventStore,
        participants: Mapping[str, Transport],
        namespace: str = "default",
        clock: Clock | None = None,
        codec: Codec | None = None,
        most_live: int = 10_000,
        most_waiting: int = 10_000,
        lane_width: int = 100,
        defaults: Defaults = LIBRARY,
        open_within: timedelta = timedelta(0),
        protection: Protection = STANDARD,
        protections: Mapping[str, Protection] | None = None,
        traces: Traces | None = None,
        hooks: Sequence[StepHook] = (),
    ) -> None:
        """Bind `participants` by name, or as `SAGA/PARTICIPANT` for one saga alone, which wins. `most_live` bounds the
        instances in memory, `most_waiting` the callers that wait for room, `lane_width` the calls through one binding
        at a time. `defaults` hold for steps that do not say how long and how often. `protection` says when a
        participant is let alone and how fast it is called, `protections` for single bindings. Opening waits for a
        store that is away for `open_within`. `traces` says where spans go; `hooks` are called around each attempt.

        Raises:
            DefinitionError: a saga breaks a rule.
            ValueError: a participant that a step needs is not bound, or the namespace cannot be used.
        """
        self._namespace = namespace_checked(namespace)
        self._registry = Registry(sagas, codec, defaults=defaults)
        _used, unbound = needed(self._registry.plans, participants)
        if unbound:
            raise ValueError(
                f"no binding for participant(s) {', '.join(unbound)}; give each one in participants={{…}}"
            )
        self._codec = codec or JsonCodec()
        self._store = store
        self._clock = clock = clock or SystemClock()
        self._ids = SagaIds(clock)
        self._engine = Engine(
            registry=self._registry,
            store=store,
            transports=dict(participants),
            clock=clock,
            canonical=self._encode,
            most_live=most_live,
            most_waiting=most_waiting,
            lane_width=lane_width,
            open_within=open_within,
            protections={"": protection, **(protections or {})},
        )
        self._tracer = (
            None if traces is None else Tracer(traces.sink, store=store, clock=clock, ratio=traces.ratio)
        )
        looking: tuple[Observer, ...] = () if self._tracer is None else (self._tracer,)
        if hooks:
            looking = (*looking, Hooks(hooks, trace_id=self.trace_id))
        self._engine.consequences.witnesses = looking
        self._engine.dispatcher.observe(looking, is_local=bool(hooks))

    @property
    def namespace(self) -> str:
        """The first half of the identity of all its instances."""
        return self._namespace

    @property
    def engine(self) -> Engine:
        """The engine, for its counts and for tests."""
        return self._engine

    @property
    def tracer(self) -> Tracer | None:
        """What makes its spans; None unless traces are on."""
        return self._tracer

    @property
    def clock(self) -> Clock:
        """What tells it the time."""
        return self._clock

    @property
    def store(self) -> EventStore:
        """The store, for those who follow its log."""
        return self._store

    @property
    def definitions(self) -> tuple[DefinitionView, ...]:
        """The definitions at hand, by name and version."""
        return tuple(definition_view(plan) for plan in self._registry.plans)

    @property
    def participants(self) -> tuple[ParticipantView, ...]:
        """The participants that are bound, by name."""
        return tuple(participant_view(lane) for _name, lane in sorted(self._engine.dispatcher.lanes.items()))

    def open_breaker(self, participant: str, *, by: str, reason: str) -> ParticipantView:
        """Let nothing be sent to a participant until somebody closes its breaker, or this process ends.

        Raises:
            NoSuchParticipant: none is bound under that name.
        """
        return self._steer(participant, "open", by, reason)

    def close_breaker(self, participant: str, *, by: str, reason: str) -> ParticipantView:
        """Let what waits for a participant be sent, slowly at first.

        Raises:
            NoSuchParticipant: none is bound under that name.
        """
        return self._steer(participant, "close", by, reason)

    def _steer(
        self, participant: str, act: Literal["open", "close"], by: str, reason: str
    ) -> ParticipantView:
        self._engine.check_running()
        return steer(self._engine.dispatcher.lanes, participant, act, by=by, reason=reason)

    @property
    def troubles(self) -> Mapping[str, str]:
        """What keeps commands from being sent just now, by the binding's name."""
        told = ((name, lane.trouble) for name, lane in self._engine.dispatcher.lanes.items())
        return {name: trouble for name, trouble in told if trouble}

    async def __aenter__(self) -> Self:
        """Open the store and go on with what is outstanding.

        Raises:
            DefinitionChanged: an open instance was begun on another definition of the same name and version.
            StoreError: the store cannot be used.
        """
        await self._engine.open()
        if self._tracer is not None:
            await self._tracer.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what is outstanding goes on at the next opening."""
        try:
            if self._tracer is not None:
                await self._tracer.settle()
            await self._engine.close()
        finally:
            if self._tracer is not None:
                await self._tracer.close()

    async def run(
        self, saga: Saga[D], data: D, *, saga_id: str | None = None, until: Until = "end"
    ) -> SagaView[D]:
        """Start an instance and wait for its end; with ``until="stuck"`` also no longer than until it needs a person.

        Raises:
            SagaConflict: the id stands for an instance with other data.
            SagaUnknown: the saga was not given to this orchestrator.
            SagaIdInvalid, NotEncodable: what was given cannot be used.
            Overloaded: too much is in work.
        """
        plan = self._registry.plan(saga)
        ask = Ask(self._started_with(data), wanted=plan, until=until)
        state = await self._engine.entrance.start(self._key(saga_id), ask)
        return self._view(plan, state)

    async def start(self, saga: Saga[D], data: D, *, saga_id: str | None = None) -> SagaView[D]:
        """Start an instance, durably, and return it as it stands then. Starting it again is harmless.

        Raises:
            SagaConflict: the id stands for an instance with other data.
            SagaUnknown: the saga was not given to this orchestrator.
            SagaIdInvalid, NotEncodable: what was given cannot be used.
            Overloaded: too much is in work.
        """
        plan = self._registry.plan(saga)
        ask = Ask(self._started_with(data), wanted=plan)
        state = await self._engine.entrance.start(self._key(saga_id), ask)
        return self._view(plan, state)

    async def begin(
        self, saga: str, data: bytes, *, version: int | None = None, saga_id: str | None = None
    ) -> Begun:
        """Start an instance by the name of its saga, with data that are JSON already; tell whether it is new.

        Without `version` the highest is meant that this orchestrator has.

        Raises:
            NoSuchSaga: it has none of that name, or not that version.
            DataUnfit: the data are no JSON, or do not fit the saga's type.
            SagaConflict: the id stands for an instance with other data.
            SagaIdInvalid: the id cannot be one.
            Overloaded: too much is in work.
        """
        plan = self._registry.named(saga, version)
        try:
            value = plan.decoders[""](data)
        except Unreadable as error:
            raise DataUnfit("unreadable", f"the data do not fit saga {saga!r}: {error}") from error
        # As `start` would write them: the same data are the same, however their JSON was written.
        ask = Ask(self._started_with(value), wanted=plan)
        state = await self._engine.entrance.start(self._key(saga_id), ask)
        return Begun(self._view(plan, state), ask.is_new)

    async def get(self, saga_id: str, *, at: int | None = None) -> SagaView[Any]:
        """Return an instance as it stands, or as it stood after `at` events (within a transition, too).

        Raises:
            SagaUnknown: there is none.
            PositionUnknown: it has no such position.
        """
        key = self._key(saga_id)
        self._engine.check_running()
        state = await (self._engine.entrance.look(key) if at is None else state_at(self._store, key, at))
        return view(self._registry.plan_at_hand(state), state)

    async def events(self, saga_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[EventView]:
        """Return what happened to an instance, one by one, behind position `after`; at most `limit` events.

        Raises:
            SagaUnknown: there is none.
        """
        key = self._key(saga_id)
        self._engine.check_running()
        return await events_of(self._store, key, after=after, limit=limit)

    async def wait(self, saga_id: str, *, until: Until = "end") -> SagaView[Any]:
        """Wait for the end of an instance; with ``until="stuck"`` also no longer than until it needs a person."""
        state = await self._engine.entrance.wait(self._key(saga_id), until)
        return view(self._registry.plan_at_hand(state), state)

    # Each act takes `expected`: the position at which the caller saw the instance. If it has moved on when the act is
    # decided, PositionMoved is raised and nothing happens.

    async def signal(
        self,
        saga_id: str,
        signal: str,
        content: object = None,
        *,
        signal_id: str = "",
        expected: int | None = None,
    ) -> SagaView[Any]:
        """Tell an instance that something it waits for happened; the same `signal_id` counts once."""
        return await self._act(saga_id, t.Signal(signal, self._encode(content), signal_id), expected)

    async def cancel(
        self, saga_id: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Turn an instance round.

        Raises:
            ActRefused: it has ended, or passed its point of no return.
            PositionMoved: it is not at the position that was `expected`.
        """
        return await self._act(saga_id, t.Cancel(by, reason), expected)

    async def pause(
        self, saga_id: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Begin nothing new; answers are still taken."""
        return await self._act(saga_id, t.Pause(by, reason), expected)

    async def resume(
        self, saga_id: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Go on after a pause."""
        return await self._act(saga_id, t.Resume(by, reason), expected)

    async def retry(
        self, saga_id: str, step: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Try a stuck step again."""
        return await self._act(saga_id, t.Retry(step, by, reason), expected)

    async def resolve(
        self,
        saga_id: str,
        step: str,
        *,
        reply: object = None,
        refused: str = "",
        by: str,
        reason: str,
        expected: int | None = None,
    ) -> SagaView[Any]:
        """Settle a stuck step with the reply that its participant would have given, or with its refusal code."""
        answer: Succeeded | Refused = Refused(refused, reason) if refused else Succeeded(self._encode(reply))
        return await self._act(saga_id, t.Resolve(step, answer, by, reason), expected)

    async def skip(
        self, saga_id: str, step: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Go on without a stuck step; it stays unconfirmed."""
        return await self._act(saga_id, t.Skip(step, by, reason), expected)

    async def abandon(
        self, saga_id: str, *, by: str, reason: str, expected: int | None = None
    ) -> SagaView[Any]:
        """Give an instance up."""
        return await self._act(saga_id, t.Abandon(by, reason), expected)

    async def reply(
        self,
        saga_id: str,
        step: str,
        answer: Answer,
        *,
        direction: Direction = "do",
        round: int = 1,  # noqa: A002  the contract's own word
        attempt: int = ANY_ATTEMPT,
    ) -> SagaView[Any]:
        """Bring a participant's answer that came another way than back through its transport.

        Without `attempt` the one in flight is meant. What comes over HTTP is brought by `amends.callbacks`.

        Raises:
            ActRefused: no such command was issued.
        """
        return await self._act(saga_id, t.Reply(step, direction, round, attempt, answer))

    async def _act(self, saga_id: str, trigger: t.Trigger, expected: int | None = None) -> SagaView[Any]:
        state = await self._engine.entrance.act(self._key(saga_id), trigger, expected)
        return view(self._registry.plan_at_hand(state), state)

    def trace_id(self, saga_id: str) -> str:
        """Return the trace id of an instance, 32 digits, as far as this process knows it; empty when it does not."""
        key = None if self._tracer is None else self.key_of(saga_id)
        saga = None if self._tracer is None or key is None else self._tracer.known(key)
        return "" if saga is None else saga.trace.hex()

    def key_of(self, saga_id: str) -> StreamKey | None:
        """Return the whole identity of an instance; None for an id that cannot be one."""
        try:
            return StreamKey(self._namespace, checked(saga_id))
        except SagaIdInvalid:
            return None

    def _started_with(self, data: object) -> t.Start:
        return t.Start(self._encode(data), None if self._tracer is None else self._tracer.doing())

    def _view(self, plan: Plan, state: State) -> SagaView[Any]:
        """Return the view by the definition that the instance runs on: it may be older than the one asked for."""
        is_same = state.fingerprint == plan.fingerprint
        return SagaView(plan if is_same else self._registry.plan_at_hand(state), state)

    def _key(self, saga_id: str | None) -> StreamKey:
        if saga_id is not None:
            return StreamKey(self._namespace, checked(saga_id))
        # One that is decided here, where there is any: then nobody else need be asked.
        key, tries = StreamKey(self._namespace, self._ids.make()), 1
        while not self._engine.shards.holds(key) and tries < MOST_TRIES:
            key, tries = StreamKey(self._namespace, self._ids.make()), tries + 1
        return key

    def _encode(self, value: object) -> bytes:
        try:
            return self._codec.encode(value)
        except Unreadable as error:
            raise NotEncodable(str(error)) from error
