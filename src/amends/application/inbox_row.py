"""Rows of the inbox: triggers on their way to another process, and what their senders are told, as JSON.

Rules
- A row is a kind and its members: `start` with the saga's name, version and data; `signal` with its name, content and
  id; any other trigger with its own fields. `expected` stands beside them where the caller saw a position.
- What an application puts into the inbox itself is read by the same code; so nothing is believed of it.
- A no travels as the kind of its error with what that error knows, and is raised at its sender as the same error.
It does not: ask a store, or decide.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from amends.application import errors
from amends.application.instance import Ask
from amends.application.registry import Registry
from amends.application.saga_id import checked
from amends.core import trigger as t
from amends.core.codec import Unreadable
from amends.core.effect import Direction, TraceContext
from amends.core.outcome import Answer, Failed, Fault, Refused, Succeeded, Unconfirmed
from amends.ports import Handled, InboxRow
from amends.wire import trace_parent

Canonical: TypeAlias = Callable[[object], bytes]
"""Writes a saga's data as `start` would."""


class BadRow(errors.AmendsError):
    """A row of the inbox cannot be read."""


class StartRow(msgspec.Struct, omit_defaults=True):
    saga: str
    version: int | None
    data: msgspec.Raw
    trace: TraceContext | None = None


class SignalRow(msgspec.Struct, omit_defaults=True):
    signal: str
    content: msgspec.Raw = msgspec.Raw(b"null")
    signal_id: str = ""
    expected: int | None = None


class AnswerRow(msgspec.Struct, omit_defaults=True):
    outcome: Literal["succeeded", "refused", "failed", "unconfirmed"]
    reply: msgspec.Raw = msgspec.Raw(b"null")
    code: str = ""
    reason: str = ""
    fault: Fault = "transient"
    retry_after: float | None = None
    """In seconds."""


class ReplyRow(msgspec.Struct, omit_defaults=True):
    step: str
    direction: Direction
    round: int
    attempt: int
    answer: AnswerRow


class ActRow(msgspec.Struct, omit_defaults=True):
    by: str
    reason: str
    step: str = ""
    answer: AnswerRow | None = None
    expected: int | None = None


ACTS: Final[dict[str, type[t.Cancel | t.Pause | t.Resume | t.Abandon]]] = {
    "cancel": t.Cancel,
    "pause": t.Pause,
    "resume": t.Resume,
    "abandon": t.Abandon,
}
STEP_ACTS: Final[dict[str, type[t.Retry | t.Skip]]] = {"retry": t.Retry, "skip": t.Skip}


def row_of(ask: Ask) -> tuple[str, bytes]:
    """Return the kind and the body of the row that `ask` travels in."""
    return type(ask.trigger).__name__.lower(), msgspec.json.encode(_members_of(ask))


def _members_of(ask: Ask) -> StartRow | SignalRow | ReplyRow | ActRow:
    match ask.trigger:
        case t.Start(data, trace):
            assert ask.wanted is not None
            saga = ask.wanted.saga
            return StartRow(saga.name, saga.version, msgspec.Raw(data), trace)
        case t.Signal(signal, content, signal_id):
            return SignalRow(signal, msgspec.Raw(content), signal_id, ask.expected)
        case t.Reply(step, direction, round_, attempt, answer):
            return ReplyRow(step, direction, round_, attempt, _answer_row(answer))
        case t.Resolve(step, answer, by, reason):
            return ActRow(by, reason, step, _answer_row(answer), ask.expected)
        case t.Retry(step, by, reason) | t.Skip(step, by, reason):
            return ActRow(by, reason, step, None, ask.expected)
        case t.Cancel(by, reason) | t.Pause(by, reason) | t.Resume(by, reason) | t.Abandon(by, reason):
            return ActRow(by, reason, "", None, ask.expected)
        case t.Tick() | t.Recover():
            raise TypeError("only the holder of an instance looks at its timers")


def ask_of(row: InboxRow, registry: Registry, canonical: Canonical) -> Ask:
    """Return what a row asks.

    Raises:
        BadRow: it cannot be read.
        NoSuchSaga: it starts one that this process does not have.
        DataUnfit: it starts one with data that do not fit.
        SagaIdInvalid: it starts one with an id that cannot be one.
    """
    try:
        return _ask_of(row, registry, canonical)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadRow(f"its body is no {row.kind!r}: {error}") from error


def _ask_of(row: InboxRow, registry: Registry, canonical: Canonical) -> Ask:
    match row.kind:
        case "start":
            start = msgspec.json.decode(row.body, type=StartRow)
            checked(row.key.saga_id)
            plan = registry.named(start.saga, start.version)
            try:
                data = canonical(plan.decoders[""](bytes(start.data)))
            except Unreadable as error:
                text = f"the data do not fit saga {start.saga!r}: {error}"
                raise errors.DataUnfit("unreadable", text) from error
            return Ask(t.Start(data, _trace(start.trace)), wanted=plan, number=row.number)
        case "signal":
            signal = msgspec.json.decode(row.body, type=SignalRow)
            trigger: t.Trigger = t.Signal(signal.signal, bytes(signal.content), signal.signal_id)
            return Ask(trigger, expected=signal.expected, number=row.number)
        case "reply":
            reply = msgspec.json.decode(row.body, type=ReplyRow)
            trigger = t.Reply(reply.step, reply.direction, reply.round, reply.attempt, _answer(reply.answer))
            return Ask(trigger, number=row.number)
        case kind if kind in {*ACTS, *STEP_ACTS, "resolve"}:
            act = msgspec.json.decode(row.body, type=ActRow)
            return Ask(_act(kind, act), expected=act.expected, number=row.number)
        case kind:
            raise BadRow(f"there is no kind {kind[:40]!r}")


def _trace(given: TraceContext | None) -> TraceContext | None:
    """Return what can be the trace of a starter: an application writes its rows itself."""
    if given is None or trace_parent.read(given.parent) is None:
        return None
    return TraceContext(given.parent, trace_parent.state_of(given.state))


def _act(kind: str, act: ActRow) -> t.Trigger:
    if kind in ACTS:
        return ACTS[kind](act.by, act.reason)
    if kind in STEP_ACTS:
        return STEP_ACTS[kind](act.step, act.by, act.reason)
    answer = None if act.answer is None else _answer(act.answer)
    if not isinstance(answer, Succeeded | Refused):
        raise BadRow("'resolve' needs an answer that succeeded or was refused")
    return t.Resolve(act.step, answer, act.by, act.reason)


def _answer_row(answer: Answer) -> AnswerRow:
    match answer:
        case Succeeded(reply):
            return AnswerRow("succeeded", reply=msgspec.Raw(reply))
        case Refused(code, reason):
            return AnswerRow("refused", code=code, reason=reason)
        case Failed(reason, fault, retry_after):
            seconds = None if retry_after is None else retry_after.total_seconds()
            return AnswerRow("failed", reason=reason, fault=fault, retry_after=seconds)
        case Unconfirmed():
            return AnswerRow("unconfirmed")


def _answer(row: AnswerRow) -> Answer:
    match row.outcome:
        case "succeeded":
            return Succeeded(bytes(row.reply))
        case "refused":
            return Refused(row.code, row.reason)
        case "failed":
            after = None if row.retry_after is None else timedelta(seconds=row.retry_after)
            return Failed(row.reason, row.fault, after)
        case "unconfirmed":
            return Unconfirmed()


# --- what the sender is told ---


class NoRow(msgspec.Struct, omit_defaults=True):
    """An error, as far as it can be raised again: its class, and what its constructor was given."""

    error: str
    text: str = ""
    code: str = ""
    saga_id: str = ""
    expected: int = 0
    actual: int = 0
    name: str = ""
    version: int | None = None
    near: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()


class ToldRow(msgspec.Struct, omit_defaults=True):
    position: int = 0
    is_new: bool = False
    no: NoRow | None = None


class Told(NamedTuple):
    """What became of a row."""

    position: int
    is_new: bool
    error: errors.AmendsError | None


PLAIN: Final[dict[str, type[errors.AmendsError]]] = {
    kind.__name__: kind
    for kind in (
        errors.AmendsError,
        errors.SagaUnknown,
        errors.DefinitionUnknown,
        errors.DefinitionChanged,
        errors.SagaConflict,
        errors.Overloaded,
    )
}


def accepted(number: int, position: int, *, is_new: bool) -> Handled:
    """Return the answer that the trigger was taken, and where the instance stands."""
    return Handled(number, msgspec.json.encode(ToldRow(position, is_new)))


def refused(number: int, error: errors.AmendsError) -> Handled:
    """Return the answer that nothing came of it."""
    return Handled(number, msgspec.json.encode(ToldRow(no=_no_of(error))))


def read_answer(body: bytes) -> Told:
    """Return what an answer says."""
    told = msgspec.json.decode(body, type=ToldRow)
    return Told(told.position, told.is_new, None if told.no is None else _error_of(told.no))


def _no_of(error: errors.AmendsError) -> NoRow:
    kind, text = type(error).__name__, str(error)
    match error:
        case errors.NoSuchSaga():
            return NoRow(
                kind, text, name=error.name, version=error.version, near=error.near, versions=error.versions
            )
        case errors.PositionMoved():
            return NoRow(kind, text, saga_id=error.saga_id, expected=error.expected, actual=error.actual)
        case errors.ActRefused():
            return NoRow(kind, text, code=error.code)
        case _:
            return NoRow(kind, text)


def _error_of(no: NoRow) -> errors.AmendsError:
    match no.error:
        case "NoSuchSaga":
            return errors.NoSuchSaga(no.name, no.version, no.near, no.versions)
        case "PositionMoved":
            return errors.PositionMoved(no.saga_id, no.expected, no.actual)
        case "DataUnfit":
            return errors.DataUnfit(no.code, no.text)
        case "ActRefused":
            return errors.ActRefused(no.code, no.text)
        case kind:
            return PLAIN.get(kind, errors.AmendsError)(no.text)
