"""The orchestrator as a library: start sagas, watch them, steer them.

Rules: every verb returns when what it caused is durable; nothing is acknowledged before. An act on an instance carries
who did it and why. A saga id that cannot be one, and data without a JSON form, are ValueErrors before anything happens.
It does not: choose adapters (`amends.bootstrap`), or serve a network (`amends.delivery`).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from amends.application.engine import Engine
from amends.application.errors import NotEncodable, SagaIdInvalid
from amends.application.instance import Until
from amends.application.registry import Registry
from amends.application.view import SagaView, view
from amends.core import trigger as t
from amends.core.codec import Codec, JsonCodec, Unreadable
from amends.core.decide import ANY_ATTEMPT
from amends.core.effect import Direction
from amends.core.outcome import Answer, Refused, Succeeded
from amends.core.plan import Plan
from amends.core.state import State
from amends.definition import Saga
from amends.ports import Clock, EventStore, StreamKey, Transport

D = TypeVar("D")

SAGA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~+=-]{0,199}")
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)


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
    ) -> None:
        """Bind `participants` by name. `most_live` bounds the instances in memory, `most_waiting` the callers that
        wait for room, `lane_width` the calls to one participant at a time.

        Raises:
            DefinitionError: a saga breaks a rule.
            ValueError: a participant that a step needs is not bound, or the namespace cannot be used.
        """
        if not NAMESPACE.fullmatch(namespace):
            raise ValueError(f"namespace {namespace!r}: use 1 to 63 lower-case letters, digits and '-'")
        self._registry = Registry(sagas, codec)
        unbound = sorted(self._registry.participants - set(participants))
        if unbound:
            raise ValueError(
                f"no binding for participant(s) {', '.join(unbound)}; give each one in participants={{…}}"
            )
        self._namespace = namespace
        self._codec = codec or JsonCodec()
        self._engine = Engine(
            registry=self._registry,
            store=store,
            transports=dict(participants),
            clock=clock or SystemClock(),
            most_live=most_live,
            most_waiting=most_waiting,
            lane_width=lane_width,
        )

    @property
    def namespace(self) -> str:
        """The first half of the identity of all its instances."""
        return self._namespace

    @property
    def engine(self) -> Engine:
        """The engine, for its counts and for tests."""
        return self._engine

    async def __aenter__(self) -> Self:
        """Open the store and go on with what is outstanding."""
        await self._engine.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what is outstanding goes on at the next opening."""
        await self._engine.close()

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
        state = await self._engine.start(plan, self._key(saga_id), self._encode(data), until=until)
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
        state = await self._engine.start(plan, self._key(saga_id), self._encode(data))
        return self._view(plan, state)

    async def get(self, saga_id: str) -> SagaView[Any]:
        """Return an instance as it stands.

        Raises:
            SagaUnknown: there is none.
        """
        plan, state = await self._engine.state(self._key(saga_id))
        return view(plan, state)

    async def wait(self, saga_id: str, *, until: Until = "end") -> SagaView[Any]:
        """Wait for the end of an instance; with ``until="stuck"`` also no longer than until it needs a person."""
        state = await self._engine.wait(self._key(saga_id), until)
        return view(self._registry.plan_of(state), state)

    async def signal(
        self, saga_id: str, signal: str, content: object = None, *, signal_id: str = ""
    ) -> SagaView[Any]:
        """Tell an instance that something it waits for happened; the same `signal_id` counts once."""
        return await self._act(saga_id, t.Signal(signal, self._encode(content), signal_id))

    async def cancel(self, saga_id: str, *, by: str, reason: str) -> SagaView[Any]:
        """Turn an instance round.

        Raises:
            ActRefused: it has ended, or passed its point of no return.
        """
        return await self._act(saga_id, t.Cancel(by, reason))

    async def pause(self, saga_id: str, *, by: str, reason: str) -> SagaView[Any]:
        """Begin nothing new; answers are still taken."""
        return await self._act(saga_id, t.Pause(by, reason))

    async def resume(self, saga_id: str, *, by: str, reason: str) -> SagaView[Any]:
        """Go on after a pause."""
        return await self._act(saga_id, t.Resume(by, reason))

    async def retry(self, saga_id: str, step: str, *, by: str, reason: str) -> SagaView[Any]:
        """Try a stuck step again."""
        return await self._act(saga_id, t.Retry(step, by, reason))

    async def resolve(
        self, saga_id: str, step: str, *, reply: object = None, refused: str = "", by: str, reason: str
    ) -> SagaView[Any]:
        """Settle a stuck step with the reply that its participant would have given, or with its refusal code."""
        answer: Succeeded | Refused = Refused(refused, reason) if refused else Succeeded(self._encode(reply))
        return await self._act(saga_id, t.Resolve(step, answer, by, reason))

    async def skip(self, saga_id: str, step: str, *, by: str, reason: str) -> SagaView[Any]:
        """Go on without a stuck step; it stays unconfirmed."""
        return await self._act(saga_id, t.Skip(step, by, reason))

    async def abandon(self, saga_id: str, *, by: str, reason: str) -> SagaView[Any]:
        """Give an instance up."""
        return await self._act(saga_id, t.Abandon(by, reason))

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

    async def _act(self, saga_id: str, trigger: t.Trigger) -> SagaView[Any]:
        state = await self._engine.act(self._key(saga_id), trigger)
        return view(self._registry.plan_of(state), state)

    def _view(self, plan: Plan, state: State) -> SagaView[Any]:
        """Return the view by the definition that the instance runs on: it may be older than the one asked for."""
        return view(plan if state.fingerprint == plan.fingerprint else self._registry.plan_of(state), state)

    def _key(self, saga_id: str | None) -> StreamKey:
        chosen = str(uuid4()) if saga_id is None else saga_id
        if not SAGA_ID.fullmatch(chosen):
            raise SagaIdInvalid(
                f"saga id {chosen[:40]!r}: use 1 to 200 ASCII letters, digits and . _ : @ ~ + = -"
            )
        return StreamKey(self._namespace, chosen)

    def _encode(self, value: object) -> bytes:
        try:
            return self._codec.encode(value)
        except Unreadable as error:
            raise NotEncodable(str(error)) from error
