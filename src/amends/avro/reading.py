"""Avro's binary form, one value after the other, out of bytes that nobody vouches for.

Rules
- Nothing is read behind the end, no length is negative, no number is longer than its type, no boolean is anything but
  0 or 1. A string is UTF-8 without NUL, a floating-point number is finite: what is read always has a JSON document.
- Nesting is as deep as JSON's at Amends' doors, so that no bytes can exhaust the stack.
It does not: know schemas.
"""

import struct
from typing import Final

from amends.avro.errors import BadAvro
from amends.wire.strict_json import MAX_DEPTH

LONGEST_VARINT: Final = 10
LONG: Final = 1 << 63
_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")
_INFINITE: Final = float("inf")


class Reader:
    """A place in a value's bytes."""

    __slots__ = ("_at", "_depth", "_value")

    def __init__(self, value: bytes, at: int = 0) -> None:
        self._value = value
        self._at = at
        self._depth = 0

    @property
    def left(self) -> int:
        """How many bytes there are still."""
        return len(self._value) - self._at

    def end(self) -> None:
        """Hold that nothing is left."""
        if self.left:
            raise BadAvro(f"{self.left} bytes stand behind the value")

    def enter(self) -> None:
        """Go a level deeper."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadAvro(f"nested deeper than {MAX_DEPTH} levels")

    def leave(self) -> None:
        """Come back from a level."""
        self._depth -= 1

    def fixed(self, size: int) -> bytes:
        """Read so many bytes."""
        if not 0 <= size <= self.left:
            raise BadAvro(f"{size} bytes are announced where {self.left} are left")
        self._at += size
        return self._value[self._at - size : self._at]

    def boolean(self) -> bool:
        """Read 0 or 1."""
        match self.fixed(1)[0]:
            case 0:
                return False
            case 1:
                return True
            case other:
                raise BadAvro(f"{other} is no boolean")

    def long(self) -> int:
        """Read a number of 64 bits."""
        value = self._value
        found = shift = 0
        for at in range(self._at, min(self._at + LONGEST_VARINT, len(value))):
            byte = value[at]
            found |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  the bit that says that another byte follows
                self._at = at + 1
                if found >> 64:
                    break
                return (found >> 1) ^ -(found & 1)
            shift += 7
        raise BadAvro("a number has no end, or is longer than 64 bits")

    def integer(self) -> int:
        """Read a number of 32 bits."""
        found = self.long()
        if not -(1 << 31) <= found < 1 << 31:
            raise BadAvro("a number is longer than 32 bits")
        return found

    def index(self, most: int) -> int:
        """Read which of `most` it is."""
        found = self.integer()
        if not 0 <= found < most:
            raise BadAvro(f"{found} is not one of {most} choices")
        return found

    def octets(self) -> bytes:
        """Read bytes that are as long as they say."""
        return self.fixed(self.long())

    def text(self) -> str:
        """Read text."""
        try:
            text = self.octets().decode()
        except UnicodeDecodeError:
            raise BadAvro("a string is not UTF-8") from None
        if "\0" in text:
            raise BadAvro("a string contains the character NUL")
        return text

    def single(self) -> float:
        """Read a number of single precision."""
        return _finite(_FLOAT.unpack(self.fixed(4))[0])

    def double(self) -> float:
        """Read a number of double precision."""
        return _finite(_DOUBLE.unpack(self.fixed(8))[0])

    def block(self) -> int:
        """Read how many items follow; 0 when there are no more."""
        count = self.long()
        if count < 0:
            self.long()  # their length in bytes, for those who skip
            count = -count
        if count > self.left:
            # Every item has a byte at least (`nodes.py` sees to that).
            raise BadAvro(f"{count} items are announced where {self.left} bytes are left")
        return count


def _finite(number: float) -> float:
    if not -_INFINITE < number < _INFINITE:
        raise BadAvro("a number is not finite")
    return number


def long_bytes(number: int) -> bytes:
    """Return a number of 64 bits as it stands on the wire."""
    found = (number << 1) ^ (number >> 63)
    made = bytearray()
    while found > 0x7F:  # noqa: PLR2004  seven bits a byte
        made.append(found & 0x7F | 0x80)
        found >>= 7
    made.append(found)
    return bytes(made)


def float_bytes(number: float) -> bytes:
    """Return a number in single precision.

    Raises:
        OverflowError: it is too large for that.
    """
    return _FLOAT.pack(number)


def double_bytes(number: float) -> bytes:
    """Return a number in double precision."""
    return _DOUBLE.pack(number)
