"""What the service has and how it is: definitions, participants, health, readiness, metrics, its own document.

Rules: `/health` says that the process answers, `/ready` that it may be given work. Neither asks for a key.
It does not: tell anything of an instance.
"""

from typing import Any

from aiohttp import web

from amends.application.definitions import DefinitionView
from amends.application.errors import NoSuchSaga
from amends.delivery.api import render
from amends.delivery.api.body import nearest
from amends.delivery.api.call import Call
from amends.delivery.api.documents import ActBody
from amends.delivery.api.exposition import CONTENT_TYPE, exposition
from amends.delivery.api.problem import Problem
from amends.delivery.api.query import VERSION
from amends.delivery.api.refusals import SOON
from amends.export.mermaid import flowchart_of_shape


async def definitions(call: Call) -> web.StreamResponse:
    """List the definitions at hand."""
    shown = [_shown(definition) for definition in call.door.orchestrator.definitions]
    return render.document({"definitions": shown})


async def versions(call: Call) -> web.StreamResponse:
    """List the versions of one definition."""
    return render.document({"definitions": [_shown(definition) for definition in _named(call)]})


async def definition(call: Call) -> web.StreamResponse:
    """Show one version of a definition."""
    return render.document(_shown(_version(call)))


async def diagram(call: Call) -> web.StreamResponse:
    """Draw one version of a definition."""
    return render.text(flowchart_of_shape(_version(call).shape))


async def participants(call: Call) -> web.StreamResponse:
    """List the participants."""
    shown = [each._asdict() for each in call.door.orchestrator.participants]
    return render.document({"participants": shown})


async def open_breaker(call: Call) -> web.StreamResponse:
    """Let nothing be sent to a participant."""
    said = await call.body(ActBody)
    opened = call.door.orchestrator.open_breaker(call.path["name"], by=said.by, reason=said.reason)
    return render.document(opened._asdict())


async def close_breaker(call: Call) -> web.StreamResponse:
    """Let what waits for a participant be sent."""
    said = await call.body(ActBody)
    closed = call.door.orchestrator.close_breaker(call.path["name"], by=said.by, reason=said.reason)
    return render.document(closed._asdict())


async def health(call: Call) -> web.StreamResponse:
    """Say that the process answers."""
    return render.document({"status": "up"})


async def ready(call: Call) -> web.StreamResponse:
    """Say whether work may come."""
    if call.door.draining.is_set():
        raise Problem("unavailable", "the service is going down", headers=SOON)
    if reason := call.service.why_not_ready:
        raise Problem("unavailable", f"the service takes no work now: {reason}", headers=SOON)
    gauges = call.service.gauges()
    told = {"status": "ready", "members": gauges.members, "shards": gauges.shards}
    # Work may come although records wait somewhere: what is durable goes on when the way is open again.
    return render.document({**told, "troubles": gauges.troubles} if gauges.troubles else told)


async def metrics(call: Call) -> web.StreamResponse:
    """Show all metrics as Prometheus reads them."""
    shown = await exposition(call.service, connections=call.door.connections())
    response = web.Response(body=shown.encode())
    response.headers["Content-Type"] = CONTENT_TYPE
    return response


async def openapi(call: Call) -> web.StreamResponse:
    """Show the document of this API."""
    return render.encoded(call.door.document())


def _shown(definition: DefinitionView) -> dict[str, Any]:
    return {
        "name": definition.name,
        "version": definition.version,
        "fingerprint": definition.fingerprint,
        "participants": definition.participants,
        "shape": definition.shape,
    }


def _named(call: Call) -> list[DefinitionView]:
    name = call.path["name"]
    found = [each for each in call.door.orchestrator.definitions if each.name == name]
    if not found:
        names = sorted({each.name for each in call.door.orchestrator.definitions})
        hint = nearest(name, names)
        near = (hint.removeprefix("; did you mean ").removesuffix("?"),) if hint else ()
        raise NoSuchSaga(name, None, near, ())
    return found


def _version(call: Call) -> DefinitionView:
    found = _named(call)
    try:
        wanted = VERSION.read(call.path["version"])
    except ValueError:
        wanted = 0
    for each in found:
        if each.version == wanted:
            return each
    raise NoSuchSaga(call.path["name"], wanted, (), tuple(each.version for each in found))
