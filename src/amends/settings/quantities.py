"""Durations and sizes: numbers that carry their unit where people write them.

Rules: a duration is `250ms`, `30s`, `5m`, `2h`, `7d` or ISO 8601 (`PT30S`) and becomes a timedelta; a size is `512B`,
`64KiB`, `1MiB` or `1GiB` and becomes a number of bytes. What is written back reads the same again.
They do not: guess. A bare number, `1MB` and `12:30` are refused with what to write instead.
"""

import re
from datetime import timedelta
from decimal import Decimal

from amends.settings.kinds import Kind, Wrong

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
_ISO = re.compile(
    rf"P(?!\Z)(?:({_NUMBER})D)?(?:T(?=[0-9])(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?"
)
_MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)")
_DECIMAL_SIZE = re.compile(r"([0-9]{1,15})([KMG])B", re.IGNORECASE)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_BARE = re.compile(r"[0-9]{1,12}")
_CLOCK = re.compile(r"([0-9]{1,6}):([0-5]?[0-9])(?::([0-5]?[0-9]))?")


def duration(least: str, most: str) -> Kind[timedelta]:
    """Return the kind of a length of time, such as ``duration("1s", "5m")``."""
    shortest, longest = read_duration(least), read_duration(most)

    def read(text: str) -> timedelta:
        found = read_duration(text)
        if not shortest <= found <= longest:
            raise Wrong
        return found

    return Kind(name="a duration", range=f"from {least} to {most}", read=read, write=write_duration)


def read_duration(text: str) -> timedelta:
    """Read a duration with its unit.

    Raises:
        Wrong: it has none, or is something else.
    """
    if found := _DURATION.fullmatch(text):
        return _of_microseconds(Decimal(found[1]) * _MICROSECONDS[found[2]])
    if found := _ISO.fullmatch(text):
        parts = zip(found.groups(default="0"), ("d", "h", "m", "s"), strict=True)
        return _of_microseconds(
            sum((Decimal(number) * _MICROSECONDS[unit] for number, unit in parts), Decimal())
        )
    if _BARE.fullmatch(text):
        raise Wrong(f"write the unit: {int(text)}s, {int(text)}ms, {int(text)}m")
    if found := _CLOCK.fullmatch(text):
        raise Wrong(f"write one number and its unit: {_clock_seconds(found)}s")
    raise Wrong("write 250ms, 30s, 5m, 2h, 7d or PT30S")


def write_duration(value: timedelta) -> str:
    """Return a duration in the largest unit that needs no fraction."""
    microseconds = value // timedelta(microseconds=1)
    for unit in ("d", "h", "m", "s", "ms"):
        if microseconds and microseconds % _MICROSECONDS[unit] == 0:
            return f"{microseconds // _MICROSECONDS[unit]}{unit}"
    return f"{(Decimal(microseconds) / 1_000).normalize():f}ms" if microseconds else "0s"


def size(least: str, most: str) -> Kind[int]:
    """Return the kind of a number of bytes, such as ``size("1KiB", "1GiB")``."""
    smallest, largest = read_size(least), read_size(most)

    def read(text: str) -> int:
        found = read_size(text)
        if not smallest <= found <= largest:
            raise Wrong
        return found

    return Kind(name="a size", range=f"from {least} to {most}", read=read, write=write_size)


def read_size(text: str) -> int:
    """Read a size with its unit.

    Raises:
        Wrong: it has none, or is something else.
    """
    if found := _SIZE.fullmatch(text):
        return int(found[1]) * _BYTES[found[2]]
    if found := _DECIMAL_SIZE.fullmatch(text):
        raise Wrong(f"write {int(found[1])}{found[2].upper()}iB, which counts by 1,024")
    if _BARE.fullmatch(text):
        raise Wrong(f"write the unit: {int(text)}B, {int(text)}KiB")
    raise Wrong("write 512B, 64KiB, 1MiB or 1GiB")


def write_size(value: int) -> str:
    """Return a size in the largest unit that needs no fraction."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"


def _of_microseconds(number: Decimal) -> timedelta:
    try:
        return timedelta(microseconds=int(number))
    except OverflowError:
        raise Wrong from None


def _clock_seconds(found: re.Match[str]) -> int:
    """Return what `12:30:45`, or `12:30` as minutes and seconds, comes to."""
    seconds = 0
    for part in found.groups():
        seconds = seconds * 60 + int(part) if part is not None else seconds
    return seconds
