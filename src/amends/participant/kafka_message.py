"""A command and its reply as Kafka records: CloudEvents 1.0 in binary content mode, attributes as `ce_` headers.

    command   key: saga id   value: the payload as JSON   headers: who it is about, and where its reply goes
    reply     the same key   value: the reply, or code and reason, or why there is no answer

Rules:
- A record that is no command (`ce_type`) is `NotForUs`: topics may be shared.
- A record that is a command, but does not say for certain which, cannot be answered: it raises BadMessage.
- Whatever else is wrong with a command is answered: with `failed`, never with a no.

Does not do: consume or produce, execute.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from amends.participant import strict_json
from amends.participant.barrier import Answer
from amends.participant.message import LARGEST_COUNT, BadMessage, Command, Direction

COMMAND_TYPE: Final = "amends.command"
REPLIES: Final = "amends.replies"

Headers: TypeAlias = Sequence[tuple[str, bytes]]
Fault: TypeAlias = Literal["transient", "configuration", "unreadable"]

_COPIED: Final = (
    "ce_subject",
    "ce_amendsnamespace",
    "ce_amendsstep",
    "ce_amendsdirection",
    "ce_amendsround",
    "ce_amendsattempt",
    "traceparent",
    "tracestate",
)
_COUNT: Final = re.compile(r"[0-9]{1,7}")


class Values(Protocol):
    """What stands on the wire in place of JSON."""

    @property
    def content_type(self) -> bytes:
        """How a value is announced."""
        ...

    async def read(self, value: bytes) -> bytes:
        """Return the JSON document that a value stands for, however long that takes; Unexecutable when it is none."""
        ...

    async def write(self, topic: str, document: bytes) -> bytes:
        """Return what stands for a JSON document on a topic, however long that takes; Unwritable when nothing does."""
        ...


class Unwritable(ValueError):
    """A reply that cannot stand on its topic."""


class NotForUs(Exception):
    """The record is no command."""


class Unexecutable(ValueError):
    """The command is known, but nobody can execute it as it is; the text is for its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Which command a record is, and where its reply goes; the payload is not read yet."""

    headers: Headers
    key: bytes
    value: bytes | None
    name: str
    reply_to: str

    def command(self) -> Command:
        """The whole command, or Unexecutable."""
        told = _single(self.headers)
        if self.value is None:
            raise Unexecutable("the command has no payload: its value is null")
        try:
            payload = strict_json.parse(self.value)
        except ValueError as error:
            raise Unexecutable(str(error)) from None
        return Command(
            command_id=told["ce_id"],
            namespace=told.get("ce_amendsnamespace") or "default",
            saga_id=told["ce_subject"],
            step=told["ce_amendsstep"],
            direction=_direction(told),
            round=_count(told, "ce_amendsround"),
            attempt=_count(told, "ce_amendsattempt") if told.get("ce_amendsattempt") else 1,
            name=self.name,
            payload=payload,
            reply_to=self.reply_to,
            traceparent=told.get("traceparent"),
            tracestate=told.get("tracestate"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A record to write."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    async def packed(self, values: Values) -> "Reply":
        """The same reply, with what stands on the wire; or Unwritable."""
        kind = values.content_type
        headers = [(name, kind if name == "content-type" else value) for name, value in self.headers]
        return replace(self, value=await values.write(self.topic, self.value), headers=headers)


def read_envelope(*, headers: Headers, key: bytes | None, value: bytes | None) -> Envelope:
    """Read which command a record is; NotForUs when it is none, BadMessage when that cannot be told."""
    if _type(headers) != COMMAND_TYPE:
        raise NotForUs
    told = _single(headers)
    subject = _text(told, "ce_subject")
    for name in ("ce_id", "ce_amendsstep"):
        _text(told, name)
    _direction(told)
    _count(told, "ce_amendsround")
    if key is None or key != subject.encode():
        raise BadMessage("the key is not the saga id in ce_subject")
    return Envelope(
        headers=headers,
        key=key,
        value=value,
        name=told.get("ce_amendscommand", ""),
        reply_to=told.get("ce_amendsreplyto") or REPLIES,
    )


def answered(envelope: Envelope, answer: Answer, *, source: str) -> Reply:
    """The reply that gives this answer."""
    return _reply(envelope, answer.outcome, answer.body, source)


def failed(envelope: Envelope, reason: str, fault: Fault, *, source: str) -> Reply:
    """The reply that says that there is no answer, and why."""
    return _reply(envelope, "failed", msgspec.json.encode({"reason": reason, "fault": fault}), source)


def too_large(reply: Reply) -> Reply:
    """What is said in place of a reply that the broker does not take: that there is one, and that it cannot be read."""
    reason = f"the reply of {len(reply.value)} bytes is larger than the broker takes"
    headers = [(name, b"failed" if name == "ce_amendsoutcome" else value) for name, value in reply.headers]
    value = msgspec.json.encode({"reason": reason, "fault": "unreadable"})
    return replace(reply, value=value, headers=headers)


def _reply(envelope: Envelope, outcome: str, value: bytes, source: str) -> Reply:
    told = dict(envelope.headers)
    attempt = told.get("ce_amendsattempt", b"1")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"amends.reply"),
        ("ce_source", source.encode()),
        ("ce_id", told["ce_id"] + b"/" + attempt),
        ("ce_amendscommandid", told["ce_id"]),
        ("ce_amendsoutcome", outcome.encode()),
        ("content-type", b"application/json"),
        *((name, told[name]) for name in _COPIED if name in told),
    ]
    return Reply(topic=envelope.reply_to, key=envelope.key, value=value, headers=headers)


def _type(headers: Headers) -> str:
    """The first type that a record names; whatever it is made of."""
    return next((value.decode(errors="replace") for name, value in headers if name == "ce_type"), "")


def _single(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """The contract's headers as text; what is not of the contract does not disturb."""
    found: dict[str, str] = {}
    for name, value in headers:
        if not name.startswith("ce_") and name not in ("traceparent", "tracestate"):
            continue
        if name in found:
            message = f"the header {name} stands twice"
            raise BadMessage(message)
        try:
            found[name] = value.decode()
        except UnicodeDecodeError:
            message = f"the header {name} is not UTF-8"
            raise BadMessage(message) from None
    return found


def _text(told: dict[str, str], name: str) -> str:
    if not told.get(name):
        message = f"the header {name} is missing or empty"
        raise BadMessage(message)
    return told[name]


def _direction(told: dict[str, str]) -> Direction:
    match _text(told, "ce_amendsdirection"):
        case "do" | "undo" as direction:
            return direction
        case _:
            raise BadMessage("the header ce_amendsdirection must be do or undo")


def _count(told: dict[str, str], name: str) -> int:
    value = _text(told, name)
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= LARGEST_COUNT:
        message = f"the header {name} must be a whole number from 1 to {LARGEST_COUNT}"
        raise BadMessage(message)
    return int(value)
