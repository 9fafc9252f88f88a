"""What a host's name stands for may change, and may be several addresses.

Rules: the servers are real, on two addresses of loopback; only what a name stands for is said by the test, in the place
of a name server.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from amends.adapters.http import HttpConnections, HttpTransport, connections
from amends.core.outcome import Failed, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import answer_bytes, serving
from tests.adapters.http.test_connections import Gate, settled

OK = answer_bytes(200, b"{}")
DONE = Succeeded(b"{}")


class Names:
    """A name server: `addresses` is what the name stands for."""

    def __init__(self) -> None:
        self.addresses: Sequence[str] = ()
        self.asked: list[object] = []

    def resolved(self, host: object, port: int) -> list[Any]:
        self.asked.append(host)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port),
            )
            for address in self.addresses
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()

    async def getaddrinfo(_loop: object, host: object, port: int, **_how: object) -> list[Any]:
        return made.resolved(host, port)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return made


@asynccontextmanager
async def two_hosts() -> AsyncGenerator[tuple[int, list[str]]]:
    """One port on two addresses; who was called, in turn."""
    called: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        while head := await _head(reader):
            await reader.readexactly(int(head.partition("Content-Length: ")[2].partition("\r\n")[0]))
            called.append(address)
            writer.write(OK)
        writer.close()

    listening = [socket.socket(), socket.socket()]
    listening[0].bind(("127.0.0.1", 0))
    port = listening[0].getsockname()[1]
    listening[1].bind(("127.0.0.2", port))
    servers = [await asyncio.start_server(serve, sock=each) for each in listening]
    try:
        yield port, called
    finally:
        for server in servers:
            server.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


async def test_a_name_is_resolved_again_for_each_new_connection(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each connection is too old as soon as nothing is on it.
    monkeypatch.setattr(connections, "AGE", 0.0)
    monkeypatch.setattr(connections, "APART", 1)
    async with two_hosts() as (port, called):
        transport = HttpTransport(f"http://shop.example:{port}")
        names.addresses = ["127.0.0.1"]
        assert await transport.send(command()) == DONE
        names.addresses = ["127.0.0.2"]
        await asyncio.to_thread(int)
        await settled()
        assert await transport.send(command()) == DONE
        await transport.close()
        assert called == ["127.0.0.1", "127.0.0.2"]
        assert names.asked == ["shop.example"] * 2


async def test_a_connection_that_is_not_old_is_used_again(names: Names) -> None:
    async with two_hosts() as (port, called):
        transport = HttpTransport(f"http://shop.example:{port}")
        names.addresses = ["127.0.0.1"]
        assert await transport.send(command()) == DONE
        names.addresses = ["127.0.0.2"]
        assert await transport.send(command()) == DONE
        await transport.close()
        assert (called, len(names.asked)) == (["127.0.0.1"] * 2, 1)


async def test_an_old_connection_ends_behind_the_answer_that_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "AGE", 0.0)
    monkeypatch.setattr(connections, "APART", 1)
    gate = Gate()
    async with serving(gate.script) as server:
        pool = HttpConnections(per_host=1)
        transport = HttpTransport(server.url, connections=pool)
        first, second = (asyncio.create_task(transport.send(command(saga_id=name))) for name in ("a", "b"))
        assert await gate.received.get() == "a"
        await settled()
        gate.answers.put_nowait(OK)
        assert await gate.received.get() == "b"
        gate.answers.put_nowait(OK)
        assert [await first, await second] == [DONE, DONE]
        await pool.close()
        assert server.connections == 2


async def test_of_several_addresses_the_next_is_tried_when_one_does_not_answer(names: Names) -> None:
    async with two_hosts() as (port, called):
        names.addresses = ["127.0.0.3", "127.0.0.2"]
        transport = HttpTransport(f"http://shop.example:{port}")
        assert await transport.send(command()) == DONE
        await transport.close()
        assert called == ["127.0.0.2"]


async def test_a_name_that_nobody_knows_is_transient(names: Names) -> None:
    transport = HttpTransport("http://shop.example:80")
    found = await transport.send(command())
    await transport.close()
    assert isinstance(found, Failed)
    assert (found.fault, "Name or service not known" in found.reason) == ("transient", True)


async def test_a_host_that_is_forgotten_ends_what_is_idle_and_answers_the_rest() -> None:
    gate = Gate()
    async with serving(gate.script) as server:
        pool = HttpConnections(per_host=1)
        transport = HttpTransport(server.url, connections=pool)
        first, second = (asyncio.create_task(transport.send(command(saga_id=name))) for name in ("a", "b"))
        assert await gate.received.get() == "a"
        await settled()
        (host,) = pool._ways  # noqa: SLF001  which host it is, the transport knows
        pool.forget(host)
        pool.forget(host)
        gate.answers.put_nowait(OK)
        # Who waited there for a turn gets one, on a connection that ends behind it.
        assert await gate.received.get() == "b"
        gate.answers.put_nowait(OK)
        assert [await first, await second] == [DONE, DONE]
        assert server.connections == 2
        await pool.close()
