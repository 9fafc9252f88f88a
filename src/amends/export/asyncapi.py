"""What goes over topics, as an AsyncAPI 3.0 document: channels, who writes and reads them, and the messages' schemas.

    document([place_order], Wire(bindings=bindings))

Rules
- Written from the orchestrator's side: it *sends* commands and transitions, it *receives* answers and starts.
- Made from the definitions' values, their annotations and the bindings alone; nothing is run, the same input gives the
  same document.
- The channels are exactly the topics of the bindings, beside that of the replies, where somebody answers there, and
  that of the transitions, where there is one. A message is named after its binding, step and direction.
- A reply's type is read from the annotation of the do or undo; a payload's as well, where it is said
  (``Annotated[Command[Reply], Payload]``). What is not said may be anything.
- Where a topic carries Avro its messages are `application/avro`, and its channel names the subject whose schema they
  are written by; their payload is described as the JSON document that sagas and participants see.
- `docs/kafka.md` has the contract in words; a test holds the headers here against what is written to topics.
It does not: know brokers, or what goes over HTTP.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from amends.core.effect import Direction
from amends.core.plan import Plan, StepPlace, UndoPlace, compile_saga
from amends.definition import Saga
from amends.definition.annotations import field_type, payload_type, reply_type
from amends.export.contract import CONTRACT, KEY
from amends.export.schemas import UNKNOWN, Schema, Schemas, joined, with_fields
from amends.wire.topics import Serialization, StartTopic, StepTopics, TopicBindings

VERSION: Final = "3.0.0"
IDENTITY: Final[Schema] = {"type": ["string", "integer"], "minLength": 1, "maxLength": 200}
ITEM_KEY: Final[Schema] = {"description": "The key of the item."}
TEXT: Final[Schema] = {"type": "string"}
JSON: Final = "application/json"
AVRO: Final = "application/avro"
JSON_BINDING: Final[Mapping[str, str]] = {}
AVRO_BINDING: Final[Mapping[str, str]] = {
    "schemaIdLocation": "payload",
    "schemaIdPayloadEncoding": "confluent",
    "schemaLookupStrategy": "TopicNameStrategy",
}
"""How an Avro value says its schema, and which subject of the registry has it."""
BINDING_VERSION: Final = "0.5.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What goes over topics, and where."""

    bindings: TopicBindings
    replies: str = "amends.replies"
    """Where participants of the native style answer."""
    transitions: str | None = None
    servers: tuple[str, ...] = ()
    """``HOST:PORT`` of the brokers; they may be left out."""
    is_encrypted: bool = False
    serialization: Serialization = "json"
    """What topics carry of which the bindings do not say it."""
    registry: str | None = None
    """The URL of the registry of schemas."""

    @property
    def avro(self) -> frozenset[str]:
        """The topics whose values are Avro.

        Raises:
            ValueError: the bindings say it of a topic that nobody reads or writes.
        """
        return self.bindings.carrying("avro", replies=self.replies, others=self.serialization)


class _Way(NamedTuple):
    """The do or the undo of a step in a saga, with the types that its functions say."""

    binding: str
    step: str
    direction: Direction
    payload: Any
    reply: Any


@dataclass(slots=True)
class _Channel:
    sent: list[str] = field(default_factory=list[str])
    received: list[str] = field(default_factory=list[str])

    def add(self, message: str, *, is_sent: bool) -> None:
        names = self.sent if is_sent else self.received
        if message not in names:
            names.append(message)


def document(sagas: "Sequence[Saga[Any]]", wire: Wire) -> dict[str, Any]:
    """Return the document, ready to be written as JSON.

    Raises:
        DefinitionError: a definition breaks a rule.
        ValueError: the bindings say what a topic carries that nobody reads or writes.
    """
    plans = [compile_saga(saga) for saga in sagas]
    ways = [way for plan in plans for way in _ways(plan, wire.bindings)]
    starts = [(start, _start_types(start, sagas)) for start in wire.bindings.starts]
    schemas = Schemas(
        kind
        for kinds in (*((way.payload, way.reply) for way in ways), *(kinds for _start, kinds in starts))
        for kind in kinds
    )
    made = _Document(schemas, wire.avro)
    for binding, topic in wire.bindings.native.items():
        made.native(topic, wire.replies, [way for way in ways if way.binding == binding])
    for binding, steps in wire.bindings.events.items():
        for step in steps:
            made.events(
                step, binding, [way for way in ways if (way.binding, way.step) == (binding, step.step)]
            )
    for start, kinds in starts:
        made.start(start, kinds)
    if wire.transitions is not None:
        made.transitions(wire.transitions)
    return {"asyncapi": VERSION, "info": _info(sagas), **_servers(wire), **made.parts()}


class _Document:
    """Channels and messages, as they come."""

    def __init__(self, schemas: Schemas, avro: frozenset[str]) -> None:
        self._schemas = schemas
        self._avro = avro
        self._channels: dict[str, _Channel] = {}
        self._messages: dict[str, dict[str, Any]] = {}
        self._answered_on: dict[str, str] = {}
        """Topics of commands whose answers come on one topic."""

    def native(self, topic: str, replies: str, ways: Sequence[_Way]) -> None:
        """A participant that speaks the native contract."""
        self._channels.setdefault(topic, _Channel())
        self._answered_on[topic] = replies
        for (binding, step, direction), same in _grouped(ways).items():
            name = _named(binding, step, direction)
            self._command(topic, name, step, direction, same)
            succeeded = self._schemas.any_of(way.reply for way in same)
            for outcome, payload in (
                ("succeeded", succeeded),
                ("refused", _own("amends-refused")),
                ("failed", _own("amends-failed")),
            ):
                self._message(
                    replies,
                    f"{name}.{outcome}",
                    summary=f"The {direction} of {step} {_SAID[outcome]}.",
                    headers=f"amends-reply-{outcome}-headers",
                    payload=payload,
                    correlation="$message.header#/ce_amendscommandid",
                )
        self._channels.setdefault(replies, _Channel())

    def events(self, step: StepTopics, binding: str, ways: Sequence[_Way]) -> None:
        """A step that speaks in events."""
        fields = {step.saga_id: IDENTITY, **dict.fromkeys(step.keys, ITEM_KEY)}
        found = with_fields(fields, required=fields)
        no = with_fields({step.code: TEXT, step.reason: TEXT}, required=())
        correlation = f"$message.payload#/{step.saga_id.replace('.', '/')}"
        for direction, way in _directions(step):
            same = [each for each in ways if each.direction == direction]
            name = _named(binding, step.step, direction)
            self._command(way.topic, name, step.step, direction, same)
            yes = self._schemas.any_of(each.reply for each in same if each.reply is not type(None))
            for outcome, topics, said in (("succeeded", way.succeeded, yes), ("refused", way.refused, no)):
                for topic in topics:
                    self._message(
                        topic,
                        f"{name}.{outcome}",
                        summary=f"The {direction} of {step.step} {_SAID[outcome]}.",
                        headers="amends-event-headers",
                        payload=joined(found, said),
                        correlation=correlation,
                    )

    def start(self, start: StartTopic, kinds: Sequence[Any]) -> None:
        """An event that starts a saga."""
        self._message(
            start.topic,
            f"{_safe(start.saga)}.start",
            summary=f"Starts the saga {start.saga}.",
            headers="amends-event-headers",
            payload=joined(
                with_fields({start.saga_id: IDENTITY}, required=(start.saga_id,)), self._schemas.any_of(kinds)
            ),
            correlation=f"$message.payload#/{start.saga_id.replace('.', '/')}",
        )

    def transitions(self, topic: str) -> None:
        """The topic that every transition leaves to."""
        self._message(
            topic,
            "amends.transition",
            summary="A transition of a saga: all events that one trigger caused.",
            headers="amends-transition-headers",
            payload=_own("amends-transition"),
            correlation="$message.header#/ce_subject",
            is_sent=True,
        )

    def parts(self) -> dict[str, Any]:
        """Return what of the document goes over topics."""
        return {
            "channels": {
                topic: _channel(topic, each, is_avro=topic in self._avro)
                for topic, each in sorted(self._channels.items())
            },
            "operations": {
                name: operation
                for topic, each in sorted(self._channels.items())
                for name, operation in self._operations(topic, each)
            },
            "components": {"messages": self._messages, "schemas": self._named_schemas()},
        }

    def _named_schemas(self) -> dict[str, Schema]:
        """Return the users' types, and what of the contract is used."""
        used = msgspec.json.encode(self._messages)
        own = {name: schema for name, schema in CONTRACT.items() if f'/{name}"'.encode() in used}
        return {**own, **self._schemas.components}

    def _operations(self, topic: str, channel: _Channel) -> Iterator[tuple[str, dict[str, Any]]]:
        for action, messages in (("send", channel.sent), ("receive", channel.received)):
            if not messages:
                continue
            operation: dict[str, Any] = {
                "action": action,
                "channel": _ref("channels", topic),
                "messages": _in(topic, messages),
            }
            replies = self._answered_on.get(topic)
            if action == "send" and replies is not None:
                answers = [
                    each for each in self._channels[replies].received if each.rpartition(".")[0] in messages
                ]
                operation["reply"] = {"channel": _ref("channels", replies), "messages": _in(replies, answers)}
            yield f"{action}.{topic}", operation

    def _command(self, topic: str, name: str, step: str, direction: Direction, ways: Sequence[_Way]) -> None:
        self._message(
            topic,
            name,
            summary=f"The {direction} of the step {step}.",
            headers="amends-command-headers",
            payload=self._schemas.any_of(way.payload for way in ways),
            correlation="$message.header#/ce_id",
            is_sent=True,
        )

    def _message(
        self,
        topic: str,
        name: str,
        *,
        summary: str,
        headers: str,
        payload: Schema,
        correlation: str,
        is_sent: bool = False,
    ) -> None:
        content, binding = (AVRO, AVRO_BINDING) if topic in self._avro else (JSON, JSON_BINDING)
        known = self._messages.get(name)
        if known is not None and known["contentType"] != content:
            # The same is said on two topics, and each writes it otherwise.
            name = f"{name}-{content.rpartition('/')[2]}"
        self._channels.setdefault(topic, _Channel()).add(name, is_sent=is_sent)
        self._messages[name] = {
            "name": name,
            "summary": summary,
            "contentType": content,
            "correlationId": {"location": correlation},
            "headers": _own(headers),
            "payload": payload if payload != UNKNOWN else {"description": "Any JSON document."},
            "bindings": {"kafka": {"key": KEY, **binding, "bindingVersion": BINDING_VERSION}},
        }


_SAID: Final[Mapping[str, str]] = {
    "succeeded": "succeeded",
    "refused": "was refused: nothing was done",
    "failed": "has no trustworthy outcome; it is asked for again",
}


def _ways(plan: Plan, bindings: TopicBindings) -> Iterator[_Way]:
    """Return the commands of a saga that go over topics."""
    for place in plan.places.values():
        if not isinstance(place, StepPlace | UndoPlace):
            continue
        node = place.step if isinstance(place, StepPlace) else place.node
        # As roles look it up: a saga's own binding wins.
        own, shared = f"{plan.saga.name}/{node.participant.name}", node.participant.name
        binding = own if own in bindings.participants else shared
        if binding not in bindings.participants:
            continue
        if isinstance(place, StepPlace):
            step = place.step
            reply = step.reply or reply_type(step.do)
            yield _Way(binding, step.name, "do", payload_type(step.do), reply)
        if node.undo is not None:
            yield _Way(binding, node.name, "undo", payload_type(node.undo), reply_type(node.undo))


def _grouped(ways: Iterable[_Way]) -> Mapping[tuple[str, str, Direction], Sequence[_Way]]:
    found: dict[tuple[str, str, Direction], list[_Way]] = {}
    for way in ways:
        found.setdefault((way.binding, way.step, way.direction), []).append(way)
    return found


def _directions(step: StepTopics) -> Iterator[tuple[Direction, Any]]:
    if step.do is not None:
        yield "do", step.do
    if step.undo is not None:
        yield "undo", step.undo


def _start_types(start: StartTopic, sagas: "Sequence[Saga[Any]]") -> list[Any]:
    """Return what the event may be, by the data of the sagas of that name."""
    data = [saga.data for saga in sagas if saga.name == start.saga]
    return [field_type(each, start.data) for each in data] if start.data else data


def _info(sagas: "Sequence[Saga[Any]]") -> dict[str, str]:
    names = [f"{saga.name} {saga.version}" for saga in sagas]
    return {
        "title": f"Sagas over topics: {', '.join(names)}",
        "version": str(sagas[0].version) if len(sagas) == 1 else "1",
        "description": "The orchestrator's side: it sends commands, and receives answers and what starts sagas.",
    }


def _servers(wire: Wire) -> dict[str, Any]:
    protocol = "kafka-secure" if wire.is_encrypted else "kafka"
    registry: dict[str, Any] = {}
    if wire.registry is not None and wire.avro:
        where = {"schemaRegistryUrl": wire.registry, "schemaRegistryVendor": "confluent"}
        registry = {"bindings": {"kafka": {**where, "bindingVersion": BINDING_VERSION}}}
    servers = {
        f"broker-{number}": {"host": host, "protocol": protocol, **registry}
        for number, host in enumerate(wire.servers, start=1)
    }
    return {"servers": servers} if servers else {}


def _channel(topic: str, channel: _Channel, *, is_avro: bool) -> dict[str, Any]:
    names = [*channel.sent, *(each for each in channel.received if each not in channel.sent)]
    said = {"description": f"Values are Avro, by the schema of the subject {topic}-value."} if is_avro else {}
    return {"address": topic, **said, "messages": {name: _ref("components/messages", name) for name in names}}


def _in(topic: str, messages: Iterable[str]) -> list[dict[str, str]]:
    return [_ref(f"channels/{topic}/messages", name) for name in messages]


def _ref(where: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{where}/{name}"}


def _own(name: str) -> Schema:
    """Refer to a schema of the contract; no type of a user has a hyphen in its name."""
    return _ref("components/schemas", name)


def _named(binding: str, step: str, direction: Direction) -> str:
    return f"{_safe(binding)}.{step}.{direction}"


def _safe(name: str) -> str:
    """Return a binding's name as it can stand in a reference."""
    return name.replace("/", ".")
