"""The hash that says a key's partition: the one of Kafka's own clients, whatever the key."""

from typing import Any, Final

import aiokafka.partitioner  # type: ignore[import-untyped]
import pytest
from hypothesis import given, strategies as st

from amends.adapters.kafka.key_hash import hash_of

_driver: Final[Any] = aiokafka.partitioner


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_it_is_what_kafkas_own_tests_say(key: bytes, hashed: int) -> None:
    assert hash_of(key) == hashed & 0x7FFFFFFF


@given(st.binary(max_size=300))
def test_it_is_what_the_driver_says(key: bytes) -> None:
    assert hash_of(key) == _driver.murmur2(key) & 0x7FFFFFFF


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
@pytest.mark.parametrize("length", [*range(13), 1_000, 1_003])
def test_it_is_what_the_driver_says_of_keys_at_the_edge(byte: bytes, length: int) -> None:
    assert hash_of(byte * length) == _driver.murmur2(byte * length) & 0x7FFFFFFF
