"""Opening a connection: which address is taken, and that nothing stays open behind one that is given up.

Rules: the servers are real, on loopback; what a name stands for is said by the test. The collector is off, for it would
close what was forgotten and hide it.
"""

import asyncio
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from amends.adapters.http import HttpConnections, HttpTransport, dialing
from amends.adapters.http.dialing import dial
from amends.core.outcome import Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.test_connections import settled
from tests.adapters.http.test_names import Names, names, two_hosts
from tests.adapters.open_sockets import left_open, no_collector

__all__ = ["names"]

TURNS = 40
"""More turns of the loop than opening a connection takes."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    with no_collector():
        yield


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.3", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
@pytest.mark.parametrize("turn", range(TURNS))
async def test_a_call_that_is_given_up_at_any_moment_leaves_no_connection_open(
    names: Names, addresses: list[str], turn: int
) -> None:
    names.addresses = addresses
    async with two_hosts() as (port, _):
        pool = HttpConnections()
        transport = HttpTransport(f"http://shop.example:{port}", connections=pool)
        call = asyncio.create_task(transport.send(command()))
        for _turn in range(turn):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        await transport.close()
        await pool.close()
        await settled()
        assert left_open(port) == []


@contextmanager
def deaf(address: str, port: int) -> Iterator[None]:
    """A place that answers nobody: those who wait there to be let in are as many as may wait."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(0)
        with closing(socket.create_connection((address, port))):
            yield


async def test_an_address_that_does_not_answer_is_not_waited_for(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "RACE_AFTER", 0.01)
    names.addresses = ["127.0.0.3", "127.0.0.1"]
    async with two_hosts() as (port, called):
        with deaf("127.0.0.3", port):
            transport = HttpTransport(f"http://shop.example:{port}")
            async with asyncio.timeout(5):
                assert isinstance(await transport.send(command()), Succeeded)
            await transport.close()
        await settled()
        assert called == ["127.0.0.1"]
        assert not [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]


async def test_when_no_address_lets_us_in_the_reason_is_the_first_ones(names: Names) -> None:
    names.addresses = ["127.0.0.3", "127.0.0.4"]
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConnectionRefusedError) as refused:
        await dial(asyncio.Protocol, "shop.example", taken.getsockname()[1], None)
    assert "127.0.0.3" in str(refused.value)


async def test_the_families_alternate(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose addresses of one family are all out of reach is reached through the other one soon."""
    asked: list[object] = []

    async def connect(_loop: object, _socket: object, address: tuple[object, ...]) -> None:
        asked.append(address[0])
        raise ConnectionRefusedError(str(address[0]))

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connect)
    names.addresses = ["::1", "::2", "127.0.0.1", "127.0.0.2"]
    with pytest.raises(ConnectionRefusedError):
        await dial(asyncio.Protocol, "shop.example", 80, None)
    assert asked == ["::1", "127.0.0.1", "::2", "127.0.0.2"]
