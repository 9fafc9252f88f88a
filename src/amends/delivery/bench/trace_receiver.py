"""The OTLP receiver of the benchmark: a process that takes spans over HTTP and forgets them.

Rules: prints its port when it listens, and ends when its standard input closes. It reads every body whole.
It does not: look into what it takes.

    python -m amends.delivery.bench.trace_receiver
"""

import asyncio

from aiohttp import web

from amends.delivery.bench.responder import until_input_ends


async def take(request: web.BaseRequest) -> web.StreamResponse:
    """Take a batch of spans."""
    await request.read()
    return web.Response(content_type="application/x-protobuf")


if __name__ == "__main__":
    asyncio.run(until_input_ends(take))
