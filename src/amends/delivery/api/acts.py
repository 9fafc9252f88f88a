"""What a person, or a program in a person's name, does to an instance.

Rules: an act carries who and why, and `If-Match` may say where the instance was seen; when it has moved nothing
happens. The answer is the instance after it.
It does not: judge whether an act is allowed (the core does).
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web

from amends.application.errors import ActRefused
from amends.application.orchestrator import Orchestrator
from amends.application.view import SagaView
from amends.delivery.api import render
from amends.delivery.api.call import Call
from amends.delivery.api.documents import NULL, ActBody, ResolveBody, SignalBody, StepActBody
from amends.delivery.api.problem import Fault, Problem
from amends.delivery.api.refusals import shorten

Handler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]
Act: TypeAlias = Callable[..., Awaitable[SagaView[Any]]]


def on_instance(act: Callable[[Orchestrator], Act]) -> Handler:
    """Return the handler of an act on a whole instance."""

    async def handle(call: Call) -> web.StreamResponse:
        said = await call.body(ActBody)
        done = act(call.door.orchestrator)
        return render.saga(await done(call.saga_id, by=said.by, reason=said.reason, expected=call.expected()))

    return handle


def on_step(act: Callable[[Orchestrator], Act]) -> Handler:
    """Return the handler of an act on one stuck step."""

    async def handle(call: Call) -> web.StreamResponse:
        said = await call.body(StepActBody)
        done = act(call.door.orchestrator)
        acting = functools.partial(done, call.saga_id, said.step, by=said.by, reason=said.reason)
        return render.saga(await _told_short(acting(expected=call.expected()), said.step))

    return handle


async def resolve(call: Call) -> web.StreamResponse:
    """Settle a stuck step with what its participant would have answered."""
    said = await call.body(ResolveBody)
    if said.refused and bytes(said.reply):
        reason = "give a reply, or the code of a refusal, not both"
        raise Problem("invalid", reason, errors=(Fault("/refused", reason),))
    acting = call.door.orchestrator.resolve(
        call.saga_id,
        said.step,
        reply=said.reply if bytes(said.reply) else NULL,
        refused=said.refused,
        by=said.by,
        reason=said.reason,
        expected=call.expected(),
    )
    return render.saga(await _told_short(acting, said.step, said.refused))


async def signal(call: Call) -> web.StreamResponse:
    """Tell an instance that something it waits for happened."""
    said = await call.body(SignalBody)
    acting = call.door.orchestrator.signal(
        call.saga_id, said.signal, said.content, signal_id=said.signal_id, expected=call.expected()
    )
    return render.saga(await _told_short(acting, said.signal))


async def _told_short(acting: Awaitable[SagaView[Any]], *inputs: str) -> SagaView[Any]:
    """Await an act; what it is refused with does not repeat long inputs."""
    try:
        return await acting
    except ActRefused as error:
        error.args = (shorten(str(error), *inputs),)
        raise
