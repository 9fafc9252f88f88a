"""How the sections declare their keys, and the list of all keys that follows from it.

Rules
- A section is a frozen dataclass; each field is made by `key`, `required`, `section` or `entries`, which carry its kind
  and its one sentence of documentation. There is no other list of keys anywhere.
- Our name of a variable follows from the key: `server.max-body-size` is `AMENDS_SERVER_MAX_BODY_SIZE`. A key that seed
  003's service has as well carries that service's property, and every form that Spring takes of its variable.
It does not: read values.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar, cast

from amends.settings.kinds import Kind

T = TypeVar("T")

Path: TypeAlias = tuple[str, ...]
"""The way to a key: `("server", "port")`."""

ANY = "*"
"""The part of a path that stands for a name of the user's choice."""

PREFIX = "AMENDS_"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One setting."""

    path: Path
    kind: Kind[Any]
    doc: str
    default: Any
    spring: str = ""
    """The name of the same thing in a Spring service."""
    is_required: bool = False

    @property
    def name(self) -> str:
        """The key as it is written: `server.port`."""
        return ".".join(self.path)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The names in the environment; an earlier one wins over a later one."""
        theirs = [self.spring.upper().replace(".", "_").replace("-", dash) for dash in ("_", "", "-")]
        return tuple(dict.fromkeys([variable(self.path), *(name for name in theirs if name)]))


@dataclass(frozen=True, kw_only=True)
class Section:
    """A group of keys and smaller sections; with `is_entries`, one for each name of the user's choice."""

    path: Path
    doc: str
    is_entries: bool = False


@dataclass(frozen=True)
class _Declared:
    """What a field's metadata holds."""

    form: Literal["key", "section", "entries"]
    doc: str
    kind: Kind[Any] | None = None
    spring: str = ""
    entry: type[Any] | None = None


def key(default: T, kind: Kind[T], doc: str, *, spring: str = "") -> T:
    """Declare a setting with a default; `spring` is the name of the same thing in a Spring service."""
    return field(
        default_factory=lambda: copy(default), metadata={"amends": _Declared("key", doc, kind, spring)}
    )


def required(kind: Kind[T], doc: str) -> T:
    """Declare a setting that an entry must have."""
    return cast("T", field(metadata={"amends": _Declared("key", doc, kind)}))


def section(make: Callable[[], T], doc: str) -> T:
    """Declare a section with the defaults that `make` gives it."""
    return field(default_factory=make, metadata={"amends": _Declared("section", doc)})


def entries(entry: type[T], doc: str) -> Mapping[str, T]:
    """Declare a section with an `entry` for each name of the user's choice."""
    return field(default_factory=dict[str, T], metadata={"amends": _Declared("entries", doc, entry=entry)})


_IN_VARIABLES = str.maketrans("-./", "___")


def variable(path: Path) -> str:
    """Return our name of a key in the environment."""
    return PREFIX + "_".join(path).upper().translate(_IN_VARIABLES)


def walk(defaults: object, path: Path = ()) -> Iterator[Key | Section]:
    """List what a section declares, in its order; `defaults` is an instance, or a class that cannot have one."""
    for each in _fields(defaults):
        declared = _declared(each)
        here = (*path, _spelled(each))
        if declared.form == "section":
            yield Section(path=here, doc=declared.doc)
            yield from walk(getattr(defaults, each.name), here)
        elif declared.form == "entries":
            yield Section(path=here, doc=declared.doc, is_entries=True)
            yield from walk(declared.entry, (*here, ANY))
        else:
            yield _key(each, declared, here, defaults)


def _key(each: "dataclasses.Field[Any]", declared: _Declared, path: Path, defaults: object) -> Key:
    assert declared.kind is not None
    return Key(
        path=path,
        kind=declared.kind,
        doc=declared.doc,
        default=_default(each, defaults),
        spring=declared.spring,
        is_required=each.default_factory is dataclasses.MISSING,
    )


def _default(each: "dataclasses.Field[Any]", defaults: object) -> Any:
    """An instance may have other defaults than its class: `saga.undo-retry` is a Retry as well."""
    if not isinstance(defaults, type):
        return getattr(defaults, each.name)
    make = each.default_factory
    return None if make is dataclasses.MISSING else make()


def build(defaults: T, values: Mapping[Path, Any], path: Path = ()) -> T:
    """Return `defaults` with `values` in place of what they name."""
    changed: dict[str, Any] = {}
    for each in _fields(defaults):
        declared = _declared(each)
        here = (*path, _spelled(each))
        if declared.form == "section":
            changed[each.name] = build(getattr(defaults, each.name), values, here)
        elif declared.form == "entries":
            assert declared.entry is not None
            changed[each.name] = _build_entries(declared.entry, values, here)
        elif here in values:
            changed[each.name] = values[here]
    return cast("T", dataclasses.replace(cast("Any", defaults), **changed))


def _build_entries(entry: type[Any], values: Mapping[Path, Any], path: Path) -> Mapping[str, Any]:
    depth = len(path)
    found: dict[str, dict[str, Any]] = {}
    for each, value in values.items():
        if each[:depth] == path:
            found.setdefault(each[depth], {})[each[-1].replace("-", "_")] = value
    return {name: entry(**fields) for name, fields in found.items()}


def _fields(section: object) -> "tuple[dataclasses.Field[Any], ...]":
    return dataclasses.fields(cast("Any", section))


def _declared(each: "dataclasses.Field[Any]") -> _Declared:
    return cast("_Declared", each.metadata["amends"])


def _spelled(each: "dataclasses.Field[Any]") -> str:
    return each.name.replace("_", "-")
