"""The participant `desk` as a process: does as the command says.

    python -m tests.delivery.api.desk        prints its port; ends with its standard input

`ok` 200, `refuse` 409, `broken` 503 between ``POST /break`` and ``POST /mend``, `later` 202: the reply goes to
`Amends-Reply-To` when ``POST /answer`` asks for it, and the answer to that request is what the door said.
"""

import asyncio
import sys
from typing import Any

import aiohttp
from aiohttp import web

OPENED = {"is_mended": False}
OWED: dict[str, tuple[str, dict[str, Any]]] = {}


async def command(request: web.Request) -> web.Response:
    headers, asked = request.headers, await request.json()
    match asked["how"]:
        case "refuse":
            document = {"code": "not-today", "detail": "the desk is closed"}
            return web.json_response(document, status=409, content_type="application/problem+json")
        case "broken" if not OPENED["is_mended"]:
            return web.json_response({"detail": "broken"}, status=503)
        case "later":
            OWED[headers["Amends-Saga-Id"]] = (headers["Amends-Reply-To"], _reply(headers))
            return web.Response(status=202)
        case _:
            return web.json_response(None)


def _reply(headers: Any) -> dict[str, Any]:
    return {
        "command_id": headers["Idempotency-Key"],
        "saga_id": headers["Amends-Saga-Id"],
        "namespace": headers["Amends-Namespace"],
        "step": headers["Amends-Step"],
        "direction": headers["Amends-Direction"],
        "round": int(headers["Amends-Round"]),
        "outcome": "succeeded",
        "reply": None,
    }


async def mend(request: web.Request) -> web.Response:
    OPENED["is_mended"] = True
    return web.Response()


async def break_again(request: web.Request) -> web.Response:
    OPENED["is_mended"] = False
    return web.Response()


async def answer(request: web.Request) -> web.Response:
    """Send the reply that is owed to an instance, with what the request adds to it."""
    asked = await request.json()
    url, reply = OWED[asked["saga_id"]]
    async with aiohttp.ClientSession() as session, session.post(url, json=reply | asked) as response:
        return web.Response(status=response.status, body=await response.read())


async def owed(request: web.Request) -> web.Response:
    return web.json_response(sorted(OWED))


async def main() -> None:
    application = web.Application()
    application.router.add_post("/commands/{name}", command)
    application.router.add_post("/mend", mend)
    application.router.add_post("/break", break_again)
    application.router.add_post("/answer", answer)
    application.router.add_post("/owed", owed)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
