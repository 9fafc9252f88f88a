"""A small ASGI server for tests, on aiohttp: it shows an application that knows aiohttp not at all over real sockets.

It does not: stream answers, start or end the application.
"""

from types import TracebackType
from typing import Any

from aiohttp import web

from amends.participant.asgi import Application


class AsgiServer:
    """Serves the application on a free port for the length of an `async with`, which gives its URL."""

    def __init__(self, application: Application) -> None:
        self._application = application
        served = web.Application(client_max_size=1 << 24)
        served.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(served, access_log=None)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        coming = [{"type": "http.request", "body": await request.read()}]
        sent: list[Any] = []

        async def receive() -> Any:
            return coming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
        }
        await self._application(scope, receive, send)
        start, body = sent
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in start["headers"]
            if name != b"content-length"
        ]
        return web.Response(status=start["status"], body=body["body"], headers=headers)
