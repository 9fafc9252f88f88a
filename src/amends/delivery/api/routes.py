"""What the API has: every route with its parameters, its body, its answers.

Rules: the dispatch and the OpenAPI document are both made from this table, so neither knows more than the other; a test
holds `docs/rest.md` to it. A path's parts are decoded one by one, so that nothing in a name climbs out of its part.
It does not: handle.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import unquote

from aiohttp import web

from amends.application.orchestrator import Orchestrator
from amends.core.transitions import Status
from amends.delivery.api import (
    acts,
    aside,
    documents as d,
    exposition,
    inside,
    query as q,
    reads,
    starts,
    streams,
)
from amends.delivery.api.call import Call
from amends.delivery.api.problem import Problem
from amends.wire.excerpt import excerpt

Handler = Callable[[Call], Awaitable[web.StreamResponse]]

EVERYWHERE = (400, 406, 408, 422, 429, 431, 500, 503)
"""Statuses that any route can answer."""
BODY = (411, 413, 415)
JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation."""

    method: str
    path: str
    """With ``{name}`` for the parts that vary."""
    handler: Handler
    says: str
    answer: Any = None
    """The type of the document that a good answer holds; None when it is text."""
    good: tuple[int, ...] = (200,)
    bad: tuple[int, ...] = ()
    """Beside those that are everywhere."""
    body: Any = None
    query: Mapping[str, q.Parameter] = field(default_factory=dict[str, q.Parameter])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = JSON
    is_open: bool = False
    """Needs no key."""

    @property
    def name(self) -> str:
        """The operation's id: unique, and telling."""
        parts = [part.strip("{}") for part in self.path.strip("/").split("/") if part != "v1"]
        return "-".join([self.method.lower(), *parts]).replace(".", "-")

    @property
    def parts(self) -> tuple[str, ...]:
        """The path, part by part."""
        return tuple(self.path.split("/")[1:])


def _act(verb: str, act: Callable[[Orchestrator], acts.Act], says: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/sagas/{{id}}/{verb}",
        handler=acts.on_instance(act),
        says=says,
        answer=d.SagaDocument,
        bad=(404, 409, 412, *BODY),
        body=d.ActBody,
        headers=IF_MATCH,
    )


def _step_act(verb: str, act: Callable[[Orchestrator], acts.Act], says: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/sagas/{{id}}/{verb}",
        handler=acts.on_step(act),
        says=says,
        answer=d.SagaDocument,
        bad=(404, 409, 412, *BODY),
        body=d.StepActBody,
        headers=IF_MATCH,
    )


def _breaker_act(verb: str, handler: Handler, says: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/participants/{{name}}/{verb}",
        handler=handler,
        says=says,
        answer=d.ParticipantDocument,
        bad=(404, *BODY),
        body=d.ActBody,
    )


IF_MATCH = {
    "If-Match": "The position at which the instance was seen, as `ETag` gave it; when it has moved, 412."
}
LAST_EVENT_ID = {"Last-Event-ID": "The `id` of the last event that was seen; the stream goes on behind it."}
AFTER = q.Parameter(
    kind=q.POSITION, says="Begin behind this place in the log; without it, with what happens now."
)

LIST = {
    "saga": q.Parameter(kind=q.TEXT, says="Of this definition."),
    "version": q.Parameter(kind=q.VERSION, says="Of this version."),
    "status": q.Parameter(
        kind=q.choice(*get_args(Status)), says="With this status, or another given.", repeats=True
    ),
    "business_status": q.Parameter(kind=q.TEXT, says="With this word of the saga's own."),
    "paused": q.Parameter(kind=q.SWITCH, says="Paused, or not."),
    "started_from": q.Parameter(kind=q.INSTANT, says="Started then or later."),
    "started_before": q.Parameter(kind=q.INSTANT, says="Started earlier."),
    "updated_from": q.Parameter(kind=q.INSTANT, says="Last changed then or later."),
    "updated_before": q.Parameter(kind=q.INSTANT, says="Last changed earlier."),
    "id_prefix": q.Parameter(kind=q.TEXT, says="Whose id begins so."),
    "order": q.Parameter(
        kind=q.choice("newest", "oldest"), says="By start; the newest first unless told otherwise."
    ),
    "limit": q.Parameter(kind=q.whole(1, reads.MOST_SAGAS), says=f"How many; {reads.PAGE} if not given."),
    "cursor": q.Parameter(kind=q.CURSOR, says="Where to go on: `next` of an earlier page of the same query."),
    "consistent": q.Parameter(kind=q.SWITCH, says="Wait until what is durable now is in the list."),
}


def table(*, longest_wait: float) -> tuple[Route, ...]:
    """Return all routes; `longest_wait` is in seconds."""
    return (
        *_instances(longest_wait),
        *_histories(),
        *_steering(),
        *_parked(),
        *_definitions(),
        *_inside(),
    )


def _instances(longest_wait: float) -> tuple[Route, ...]:
    wait = q.Parameter(
        kind=q.seconds(longest_wait), says="Seconds to wait for the end, or until a person is needed."
    )
    return (
        Route(
            method="POST",
            path="/v1/sagas",
            handler=starts.start,
            says="Start an instance.",
            answer=d.SagaDocument,
            good=(200, 201),
            bad=(404, 409, *BODY),
            body=d.StartBody,
            query={"wait": wait},
            headers={starts.IDEMPOTENCY_KEY: "Instead of an id: the same key finds the same instance."},
        ),
        Route(
            method="GET",
            path="/v1/sagas",
            handler=reads.find,
            says="List instances.",
            answer=d.SagasDocument,
            query=LIST,
        ),
        Route(
            method="GET",
            path="/v1/sagas/{id}",
            handler=reads.get,
            says="Show an instance.",
            answer=d.SagaDocument,
            bad=(404,),
            query={"at": q.Parameter(kind=q.whole(1, 2**53), says="As it stood after so many events.")},
        ),
    )


def _histories() -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/v1/sagas/{id}/events",
            handler=reads.events,
            says="Show what happened to an instance.",
            answer=d.EventsDocument,
            bad=(404,),
            query={
                "after": q.Parameter(kind=q.POSITION, says="Begin behind this position."),
                "limit": q.Parameter(
                    kind=q.whole(1, reads.MOST_EVENTS), says=f"How many; {reads.PAGE} if not given."
                ),
            },
        ),
        Route(
            method="GET",
            path="/v1/sagas/{id}/feed",
            handler=streams.saga_feed,
            says="Follow an instance, as server-sent events.",
            bad=(404,),
            query={"after": AFTER},
            headers=LAST_EVENT_ID,
            content_type=streams.CONTENT_TYPE,
        ),
        Route(
            method="GET",
            path="/v1/feed",
            handler=streams.feed,
            says="Follow all instances, as server-sent events.",
            query={"after": AFTER},
            headers=LAST_EVENT_ID,
            content_type=streams.CONTENT_TYPE,
        ),
    )


def _steering() -> tuple[Route, ...]:
    return (
        Route(
            method="POST",
            path="/v1/sagas/{id}/signals",
            handler=acts.signal,
            says="Tell an instance that something it waits for happened.",
            answer=d.SagaDocument,
            bad=(404, 409, 412, *BODY),
            body=d.SignalBody,
            headers=IF_MATCH,
        ),
        _act("cancel", lambda amends: amends.cancel, "Turn an instance round."),
        _act("pause", lambda amends: amends.pause, "Begin nothing new; answers are still taken."),
        _act("resume", lambda amends: amends.resume, "Go on after a pause."),
        _act("abandon", lambda amends: amends.abandon, "Give an instance up."),
        _step_act("retry", lambda amends: amends.retry, "Try a stuck step again."),
        _step_act("skip", lambda amends: amends.skip, "Go on without a stuck step; it stays unconfirmed."),
        Route(
            method="POST",
            path="/v1/sagas/{id}/resolve",
            handler=acts.resolve,
            says="Settle a stuck step with what its participant would have answered.",
            answer=d.SagaDocument,
            bad=(404, 409, 412, *BODY),
            body=d.ResolveBody,
            headers=IF_MATCH,
        ),
        Route(
            method="POST",
            path="/v1/callbacks",
            handler=_callback,
            says="Take the reply of a participant that answered 202 (docs/http-participants.md).",
            answer=d.VerdictDocument,
            bad=(404, 409, *BODY),
            body=dict,
        ),
    )


def _parked() -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/v1/parked",
            handler=aside.find,
            says="List records that were parked.",
            answer=d.ParkedPage,
            bad=(404,),
            query={
                "state": q.Parameter(
                    kind=q.choice("waiting", "parked", "replayed", "discarded"),
                    says="In this state; may be repeated.",
                    repeats=True,
                ),
                "saga_id": q.Parameter(kind=q.TEXT, says="That seem to be about this instance."),
                "topic": q.Parameter(kind=q.TEXT, says="That came on this topic."),
                "code": q.Parameter(kind=q.TEXT, says="For this reason."),
                "after": q.Parameter(kind=q.POSITION, says="Begin behind this number."),
                "limit": q.Parameter(
                    kind=q.whole(1, aside.MOST), says=f"How many; {aside.PAGE} if not given."
                ),
            },
        ),
        Route(
            method="GET",
            path="/v1/parked/{id}",
            handler=aside.get,
            says="Show a parked record: its bytes, where it came from, and why it is here.",
            answer=d.ParkedDocument,
            bad=(404,),
        ),
        *(
            Route(
                method="POST",
                path=f"/v1/parked/{{id}}/{verb}",
                handler=handler,
                says=says,
                answer=d.ParkedDocument,
                bad=(404, 409, *BODY),
                body=d.ActBody,
            )
            for verb, handler, says in (
                ("replay", aside.replay, "Take a parked record as if it came now."),
                ("discard", aside.discard, "Note that nothing is to become of a parked record."),
            )
        ),
    )


def _definitions() -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/v1/definitions",
            handler=inside.definitions,
            says="List the definitions at hand.",
            answer=d.DefinitionsDocument,
        ),
        Route(
            method="GET",
            path="/v1/definitions/{name}",
            handler=inside.versions,
            says="List the versions of a definition.",
            answer=d.DefinitionsDocument,
            bad=(404,),
        ),
        Route(
            method="GET",
            path="/v1/definitions/{name}/{version}",
            handler=inside.definition,
            says="Show a version of a definition.",
            answer=d.DefinitionDocument,
            bad=(404,),
        ),
        Route(
            method="GET",
            path="/v1/definitions/{name}/{version}/diagram",
            handler=inside.diagram,
            says="Draw a version of a definition, as a Mermaid flowchart.",
            bad=(404,),
            content_type="text/plain",
        ),
    )


def _inside() -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/v1/participants",
            handler=inside.participants,
            says="List the participants, and what waits for them.",
            answer=d.ParticipantsDocument,
        ),
        _breaker_act("open", inside.open_breaker, "Open a participant's breaker: nothing is sent to it."),
        _breaker_act("close", inside.close_breaker, "Close it: what waits is sent, slowly at first."),
        Route(
            method="GET",
            path="/health",
            handler=inside.health,
            says="Whether the process answers.",
            answer=d.HealthDocument,
            is_open=True,
        ),
        Route(
            method="GET",
            path="/ready",
            handler=inside.ready,
            says="Whether it may be given work.",
            answer=d.ReadyDocument,
            is_open=True,
        ),
        Route(
            method="GET",
            path="/metrics",
            handler=inside.metrics,
            says="All metrics, as Prometheus reads them.",
            content_type=exposition.MEDIA_TYPE,
        ),
        Route(
            method="GET",
            path="/openapi.json",
            handler=inside.openapi,
            says="This document.",
            answer=dict,
        ),
    )


async def _callback(call: Call) -> web.StreamResponse:
    """The door for late replies answers by itself."""
    return await call.door.callbacks(call.request)


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._by_length: dict[int, list[Route]] = {}
        for route in routes:
            self._by_length.setdefault(len(route.parts), []).append(route)

    def match(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the decoded values of its path.

        Raises:
            Problem: 404 no such path; 405 with `Allow`.
        """
        try:
            parts = [unquote(part, errors="strict") for part in raw_path.split("/")[1:]]
        except UnicodeDecodeError:
            parts = []
        fitting = [route for route in self._by_length.get(len(parts), ()) if _fits(route, parts)]
        for route in fitting:
            if route.method == method:
                return route, {
                    name[1:-1]: part for name, part in zip(route.parts, parts, strict=True) if name[0] == "{"
                }
        if fitting:
            allowed = ", ".join(sorted(route.method for route in fitting))
            raise Problem("method-not-allowed", f"here there is {allowed}", headers={"Allow": allowed})
        raise Problem(
            "not-found", f"there is nothing at {excerpt(raw_path)}; /openapi.json lists what there is"
        )


def _fits(route: Route, parts: list[str]) -> bool:
    return all(
        bool(part) if name.startswith("{") else name == part
        for name, part in zip(route.parts, parts, strict=True)
    )
