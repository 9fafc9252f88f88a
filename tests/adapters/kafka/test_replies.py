"""Replies are read in two ways, a quick one and a close one: they never disagree."""

import pytest

from amends.adapters.kafka.replies import read_reply
from amends.core.outcome import Succeeded
from amends.ports.intake import Record, ReplyCame, Unreadable
from tests.adapters.kafka.world import reply_headers

FORCES_A_CLOSE_LOOK = (("x", b"1"), ("x", b"2"))
BODY = b'{"place":"A-17","count":3}'


def record(headers: dict[str, bytes], *more: tuple[str, bytes], value: bytes | None = BODY) -> Record:
    return Record(
        topic="replies",
        partition=0,
        offset=1,
        timestamp_ms=0,
        key=b"o-1",
        value=value,
        headers=(*headers.items(), *more),
    )


@pytest.mark.parametrize("value", [BODY, b"null", b'{ "a" : 1.50 }', b'"\\u00e9"', b"[]"])
def test_a_success_is_read_alike(value: bytes) -> None:
    headers = reply_headers("o-1", "ship")
    read = read_reply(record(headers, value=value))
    assert isinstance(read, ReplyCame)
    assert (read.reply.saga_id, read.reply.step, read.reply.round) == ("o-1", "ship", 1)
    assert read.reply.answer == Succeeded(value)
    assert read == read_reply(record(headers, *FORCES_A_CLOSE_LOOK, value=value))


@pytest.mark.parametrize("name", sorted(reply_headers("o-1", "ship")))
@pytest.mark.parametrize(
    "damage", [None, b"", b"\xff", b"a\x00b", b"nobody", b"x" * 1001, b"2", b"/amends/x"]
)
def test_what_is_damaged_is_read_alike(name: str, damage: bytes | None) -> None:
    headers = reply_headers("o-1", "ship")
    if damage is None:
        del headers[name]
    else:
        headers[name] = damage
    assert read_reply(record(headers)) == read_reply(record(headers, *FORCES_A_CLOSE_LOOK))


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b'{"a":1,"a":1}', b'{"a":NaN}', b'"\\u0000"', b'"\\ud800"', b"\xff", b"[" * 99]
)
def test_what_is_no_document_is_refused(value: bytes | None) -> None:
    assert isinstance(read_reply(record(reply_headers("o-1", "ship"), value=value)), Unreadable)
