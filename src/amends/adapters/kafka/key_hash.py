"""The hash of a key, which says its partition: MurmurHash2 with the seed that Kafka's own clients use.

Rules: it is computed in Python, once for each saga, in as few steps as can be. The key's words of four bytes are mixed
all at once, each in eight bytes of one large number, where their products do not reach each other.
It does not: know partitions.
"""

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

_SEED: Final = 0x9747B28C
_LOW: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class _Form(NamedTuple):
    """How keys of so many words are taken apart."""

    words: Struct
    wide: Struct
    """The same, each word in eight bytes."""
    low: int
    """The lower four bytes of each of these."""


@lru_cache(maxsize=100)
def _form(number: int) -> _Form:
    return _Form(Struct(f"<{number}I"), Struct(f"<{number}Q"), int.from_bytes(_LOW * number, "little"))


@lru_cache(maxsize=10_000)
def hash_of(key: bytes) -> int:
    """Return a number of 31 bits; a partition is the remainder of it. Remembered, for a saga has several commands."""
    length = len(key)
    number = length >> 2
    words, wide, low = _form(number)
    mixed = int.from_bytes(wide.pack(*words.unpack_from(key)), "little") * 0x5BD1E995 & low
    mixed = (mixed ^ mixed >> 24 & low) * 0x5BD1E995 & low
    hashed = _SEED ^ length
    for word in wide.unpack(mixed.to_bytes(wide.size, "little")):
        hashed = hashed * 0x5BD1E995 & 0xFFFFFFFF ^ word
    if length & 3:
        hashed = (hashed ^ int.from_bytes(key[words.size :], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return (hashed ^ hashed >> 15) & 0x7FFFFFFF
