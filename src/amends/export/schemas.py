"""JSON Schemas of the types that a definition names, in the draft that AsyncAPI documents are written in (draft 07).

Rules
- msgspec says how a type is written as JSON; all types of a document are asked for together, so that each has one name.
- What newer drafts write otherwise is put back: tuples, and discriminators, which AsyncAPI means differently.
- A type that msgspec cannot describe, and one that nobody said, is `UNKNOWN`: anything may come.
It does not: run anything of a definition.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

import msgspec

Schema: TypeAlias = dict[str, Any]

UNKNOWN: Final[Schema] = {}
"""Anything."""
REF: Final = "#/components/schemas/{name}"

_INSIDE_LISTS: Final = frozenset({"anyOf", "allOf", "oneOf"})


class Schemas:
    """The schemas of some types."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Describe `types`; one that stands there twice is described once, None is left out."""
        self._types: list[Any] = []
        for each in types:
            if each is not None and not any(each == known for known in self._types) and _can_be(each):
                self._types.append(each)
        described, components = msgspec.json.schema_components(self._types, ref_template=REF)
        self._described: list[Schema] = [_draft_07(each) for each in described]
        self.components: Mapping[str, Schema] = {
            name: _draft_07(each) for name, each in sorted(components.items())
        }
        """Those that have names of their own."""

    def of(self, kind: Any) -> Schema:
        """Return the schema of a type."""
        for known, schema in zip(self._types, self._described, strict=True):
            if known == kind:
                return schema
        return UNKNOWN

    def any_of(self, kinds: Iterable[Any]) -> Schema:
        """Return a schema that fits each of these types; anything, where one of them is not known."""
        found: list[Schema] = []
        for kind in kinds:
            schema = self.of(kind)
            if schema not in found:
                found.append(schema)
        if not found or UNKNOWN in found:
            return UNKNOWN
        return found[0] if len(found) == 1 else {"anyOf": found}


def joined(*schemas: Schema) -> Schema:
    """Return a schema that fits what fits all of them."""
    said = [each for each in schemas if each != UNKNOWN]
    if not said:
        return UNKNOWN
    return said[0] if len(said) == 1 else {"allOf": said}


def with_fields(fields: Mapping[str, Schema], *, required: Iterable[str]) -> Schema:
    """Return the schema of an object with these fields; one inside another is written ``outer.inner``."""
    needed = frozenset(required)
    made: Schema = {"type": "object"}
    for name, schema in fields.items():
        inside = made
        *outer, last = name.split(".")
        for each in outer:
            inside = _below(inside, each, {"type": "object"}, is_required=name in needed)
        _below(inside, last, schema, is_required=name in needed)
    return made


def _below(of: Schema, name: str, schema: Schema, *, is_required: bool) -> Schema:
    properties: Schema = of.setdefault("properties", {})
    if is_required and name not in (required := of.setdefault("required", [])):
        required.append(name)
    found: Schema = properties.setdefault(name, dict(schema))
    return found


def _can_be(kind: Any) -> bool:
    try:
        msgspec.json.schema(kind)
    except Exception:  # noqa: BLE001  whatever it is, this type is not described
        return False
    return True


def _draft_07(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    made: Schema = {}
    for key, value in cast("Schema", schema).items():
        match key:
            case "discriminator":
                pass
            case "prefixItems":
                made["items"] = [_draft_07(each) for each in value]
            case "items" if value is False:
                made["additionalItems"] = False
            case "items" | "additionalProperties" | "propertyNames":
                made[key] = _draft_07(value)
            case "properties":
                made[key] = {name: _draft_07(each) for name, each in value.items()}
            case _ if key in _INSIDE_LISTS:
                made[key] = [_draft_07(each) for each in value]
            case _:
                made[key] = value
    return made
