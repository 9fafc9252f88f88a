"""The bare framework: the HTTP library of the service, with a handler that reads JSON, answers, and keeps nothing.

Rules: prints its port when it listens, and ends when its standard input closes. It has one route, the start of a saga,
and its answer is as long as the service's.
It does not: check more than that the body is JSON.

    python -m amends.delivery.bench.bare_server BYTES
"""

import asyncio
import sys

import msgspec
from aiohttp import web

from amends.delivery.bench.responder import until_input_ends


async def serve(length: int) -> None:
    """Answer with `length` bytes."""
    decode = msgspec.json.Decoder(dict[str, object]).decode
    answer = msgspec.json.encode({"filling": "x" * max(0, length - len('{"filling":""}'))})

    async def start(request: web.BaseRequest) -> web.StreamResponse:
        decode(await request.read())
        return web.Response(status=201, body=answer, content_type="application/json")

    await until_input_ends(start)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
