"""Schemas out of Python types: what a team registers for a payload that it has as a Struct or a dataclass.

    schema_of(RequestStock, namespace="com.shop")

Rules
- A document that msgspec makes of a value of the type fits, and comes back equal. What Avro cannot say is
  `NotDerivable`.
- Names of fields are those of the document. A default that can stand in a schema does, so that others may leave the
  field out.
- `Decimal` is a string: a scale that fits every amount is nobody's to guess. `Annotated[Decimal,
  msgspec.Meta(extra={"avro": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}})]` says one, and
  whatever stands under "avro" takes the place of what would be derived.
It does not: register.
"""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from msgspec import inspect

from amends.avro.errors import BadSchema
from amends.avro.schema import parse_schema

Shape: TypeAlias = str | list[Any] | dict[str, Any]
"""A schema as it stands in JSON."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIMPLE: Final[Mapping[type[inspect.Type], Shape]] = {
    inspect.NoneType: "null",
    inspect.BoolType: "boolean",
    inspect.IntType: "long",
    inspect.FloatType: "double",
    inspect.StrType: "string",
    inspect.BytesType: "bytes",
    inspect.ByteArrayType: "bytes",
    inspect.MemoryViewType: "bytes",
    inspect.DecimalType: "string",
    inspect.TimeDeltaType: "string",
    inspect.UUIDType: {"type": "string", "logicalType": "uuid"},
    inspect.DateType: {"type": "int", "logicalType": "date"},
    inspect.TimeType: {"type": "long", "logicalType": "time-micros"},
}
REFUSED: Final[Shape] = {
    "type": "record",
    "name": "Refused",
    "namespace": "amends",
    "fields": [{"name": "code", "type": "string"}, {"name": "reason", "type": "string", "default": ""}],
}
FAILED: Final[Shape] = {
    "type": "record",
    "name": "Failed",
    "namespace": "amends",
    "fields": [
        {"name": "reason", "type": "string", "default": ""},
        {"name": "fault", "type": "string", "default": "transient"},
        {"name": "retry_after", "type": ["null", "double"], "default": None},
    ],
}


class NotDerivable(TypeError):
    """No Avro schema says what the type says."""


def schema_of(*types: Any, namespace: str = "") -> Shape:
    """Return the schema of a type; of several: their union, for a topic that carries all of them.

    Raises:
        NotDerivable: there is none; the text says where.
    """
    deriving = _Deriving(namespace)
    try:
        shapes = [deriving.shape(inspect.type_info(each), str(each)) for each in types]
        made = shapes[0] if len(shapes) == 1 else deriving.union(shapes, "the types")
        parse_schema(json.dumps(made))
    except (BadSchema, TypeError) as error:
        raise NotDerivable(str(error)) from error
    return made


def replies_schema(*types: Any, namespace: str = "") -> Shape:
    """Return the schema of a topic of replies: of these types, of no reply, and of a refusal or a failure.

    Raises:
        NotDerivable: there is none; the text says where.
    """
    found = schema_of(*types, namespace=namespace) if types else []
    shapes = found if isinstance(found, list) else [found]
    return [*shapes, *(["null"] if "null" not in shapes else []), REFUSED, FAILED]


class _Deriving:
    """One schema, and the names that it has given."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._named: dict[str, object] = {}

    def shape(self, found: inspect.Type, place: str) -> Shape:
        match found:
            case inspect.Metadata():
                return _said(found) or self.shape(found.type, place)
            case inspect.DateTimeType(tz=zone):
                return {
                    "type": "long",
                    "logicalType": "local-timestamp-micros" if zone is False else "timestamp-micros",
                }
            case inspect.EnumType(cls=kind):
                return self._enum(kind, place)
            case inspect.LiteralType(values=values):
                return self._values(values, place)
            case inspect.UnionType(types=types):
                return self.union([self.shape(each, place) for each in types], place)
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
                return self._record(found, place)
            case _:
                return self._collection(found, place)

    def _collection(self, found: inspect.Type, place: str) -> Shape:
        match found:
            case (
                inspect.ListType(item_type=item)
                | inspect.VarTupleType(item_type=item)
                | inspect.SetType(item_type=item)
                | inspect.FrozenSetType(item_type=item)
                | inspect.CollectionType(item_type=item)
            ):
                return {"type": "array", "items": self.shape(item, f"{place}[]")}
            case inspect.TupleType(item_types=items):
                shapes = [self.shape(each, f"{place}[]") for each in items]
                return {"type": "array", "items": self.union(shapes, place) if len(shapes) > 1 else shapes[0]}
            case inspect.DictType(key_type=inspect.StrType(), value_type=value):
                return {"type": "map", "values": self.shape(value, f"{place}{{}}")}
            case _:
                simple = _SIMPLE.get(type(found))
                if simple is None:
                    raise NotDerivable(f"{place}: no Avro schema is derived of {type(found).__name__}")
                return simple

    def union(self, shapes: Sequence[Shape], place: str) -> Shape:
        """Return a union, flat and without what stands there twice."""
        flat: list[Shape] = []
        for shape in shapes:
            for each in shape if isinstance(shape, list) else [shape]:
                if each not in flat:
                    flat.append(each)
        kinds = [_kind(each) for each in flat]
        twice = {kind for kind in kinds if kinds.count(kind) > 1}
        if twice:
            raise NotDerivable(f"{place}: a union has one {min(twice)} at most")
        return flat[0] if len(flat) == 1 else flat

    def _enum(self, kind: type[enum.Enum], place: str) -> Shape:
        values = [each.value for each in kind]
        if all(isinstance(each, str) and _NAME.fullmatch(each) for each in values):
            return self._once(kind, kind.__name__, {"type": "enum", "symbols": values}, place)
        return self._values(values, place)

    def _values(self, values: Sequence[object], place: str) -> Shape:
        of: dict[type, Shape] = {str: "string", int: "long", type(None): "null"}
        return self.union([of[type(each)] for each in values], place)

    def _record(
        self, found: inspect.StructType | inspect.DataclassType | inspect.TypedDictType, place: str
    ) -> Shape:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", getattr(found.cls, "__name__", place)).strip("_")
        fields: list[dict[str, Any]] = []
        shape: dict[str, Any] = {"type": "record", "fields": fields}
        made = self._once(found.cls, name, shape, place)
        if isinstance(made, str):
            return made
        if isinstance(found, inspect.StructType):
            if found.array_like:
                raise NotDerivable(f"{place}: {name} is an array without a type for its items")
            if found.tag_field is not None:
                fields.append(
                    {"name": found.tag_field, "type": "string" if isinstance(found.tag, str) else "long"}
                )
        fields.extend(self._field(each, f"{place}.{each.encode_name}") for each in found.fields)
        left_out = _left_out(found)
        for field in fields:
            if field["name"] in left_out and "default" not in field:
                raise NotDerivable(f"{place}.{field['name']} may be left out, and has no default in Avro")
        return made

    def _field(self, field: inspect.Field, place: str) -> dict[str, Any]:
        if not _NAME.fullmatch(field.encode_name):
            raise NotDerivable(f"{place}: {field.encode_name!r} is no name in Avro")
        shape, made = self.shape(field.type, place), {"name": field.encode_name}
        default = _default(field)
        if default is None and isinstance(shape, list) and "null" in shape:
            # A default is one of the first branch.
            shape = ["null", *(each for each in shape if each != "null")]
        if _may_stand(default, shape[0] if isinstance(shape, list) else shape):
            return {**made, "type": shape, "default": default}
        return {**made, "type": shape}

    def _once(self, kind: object, name: str, shape: dict[str, Any], place: str) -> Shape:
        """Return a shape with its name, or the name alone where it stood before."""
        full = f"{self._namespace}.{name}" if self._namespace else name
        if full in self._named:
            if self._named[full] is not kind:
                raise NotDerivable(f"{place}: two types are called {full}")
            return full
        self._named[full] = kind
        head = {"type": shape["type"], "name": name}
        if self._namespace:
            head["namespace"] = self._namespace
        shape.update({**head, **shape})
        return shape


def _kind(shape: Shape) -> str:
    """Return what a union may have once only."""
    if isinstance(shape, str):
        return shape
    assert isinstance(shape, dict)
    kind = str(shape["type"])
    return str(shape.get("name")) if kind in {"record", "enum", "fixed"} else kind


def _said(found: inspect.Metadata) -> Shape | None:
    """Return the schema that an annotation gives itself."""
    extra: dict[str, Any] = cast("Any", found).extra or {}
    return cast("Shape | None", extra.get("avro"))


def _left_out(found: inspect.StructType | inspect.DataclassType | inspect.TypedDictType) -> set[str]:
    """Return the fields that a document may lack."""
    if isinstance(found, inspect.TypedDictType):
        return {each.encode_name for each in found.fields if not each.required}
    config: Any = getattr(found.cls, "__struct_config__", None)
    omits = config is not None and config.omit_defaults
    return {each.encode_name for each in found.fields if not each.required} if omits else set()


def _default(field: inspect.Field) -> object:
    """Return a default as a document has it; of those that a function makes, the empty ones."""
    if field.default == () or field.default_factory in {list, tuple, set, frozenset}:
        return []
    return {} if field.default_factory is dict else field.default


def _may_stand(default: object, shape: Shape) -> bool:
    """Tell whether a default can be written into the schema of its field."""
    match default:
        case None:
            return shape == "null"
        case bool():
            return shape == "boolean"
        case int():
            return shape in ("long", "double")
        case float():
            return shape == "double"
        case str():
            return shape == "string"
        case []:
            return isinstance(shape, dict) and shape["type"] == "array"
        case dict() if not default:
            return isinstance(shape, dict) and shape["type"] == "map"
        case _:
            return False
