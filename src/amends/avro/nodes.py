"""What a schema is made of: each type reads its values as parts of a JSON document, and writes them from one.

Rules
- A record is an object, an array an array, a map an object; a union is the value itself, without the branch's name.
  Bytes are base64, as msgspec has them. What logical types are stands in `logical.py`.
- `write` appends to `out` and returns how many fields had to be filled in. Where several branches of a union take a
  value, the one that fills in the fewest does, and of those the first.
- A field that the document lacks gets its default, or null where null is allowed. One that the schema lacks is a
  `Misfit`: nothing that was to be sent is left out silently.
- Items of an array have a byte at least: otherwise a few bytes could announce any number of them.
It does not: parse schemas (`schema.py`), or know frames.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, Protocol, cast

from amends.avro.errors import BadAvro, Misfit
from amends.avro.reading import LONG, Reader, double_bytes, float_bytes, long_bytes
from amends.wire.excerpt import excerpt
from amends.wire.strict_json import MAX_DEPTH

SHOWN: Final = 40


class Node(Protocol):
    """A type of a schema; a path is a JSON pointer."""

    @property
    def takes_bytes(self) -> bool:
        """Tell whether each of its values takes a byte at least."""
        ...

    def read(self, reader: Reader) -> object:
        """Return the next value. Raises BadAvro."""
        ...

    def write(self, value: object, out: list[bytes], path: str) -> int:
        """Append a value. Raises Misfit."""
        ...


def misfit(value: object, wanted: str, path: str) -> NoReturn:
    """Say that a value is not what is wanted."""
    shown = excerpt(json.dumps(value), limit=SHOWN)
    raise Misfit(f"{shown} is not {wanted}, at {excerpt(path) or 'the top'}")


class Null:
    """Nothing, and no bytes."""

    takes_bytes = False

    def read(self, reader: Reader) -> None:
        del reader

    def write(self, value: object, out: list[bytes], path: str) -> int:
        del out
        if value is not None:
            misfit(value, "null", path)
        return 0


class Boolean:
    """True or false."""

    takes_bytes = True

    def read(self, reader: Reader) -> bool:
        return reader.boolean()

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, bool):
            misfit(value, "true or false", path)
        out.append(b"\1" if value else b"\0")
        return 0


class Whole:
    """A whole number of 32 bits (`int`) or 64 (`long`)."""

    takes_bytes = True

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._least = -(LONG >> (64 - bits))

    def read(self, reader: Reader) -> int:
        return reader.integer() if self.bits == 32 else reader.long()  # noqa: PLR2004

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            misfit(value, "a whole number", path)
        if not self._least <= value < -self._least:
            misfit(value, f"a number of {self.bits} bits", path)
        out.append(long_bytes(value))
        return 0


class Real:
    """A floating-point number, of single or double precision."""

    takes_bytes = True

    def __init__(self, *, double: bool) -> None:
        self._double = double

    def read(self, reader: Reader) -> float:
        return reader.double() if self._double else reader.single()

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            misfit(value, "a number", path)
        try:
            exact = not isinstance(value, int) or float(value) == value
            made = double_bytes(value) if self._double else float_bytes(value)
        except OverflowError:
            exact, made = False, b""
        if not exact:
            misfit(value, "a number that its type can hold", path)
        out.append(made)
        return 0


class Text:
    """A string."""

    takes_bytes = True

    def read(self, reader: Reader) -> str:
        return reader.text()

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, str):
            misfit(value, "a string", path)
        _lengthy(value.encode(), out)
        return 0


class Octets:
    """Bytes, as base64; `size` for those of a fixed length."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.takes_bytes = size != 0

    def read(self, reader: Reader) -> str:
        return b64encode(self.read_bytes(reader)).decode()

    def read_bytes(self, reader: Reader) -> bytes:
        """Read what they are."""
        return reader.octets() if self.size is None else reader.fixed(self.size)

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, str):
            misfit(value, "bytes in base64", path)
        try:
            found = b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            misfit(value, "base64", path)
        self.write_bytes(found, out, path)
        return 0

    def write_bytes(self, value: bytes, out: list[bytes], path: str) -> None:
        """Write them as they are."""
        if self.size is None:
            _lengthy(value, out)
        elif len(value) == self.size:
            out.append(value)
        else:
            misfit(len(value), f"{self.size} bytes", path)


class Symbol:
    """One of the texts of an enum."""

    takes_bytes = True

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = tuple(symbols)
        self._index = {symbol: index for index, symbol in enumerate(symbols)}

    def read(self, reader: Reader) -> str:
        return self._symbols[reader.index(len(self._symbols))]

    def write(self, value: object, out: list[bytes], path: str) -> int:
        index = self._index.get(value) if isinstance(value, str) else None
        if index is None:
            misfit(value, f"one of {excerpt(', '.join(self._symbols))}", path)
        out.append(long_bytes(index))
        return 0


class Items:
    """An array."""

    takes_bytes = True

    def __init__(self, item: Node) -> None:
        self._item = item

    def read(self, reader: Reader) -> list[object]:
        found: list[object] = []
        reader.enter()
        while count := reader.block():
            found.extend(self._item.read(reader) for _ in range(count))
        reader.leave()
        return found

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, list):
            misfit(value, "an array", path)
        items, filled = cast("list[object]", value), 0
        if items:
            out.append(long_bytes(len(items)))
            for index, item in enumerate(items):
                filled += self._item.write(item, out, f"{path}/{index}")
        out.append(b"\0")
        return filled


class Entries:
    """A map, whose keys are strings."""

    takes_bytes = True

    def __init__(self, value: Node) -> None:
        self._value = value

    def read(self, reader: Reader) -> dict[str, object]:
        found: dict[str, object] = {}
        reader.enter()
        while count := reader.block():
            for _ in range(count):
                key = reader.text()
                # As with JSON from outside: a key that stands twice is read by nobody.
                if key in found:
                    raise BadAvro(f"the key {excerpt(key)!r} stands twice")
                found[key] = self._value.read(reader)
        reader.leave()
        return found

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, dict):
            misfit(value, "an object", path)
        entries, filled = cast("dict[str, object]", value), 0
        if entries:
            out.append(long_bytes(len(entries)))
            for key, inner in entries.items():
                _lengthy(key.encode(), out)
                filled += self._value.write(inner, out, f"{path}/{key}")
        out.append(b"\0")
        return filled


class Record:
    """Fields with names, which are given to it once they are known: a record may hold its own kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fields: dict[str, Node] = {}
        self._defaults: Mapping[str, object] = {}
        # Until it is complete it can be met inside itself only: below an array, a map or a union, which takes a byte.
        self.takes_bytes = True

    def complete(self, fields: Mapping[str, Node], defaults: Mapping[str, object]) -> None:
        """Say what it is made of; `defaults` as they stand in a document."""
        self._fields = dict(fields)
        self._defaults = defaults
        self.takes_bytes = any(field.takes_bytes for field in fields.values())

    def read(self, reader: Reader) -> dict[str, object]:
        reader.enter()
        found = {name: field.read(reader) for name, field in self._fields.items()}
        reader.leave()
        return found

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if path.count("/") > MAX_DEPTH:
            misfit("…", f"nested at most {MAX_DEPTH} levels", path)
        if not isinstance(value, dict):
            misfit(value, f"an object ({self.name})", path)
        members, filled = cast("dict[str, object]", value), 0
        unknown = members.keys() - self._fields.keys()
        if unknown:
            misfit(min(unknown), f"a field of {self.name}", path)
        for name, field in self._fields.items():
            if name in members:
                filled += field.write(members[name], out, f"{path}/{name}")
            else:
                filled += 1
                self._fill_in(name, field, out, path)
        return filled

    def _fill_in(self, name: str, field: Node, out: list[bytes], path: str) -> None:
        try:
            field.write(self._defaults.get(name), out, f"{path}/{name}")
        except Misfit:
            raise Misfit(f"{self.name} needs a {name!r}, at {excerpt(path) or 'the top'}") from None


class Choice:
    """A union."""

    takes_bytes = True

    def __init__(self, branches: Sequence[Node]) -> None:
        self._branches = tuple(branches)

    def read(self, reader: Reader) -> object:
        return self._branches[reader.index(len(self._branches))].read(reader)

    def write(self, value: object, out: list[bytes], path: str) -> int:
        best: tuple[int, list[bytes]] | None = None
        reasons: list[str] = []
        for index, branch in enumerate(self._branches):
            made = [long_bytes(index)]
            try:
                filled = branch.write(value, made, path)
            except Misfit as error:
                reasons.append(str(error))
                continue
            if best is None or filled < best[0]:
                best = filled, made
            if not filled:
                break
        if best is None:
            raise Misfit("; ".join(reasons))
        out.extend(best[1])
        return best[0]


def _lengthy(value: bytes, out: list[bytes]) -> None:
    out.append(long_bytes(len(value)))
    out.append(value)
