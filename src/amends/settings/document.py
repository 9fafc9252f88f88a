"""A YAML file as a small tree that knows the line and column of everything in it.

Rules
- Nothing is interpreted: a scalar is its text, and whether it was quoted. What it means is the key's to say.
- Bounded before anything is built: bytes, depth, nodes, and nodes again after aliases are followed. Reading ends where
  a bound is passed.
- Tags, merge keys, a second document, complex keys and duplicate keys are refused; nothing is ever constructed.
It does not: know any setting, or follow placeholders.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from amends.settings.origin import Fault, Origin, shown

MOST_BYTES = 256 * 1024
MOST_DEPTH = 20
MOST_NODES = 5_000
MOST_ALIASES = 100

# libyaml reads ten times as fast; every wheel of PyYAML has it.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_MARKS = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """A text; `plain` when it stands without quotes."""

    text: str
    plain: bool
    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list."""

    nodes: tuple["Node", ...]
    origin: Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A mapping, in the order of the file."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    origin: Origin


Node: TypeAlias = Scalar | Items | Table


class NotReadable(Exception):
    """The file cannot be made a tree; `fault` says where and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def read_bytes(path: Path, name: str) -> bytes:
    """Return the file's bytes, no more of them than may be.

    Raises:
        NotReadable: there is no such file, or it cannot be read, or it is too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except IsADirectoryError:
        raise _refused(name, "is a directory, not a file") from None
    except FileNotFoundError:
        raise _refused(name, "there is no such file") from None
    except PermissionError:
        raise _refused(name, "may not be read by this user") from None
    except (OSError, ValueError) as error:
        # A ValueError is a NUL in the path.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(name, f"cannot be read: {shown(reason)}") from None
    if len(content) > MOST_BYTES:
        raise _refused(name, f"is longer than {MOST_BYTES:,} bytes")
    return content


def decode(content: bytes, name: str) -> str:
    """Return the text of a file's bytes.

    Raises:
        NotReadable: they are not UTF-8, or have a byte order mark, or a character that YAML forbids.
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            message = f"begins with a byte order mark ({encoding}): save it as UTF-8 without one"
            raise _refused(name, message, line=1, column=1)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise _refused_after(name, before, f"byte 0x{content[error.start]:02x} is not UTF-8") from None
    if found := _UNREADABLE.search(text):
        message = f"the character U+{ord(found[0]):04X} may not stand here; in double quotes it has an escape"
        raise _refused_after(name, text[: found.start()], message)
    return text


def parse(text: str, name: str) -> tuple[Table, list[Fault]]:
    """Return the tree of a text, and what is wrong inside it that does not keep it from being one.

    Raises:
        NotReadable: it is not YAML, or passes a bound.
    """
    return _Builder(name, text).document()


def _refused(name: str, message: str, *, line: int = 0, column: int = 0) -> NotReadable:
    origin = Origin(source="file", name=name, line=line, column=column)
    return NotReadable(Fault(origin=origin, message=message))


def _refused_after(name: str, before: str, message: str) -> NotReadable:
    """Refuse what stands behind the text `before`."""
    lines = _BREAK.split(before)
    return _refused(name, message, line=len(lines), column=len(lines[-1]) + 1)


@dataclass(slots=True)
class _Builder:
    """Follows the parser's events once; how deep it may go, it may also recurse."""

    name: str
    text: str
    faults: list[Fault] = field(default_factory=list[Fault])
    nodes: int = 0
    aliases: int = 0
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict[str, tuple[Node, int]])
    """What an anchor stands for, and how many nodes that is."""

    def document(self) -> tuple[Table, list[Fault]]:
        try:
            return self._document(yaml.parse(self.text, Loader=_LOADER)), self.faults
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error) from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML without libyaml lets a bad escape out as ValueError.
            raise _refused(self.name, f"is not YAML: {shown(str(error))}") from None

    def _document(self, events: Iterator[yaml.Event]) -> Table:
        start = Origin(source="file", name=self.name)
        root: Node = Table(entries=(), origin=start)
        documents = 0
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise self._refuse(event, "a second document: one file is one document")
                case yaml.NodeEvent():
                    root = self._node(event, events, 1)
                case _:
                    pass
        if isinstance(root, Table):
            return root
        if isinstance(root, Scalar) and root.plain and not root.text:
            return Table(entries=(), origin=start)
        raise NotReadable(Fault(origin=root.origin, message="keys and values are expected: KEY: VALUE"))

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(event, depth)
        before = self.nodes
        match event:
            case yaml.MappingStartEvent():
                node: Node = self._table(event, events, depth)
            case yaml.SequenceStartEvent():
                node = self._items(event, events, depth)
            case _:
                assert isinstance(event, yaml.ScalarEvent)
                node = Scalar(text=event.value, plain=event.implicit[0], origin=self._at(event))
        self._note(event, node, self.nodes - before + 1)
        return node

    def _count(self, event: yaml.Event, depth: int) -> None:
        self.nodes += 1
        if depth > MOST_DEPTH:
            raise self._refuse(event, f"is more than {MOST_DEPTH} levels deep")
        if self.nodes > MOST_NODES:
            raise self._refuse(event, f"more than {MOST_NODES:,} values, keys and lists")

    def _note(self, event: yaml.Event, node: Node, size: int) -> None:
        """Remember what an anchor names, once it is complete: an alias inside its own anchor has no meaning."""
        if (tag := getattr(event, "tag", None)) is not None:
            message = f"the tag {shown(str(tag))} is not taken: write the value alone, a text in quotes"
            self.faults.append(Fault(origin=node.origin, message=message))
        if anchor := getattr(event, "anchor", None):
            self.anchors[anchor] = (node, size)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        anchor = str(event.anchor)
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            raise self._refuse(event, f"more than {MOST_ALIASES} aliases")
        if anchor not in self.anchors:
            raise self._refuse(event, f"the alias *{shown(anchor)} has no anchor &{shown(anchor)} before it")
        node, size = self.anchors[anchor]
        self.nodes += size - 1
        self._count(event, 0)
        return node

    def _items(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Items:
        nodes: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            nodes.append(self._node(event, events, depth + 1))
        return Items(nodes=tuple(nodes), origin=self._at(start))

    def _table(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Table:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            self._enter(entries, key, value)
        return Table(entries=tuple(entries.values()), origin=self._at(start))

    def _enter(self, entries: dict[str, tuple[Scalar, Node]], key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.faults.append(Fault(origin=key.origin, message="a key is a word, not a list or a mapping"))
        elif key.plain and key.text == "<<":
            message = "merge keys (<<) are not taken: write the keys out"
            self.faults.append(Fault(origin=key.origin, message=message))
        elif key.text in entries:
            self.faults.append(twice(key, entries[key.text][0]))
        else:
            entries[key.text] = (key, value)

    def _at(self, event: yaml.Event) -> Origin:
        mark = event.start_mark
        assert mark is not None
        return Origin(source="file", name=self.name, line=mark.line + 1, column=mark.column + 1)

    def _refuse(self, event: yaml.Event, message: str) -> NotReadable:
        return NotReadable(Fault(origin=self._at(event), message=message))

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> NotReadable:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            return _refused(self.name, f"is not YAML: {shown(str(error.problem))}")
        line, column = mark.line + 1, mark.column + 1
        lines = _BREAK.split(self.text)
        here = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
        if here.startswith("\t"):
            return _refused(self.name, "a tab: YAML is indented with spaces", line=line, column=column)
        return _refused(self.name, f"is not YAML: {_reason(error)}", line=line, column=column)


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Return what the parser expected, and where what it was reading had begun."""
    problem = shown(error.problem or "cannot be read")
    hints: Mapping[str, str] = {
        "mapping values are not allowed": "; is a value with ': ' in it not quoted, or a line indented too far?",
        "found unexpected end of stream": "; a quotation mark is not closed",
    }
    hint = next((hint for beginning, hint in hints.items() if problem.startswith(beginning)), "")
    begun = error.context_mark
    since = (
        f" ({shown(error.context or '')}, begun at line {begun.line + 1})" if begun and error.context else ""
    )
    return f"{problem}{since}{hint}"


def twice(second: Scalar, first: Scalar) -> Fault:
    """Return the fault of a key that is there already."""
    message = f"the key {shown(second.text)} is there twice, first in line {first.origin.line}"
    return Fault(origin=second.origin, message=message)
