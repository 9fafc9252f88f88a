"""The sources of settings: what the file says, and what the environment says over it.

Rules
- Environment over file over default. Of two variables for one key ours wins, and the loss of the other is said.
- A key may be written with `-` or `_`. Unknown keys and unknown variables in our sections are refused with the nearest
  name; a key that Spring calls otherwise, with the name that it has here.
- Everything is looked at: one fault does not hide the next, and a wrong value in the file is told although a variable
  stands over it.
It does not: open files (`load.py`) or check keys against one another (`agreement.py`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from amends.settings.catalogue import (
    KEYS,
    SECTIONS,
    SPRING,
    is_entry,
    nearest,
    nearest_variable,
    template,
)
from amends.settings.document import Node, Scalar, Table, twice
from amends.settings.keys import ANY, PREFIX, Key, Path, variable
from amends.settings.origin import Fault, Origin, shown
from amends.settings.reading import Reader, Value

MOST_DEPTH = 8
"""How deep an unknown section is searched for keys that have another name here."""

MOST_GUESSES = 100
"""How many unknown keys are compared with the known ones; in a file with more, guesses are no help."""

_ENTRY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name, or two: of a saga and of its participant."""
_SERVICE_LINK = re.compile(
    r".*(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
"""What Kubernetes adds to the environment for a service named like one of our sections."""


class Sources:
    """What all sources say together."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._reader = Reader(environment)
        self._given: set[Path] = set()
        self._guesses = 0
        self._entries: dict[Path, Origin] = {}
        self.values: dict[Path, Any] = {}
        self.origins: dict[Path, Origin] = {}

    @property
    def faults(self) -> list[Fault]:
        """What is wrong, as it was found."""
        return self._reader.faults

    def read_file(self, root: Table) -> None:
        """Take what the file says."""
        self._table(root, ())

    def read_environment(self) -> None:
        """Take what the environment says, over what is there."""
        for key in KEYS.values():
            if ANY not in key.path:
                self._variables(key)
        for name in sorted(self._environment):
            if self._environment[name] and name.startswith(PREFIX):
                self._other_variable(name)

    def check_entries(self) -> None:
        """Tell which entries lack what they must have."""
        needed = [key for key in KEYS.values() if key.is_required]
        for path, origin in self._entries.items():
            for key in needed:
                if (*path, key.path[-1]) not in self._given:
                    self._blame(origin, f"{_name(path)} needs {key.path[-1]}")

    def _table(self, table: Table, path: Path) -> None:
        seen: dict[str, Scalar] = {}
        for key, node in table.entries:
            # Names of the user's own choice stay as they are.
            chosen = path in SECTIONS and SECTIONS[path].is_entries
            spelled = key.text if chosen else key.text.replace("_", "-")
            if spelled in seen:
                self.faults.append(twice(key, seen[spelled]))
                continue
            seen[spelled] = key
            self._entry_of_table((*path, spelled), key, node)

    def _entry_of_table(self, path: Path, key: Scalar, node: Node) -> None:
        if path in SECTIONS:
            self._section(path, node)
        elif is_entry(path):
            self._named(path, key, node)
        elif found := KEYS.get(template(path)):
            before = len(self.faults)
            value = self._reader.node(found, _name(path), node)
            # Neither a value nor a fault: a placeholder brought nothing, so the key is not given.
            if value is not None or len(self.faults) > before:
                self._take(path, value, node.origin)
        else:
            self._unknown(path, key, node)

    def _section(self, path: Path, node: Node) -> None:
        if isinstance(node, Table):
            self._table(node, path)
        elif not _is_empty(node):
            self._blame(node.origin, f"{_name(path)} is a section: its keys stand below it, indented")

    def _named(self, path: Path, key: Scalar, node: Node) -> None:
        if not _ENTRY.fullmatch(path[-1]):
            allowed = "1 to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit"
            self._blame(key.origin, f"{_name(path)}: a name is {allowed}")
            return
        self._entries[path] = key.origin
        if isinstance(node, Scalar) and not _is_empty(node):
            self._entry_of_table((*path, "url"), key, node)
        else:
            self._section(path, node)

    def _unknown(self, path: Path, key: Scalar, node: Node) -> None:
        renamed = list(_renamed(path, key, node))
        for origin, spring, ours in renamed:
            self._blame(origin, f"{shown(spring)} is called {ours.name} here")
        if not renamed:
            self._guesses += 1
            guess = f": {nearest(path)}" if self._guesses <= MOST_GUESSES else ""
            self._blame(key.origin, f"unknown key {_name(path)}{guess}")

    def _variables(self, key: Key) -> None:
        given = [name for name in key.variables if self._environment.get(name)]
        if not given:
            return
        winner = given[0]
        for name in given[1:]:
            if self._environment[name] != self._environment[winner]:
                origin = Origin(source="environment", name=name)
                message = f"is not used for {key.name}: {winner} wins over it"
                self.faults.append(Fault(origin=origin, message=message, severity="warning"))
        self._take_variable(key.path, key, winner)

    def _other_variable(self, name: str) -> None:
        """A variable of ours that may name an entry, or nothing at all."""
        if any(name in key.variables for key in KEYS.values()):
            return
        if named := self._entry_variable(name):
            self._take_variable(*named, name)
        elif any(name.startswith(f"{variable(path)}_") for path in SECTIONS) and not _SERVICE_LINK.fullmatch(
            name
        ):
            origin = Origin(source="environment", name=shown(name))
            self._blame(origin, f"unknown setting: {nearest_variable(name)}")

    def _entry_variable(self, name: str) -> tuple[Path, Key] | None:
        for key in KEYS.values():
            if ANY in key.path and (found := re.fullmatch(_variable_form(key), name)):
                entry = self._entry_named(key.path[: key.path.index(ANY)], found[1], name)
                return (*entry, key.path[-1]), key
        return None

    def _entry_named(self, section: Path, shouted: str, name: str) -> Path:
        """The file's entry that a variable means, or a new one."""
        known = [
            path
            for path in self._entries
            if variable((path[-1],)) == PREFIX + shouted and path[:-1] == section
        ]
        if len(known) > 1:
            origin = Origin(source="environment", name=shown(name))
            self._blame(origin, f"may mean {' or '.join(path[-1] for path in known)}")
        path = known[0] if known else (*section, shouted.lower().replace("_", "-"))
        self._entries.setdefault(path, Origin(source="environment", name=shown(name)))
        return path

    def _take_variable(self, path: Path, key: Key, name: str) -> None:
        origin = Origin(source="environment", name=name)
        self._take(path, self._reader.variable(key, _name(path), name), origin)

    def _take(self, path: Path, found: Value | None, origin: Origin) -> None:
        self._given.add(path)
        if found is not None:
            self.values[path] = found.value
            self.origins[path] = origin

    def _blame(self, origin: Origin, message: str) -> None:
        self.faults.append(Fault(origin=origin, message=message))


def _name(path: Path) -> str:
    return shown(".".join(path))


def _variable_form(key: Key) -> str:
    """Return the pattern of the variables that set a key in an entry of some name."""
    before, _, behind = variable(key.path).partition(ANY)
    return f"{re.escape(before)}([A-Z0-9][A-Z0-9_]{{0,99}}){re.escape(behind)}"


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and not node.text


def _renamed(path: Path, key: Scalar, node: Node) -> Iterator[tuple[Origin, str, Key]]:
    """Each key below an unknown one that Spring knows, with the name that it has here."""
    spring = ".".join(path).replace("_", "-").lower()
    if found := SPRING.get(spring):
        yield key.origin, ".".join(path), found
    elif isinstance(node, Table) and len(path) < MOST_DEPTH:
        for inner, value in node.entries:
            yield from _renamed((*path, inner.text), inner, value)
