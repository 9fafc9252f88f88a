"""Transitions as they are committed, as server-sent events.

Rules
- The event's `id` is its place in the log; a client that comes back with `Last-Event-ID` misses nothing. What happened
  is sent at least once, in the order of the log.
- A comment every now and then keeps proxies from closing the connection, and shows whether the client is there.
- A client that does not read is let go: nothing is kept for it, and it may come back.
- When the server goes down the stream ends.
It does not: start from the beginning unless asked with ``after=0``.
"""

import asyncio
from typing import Any

import msgspec
from aiohttp import hdrs, web

from amends.application.feed import FeedItem, Following
from amends.delivery.api.call import Call, bad_header
from amends.delivery.api.query import POSITION

LAST_EVENT_ID = "Last-Event-ID"
CONTENT_TYPE = "text/event-stream"
HELLO = b"retry: 1000\nid: %d\n: connected\n\n"
"""Names the place behind which the stream begins: who breaks off before the first event comes back with it."""
HEARTBEAT = b": still here\n\n"


async def feed(call: Call) -> web.StreamResponse:
    """Follow all instances."""
    return await _follow(call, None)


async def saga_feed(call: Call) -> web.StreamResponse:
    """Follow one instance."""
    await call.door.orchestrator.get(call.saga_id)
    return await _follow(call, call.saga_id)


async def _follow(call: Call, saga_id: str | None) -> web.StreamResponse:
    items = await call.service.feed.follow(after=_after(call), saga_id=saga_id)
    response = web.StreamResponse()
    response.headers[hdrs.CONTENT_TYPE] = CONTENT_TYPE
    response.headers["X-Accel-Buffering"] = "no"
    call.dress(response)
    await response.prepare(call.request)
    await _write(call, response, HELLO % items.place)
    drain = asyncio.ensure_future(call.door.draining.wait())
    try:
        await _send(call, response, items, drain)
    finally:
        drain.cancel()
    return response


async def _send(
    call: Call,
    response: web.StreamResponse,
    items: Following,
    drain: "asyncio.Future[Any]",
) -> None:
    """Write what comes until it ends, or the server goes down."""
    coming: asyncio.Future[Any] = asyncio.ensure_future(anext(items))
    try:
        while True:
            await asyncio.wait(
                {coming, drain},
                timeout=call.door.limits.heartbeat,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if drain.done():
                return
            if not coming.done():
                await _write(call, response, HEARTBEAT)
                continue
            await _write(call, response, written(coming.result()))
            coming = asyncio.ensure_future(anext(items))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def written(item: FeedItem) -> bytes:
    """Return an item as one server-sent event; JSON has no line ends."""
    return b"id: %d\nevent: transition\ndata: %b\n\n" % (item.sequence, msgspec.json.encode(item.as_dict()))


async def _write(call: Call, response: web.StreamResponse, piece: bytes) -> None:
    """Write, and give a client up that does not read."""
    try:
        async with asyncio.timeout(call.door.limits.write_within):
            await response.write(piece)
    except TimeoutError as stuck:
        raise ConnectionResetError("the client does not read") from stuck


def _after(call: Call) -> int | None:
    """Return behind which place to begin; None: with what happens from now on."""
    given = call.header(LAST_EVENT_ID)
    if given is None:
        after: int | None = call.query.get("after")
        return after
    try:
        found: int = POSITION.read(given)
    except ValueError as wrong:
        raise bad_header(LAST_EVENT_ID, str(wrong)) from wrong
    return found
