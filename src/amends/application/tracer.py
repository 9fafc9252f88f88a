"""The tracer: makes spans of what became durable, and tells each attempt which span it belongs to.

Rules
- A span is made of stored facts, by the process that stored them: one for each attempt of a command when it is answered
  or given up, one for the instance when it ends. Nothing is open meanwhile, so a crash leaves nothing half done. It is
  made a moment later, for many decisions together.
- Trace and span ids follow from identity (`trace_ids`); an instance that is not remembered here (a restart, another
  process before) is looked up in its stream, beside everything else.
- An instance that its starter, or the sampling ratio, does not keep costs no span; its participants are told so.
- Memory is bounded: beyond `MOST_REMEMBERED` instances the oldest is forgotten, which costs a look into its stream.
It does not: decide, hold anything up, or know where spans go (`ports/telemetry.py`).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from amends.application.history import events_in
from amends.application.instance import Instance
from amends.application.span_forms import QUIET, AttemptWords, about_step, attempt_form, note_of, saga_form
from amends.application.trace_ids import SagaTrace, reopened_id, saga_trace
from amends.core import event as e
from amends.core.decision import Decision
from amends.core.effect import SendCommand, TraceContext
from amends.core.state import State, StepState
from amends.core.transitions import IN_FLIGHT
from amends.ports import Clock, EventStore, StreamKey, Transition
from amends.ports.telemetry import DOING, Attributes, Note, Span, SpanSink

log = logging.getLogger("amends.tracer")

MOST_REMEMBERED: Final = 20_000
"""Instances that run."""
MOST_ENDED: Final = 1_000
"""Instances that have ended, for what still comes in about them."""
MOST_LOOKED_UP: Final = 1_000
MOST_NOTES: Final = 100
"""Of one instance."""
A_STRETCH: Final = 30
"""Decisions that are made into spans at a time: what is held on to for more of them costs more than it saves."""
LAST: Final = 1.0
"""Seconds that the last looks into the store may take."""
SOON: Final = 0.02
"""Seconds after which fewer are."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Finish: TypeAlias = Callable[[Sequence[Transition]], None]


class Tracer:
    """Traces of one orchestrator."""

    def __init__(
        self,
        sink: SpanSink,
        *,
        store: EventStore,
        clock: Clock,
        ratio: float = 1.0,
        most_remembered: int = MOST_REMEMBERED,
    ) -> None:
        """Give spans to `sink`, of the share `ratio` of those instances that nobody has decided about."""
        self.sink = sink
        self.ratio = ratio
        self._store = store
        self._clock = clock
        self._most = most_remembered
        self._sagas: dict[StreamKey, SagaTrace] = {}
        self._ended: OrderedDict[StreamKey, TraceContext | None] = OrderedDict()
        """What their traces follow from, with their identity: that takes a fraction of the room."""
        self._unknown: list[tuple[StreamKey, Finish]] = []
        self._looking: asyncio.Task[None] | None = None
        self._fresh: list[tuple[SagaTrace, State, Decision, datetime]] = []
        self._catching: asyncio.TimerHandle | None = None
        self._has_failed = False
        self._take: dict[type, Callable[[SagaTrace, State, Any, int], None] | None] = {
            **dict.fromkeys(QUIET),
            e.ReplyRecorded: self._replied,
            e.AttemptFailed: self._failed,
        }

    # --- what whoever works for a saga is told ---

    def doing(self) -> TraceContext | None:
        """Return what is being done here just now, for an instance that is being started."""
        source = DOING.get()
        return self.sink.doing() if source is None else source()

    def known(self, key: StreamKey) -> SagaTrace | None:
        """Return the trace of an instance, if it is remembered."""
        self.catch_up()
        saga = self._sagas.get(key)
        if saga is None and key in self._ended:
            saga = saga_trace(key, self._ended[key], self.ratio)
        return saga

    def sending(self, instance: Instance, command: SendCommand) -> SendCommand:
        """Return `command` with what its participant is to be told, which is made when it is wanted."""
        return replace(command, trace=partial(self._told, instance.key, instance.state.trace, command))

    def _told(self, key: StreamKey, stored: TraceContext | None, command: SendCommand) -> TraceContext:
        saga = self._sagas.get(key) or self._remember(key, stored)
        if saga.is_sampled and command.step not in saga.sent:
            # It was not ordered just now, or that is not taken in yet.
            saga.sent[command.step] = self.now()
        span = saga.attempt(command.step, command.direction, command.round, command.attempt)
        return saga.context(span)

    def _remember(self, key: StreamKey, stored: TraceContext | None) -> SagaTrace:
        saga = self._sagas[key] = saga_trace(key, stored, self.ratio)
        if len(self._sagas) > self._most:
            del self._sagas[next(iter(self._sagas))]
        return saga

    def now(self) -> int:
        """Return the instant in nanoseconds."""
        return nanoseconds(self._clock.now())

    # --- what became durable ---

    def committed(self, instance: Instance, decision: Decision, at: datetime) -> None:
        """Take notice of a decision that is stored."""
        key, after = instance.key, decision.state
        saga = self._sagas.get(key) or self._remember(key, after.trace)
        if not saga.is_sampled:
            # Nothing is held on to for it: what stays in memory a moment longer costs more than the look.
            if after.final:
                self._end(key, after)
            return
        self._fresh.append((saga, instance.state, decision, at))
        if len(self._fresh) >= A_STRETCH:
            self.catch_up()
        elif self._catching is None:
            self._catching = asyncio.get_running_loop().call_later(SOON, self.catch_up)

    def catch_up(self) -> None:
        """Make spans of what was stored since the last time: many together are quicker than each by itself."""
        if self._catching is not None:
            self._catching.cancel()
            self._catching = None
        fresh, self._fresh = self._fresh, []
        for saga, before, decision, at in fresh:
            try:
                self._take_in(saga, before, decision, nanoseconds(at))
            except Exception as error:  # noqa: BLE001  what is wrong with one instance's spans is not with others'
                self._failed_once(error)
            if decision.state.final:
                self._end(saga.key, decision.state)

    def _take_in(self, saga: SagaTrace, before: State, decision: Decision, at: int) -> None:
        if not before.position:
            saga.began = at
        for event in decision.events:
            take = self._take.get(type(event), _noted)
            if take is not None:
                take(saga, before, event, at)
        for command in decision.commands:
            saga.sent[command.step] = at
        if decision.state.final:
            self._saga_ended(saga, before, decision.state, at)

    def _end(self, key: StreamKey, after: State) -> None:
        self._sagas.pop(key, None)
        self._ended[key] = after.trace
        if len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)

    def _failed_once(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.error("traces have a defect; sagas go on, and it is not logged again", exc_info=error)

    def _replied(self, saga: SagaTrace, before: State, event: e.ReplyRecorded, at: int) -> None:
        step = before.nodes.get(event.step)
        if not isinstance(step, StepState) or step.phase not in IN_FLIGHT or event.late:
            # The attempt that it answers had been given up, and has its span.
            _note(saga, Note("LateReply", at, about_step(event.step)))
            return
        words = (
            before.saga,
            event.step,
            event.direction,
            event.round,
            step.attempt,
            step.participant,
            event.outcome,
        )
        own: Attributes = ()
        if event.outcome == "refused":
            own = (("amends.code", event.code), ("amends.reason", event.reason))
        self._attempt_ended(saga, words, own, None, at)

    def _failed(self, saga: SagaTrace, before: State, event: e.AttemptFailed, at: int) -> None:
        step = before.nodes.get(event.step)
        participant = step.participant if isinstance(step, StepState) else ""
        words = (before.saga, event.step, event.direction, event.round, event.attempt, participant, "failed")
        failure = event.reason or event.fault
        self._attempt_ended(saga, words, (("amends.fault", event.fault),), failure, at)

    def _attempt_ended(
        self, saga: SagaTrace, words: AttemptWords, own: Attributes, failure: str | None, at: int
    ) -> None:
        form, named, mask = attempt_form(words)
        began = saga.sent.pop(words[1], 0)
        span = Span(
            form,
            saga.trace,
            saga.masked(mask),
            began or at,
            at,
            saga.id,
            saga.about,
            (*named, *own) if named or own else (),
            saga.state,
            failure,
        )
        if began:
            self.sink.emit(span)
        else:
            self._look_up(saga.key, partial(self._emit_since, span, words))

    def _emit_since(self, span: Span, words: AttemptWords, stream: Sequence[Transition]) -> None:
        self.sink.emit(replace(span, began=_issued_at(stream, words) or span.began))

    def _saga_ended(self, saga: SagaTrace, before: State, after: State, at: int) -> None:
        key, reopened = saga.key, before.reopened or after.reopened
        span = Span(
            saga_form(after.saga, after.version, after.final, reopened),
            saga.trace,
            reopened_id(key, after.position) if reopened else saga.id,
            saga.began or at,
            at,
            saga.id if reopened else saga.parent,
            saga.about,
            (),
            saga.state,
            "abandoned" if after.final == "abandoned" else None,
            notes=tuple(saga.notes) if saga.notes else (),
        )
        # What may follow after the end begins anew.
        saga.notes, known, saga.began = None, saga.began, 0
        if known or reopened:
            self.sink.emit(span)
        else:
            self._look_up(key, lambda stream: self.sink.emit(_told_by(stream, span)))

    # --- what is not remembered ---

    def _look_up(self, key: StreamKey, finish: Finish) -> None:
        """Have `finish` called with the stream, soon; with nothing when too many are being looked up."""
        if len(self._unknown) >= MOST_LOOKED_UP:
            finish(())
            return
        self._unknown.append((key, finish))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="amends-tracer")

    async def _look(self) -> None:
        while self._unknown:
            key, finish = self._unknown.pop(0)
            stream: Sequence[Transition] = ()
            try:
                stream = await self._store.read(key)
            except Exception as error:  # noqa: BLE001  whatever keeps it from being read, only a span is the poorer
                log.debug("saga %s: its spans have no beginning: %r", key.saga_id, error)
            try:
                finish(stream)
            except Exception as error:  # noqa: BLE001  as above
                log.debug("saga %s: a span is lost: %r", key.saga_id, error)
        self._looking = None

    async def open(self) -> None:
        """Begin to take spans."""
        await self.sink.open()

    async def settle(self) -> None:
        """Finish what needs a look into the store, which is about to be closed, if that does not take long."""
        self.catch_up()
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=LAST)

    async def close(self) -> None:
        """Pass on what is finished."""
        self.catch_up()
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        for _key, finish in self._unknown:
            finish(())
        self._unknown.clear()
        await self.sink.close()


def nanoseconds(at: datetime) -> int:
    """Return an aware instant as nanoseconds since 1970."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _noted(saga: SagaTrace, _before: State, event: e.AnyEvent, at: int) -> None:
    note = note_of(event, at)
    if note is not None:
        _note(saga, note)


def _note(saga: SagaTrace, note: Note) -> None:
    if saga.notes is None:
        saga.notes = [note]
    elif len(saga.notes) < MOST_NOTES:
        saga.notes.append(note)


def _issued_at(stream: Sequence[Transition], words: AttemptWords) -> int:
    """Return when the attempt was ordered, by its stream; 0 when that says nothing of it."""
    _saga, step, direction, round_, attempt, _participant, _outcome = words
    for transition in reversed(stream):
        for event in reversed(events_in(transition)):
            if isinstance(event, e.AttemptStarted | e.CommandIssued):
                number = event.attempt if isinstance(event, e.AttemptStarted) else 1
                named = (event.step, event.direction, event.round, number)
                if named == (step, direction, round_, attempt):
                    return nanoseconds(transition.recorded_at)
    return 0


def _told_by(stream: Sequence[Transition], span: Span) -> Span:
    """Return the span of an instance as its stream tells it."""
    if not stream:
        return span
    notes = [
        note
        for transition in stream
        for event in events_in(transition)
        if (note := note_of(event, nanoseconds(transition.recorded_at))) is not None
    ]
    return replace(span, began=nanoseconds(stream[0].recorded_at), notes=tuple(notes[:MOST_NOTES]))
