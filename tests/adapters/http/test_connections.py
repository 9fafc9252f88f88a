"""The pool: whose turn it is, what makes room, and which connections are not used again."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from amends.adapters.http import HttpConnections, HttpTransport, connections
from amends.core.outcome import Answer, Failed, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import Connection, always, answer_bytes, serving

OK = answer_bytes(200, b"{}")
DONE = Succeeded(b"{}")


def sent(transport: HttpTransport, saga_id: str) -> "asyncio.Task[object]":
    return asyncio.create_task(transport.send(command(saga_id=saga_id)))


async def settled() -> None:
    """Let everything run that can run without an answer from outside."""
    for _ in range(5):
        await asyncio.sleep(0)


class Gate:
    """A server that answers when it is told to."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[str] = asyncio.Queue()
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(self, connection: Connection) -> None:
        while True:
            request = await connection.request()
            self.received.put_nowait(request.headers["amends-saga-id"])
            await connection.send(await self.answers.get())


async def test_who_waits_for_a_connection_gets_it_in_turn() -> None:
    gate = Gate()
    async with serving(gate.script) as server:
        transport = HttpTransport(server.url, connections=1)
        tasks = [sent(transport, f"s-{number}") for number in range(4)]
        for number in range(4):
            assert await gate.received.get() == f"s-{number}"
            gate.answers.put_nowait(OK)
        assert [*await asyncio.gather(*tasks)] == [DONE] * 4
        assert server.connections == 1
        await transport.close()


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    gate = Gate()
    async with serving(gate.script) as server:
        transport = HttpTransport(server.url, connections=1)
        first, second, third = (sent(transport, name) for name in ("a", "b", "c"))
        assert await gate.received.get() == "a"
        await settled()
        second.cancel()
        gate.answers.put_nowait(OK)
        gate.answers.put_nowait(OK)
        assert [*await asyncio.gather(first, third)] == [DONE, DONE]
        assert [request.headers["amends-saga-id"] for request in server.requests] == ["a", "c"]
        await transport.close()


async def test_who_gives_up_when_it_is_its_turn_passes_the_connection_on() -> None:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url, connections=1)
        waiting: list[asyncio.Task[object]] = []

        async def first() -> object:
            answer = await transport.send(command(saga_id="a"))
            # The next one has been given the connection, and has not run since.
            waiting[0].cancel()
            return answer

        begun = asyncio.create_task(first())
        await settled()
        waiting += [sent(transport, "b"), sent(transport, "c")]
        assert await begun == DONE
        assert await waiting[1] == DONE
        assert waiting[0].cancelled()
        assert [request.headers["amends-saga-id"] for request in server.requests] == ["a", "c"]
        await transport.close()


async def test_a_connection_that_breaks_makes_room() -> None:
    async def broken(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    async with serving(broken) as server:
        transport = HttpTransport(server.url, connections=1)
        found = await asyncio.gather(*(transport.send(command()) for _ in range(4)))
        assert all(isinstance(each, Failed) and each.fault == "transient" for each in found)
        assert server.connections == 4
        await transport.close()


async def test_a_connection_that_cannot_be_had_makes_room() -> None:
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    transport = HttpTransport(f"http://127.0.0.1:{port}", connections=1)
    found = await asyncio.gather(*(transport.send(command()) for _ in range(4)))
    assert all(isinstance(each, Failed) and "cannot connect" in each.reason for each in found)
    await transport.close()


async def test_closing_tells_those_who_wait() -> None:
    gate = Gate()
    async with serving(gate.script) as server:
        transport = HttpTransport(server.url, connections=1)
        tasks = [sent(transport, "a"), sent(transport, "b")]
        await gate.received.get()
        await settled()
        await transport.close()
        found = await asyncio.gather(*tasks)
        assert all(isinstance(each, Failed) and each.fault == "transient" for each in found)


async def test_an_idle_connection_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP", 0.05)
    hung_up = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.peer_closed()
        hung_up.set()

    async with serving(script) as server:
        transport = HttpTransport(server.url)
        assert await transport.send(command()) == DONE
        await asyncio.wait_for(hung_up.wait(), 5)
        assert await transport.send(command()) == DONE
        assert server.connections == 2
        await transport.close()


async def not_asked_for(connection: Connection, hung_up: asyncio.Event) -> None:
    await connection.request()
    await connection.send(OK + OK)
    await connection.peer_closed()
    hung_up.set()


async def closing(connection: Connection, hung_up: asyncio.Event) -> None:
    await connection.request()
    await connection.send(answer_bytes(200, b"{}", "Connection: close"))
    await connection.peer_closed()
    hung_up.set()


async def too_early(connection: Connection, hung_up: asyncio.Event) -> None:
    """Answers before it has read the body."""
    await connection.reader.readuntil(b"\r\n\r\n")
    await connection.send(OK)
    await connection.peer_closed()
    hung_up.set()


@pytest.mark.parametrize("behaviour", [not_asked_for, closing, too_early])
async def test_what_comes_next_could_not_be_trusted(
    behaviour: Callable[[Connection, asyncio.Event], Awaitable[None]],
) -> None:
    hung_up = asyncio.Event()

    async def script(connection: Connection) -> None:
        await behaviour(connection, hung_up)

    async with serving(script) as server:
        transport = HttpTransport(server.url)
        payload = b'"' + b"x" * (30_000_000 if behaviour is too_early else 10) + b'"'
        found: Answer | object = await transport.send(command(payload=payload))
        assert found == DONE
        await asyncio.wait_for(hung_up.wait(), 5)
        assert await transport.send(command()) == DONE
        assert server.connections == 2
        await transport.close()


async def test_what_comes_between_two_calls_closes_the_connection() -> None:
    answered, hung_up = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await answered.wait()
        await connection.send(answer_bytes(409, b'{"code": "old"}'))
        await connection.peer_closed()
        hung_up.set()

    async with serving(script) as server:
        transport = HttpTransport(server.url)
        assert await transport.send(command()) == DONE
        answered.set()
        await asyncio.wait_for(hung_up.wait(), 5)
        assert await transport.send(command()) == DONE
        assert server.connections == 2
        await transport.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `key.pem` and `cert.pem`, which says that it is 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificate")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-days", "1"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*made, *files], cwd=folder, capture_output=True, check=True)
    return folder


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_over_tls_only_to_whom_the_certificate_belongs(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with serving(always(OK), context=context) as server:
        transport = HttpTransport(server.url)
        found = await transport.send(command())
        again = await transport.send(command())
        await transport.close()
        if is_trusted:
            assert (found, again, server.connections) == (DONE, DONE, 1)
        else:
            assert isinstance(found, Failed)
            assert found.fault == "configuration"
            assert "certificate" in found.reason
            assert server.requests == []


async def test_two_hosts_have_each_their_own_limit() -> None:
    pool = HttpConnections(per_host=1)
    gate = Gate()
    async with serving(gate.script) as slow, serving(always(OK)) as quick:
        stuck = sent(HttpTransport(slow.url, connections=pool), "a")
        await gate.received.get()
        assert await HttpTransport(quick.url, connections=pool).send(command()) == DONE
        gate.answers.put_nowait(OK)
        assert await stuck == DONE
        await pool.close()
