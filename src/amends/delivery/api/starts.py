"""Starting an instance, and waiting for its end.

Rules: a start is idempotent by the id, or by `Idempotency-Key`, from which an id is made; the same again finds the same
instance. Nothing is answered before it is durable. Who waits is answered at the end, when a person is needed, when the
time is over or when the server goes down: with the instance as it stands then.
It does not: begin anything twice.
"""

import asyncio
import hashlib
from typing import Any

from aiohttp import web

from amends.application.view import SagaView
from amends.delivery.api import render
from amends.delivery.api.call import Call, bad_header
from amends.delivery.api.documents import StartBody
from amends.delivery.api.problem import Fault, Problem

IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 255


async def start(call: Call) -> web.StreamResponse:
    """Begin an instance; 201 when it is new, 200 when it was there."""
    key = _key(call)
    wanted = await call.body(StartBody)
    if key is not None and wanted.id is not None:
        reason = f"give an id, or {IDEMPOTENCY_KEY}, not both"
        raise Problem("invalid", reason, errors=(Fault("/id", reason),))
    begun = await call.door.orchestrator.begin(
        wanted.saga,
        bytes(wanted.data),
        version=wanted.version,
        saga_id=wanted.id if key is None else _id_of(key),
    )
    view = begun.view
    call.about = view.id
    if pause := call.query.get("wait", 0):
        view = await _waited(call, view, pause)
    return render.saga(view, status=201 if begun.is_new else 200, located=True)


def _key(call: Call) -> str | None:
    key = call.header(IDEMPOTENCY_KEY)
    if key is not None and (not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable()):
        raise bad_header(IDEMPOTENCY_KEY, f"from 1 to {LONGEST_KEY} printable ASCII characters expected")
    return key


def _id_of(key: str) -> str:
    """Return the id of the instance that a key stands for, always the same."""
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


async def _waited(call: Call, view: SagaView[Any], pause: float) -> SagaView[Any]:
    """Return the instance when there is something to say, or `pause` seconds are over."""
    orchestrator = call.door.orchestrator
    end = asyncio.ensure_future(orchestrator.wait(view.id, until="stuck"))
    drain = asyncio.ensure_future(call.door.draining.wait())
    try:
        await asyncio.wait({end, drain}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        return end.result() if end.done() else await orchestrator.get(view.id)
    finally:
        end.cancel()
        drain.cancel()
