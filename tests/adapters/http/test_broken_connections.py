"""Connections that break, hang, go stale or are never there; and what cancellation leaves behind."""

import asyncio
import gc
import socket
import ssl
from datetime import timedelta

import pytest

from amends.adapters.http import HttpConnections, HttpTransport
from amends.adapters.http.connections import CannotConnect
from amends.adapters.http.faults import fault_of
from amends.core.outcome import Failed, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import Connection, Script, always, answer_bytes, answer_to, serving

DO = command()
OK = answer_bytes(200, b"{}")
SOON = timedelta(milliseconds=50)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_refused_connection_is_transient() -> None:
    transport = HttpTransport(f"http://127.0.0.1:{free_port()}")
    found = await transport.send(DO)
    await transport.close()
    assert isinstance(found, Failed)
    assert found.fault == "transient"
    assert "cannot connect" in found.reason


async def test_https_to_a_port_that_speaks_none_is_a_fault_without_an_exception() -> None:
    async def plain(connection: Connection) -> None:
        await connection.send(OK)
        await connection.peer_closed()

    async with serving(plain) as server:
        transport = HttpTransport(server.url.replace("http:", "https:"))
        found = await transport.send(DO)
        await transport.close()
    assert isinstance(found, Failed)
    assert found.fault == "transient"


def cannot_connect(cause: OSError) -> CannotConnect:
    error = CannotConnect()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (cannot_connect(ssl.SSLCertVerificationError("self-signed")), "configuration"),
        (cannot_connect(socket.gaierror("no address")), "transient"),
        (cannot_connect(TimeoutError("no way there")), "transient"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(104, "reset"), "transient"),
        (OSError(24, "too many open files"), "transient"),
        (ValueError("header"), "configuration"),
        (RuntimeError("a fault of our own\r\n"), "transient"),
        (KeyError(), "transient"),
    ],
)
def test_what_a_loopback_test_cannot_bring_about_has_a_meaning_too(error: Exception, fault: str) -> None:
    found = fault_of(error, origin="http://shop")
    assert found.fault == fault
    assert "http://shop" in found.reason
    assert found.reason.isprintable()


async def closed_without_an_answer(connection: Connection) -> None:
    await connection.request()


async def reset_without_an_answer(connection: Connection) -> None:
    await connection.request()
    connection.reset()


async def half_a_head(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-")


async def half_a_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK.replace(b"Content-Length: 2", b"Content-Length: 100"))


async def half_a_chunk(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{")


async def half_a_refusal(connection: Connection) -> None:
    await connection.request()
    await connection.send(answer_bytes(409, b"{}").replace(b"Content-Length: 2", b"Content-Length: 100"))


@pytest.mark.parametrize(
    "script",
    [
        closed_without_an_answer,
        reset_without_an_answer,
        half_a_head,
        half_a_body,
        half_a_chunk,
        half_a_refusal,
    ],
)
async def test_a_broken_exchange_is_transient_and_sent_once(script: Script) -> None:
    async with serving(script) as server:
        transport = HttpTransport(server.url)
        found = await transport.send(DO)
        await transport.close()
        assert isinstance(found, Failed)
        assert found.fault == "transient"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_unreadable(data: bytes) -> None:
    found = await answer_to(DO, data)
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"


async def silent(connection: Connection) -> None:
    await connection.request()
    await connection.peer_closed()


async def stops_in_the_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK.replace(b"Content-Length: 2", b"Content-Length: 100"))
    await connection.peer_closed()


@pytest.mark.parametrize("script", [silent, stops_in_the_body])
async def test_a_participant_that_hangs_is_a_timeout(script: Script) -> None:
    async with serving(script) as server:
        transport = HttpTransport(server.url, timeout=SOON)
        found = await transport.send(DO)
        await transport.close()
    assert isinstance(found, Failed)
    assert found.fault == "timeout"


async def test_connections_are_kept_alive_and_used_again() -> None:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url)
        for _ in range(5):
            assert await transport.send(DO) == Succeeded(b"{}")
        await transport.close()
        assert server.connections == 1


async def test_a_connection_that_was_closed_between_calls_is_not_used() -> None:
    async def one_answer(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async with serving(one_answer) as server:
        transport = HttpTransport(server.url)
        for _ in range(5):
            found = await transport.send(DO)
            # Whether the loop has seen the end of the connection yet is a race; what it may lead to is not.
            assert found == Succeeded(b"{}") or (isinstance(found, Failed) and found.fault == "transient")
        await transport.close()


async def test_a_stale_connection_is_transient_and_the_command_is_not_repeated() -> None:
    async def closes_on_the_second(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.request()
        connection.reset()

    async with serving(closes_on_the_second) as server:
        transport = HttpTransport(server.url)
        assert await transport.send(DO) == Succeeded(b"{}")
        found = await transport.send(DO)
        assert isinstance(found, Failed)
        assert found.fault == "transient"
        assert len(server.requests) == 2, "nothing is sent twice by itself"
        assert await transport.send(DO) == Succeeded(b"{}")
        await transport.close()


async def test_cancellation_is_raised_and_closes_the_connection() -> None:
    received, hung_up = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        received.set()
        await connection.peer_closed()
        hung_up.set()

    async with serving(script) as server:
        transport = HttpTransport(server.url)
        sending = asyncio.create_task(transport.send(DO))
        await received.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(hung_up.wait(), 5)
        await transport.close()


async def test_cancellation_in_the_middle_of_a_body_closes_the_connection() -> None:
    answered, hung_up = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await stops_in_the_body_after(connection, answered)
        hung_up.set()

    async with serving(script) as server:
        transport = HttpTransport(server.url)
        sending = asyncio.create_task(transport.send(DO))
        await answered.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(hung_up.wait(), 5)
        await transport.close()


async def stops_in_the_body_after(connection: Connection, answered: asyncio.Event) -> None:
    await connection.request()
    await connection.send(OK.replace(b"Content-Length: 2", b"Content-Length: 100"))
    answered.set()
    await connection.peer_closed()


async def test_nothing_is_left_open(recwarn: pytest.WarningsRecorder) -> None:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url)
        await asyncio.gather(*(transport.send(DO) for _ in range(20)))
        await transport.close()
        await transport.close()
        del transport
    gc.collect()
    assert [str(each.message) for each in recwarn] == []


async def test_after_closing_a_command_fails_and_nothing_is_opened() -> None:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url)
        await transport.close()
        found = await transport.send(DO)
        assert isinstance(found, Failed)
        assert found.fault == "transient"
        assert server.connections == 0


async def test_a_shared_pool_outlives_the_transports_that_use_it() -> None:
    pool = HttpConnections(per_host=2)
    async with serving(always(OK)) as server:
        one = HttpTransport(f"{server.url}/one", connections=pool)
        two = HttpTransport(f"{server.url}/two", connections=pool)
        assert await one.send(DO) == Succeeded(b"{}")
        await one.close()
        assert await two.send(DO) == Succeeded(b"{}")
        assert server.connections == 1
        await asyncio.gather(*(two.send(DO) for _ in range(20)))
        assert server.connections == 2
        await two.close()
        await pool.close()
        assert isinstance(await two.send(DO), Failed)


async def test_a_host_that_hangs_leaves_the_others_their_connections() -> None:
    pool = HttpConnections(per_host=1)
    received = asyncio.Event()

    async def hangs(connection: Connection) -> None:
        await connection.request()
        received.set()
        await connection.peer_closed()

    async with serving(hangs) as slow, serving(always(OK)) as quick:
        stuck = asyncio.create_task(HttpTransport(slow.url, connections=pool).send(DO))
        await received.wait()
        assert await HttpTransport(quick.url, connections=pool).send(DO) == Succeeded(b"{}")
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        await pool.close()
