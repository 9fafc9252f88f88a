"""The transport to a service whose instances come and go: whose turn it is, who is left out, what ends with whom."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from amends.adapters.http import DiscoveredTransport, discovered
from amends.core.outcome import Accepted, Answer, Failed, Refused, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.known_instances import Known, Registry
from tests.adapters.http.raw_server import Connection, RawServer, always, answer_bytes, serving
from tests.adapters.http.test_connections import Gate, settled

OK = answer_bytes(200, b"{}")
DONE = Succeeded(b"{}")
NOBODY = "http://127.0.0.1:1"


@asynccontextmanager
async def bound(known: Known, **how: Any) -> AsyncGenerator[DiscoveredTransport]:
    transport = DiscoveredTransport("lb://shop/commands", Registry(known), **how)
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def servers(number: int, answer: bytes = OK) -> AsyncGenerator[Sequence[RawServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving(always(answer))) for _ in range(number)]


async def sent(transport: DiscoveredTransport, number: int) -> "list[Answer | Accepted]":
    return [await transport.send(command(saga_id=f"s-{each}")) for each in range(number)]


async def test_instances_take_turns() -> None:
    async with servers(3) as up, bound(Known(*(each.url for each in up))) as transport:
        assert await sent(transport, 9) == [DONE] * 9
        assert [len(each.requests) for each in up] == [3, 3, 3]
        assert up[0].requests[0].line == "POST /commands/reserve-stock HTTP/1.1"
        assert {request.headers["host"] for request in up[1].requests} == {up[1].url.removeprefix("http://")}


async def test_who_cannot_be_connected_to_is_left_out_and_the_command_goes_to_the_next() -> None:
    async with servers(1) as (up,), bound(Known(NOBODY, up.url)) as transport:
        assert await sent(transport, 6) == [DONE] * 6
        assert [request.headers["amends-saga-id"] for request in up.requests] == [f"s-{n}" for n in range(6)]


async def test_who_was_left_out_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovered, "ASIDE", 0.0)
    async with servers(1) as (up,):
        port = int(up.url.rpartition(":")[2])
        gone = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{gone.sockets[0].getsockname()[1]}"
        gone.close()
        await gone.wait_closed()
        known = Known(url, up.url)
        async with bound(known) as transport:
            assert await sent(transport, 4) == [DONE] * 4
            back: list[str] = []

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                back.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                writer.close()

            port = int(url.rpartition(":")[2])
            again = await asyncio.start_server(answer, "127.0.0.1", port)
            assert await sent(transport, 4) == [DONE] * 4
            again.close()
            assert len(back) == 2


async def test_where_nobody_can_be_connected_to_the_attempt_is_transient() -> None:
    async with bound(Known(NOBODY, "http://127.0.0.2:1")) as transport:
        found = await transport.send(command())
        assert isinstance(found, Failed)
        assert (found.fault, found.reason.startswith("cannot connect to shop: ")) == ("transient", True)
        assert transport.trouble == "", "it is known who should be there"


async def test_where_nobody_is_known_it_is_to_be_tried_again_after_the_next_look() -> None:
    known = Known()
    async with servers(1) as (up,), bound(known) as transport:
        why = "no instance of shop is known to be up"
        assert await transport.send(command()) == Failed(why, "transient", timedelta(seconds=7))
        assert await transport.status(command()) is None
        assert transport.trouble == why
        known.urls = (up.url,)
        assert transport.trouble == ""
        assert await transport.send(command()) == DONE


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answer_bytes(503), Failed("HTTP 503 (Service Unavailable)", "transient")),
        (answer_bytes(409, b'{"code":"out"}'), Refused("out", "HTTP 409 (Conflict)")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", None),
    ],
    ids=["503", "refused", "broken-off"],
)
async def test_what_an_instance_said_or_may_have_done_is_not_asked_of_another(
    answer: bytes, expected: Answer | None
) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer)

    async with (
        serving(script) as one,
        serving(script) as other,
        bound(Known(one.url, other.url)) as transport,
    ):
        found = await transport.send(command())
        assert found == (expected or Failed("the reply of shop broke off", "transient"))
        assert len(one.requests) + len(other.requests) == 1


async def test_one_that_leaves_is_answered_to_the_end_and_asked_no_more() -> None:
    gate = Gate()
    async with serving(gate.script) as leaving, servers(1) as (other,):
        known = Known(leaving.url)
        async with bound(known) as transport:
            last = asyncio.create_task(transport.send(command(saga_id="last")))
            assert await gate.received.get() == "last"
            known.urls = (other.url,)
            assert await sent(transport, 3) == [DONE] * 3
            gate.answers.put_nowait(OK)
            assert await last == DONE
            assert len(leaving.requests) == 1
            known.urls = (leaving.url,)
            again = asyncio.create_task(transport.send(command(saga_id="again")))
            assert await gate.received.get() == "again"
            gate.answers.put_nowait(OK)
            assert await again == DONE
            assert leaving.connections == 2, "the connection of before was closed"


async def test_idle_connections_to_one_that_left_are_closed() -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.peer_closed()
        closed.set()

    async with serving(script) as leaving, servers(1) as (other,):
        known = Known(leaving.url)
        async with bound(known) as transport:
            assert await transport.send(command()) == DONE
            known.urls = (other.url,)
            assert await transport.send(command()) == DONE
            async with asyncio.timeout(10):
                await closed.wait()


async def test_an_instance_that_hangs_keeps_its_share_and_no_more() -> None:
    gate = Gate()
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(serving(gate.script))
        (quick,) = await stack.enter_async_context(servers(1))
        known = Known(hanging.url, quick.url)
        async with bound(known, connections=4) as transport:
            tasks = [asyncio.create_task(transport.send(command(saga_id=f"s-{n}"))) for n in range(4)]
            for _ in range(2):
                await gate.received.get()
            while sum(task.done() for task in tasks) < 2:
                await settled()
            more = await sent(transport, 20)
            assert more == [DONE] * 20
            assert len(hanging.requests) == 2
            for _ in range(2):
                gate.answers.put_nowait(OK)
            assert [*await asyncio.gather(*tasks)] == [DONE] * 4


async def test_what_became_of_a_command_is_asked_of_one_instance() -> None:
    known = answer_bytes(200, b'{"outcome":"succeeded","reply":7}')
    async with servers(2, known) as up, bound(Known(*(each.url for each in up)), status=True) as transport:
        assert transport.knows
        assert await transport.status(command()) == Succeeded(b"7")
        (request,) = [*up[0].requests, *up[1].requests]
        assert request.line == "GET /commands/reserve-stock HTTP/1.1"


async def test_no_answer_in_time_is_a_timeout() -> None:
    gate = Gate()
    async with serving(gate.script) as hanging:
        known = Known(hanging.url)
        async with bound(known, timeout=timedelta(milliseconds=50)) as transport:
            assert await transport.send(command()) == Failed("no answer from shop in time", "timeout")
            assert await transport.status(command()) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://shop",
        "lb://",
        "lb:///commands",
        "lb://shop:80/commands",
        "lb://u:p@shop",
        "lb://shop?x=1",
        "lb://shop#x",
        "lb://[::1]",
        "lb://a b",
        f"lb://{'a' * 101}",
    ],
)
def test_an_address_that_names_no_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must"):
        DiscoveredTransport(url, Registry(Known()))


@pytest.mark.parametrize(
    "how",
    [{"headers": {"Host": "x"}}, {"timeout": timedelta(0)}, {"callback_url": "ftp://x"}, {"connections": 0}],
)
def test_what_cannot_be_used_is_refused_before_there_is_an_instance(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Host|timeout|callback_url|at least 1"):
        DiscoveredTransport("lb://shop", Registry(Known()), **how)


async def test_it_is_shown_by_the_name_of_its_service() -> None:
    registry = Registry(Known())
    transport = DiscoveredTransport("lb://Shop/commands/", registry)
    assert (transport.binding, registry.asked) == (("http", "lb://Shop/commands"), ["Shop"])
