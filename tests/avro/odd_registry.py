"""What may answer at a registry's address: a program whose answers a test says, and that counts what it was asked."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], web.StreamResponse]


class Odd:
    """Answers by path; what has no answer is as a registry answers it."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Answer] = {}

    def has(self, path: str, document: object, status: int = 200) -> None:
        """Answer with a document."""
        self.says(path, json.dumps(document), status)

    def says(self, path: str, text: str, status: int = 200) -> None:
        """Answer with a text."""
        self.answers[path] = lambda _request: web.Response(text=text, status=status)

    def schema(self, number: int, schema: Any) -> None:
        """Have a schema."""
        self.has(f"/schemas/ids/{number}", {"schema": json.dumps(schema)})

    def subject(self, name: str, number: int, schema: Any) -> None:
        """Have a subject."""
        self.has(f"/subjects/{name}/versions/latest", {"id": number, "schema": json.dumps(schema)})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        known = self.answers.get(request.path)
        if known is None:
            return web.json_response({"error_code": 40403, "message": "not found"}, status=404)
        return known(request)


@asynccontextmanager
async def odd_registry() -> AsyncGenerator[Odd]:
    """One that listens."""
    odd = Odd()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", odd.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    odd.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield odd
    finally:
        await runner.cleanup()
