"""Logical types: how a number or some bytes mean an amount, a day, an instant.

| logical type | in a JSON document |
| decimal | a string with as many places as the scale says: "12.50" |
| uuid | a string of 36 characters |
| date, time-*, timestamp-*, local-timestamp-* | a string as RFC 3339 has it; an instant in UTC, with Z |

Rules
- What is read is always the string. Written is also the number itself where the type below is one.
- An amount is never rounded: what has more places than the scale is a Misfit. An instant is cut to its type's unit.
- Others (durations, nanoseconds) are what they are without the logical type.
It does not: know time zones but UTC.
"""

import re
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Final

from amends.avro.errors import BadAvro
from amends.avro.nodes import Node, Octets, Text, Whole, misfit
from amends.avro.reading import Reader

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  a local time has no zone
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000
_AMOUNT: Final = re.compile(r"-?[0-9]{1,1000}(\.[0-9]{1,1000})?([eE][+-]?[0-9]{1,3})?")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?")
_EXACT: Final = Context(prec=10_000, Emin=-10_000, Emax=10_000)
_LARGEST: Final = 1_000
"""Digits of an amount; more is no business's."""


class Amount:
    """A decimal."""

    takes_bytes = True

    def __init__(self, inner: Octets, *, precision: int, scale: int) -> None:
        self.inner = inner
        self._precision, self._scale = precision, scale

    def read(self, reader: Reader) -> str:
        held = self.inner.read_bytes(reader)
        if len(held) > _LARGEST:
            raise BadAvro("a decimal is longer than any amount")
        unscaled = int.from_bytes(held, "big", signed=True)
        return f"{Decimal(unscaled).scaleb(-self._scale, _EXACT):f}"

    def write(self, value: object, out: list[bytes], path: str) -> int:
        amount = self._amount(value, path)
        unscaled = amount.scaleb(self._scale, _EXACT)
        if unscaled != unscaled.to_integral_value():
            misfit(value, f"a decimal of at most {self._scale} places", path)
        whole = int(unscaled)
        if abs(whole) >= 10**self._precision:
            misfit(value, f"a decimal of at most {self._precision} digits", path)
        self.inner.write_bytes(self._octets(whole, path), out, path)
        return 0

    def _octets(self, whole: int, path: str) -> bytes:
        least = (whole if whole >= 0 else ~whole).bit_length() // 8 + 1
        if self.inner.size is None:
            return whole.to_bytes(least, "big", signed=True)
        if least > self.inner.size:
            misfit(str(whole), f"a number of {self.inner.size} bytes", path)
        return whole.to_bytes(self.inner.size, "big", signed=True)

    def _amount(self, value: object, path: str) -> Decimal:
        text = repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not (isinstance(text, str) and _AMOUNT.fullmatch(text)):
            misfit(value, "a decimal", path)
        try:
            return Decimal(text)
        except InvalidOperation:
            misfit(value, "a decimal", path)


class Identity:
    """A UUID, in text or in 16 bytes."""

    takes_bytes = True

    def __init__(self, inner: Text | Octets) -> None:
        self.inner = inner

    def read(self, reader: Reader) -> str:
        if isinstance(self.inner, Octets):
            return str(uuid.UUID(bytes=self.inner.read_bytes(reader)))
        text = self.inner.read(reader)
        try:
            return str(uuid.UUID(text))
        except ValueError:
            raise BadAvro("a uuid is none") from None

    def write(self, value: object, out: list[bytes], path: str) -> int:
        try:
            found = uuid.UUID(value if isinstance(value, str) else "")
        except ValueError:
            misfit(value, "a uuid", path)
        if isinstance(self.inner, Octets):
            self.inner.write_bytes(found.bytes, out, path)
            return 0
        return self.inner.write(str(found), out, path)


class Day:
    """A date."""

    takes_bytes = True

    def __init__(self, inner: Whole) -> None:
        self.inner = inner

    def read(self, reader: Reader) -> str:
        try:
            return date.fromordinal(self.inner.read(reader) + _DAY_ZERO).isoformat()
        except (ValueError, OverflowError):
            raise BadAvro("a date is not of the years 1 to 9999") from None

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, str):
            return self.inner.write(value, out, path)
        try:
            found = date.fromisoformat(value).toordinal() - _DAY_ZERO
        except ValueError:
            misfit(value, "a date", path)
        return self.inner.write(found, out, path)


class Clock:
    """A time of day; `unit` in microseconds."""

    takes_bytes = True

    def __init__(self, inner: Whole, unit: int) -> None:
        self.inner, self._unit = inner, unit

    def read(self, reader: Reader) -> str:
        passed = self.inner.read(reader) * self._unit
        if not 0 <= passed < _DAY:
            raise BadAvro("a time of day is beyond the day")
        return (_LOCAL_EPOCH + timedelta(microseconds=passed)).time().isoformat()

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, str):
            return self.inner.write(value, out, path)
        try:
            found = time.fromisoformat(value)
        except ValueError:
            misfit(value, "a time of day", path)
        if found.tzinfo is not None:
            misfit(value, "a time of day without a zone", path)
        passed = timedelta(
            hours=found.hour, minutes=found.minute, seconds=found.second, microseconds=found.microsecond
        )
        return self.inner.write(passed // _MICROSECOND // self._unit, out, path)


class Instant:
    """A timestamp; `unit` in microseconds. A local one has no zone."""

    takes_bytes = True

    def __init__(self, inner: Whole, unit: int, *, local: bool) -> None:
        self.inner, self._unit, self._local = inner, unit, local
        self._epoch = _LOCAL_EPOCH if local else _EPOCH

    def read(self, reader: Reader) -> str:
        try:
            found = self._epoch + timedelta(microseconds=self.inner.read(reader) * self._unit)
        except OverflowError:
            raise BadAvro("an instant is not of the years 1 to 9999") from None
        return found.isoformat() if self._local else found.isoformat().replace("+00:00", "Z")

    def write(self, value: object, out: list[bytes], path: str) -> int:
        if not isinstance(value, str):
            return self.inner.write(value, out, path)
        try:
            found = datetime.fromisoformat(value) if _INSTANT.fullmatch(value) else None
        except ValueError:
            found = None
        if found is None or (found.tzinfo is None) != self._local:
            misfit(value, "a local time" if self._local else "an instant with its zone", path)
        return self.inner.write((found - self._epoch) // _MICROSECOND // self._unit, out, path)


_UNITS: Final = {"millis": 1_000, "micros": 1}


def logical(kind: str, inner: Node, *, precision: object, scale: object) -> Node:
    """Return what `inner` means by a logical type; itself where that says nothing here, or stands on a wrong type."""
    base, _, unit = kind.rpartition("-")
    match kind, inner:
        case "decimal", Octets() if isinstance(precision, int) and isinstance(scale, int):
            return Amount(inner, precision=precision, scale=scale)
        case "uuid", Text():
            return Identity(inner)
        case "uuid", Octets(size=16):
            return Identity(inner)
        case "date", Whole(bits=32):
            return Day(inner)
        case "time-millis", Whole(bits=32):
            return Clock(inner, _UNITS[unit])
        case "time-micros", Whole(bits=64):
            return Clock(inner, _UNITS[unit])
        case _, Whole(bits=64) if base in {"timestamp", "local-timestamp"} and unit in _UNITS:
            return Instant(inner, _UNITS[unit], local=base != "timestamp")
        case _:
            return inner
