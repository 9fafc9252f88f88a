"""How each transport reaches a participant of the conformance suite.

Rules: one function a transport, of the suite's type `Connect`; a new transport is one more line in `CONNECTIONS`.
It does not: test anything.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from amends.adapters.http import DiscoveredTransport, HttpTransport
from amends.adapters.local import Handler, LocalTransport, Refuse
from amends.core.effect import SendCommand
from amends.ports.transport import Transport
from amends.testing.transport_suite import Connect, Done, No, Participant, Received, Trouble
from tests.adapters.http.known_instances import Known, Registry
from tests.adapters.kafka.participant import kafka


@asynccontextmanager
async def local(participants: Mapping[str, Participant]) -> AsyncGenerator[Transport]:
    handlers = {name: _handler(participant) for name, participant in participants.items()}
    transport = LocalTransport(handlers)
    yield transport
    await transport.close()


def _handler(participant: Participant) -> Handler:
    async def handle(payload: msgspec.Raw, command: SendCommand) -> msgspec.Raw:
        received = Received(
            command.namespace,
            command.saga_id,
            command.step,
            command.direction,
            command.round,
            command.attempt,
            command.command_id,
            command.name,
            bytes(payload),
        )
        match await participant(received):
            case Done(reply):
                return msgspec.Raw(reply)
            case No(code, reason):
                raise Refuse(code, reason)
            case Trouble(text):
                raise RuntimeError(text)

    return handle


@asynccontextmanager
async def http(participants: Mapping[str, Participant]) -> AsyncGenerator[Transport]:
    async with _serving(participants) as url:
        transport = HttpTransport(f"{url}/commands")
        try:
            yield transport
        finally:
            await transport.close()


@asynccontextmanager
async def discovered(participants: Mapping[str, Participant]) -> AsyncGenerator[Transport]:
    """Two instances, and one in the list that nobody can be connected to."""
    async with _serving(participants) as one, _serving(participants) as other:
        known = Known(one, other, "http://127.0.0.1:1")
        transport = DiscoveredTransport("lb://work/commands", Registry(known))
        try:
            yield transport
        finally:
            await transport.close()


@asynccontextmanager
async def _serving(participants: Mapping[str, Participant]) -> AsyncGenerator[str]:
    application = web.Application()
    for name, participant in participants.items():
        application.router.add_post(f"/commands/{name}", _route(name, participant))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _route(name: str, participant: Participant) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        headers = request.headers
        received = Received(
            headers["Amends-Namespace"],
            headers["Amends-Saga-Id"],
            headers["Amends-Step"],
            headers["Amends-Direction"],
            int(headers["Amends-Round"]),
            int(headers["Amends-Attempt"]),
            headers["Idempotency-Key"],
            name,
            await request.read(),
        )
        match await participant(received):
            case Done(reply):
                return web.Response(body=reply, content_type="application/json")
            case No(code, reason):
                return _problem(409, {"code": code, "detail": reason})
            case Trouble(text):
                return _problem(503, {"detail": text})

    return serve


def _problem(status: int, document: dict[str, str]) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(status=status, body=body, content_type="application/problem+json")


CONNECTIONS: dict[str, Connect] = {"local": local, "http": http, "lb": discovered, "kafka": kafka}
