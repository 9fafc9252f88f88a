"""One setting's value, from a node of the file or a text of the environment, or what is wrong with it.

Rules
- A fault names the place, the key, what was found and what is allowed; a secret, and what a placeholder brought, is
  never repeated.
- An empty value that a placeholder brought counts as not given. An empty one that stands in the file is a fault.
- A secret that stands in the file is a warning.
It does not: know which keys there are, or which source wins (`sources.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amends.settings.document import Items, Node, Scalar, Table
from amends.settings.keys import Key
from amends.settings.kinds import Kind, ListKind, MapKind, Wrong
from amends.settings.origin import Fault, Origin, shown
from amends.settings.placeholders import Filled, fill
from amends.settings.secret import holds_password, is_telling, masked
from amends.settings.yaml_meanings import is_surprising, meaning

_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Value:
    """A value that was read; it may be None."""

    value: Any


class Reader:
    """Reads values and gathers what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[Fault] = []

    def variable(self, key: Key, name: str, variable: str) -> Value | None:
        """Return what the variable says of the key that is called `name`."""
        text, origin = self._environment[variable], Origin(source="environment", name=shown(variable))
        try:
            return Value(key.kind.read(text))
        except Wrong as wrong:
            hint = str(wrong)
            if _SERVICE_LINK.match(text):
                hint = "Kubernetes sets it for a service of that name: set enableServiceLinks: false"
            self._blame(origin, _complaint(name, key.kind, _echo(text, key.kind), hint))
            return None

    def node(self, key: Key, name: str, node: Node) -> Value | None:
        """Return what the file says of the key that is called `name`."""
        match key.kind, node:
            case ListKind() as kind, Items():
                return self._list(kind, name, node)
            case MapKind() as kind, Table():
                return self._map(kind, name, node)
            case kind, Scalar():
                return self._scalar(kind, name, node, warn=not isinstance(kind, MapKind))
            case kind, _:
                what = "a mapping" if isinstance(node, Table) else "a list"
                self._blame(node.origin, f"{name} is {what}, not {said(kind)}")
                return None

    def _list(self, kind: ListKind[Any], name: str, node: Items) -> Value | None:
        if len(node.nodes) > kind.most:
            self._blame(node.origin, f"{name} has {len(node.nodes):,} items, not {kind.most} at most")
            return None
        found = [self._item(kind.item, f"{name}[{at}]", each) for at, each in enumerate(node.nodes)]
        values = [each.value for each in found if each]
        return Value(tuple(values)) if len(values) == len(found) else None

    def _map(self, kind: MapKind[Any], name: str, node: Table) -> Value | None:
        found: dict[str, Any] = {}
        for key, each in node.entries:
            here = f"{name}.{shown(key.text)}"
            try:
                kind.check_name(key.text)
            except Wrong as wrong:
                self._blame(key.origin, f"{here}: {wrong}")
                continue
            if key.text.lower() in map(str.lower, found):
                self._blame(key.origin, f"{here} is there twice, in capitals and small letters")
            elif value := self._item(kind.item, here, each, warn=is_telling(key.text)):
                found[key.text] = value.value
        return Value(found) if len(found) == len(node.entries) else None

    def _item(self, kind: Kind[Any], name: str, node: Node, *, warn: bool = True) -> Value | None:
        if isinstance(node, Scalar):
            return self._scalar(kind, name, node, warn=warn)
        self._blame(node.origin, f"{name} is not one value: {said(kind)} is expected")
        return None

    def _scalar(self, kind: Kind[Any], name: str, node: Scalar, *, warn: bool) -> Value | None:
        try:
            filled = fill(node.text, self._environment)
        except Wrong as wrong:
            self._blame(node.origin, f"{name}: {wrong}")
            return None
        if not filled.text and filled.variables:
            return None
        if complaint := _unlike_a_text(kind, name, node, filled):
            self._blame(node.origin, complaint)
            return None
        if warn and _is_literal_secret(kind, filled):
            self._warn(
                node.origin, f"{name}: a secret stands in the file; write ${{NAME}} and set that variable"
            )
        try:
            return Value(kind.read(filled.text))
        except Wrong as wrong:
            strange = node.plain and not kind.secret and is_surprising(node.text)
            aside = f" (YAML 1.1 reads {node.text} as {meaning(node.text)})" if strange else ""
            self._blame(node.origin, _complaint(name, kind, _echo(node.text, kind), str(wrong)) + aside)
            return None

    def _blame(self, origin: Origin, message: str) -> None:
        self.faults.append(Fault(origin=origin, message=message))

    def _warn(self, origin: Origin, message: str) -> None:
        self.faults.append(Fault(origin=origin, message=message, severity="warning"))


def said(kind: Kind[Any]) -> str:
    """Return what is allowed, in words."""
    return f"{kind.name} {kind.range}".rstrip()


def _complaint(name: str, kind: Kind[Any], found: str, hint: str) -> str:
    return f"{name}: {found} is not {said(kind)}{'; ' if hint else ''}{hint}"


def _echo(text: str, kind: Kind[Any]) -> str:
    if kind.secret:
        return "the value"
    found = shown(masked(text))
    return found if re.fullmatch(r"\S+", found) else f"'{found}'"


def _unlike_a_text(kind: Kind[Any], name: str, node: Scalar, filled: Filled) -> str:
    """Return what keeps a scalar from being a text that the kind may read, or nothing."""
    if not filled.text:
        return f"{name} has no value: give one, or leave the key out"
    takes_any = kind.item.free_text if isinstance(kind, ListKind) else kind.free_text
    if not takes_any or not node.plain or filled.variables or not (taken_for := meaning(node.text)):
        return ""
    if kind.secret:
        return f"{name}: YAML may take the value for something else than a text: write it in quotes"
    return f"{name}: YAML may take {_echo(node.text, kind)} for {taken_for}: write it in quotes"


def _is_literal_secret(kind: Kind[Any], filled: Filled) -> bool:
    if not kind.secret:
        return holds_password(filled.literal)
    # `Bearer ${TOKEN}` gives nothing away; `${TOKEN:abc}` does.
    return bool(filled.literal) and (not filled.variables or filled.has_default)
