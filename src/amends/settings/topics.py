"""The file of bindings: which participants are spoken to over topics, and what starts sagas.

    participants:
      product:                               # event style: topics for each step
        steps:
          request-stock:
            saga-id: bookingId
            keys: [productId]
            do: {topic: saga.request_stock, succeeded: [product.reserved], refused: [product.reservation_failed]}
            undo: {topic: saga.release_stock}
      inventory: {commands: inventory.commands}    # native style
    starts:
      booking.created: {saga: booking, saga-id: bookingId, data: booking}

Rules
- Read like the settings' file: strictly, with everything that is wrong at once and where it stands.
- A topic that is written ``topics.NAME`` is the one that `kafka.topics.NAME` names.
It does not: know a broker, or look for a file that nobody named.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from amends.settings.document import Items, Node, NotReadable, Scalar, Table, decode, parse, read_bytes
from amends.settings.model import Kafka, Topics
from amends.settings.origin import Fault, Origin, SettingsInvalid, in_file_order, shown
from amends.wire.topics import StartTopic, StepTopics, TopicBindings, WayTopics

T = TypeVar("T")

TOPIC: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}")
NAME: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FIELD: Final = re.compile(r"[^\s.]{1,100}(\.[^\s.]{1,100}){0,9}")
REFERENCE: Final = "topics."

_STEP = {"saga-id", "keys", "code", "reason", "do", "undo"}
_WAY = {"topic", "succeeded", "refused"}
_START = {"saga", "saga-id", "data"}


def load_topics(file: str, named: Mapping[str, str]) -> TopicBindings:
    """Return the bindings that `file` says; `named` are the topics that it may refer to.

    Raises:
        SettingsInvalid: something is wrong; all of it is said.
    """
    name = shown(file)
    try:
        root, faults = parse(decode(read_bytes(Path(file), name), name), name)
    except NotReadable as unreadable:
        raise SettingsInvalid((unreadable.fault,)) from None
    reading = _Reading(named, list(faults))
    found = reading.bindings(root)
    if reading.faults:
        raise SettingsInvalid(in_file_order(reading.faults))
    return found


def bindings_of(kafka: Kafka) -> TopicBindings:
    """Return the bindings that the settings name; none when they name none.

    Raises:
        SettingsInvalid: something is wrong in the file.
    """
    if kafka.bindings is None:
        return TopicBindings()
    return load_topics(kafka.bindings, named_topics(kafka.topics))


def named_topics(topics: Topics) -> Mapping[str, str]:
    """Return what bindings may refer to: the topics by their keys in the settings."""
    named = {field.replace("_", "-"): getattr(topics, field) for field in topics.__dataclass_fields__}
    return {name: topic for name, topic in named.items() if topic is not None}


class _Reading:
    """Reads one file and gathers what is wrong with it."""

    def __init__(self, named: Mapping[str, str], faults: list[Fault]) -> None:
        self._named = named
        self.faults = faults

    def bindings(self, root: Table) -> TopicBindings:
        top = self._table(root, {"participants", "starts"})
        native: dict[str, str] = {}
        events: dict[str, tuple[StepTopics, ...]] = {}
        for key, node in self._entries(top.get("participants")):
            inside = self._table(node, {"commands", "steps"})
            if len(inside) != 1:
                self._blame(key.origin, f"{shown(key.text)} needs either commands or steps")
            if "commands" in inside:
                native[key.text] = self._topic(inside["commands"])
            if "steps" in inside:
                events[key.text] = tuple(self._step(*each) for each in self._entries(inside["steps"]))
        starts = tuple(self._start(*each) for each in self._entries(top.get("starts"), topics=True))
        return TopicBindings(native=native, events=events, starts=starts)

    def _step(self, key: Scalar, node: Node) -> StepTopics:
        inside = self._table(node, _STEP)
        if "saga-id" not in inside or not inside.keys() & {"do", "undo"}:
            self._blame(key.origin, f"step {shown(key.text)} needs saga-id, and do or undo")
        return StepTopics(
            step=key.text,
            saga_id=self._field(inside.get("saga-id"), ""),
            keys=self._list(inside.get("keys"), lambda each: self._field(each, "")),
            code=self._field(inside.get("code"), "code"),
            reason=self._field(inside.get("reason"), "reason"),
            do=self._way(inside.get("do")),
            undo=self._way(inside.get("undo")),
        )

    def _way(self, node: Node | None) -> WayTopics | None:
        if node is None:
            return None
        inside = self._table(node, _WAY)
        if "topic" not in inside:
            self._blame(node.origin, "the topic of the command is missing")
            return None
        return WayTopics(
            topic=self._topic(inside["topic"]),
            succeeded=self._list(inside.get("succeeded"), self._topic),
            refused=self._list(inside.get("refused"), self._topic),
        )

    def _start(self, key: Scalar, node: Node) -> StartTopic:
        inside = self._table(node, _START)
        if not inside.keys() >= {"saga", "saga-id"}:
            self._blame(key.origin, f"{shown(key.text)} needs saga and saga-id")
        return StartTopic(
            topic=self._topic(key),
            saga=self._matching(inside.get("saga"), NAME, "a saga's name"),
            saga_id=self._field(inside.get("saga-id"), ""),
            data=self._field(inside.get("data"), ""),
        )

    # --- pieces ---

    def _topic(self, node: Node) -> str:
        text = self._matching(node, TOPIC, "a topic: 1 to 249 letters, digits, '.', '_' and '-'")
        if not text.startswith(REFERENCE):
            return text
        name = text.removeprefix(REFERENCE)
        if name not in self._named:
            self._blame(node.origin, f"kafka.topics has no {shown(name)}; it has {', '.join(self._named)}")
        return self._named.get(name, "")

    def _field(self, node: Node | None, default: str) -> str:
        return default if node is None else self._matching(node, FIELD, "the name of a field")

    def _matching(self, node: Node | None, form: "re.Pattern[str]", what: str) -> str:
        if node is None:
            return ""
        if not isinstance(node, Scalar) or not form.fullmatch(node.text):
            found = shown(node.text) if isinstance(node, Scalar) else "this"
            self._blame(node.origin, f"{found} is not {what}")
            return ""
        return node.text

    def _list(self, node: Node | None, read: Callable[[Node], T]) -> tuple[T, ...]:
        match node:
            case None:
                return ()
            case Items():
                return tuple(read(each) for each in node.nodes)
            case _:
                return (read(node),)

    def _table(self, node: Node, allowed: set[str]) -> dict[str, Node]:
        if not isinstance(node, Table):
            self._blame(node.origin, f"here stand {', '.join(sorted(allowed))}")
            return {}
        for key, _inner in node.entries:
            if key.text not in allowed:
                expected = ", ".join(sorted(allowed))
                self._blame(key.origin, f"unknown key {shown(key.text)}: here may stand {expected}")
        return {key.text: inner for key, inner in node.entries if key.text in allowed}

    def _entries(self, node: Node | None, *, topics: bool = False) -> list[tuple[Scalar, Node]]:
        if node is None:
            return []
        if not isinstance(node, Table):
            self._blame(node.origin, "a mapping is expected, by name")
            return []
        for key, _inner in node.entries:
            if not topics and not NAME.fullmatch(key.text):
                self._blame(key.origin, f"{shown(key.text)} is not a name")
        return list(node.entries)

    def _blame(self, origin: Origin, message: str) -> None:
        self.faults.append(Fault(origin=origin, message=message))
