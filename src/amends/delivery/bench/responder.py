"""The participants of the benchmark over HTTP: a process that answers every command at once, and does nothing else.

Rules: prints its port when it listens, and ends when its standard input closes. ``/happy/{command}`` succeeds,
``/declined/process-payment`` is a business no. It has no barrier and no database: what is measured is the way there.
It does not: measure.

    python -m amends.delivery.bench.responder
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

REPLIES: Final = {
    "reserve-inventory": b'{"reservation_id":"r-000000001"}',
    "process-payment": b'{"payment_id":"p-000000001"}',
    "ship-order": b'{"tracking":"t-000000001"}',
}
NO: Final = (
    b'{"type":"about:blank","title":"Conflict","status":409,"code":"declined","detail":"insufficient funds"}'
)
DECLINED: Final = "/declined/process-payment"


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    """Read the command and say yes, or no."""
    await request.read()
    if request.path == DECLINED:
        return web.Response(status=409, body=NO, content_type="application/problem+json")
    reply = REPLIES.get(request.path.rpartition("/")[2], b"null")
    return web.Response(body=reply, content_type="application/json")


async def until_input_ends(handler: Handler) -> None:
    """Serve on a free port of loopback, which is printed, until standard input closes."""
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(until_input_ends(answer))
