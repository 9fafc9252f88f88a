"""A schema's text, as something that reads and writes.

Rules
- fastavro says whether a schema is one, and finds what names mean; this module makes `nodes` of what it gives.
- Not read here, for nobody could say what the document is: two fields of one name, arrays whose items take no bytes.
- Names may stand in other schemas, to which the registry's `references` lead: they come first.
It does not: fetch schemas.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import fastavro

from amends.avro.errors import BadSchema
from amends.avro.logical import Amount, Identity, logical
from amends.avro.nodes import (
    Boolean,
    Choice,
    Entries,
    Items,
    Node,
    Null,
    Octets,
    Real,
    Record,
    Symbol,
    Text,
    Whole,
)
from amends.avro.reading import Reader, long_bytes
from amends.wire.excerpt import excerpt

Parsed: TypeAlias = str | list[Any] | dict[str, Any]

_PRIMITIVES: Final[Mapping[str, Callable[[], Node]]] = {
    "null": Null,
    "boolean": Boolean,
    "int": lambda: Whole(32),
    "long": lambda: Whole(64),
    "float": lambda: Real(double=False),
    "double": lambda: Real(double=True),
    "bytes": Octets,
    "string": Text,
}


class Schema:
    """A schema that can be read and written by."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def read(self, value: bytes, at: int = 0) -> object:
        """Return the document that stands in `value` from `at` to the end.

        Raises:
            BadAvro: it is not what the schema says.
        """
        reader = Reader(value, at)
        found = self._root.read(reader)
        reader.end()
        return found

    def write(self, document: object) -> bytes:
        """Return a document in Avro's binary form.

        Raises:
            Misfit: it does not fit.
        """
        out: list[bytes] = []
        self._root.write(document, out, "")
        return b"".join(out)


def parse_schema(text: str, references: Sequence[str] = ()) -> Schema:
    """Return what a schema's text says; `references` are the texts of those whose names it uses, in order.

    Raises:
        BadSchema: it is no Avro schema, or one that is not read here.
    """
    named: dict[str, Any] = {}
    nodes: dict[str, Node] = {}
    try:
        for each in references:
            _Making(nodes).node(_parsed(each, named))
        return Schema(_Making(nodes).node(_parsed(text, named)))
    except (BadSchema, RecursionError) as error:
        raise BadSchema(excerpt(f"the schema is not read here: {error}", limit=300)) from error
    except Exception as error:  # fastavro raises whatever a strange document makes it
        raise BadSchema(excerpt(f"no Avro schema: {type(error).__name__}: {error}", limit=300)) from error


def _parsed(text: str, named: dict[str, Any]) -> Parsed:
    return cast("Parsed", fastavro.parse_schema(json.loads(text), named_schemas=named))


class _Making:
    """Makes nodes, and knows those that have names."""

    def __init__(self, named: dict[str, Node]) -> None:
        self._named = named

    def node(self, schema: Parsed) -> Node:
        match schema:
            case str():
                return self._by_name(schema)
            case list():
                return Choice([self.node(each) for each in schema])
            case _:
                return self._described(schema)

    def _by_name(self, name: str) -> Node:
        if name in _PRIMITIVES:
            return _PRIMITIVES[name]()
        if name not in self._named:
            raise BadSchema(f"nothing is named {name!r}")
        return self._named[name]

    def _described(self, schema: dict[str, Any]) -> Node:
        kind: Any = schema["type"]
        match kind:
            case "record" | "error":
                return self._record(schema)
            case "enum":
                return self._keep(schema, Symbol(schema["symbols"]))
            case "fixed":
                return self._keep(schema, _logical(schema, Octets(int(schema["size"]))))
            case "array":
                item = self.node(schema["items"])
                if not item.takes_bytes:
                    raise BadSchema(
                        "an array's items take no bytes, so any number of them could be announced"
                    )
                return Items(item)
            case "map":
                return Entries(self.node(schema["values"]))
            case _:
                return _logical(schema, self.node(kind))

    def _keep(self, schema: dict[str, Any], node: Node) -> Node:
        self._named[schema["name"]] = node
        return node

    def _record(self, schema: dict[str, Any]) -> Node:
        record = Record(schema["name"])
        self._keep(schema, record)
        fields: dict[str, Node] = {}
        defaults: dict[str, object] = {}
        for field in schema["fields"]:
            name = field["name"]
            if name in fields:
                raise BadSchema(f"{record.name} has two fields {name!r}")
            fields[name] = self.node(field["type"])
            if "default" in field:
                defaults[name] = _default(fields[name], field["default"])
        record.complete(fields, defaults)
        return record


def _logical(schema: dict[str, Any], inner: Node) -> Node:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    return logical(str(schema.get("logicalType", "")), inner, precision=precision, scale=scale)


def _default(node: Node, given: object) -> object:
    """Return a default as it stands in a document: a schema has bytes as text, a character each."""
    if not isinstance(given, str) or not isinstance(node, Octets | Amount | Identity):
        return given
    octets = node if isinstance(node, Octets) else node.inner
    if not isinstance(octets, Octets):
        return given
    raw = given.encode("latin-1")
    return node.read(Reader(raw if octets.size is not None else long_bytes(len(raw)) + raw))
