"""Records that were parked: listed, explained, replayed, discarded.

Rules: bytes are shown as base64, and as text where they are UTF-8, cut at 4,096 characters. What a person does carries
who and why, and is kept with the record.
It does not: judge whether a record can be taken (`Arrivals` does).
"""

import base64

from aiohttp import web

from amends.application.arrivals import Arrivals, CannotReadYet, NotParked, Parked
from amends.delivery.api import render
from amends.delivery.api.call import Call
from amends.delivery.api.documents import ActBody, ParkedDocument
from amends.delivery.api.problem import Problem
from amends.delivery.api.refusals import SOON
from amends.wire.excerpt import excerpt

PAGE = 100
MOST = 500
LONGEST_TEXT = 4_096


async def find(call: Call) -> web.StreamResponse:
    """List parked records in the order in which they were parked."""
    limit = call.query.get("limit", PAGE)
    found = await _arrivals(call).parked.find(
        states=tuple(call.query.get("state", ())),
        namespace=call.door.orchestrator.namespace,
        saga_id=call.query.get("saga_id", ""),
        topic=call.query.get("topic", ""),
        code=call.query.get("code", ""),
        after=call.query.get("after", 0),
        limit=limit,
    )
    following = found[-1].number if len(found) == limit else None
    return render.document({"parked": [_shown(each) for each in found], "next": following})


async def get(call: Call) -> web.StreamResponse:
    """Show one parked record."""
    return render.document(_shown(await _found(call)))


async def replay(call: Call) -> web.StreamResponse:
    """Take a record as if it came now."""
    said = await call.body(ActBody)
    wanted = await _found(call)
    try:
        await _arrivals(call).replay(wanted.id, by=said.by, reason=said.reason)
    except NotParked as settled:
        raise Problem("refused", str(settled), refusal="not-parked") from settled
    except CannotReadYet as away:
        raise Problem("unavailable", str(away), headers=SOON) from away
    return render.document(_shown(await _found(call)))


async def discard(call: Call) -> web.StreamResponse:
    """Note that nothing is to become of a record."""
    said = await call.body(ActBody)
    wanted = await _found(call)
    try:
        await _arrivals(call).discard(wanted.id, by=said.by, reason=said.reason)
    except NotParked as settled:
        raise Problem("refused", str(settled), refusal="not-parked") from settled
    return render.document(_shown(await _found(call)))


def _arrivals(call: Call) -> Arrivals:
    arrivals = call.service.arrivals
    if arrivals is None:
        raise Problem("record-unknown", "no records come in here: kafka.bindings names no file")
    return arrivals


async def _found(call: Call) -> Parked:
    wanted = call.path["id"]
    found = await _arrivals(call).parked.get(wanted)
    if found is None:
        raise Problem("record-unknown", f"no record {excerpt(wanted)!r} is parked")
    return found


def _shown(parked: Parked) -> ParkedDocument:
    record = parked.record
    return ParkedDocument(
        id=parked.id,
        state=parked.state,
        code=parked.code,
        reason=parked.reason,
        saga_id=parked.saga_id,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=None if record.key is None else excerpt(record.key),
        headers=[(excerpt(name), excerpt(value)) for name, value in record.headers],
        value_base64=None if record.value is None else base64.b64encode(record.value).decode(),
        text=_text(record.value),
        parked_at=parked.parked_at,
        until=parked.until,
        settled_at=parked.settled_at,
        by=parked.by,
        note=parked.note,
    )


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else excerpt(value.decode(), limit=LONGEST_TEXT)
    except UnicodeDecodeError:
        return None
