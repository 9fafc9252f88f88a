"""Open a connection to a host; of its addresses the first that answers is taken (RFC 8305, Happy Eyeballs).

Rules
- A host's name is resolved here, each time. Its addresses are tried in turn, the families alternating: the next one
  when the last has failed, or has not answered for `RACE_AFTER` seconds, and then beside it.
- One connection is returned. Whatever else was opened is closed, also when the caller is cancelled at the very moment
  at which a connection is there: `asyncio`'s own race (`happy_eyeballs_delay`) forgets that one until it is collected.
It does not: keep connections (`connections.py`), or time out.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

RACE_AFTER: Final = 0.25
"""Seconds after which the next address of a host is tried beside the first one."""

P = TypeVar("P", bound=asyncio.BaseProtocol)
_Address: TypeAlias = tuple[socket.AddressFamily, Any]
"""What a socket of this family connects to."""


async def dial(make: Callable[[], P], name: str, port: int, context: ssl.SSLContext | None) -> P:
    """Return the protocol that `make` made, on a connection to the host `name`, which may be an address.

    Raises:
        OSError: the name is not known, or no address of it let us in; then it is the first one's reason.
    """
    addresses = await _addresses(name, port)
    sock = await (_connected(addresses[0]) if len(addresses) == 1 else _first_of(addresses))
    # From here on the loop closes the socket when we are cancelled.
    _, protocol = await asyncio.get_running_loop().create_connection(
        make, sock=sock, ssl=context, server_hostname=name if context is not None else None
    )
    return protocol


async def _addresses(name: str, port: int) -> list[_Address]:
    """Return at least one, the families alternating, otherwise in the resolver's order."""
    try:
        # What is an address already needs no resolver, and so no thread.
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    seen: Counter[socket.AddressFamily] = Counter()
    ranked: list[tuple[int, _Address]] = []
    for family, _, _, _, address in found:
        ranked.append((seen[family], (family, address)))
        seen[family] += 1
    return [address for _, address in sorted(ranked, key=lambda each: each[0])]


async def _connected(to: _Address) -> socket.socket:
    family, address = to
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_of(addresses: list[_Address]) -> socket.socket:
    """Return the socket that was connected first; the others are given up."""
    tries: list[asyncio.Task[socket.socket]] = []
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while winner is None:
            if len(tries) < len(addresses):
                tries.append(asyncio.create_task(_connected(addresses[len(tries)])))
            elif all(each.done() for each in tries):
                return tries[0].result()
            winner = await _next_connected(tries, is_last=len(tries) == len(addresses))
        return winner.result()
    finally:
        for each in tries:
            if each is not winner:
                each.cancel()
                each.add_done_callback(_given_up)


async def _next_connected(
    tries: list[asyncio.Task[socket.socket]], *, is_last: bool
) -> asyncio.Task[socket.socket] | None:
    """Return who is connected; None when one has failed or time is up, so that the next may be tried."""
    going = [each for each in tries if not each.done()]
    done, _ = await asyncio.wait(
        going, timeout=None if is_last else RACE_AFTER, return_when=asyncio.FIRST_COMPLETED
    )
    return next((each for each in done if each.exception() is None), None)


def _given_up(one: asyncio.Task[socket.socket]) -> None:
    if not one.cancelled() and one.exception() is None:
        one.result().close()
