"""Looking: one instance, its events, the list of instances.

Rules: a list comes from the read model, which follows behind; `consistent=true` waits until what is durable now is in
it. A page goes on behind its cursor, which is signed and belongs to its query.
It does not: change anything.
"""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from amends.application.queries import Place, SagaQuery
from amends.delivery.api import render
from amends.delivery.api.call import Call
from amends.delivery.api.cursor import Forged
from amends.delivery.api.problem import Problem, invalid
from amends.delivery.api.refusals import SOON

PAGE = 50
MOST_SAGAS = 500
MOST_EVENTS = 1_000


async def get(call: Call) -> web.StreamResponse:
    """Show an instance, as it stands or as it stood."""
    return render.saga(await call.door.orchestrator.get(call.saga_id, at=call.query.get("at")))


async def events(call: Call) -> web.StreamResponse:
    """Show what happened to an instance."""
    limit: int = call.query.get("limit", PAGE)
    after: int = call.query.get("after", 0)
    found = await call.door.orchestrator.events(call.saga_id, after=after, limit=limit + 1)
    page = [event.as_dict() for event in found[:limit]]
    return render.document(
        {"events": page, "next": found[limit - 1].position if len(found) > limit else None}
    )


async def find(call: Call) -> web.StreamResponse:
    """List instances."""
    queries = call.service.queries
    if queries is None:
        raise Problem("unavailable", "this service runs without a read model, so it has no lists")
    values = dict(call.query)
    limit, cursor = values.pop("limit", PAGE), values.pop("cursor", None)
    if values.pop("consistent", False):
        await _caught_up(call)
    query = _query(call.door.orchestrator.namespace, values)
    page = await queries.find(query, limit=limit, after=_place(call, cursor, query))
    onward = None if page.next is None else _written(call, page.next, query)
    return render.document({"sagas": page.sagas, "next": onward})


def _query(namespace: str, values: dict[str, Any]) -> SagaQuery:
    newest_first = values.pop("order", "newest") == "newest"
    statuses = tuple(dict.fromkeys(values.pop("status", ())))
    return SagaQuery(namespace=namespace, statuses=statuses, newest_first=newest_first, **values)


async def _caught_up(call: Call) -> None:
    queries = call.service.queries
    assert queries is not None
    try:
        async with asyncio.timeout(call.door.limits.consistent_within):
            await queries.caught_up()
    except TimeoutError as late:
        reason = "the lists are behind; ask again, or without consistent=true"
        raise Problem("unavailable", reason, headers=SOON) from late


def _written(call: Call, place: Place, query: SagaQuery) -> str:
    return call.cursors.write(msgspec.json.encode(place), msgspec.json.encode(query))


def _place(call: Call, cursor: str | None, query: SagaQuery) -> Place | None:
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(call.cursors.read(cursor, msgspec.json.encode(query)), type=Place)
    except Forged as forged:
        raise invalid("?cursor", "not a cursor of this list; take `next` from a page as it is") from forged
