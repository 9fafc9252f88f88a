"""What a success is worth when its body is not what it should be."""

import asyncio
import gzip

import pytest

from amends.adapters.http import HttpTransport
from amends.core.outcome import Failed, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import Connection, answer_bytes, answer_to, serving

DO = command()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.shop+json",
        None,
    ],
)
async def test_json_is_taken_byte_for_byte(content_type: str | None) -> None:
    body = b' {"price": 0.10, "big": 123456789012345678901234567890} \n'
    assert await answer_to(DO, answer_bytes(200, body, content_type=content_type)) == Succeeded(body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><body>200 OK</body></html>", "text/html"),
        (b"<html><body>200 OK</body></html>", "application/json"),
        (b"<html><body>200 OK</body></html>", None),
        (b"{}", "text/html; charset=utf-8"),
        (b"{}", "text/plain"),
        (b"{}", "application/octet-stream"),
        (b'{"a":', "application/json"),
        (b"{} trailing", "application/json"),
        (b"   ", "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b"[Infinity]", "application/json"),
        (b"[1e400]", "application/json"),
        (b"9" * 5_000, "application/json"),
        (b'"\xff"', "application/json"),
        (b'{"\xff": 1}', "application/json"),
        (b"\xef\xbb\xbf{}", "application/json"),
        ("{}".encode("utf-16"), "application/json"),
        (b'"\\u0000"', "application/json"),
        (b'"\\ud800"', "application/json"),
        (b"[" * 65 + b"]" * 65, "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_a_success_that_cannot_be_read_is_unreadable(body: bytes, content_type: str | None) -> None:
    found = await answer_to(DO, answer_bytes(200, body, content_type=content_type))
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"


async def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    body = b'"\\\\u0000"'
    assert await answer_to(DO, answer_bytes(200, body)) == Succeeded(body)


async def test_64_levels_are_not_too_deep() -> None:
    body = b"[" * 64 + b"]" * 64
    assert await answer_to(DO, answer_bytes(200, body)) == Succeeded(body)


@pytest.mark.parametrize("content_type", ["text/html", "application/json", None])
async def test_an_empty_success_is_null_whatever_it_calls_itself(content_type: str | None) -> None:
    assert await answer_to(DO, answer_bytes(200, content_type=content_type)) == Succeeded(b"null")


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


async def test_a_chunked_reply_is_read() -> None:
    assert await answer_to(DO, chunked(b'{"a":1}')) == Succeeded(b'{"a":1}')


async def test_a_reply_that_ends_with_the_connection_is_read() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":1}')

    assert await answer_to(DO, script) == Succeeded(b'{"a":1}')


async def test_a_compressed_reply_is_read() -> None:
    data = answer_bytes(200, gzip.compress(b'{"a":1}'), "Content-Encoding: gzip")
    assert await answer_to(DO, data) == Succeeded(b'{"a":1}')


async def test_a_reply_that_is_not_what_its_encoding_says_is_unreadable() -> None:
    found = await answer_to(DO, answer_bytes(200, b'{"a":1}', "Content-Encoding: gzip"))
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"


async def test_a_gzip_bomb_is_cut_off() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    found = await answer_to(DO, answer_bytes(200, bomb, "Content-Encoding: gzip"))
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"
    assert "longer than the limit" in found.reason


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_ten_megabytes_are_cut_off_unread(*, announced: bool) -> None:
    """The server is still writing when the transport hangs up."""
    hung_up = asyncio.Event()
    length = 10_000_000
    taken = 0

    async def script(connection: Connection) -> None:
        nonlocal taken
        await connection.request()
        kind = f"Content-Length: {length}" if announced else "Transfer-Encoding: chunked"
        await connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{kind}\r\n\r\n".encode())
        piece = b"1" * 65_536
        try:
            while taken < length:
                await connection.send(piece if announced else b"10000\r\n%s\r\n" % piece)
                taken += len(piece)
        except ConnectionError:
            hung_up.set()
            raise

    async with serving(script) as server:
        transport = HttpTransport(server.url, max_reply_bytes=100_000)
        found = await transport.send(DO)
        await asyncio.wait_for(hung_up.wait(), 5)
        await transport.close()
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"
    assert taken < length


@pytest.mark.parametrize("size", [99, 100, 101])
@pytest.mark.parametrize("framing", [answer_bytes, chunked], ids=["content-length", "chunked"])
async def test_the_limit_is_exact(size: int, framing: object) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    data = chunked(body) if framing is chunked else answer_bytes(200, body)
    found = await answer_to(DO, data, max_reply_bytes=100)
    assert isinstance(found, Succeeded) == (size <= 100)
