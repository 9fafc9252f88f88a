"""Event style: topics that carry commands, topics that mean their answers, and events that start sagas.

Rules
- An event is a JSON object. The saga's id, and the keys of the step's item, are fields of it; a field inside another is
  written ``outer.inner``. The whole object is the reply; a refusal has its code and reason in fields as well.
- A command on a topic for which no answer is named is handed over, and that is all: `Unconfirmed`.
- One topic may mean the answer to several steps; which of them is meant, the instance itself knows.
- What this service wrote is ignored: it may write to a topic that it reads (`product-reserved-events`).
It does not: consume, or look into instances.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast
from urllib.parse import quote

import msgspec

from amends.adapters.kafka.contract import is_own
from amends.adapters.kafka.fields import Bad, check_key, document_of
from amends.adapters.kafka.formats import Formats, trouble_of_formats
from amends.adapters.kafka.sender import KafkaSender
from amends.adapters.kafka.transport import ACCEPTED, posted, written
from amends.core.effect import Direction, SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Refused, Succeeded, Unconfirmed
from amends.core.plan import KEY_SAFE
from amends.ports.intake import Content, EventCame, OwnMessage, Read, Record, StartCame, Unreadable
from amends.ports.transport import Binding, Told
from amends.wire.excerpt import excerpt
from amends.wire.topics import StartTopic, StepTopics, TopicBindings, WayTopics

LONGEST_ID: Final = 200


class EventTransport:
    """One participant that is told what to do by events; `steps` by the step's name."""

    def __init__(
        self,
        sender: KafkaSender,
        steps: Sequence[StepTopics],
        *,
        now: Callable[[], float] = time.time,
        formats: Formats | None = None,
    ) -> None:
        self._sender = sender
        self._formats = formats
        self._steps = {each.step: each for each in steps}
        self._topics = sorted({way.topic for each in steps for way in each.ways})
        self._now = now

    @property
    def binding(self) -> Binding:
        """Where commands go."""
        return Binding("kafka", ", ".join(self._topics))

    @property
    def trouble(self) -> str:
        """What keeps commands from being sent just now."""
        return self._sender.trouble_of(self._topics) or trouble_of_formats(self._formats)

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Write `command` once, to the topic of its step."""
        way = self._way(command)
        if way is None:
            return _unbound(command)
        failed = await written(
            self._sender, way.topic, command, reply_to=None, now=self._now(), formats=self._formats
        )
        return _written(way) if failed is None else failed

    @property
    def posts(self) -> bool:
        """Whether a command's record can be made at once: JSON can."""
        return self._formats is None

    def post(self, command: SendCommand, told: Told) -> Callable[[], None]:
        """Begin to write `command` once; see the port."""
        way = self._way(command)
        if way is None:
            return asyncio.get_running_loop().call_soon(told, _unbound(command)).cancel
        return posted(
            self._sender,
            way.topic,
            command,
            reply_to=None,
            now=self._now(),
            handed_over=_written(way),
            told=told,
        )

    def _way(self, command: SendCommand) -> WayTopics | None:
        step = self._steps.get(step_name(command.step))
        if step is None:
            return None
        return step.do if command.direction == "do" else step.undo

    async def close(self) -> None:
        """The sender is closed by whoever made it."""


def _written(way: WayTopics) -> Accepted | Unconfirmed:
    """Return what a command comes to that was written."""
    return ACCEPTED if way.succeeded or way.refused else Unconfirmed()


def _unbound(command: SendCommand) -> Failed:
    what = f"the {command.direction} of step {step_name(command.step)!r}"
    return Failed(f"no topic is bound for {what}", "configuration")


def step_name(path: str) -> str:
    """Return the name of the step at `path`: without items' keys and without the sub-sagas around it."""
    return path.partition("[")[0].rpartition("/")[2]


class _Meaning(NamedTuple):
    participant: str
    step: StepTopics
    direction: Direction
    says: Literal["succeeded", "refused"]


def readers(bindings: TopicBindings) -> Mapping[str, Read]:
    """Return how the records of each topic are read that comes in.

    Raises:
        ValueError: a topic means two things at once.
    """
    meanings: dict[str, list[_Meaning]] = {}
    for participant, steps in bindings.events.items():
        for step in steps:
            for topic, meaning in _meanings(participant, step):
                meanings.setdefault(topic, []).append(meaning)
    found: dict[str, Read] = {topic: _event_reader(topic, each) for topic, each in meanings.items()}
    for start in bindings.starts:
        if start.topic in found:
            raise ValueError(f"the topic {start.topic} cannot start a saga and mean something else as well")
        found[start.topic] = _start_reader(start)
    return found


def _meanings(participant: str, step: StepTopics) -> list[tuple[str, _Meaning]]:
    ways: tuple[tuple[Direction, WayTopics | None], ...] = (("do", step.do), ("undo", step.undo))
    found: list[tuple[str, _Meaning]] = []
    for direction, way in ways:
        if way is not None:
            found += [(topic, _Meaning(participant, step, direction, "succeeded")) for topic in way.succeeded]
            found += [(topic, _Meaning(participant, step, direction, "refused")) for topic in way.refused]
    return found


def _event_reader(topic: str, meanings: Sequence[_Meaning]) -> Read:
    first = meanings[0]
    for other in meanings[1:]:
        same = (other.direction, other.says, other.step.saga_id) == (
            first.direction,
            first.says,
            first.step.saga_id,
        )
        if not same:
            raise ValueError(f"the topic {topic} means two answers that cannot be told apart")

    def read(record: Record) -> Content:
        if is_own(record.headers):
            return OwnMessage()
        saga_id = ""
        try:
            event = _object(record)
            saga_id = _identity(event, first.step.saga_id)
            check_key(record, saga_id)
            return _came(record, event, saga_id, meanings)
        except Bad as bad:
            return Unreadable(bad.code, bad.reason, saga_id)

    return read


def _came(record: Record, event: dict[str, object], saga_id: str, meanings: Sequence[_Meaning]) -> EventCame:
    """Return the answer that an event means; the step with the most keys that the event has is the one meant."""
    fits = [each for each in meanings if all(_value(event, name) is not None for name in each.step.keys)]
    if not fits:
        wanted = " and ".join(meanings[0].step.keys)
        raise Bad("no-correlation", f"the event has no {excerpt(wanted)}")
    meant = max(fits, key=lambda each: len(each.step.keys))
    keys = "".join(f"[{quote(_key(event, name), safe=KEY_SAFE)}]" for name in meant.step.keys)
    return EventCame(
        saga_id=saga_id,
        participant=meant.participant,
        step=meant.step.step,
        keys=keys,
        direction=meant.direction,
        answer=_answer(record, event, meant),
    )


def _answer(record: Record, event: dict[str, object], meant: _Meaning) -> Succeeded | Refused | Failed:
    if meant.says == "succeeded":
        return Succeeded(record.value or b"null")
    code, reason = _value(event, meant.step.code), _value(event, meant.step.reason)
    if not (isinstance(code, str) and code):
        code = record.topic
    return Refused(excerpt(code), excerpt(reason) if isinstance(reason, str) else "")


def _start_reader(start: StartTopic) -> Read:
    def read(record: Record) -> Content:
        if is_own(record.headers):
            return OwnMessage()
        saga_id = ""
        try:
            event = _object(record)
            saga_id = _identity(event, start.saga_id)
            check_key(record, saga_id)
        except Bad as bad:
            return Unreadable(bad.code, bad.reason, saga_id)
        body = record.value or b"null"
        data = msgspec.json.encode({start.data: msgspec.Raw(body)}) if start.data else body
        return StartCame(saga=start.saga, saga_id=saga_id, data=data)

    return read


def _object(record: Record) -> dict[str, object]:
    document = document_of(record)
    if not isinstance(document, dict):
        raise Bad("bad-body", "an event is an object")
    return cast("dict[str, object]", document)


def _identity(event: dict[str, object], field: str) -> str:
    value = _value(event, field)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not (isinstance(text, str) and 0 < len(text) <= LONGEST_ID):
        raise Bad("no-correlation", f"the event has no {field}, of 1 to {LONGEST_ID} characters")
    return text


def _key(event: dict[str, object], field: str) -> str:
    value = _value(event, field)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _value(event: dict[str, object], field: str) -> object:
    found: object = event
    for name in field.split("."):
        if not isinstance(found, dict):
            return None
        found = cast("Mapping[str, object]", found).get(name)
    return found
