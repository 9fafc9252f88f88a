"""The client's reading of a feed: what it takes from the stream, and how it comes back after a break."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from amends.delivery.client.connection import Connection
from amends.delivery.client.faults import Denied, Unreachable
from amends.delivery.client.feed import PATIENCE, Feed, Message, messages

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
HELLO = b"retry: 1000\nid: 7\n: connected\n\n"
GONE = (
    b"HTTP/1.1 404 X\r\nContent-Type: application/problem+json\r\nContent-Length: 20\r\n\r\n"
    b'{"detail":"no such"}'
)


def item(number: int) -> bytes:
    return b"id: %d\nevent: transition\ndata: %b\n\n" % (number, json.dumps({"n": number}).encode())


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[Connection, list[str]]]:
    """Give one answer to each connection and close it; then nobody listens. What was asked is noted."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    request = connection.recv(65536).decode()
                    known = [line for line in request.splitlines() if line.startswith("Last-Event-ID")]
                    asked.append(known[0].partition(": ")[2] if known else "")
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    with suppress(OSError):
                        connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Connection(url=f"http://127.0.0.1:{listener.getsockname()[1]}"), asked
    thread.join(timeout=10)
    assert not thread.is_alive()


def read(connection: Connection) -> tuple[list[int], list[float], Exception]:
    """All items until it gives up; the pauses that it made; why it gave up."""
    pauses: list[float] = []
    found: list[int] = []
    try:
        found.extend(each["n"] for each in Feed(connection, "/v1/feed", wait=pauses.append))
    except (Denied, Unreachable) as gone:
        return found, pauses, gone
    raise AssertionError("a feed does not end")


def test_after_a_break_it_goes_on_behind_what_it_saw() -> None:
    with server(HEAD + HELLO + item(8), HEAD + HELLO + item(9) + item(10), HEAD) as (connection, asked):
        found, pauses, gone = read(connection)
    assert (found, asked) == ([8, 9, 10], ["", "8", "10"])
    assert isinstance(gone, Unreachable)
    assert len(pauses) == 1 + PATIENCE
    assert "nothing listens at" in str(gone)


def test_a_break_before_the_first_item_misses_nothing() -> None:
    with server(HEAD + HELLO, HEAD + HELLO + item(8)) as (connection, asked):
        assert read(connection)[0] == [8]
    assert asked == ["", "7"]


def test_half_an_item_is_none() -> None:
    with server(HEAD + HELLO + item(8)[:-5], HEAD + HELLO + item(8)) as (connection, asked):
        assert read(connection)[0] == [8]
    assert asked == ["", "7"]


def test_a_refusal_is_final() -> None:
    with server(HEAD + HELLO + item(8), GONE) as (connection, _):
        found, pauses, gone = read(connection)
    assert (found, len(pauses)) == ([8], 1)
    assert isinstance(gone, Denied)
    assert str(gone) == "no such"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"data: a\n", b"data: b\n", b"\n"], [Message("", "message", "a\nb")]),
        ([b"id: 1\r\n", b"event: x\r\n", b"data:y\r\n", b"\r\n"], [Message("1", "x", "y")]),
        ([b": comment\n", b"\n"], [Message("", "message", "")]),
        (
            [b"id: 1\n", b"\n", b"data: a\n", b"\n"],
            [Message("1", "message", ""), Message("1", "message", "a")],
        ),
        ([b"data: unfinished\n"], []),
        ([b"data: \xff\n", b"strange: x\n", b"\n"], [Message("", "message", "\ufffd")]),
    ],
)
def test_messages_are_read_as_the_standard_says(lines: Sequence[bytes], expected: Sequence[Message]) -> None:
    assert list(messages(lines)) == expected
