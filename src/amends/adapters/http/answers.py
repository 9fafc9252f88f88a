"""What an HTTP status and its body mean to a saga: the table of the HTTP contract.

Rules
- 2xx succeeded, when its body is JSON (or empty: ``null``); 202 means that the answer comes to the callback.
- 402, 409, 410, 412, 422 are a business no; 403 and 404 only with a `code` in an application/problem+json body, because
  a gateway, a wrong path or a missing right answers the same numbers.
- To an undo, 404 and 410 say that there is nothing to undo: confirmed.
- 408, 425, 429 and 5xx pass by themselves. Everything else is somebody's mistake in the configuration.
- The status decides; a body that cannot be read spoils a success, and never turns a no into anything else.
It does not: talk to anybody or know HTTP's bytes; it is a function of what was received.
"""

from http import HTTPStatus
from typing import NamedTuple

import msgspec

from amends.adapters.http.retry_after import retry_after
from amends.core.effect import Direction
from amends.core.outcome import Accepted, Answer, Failed, Refused, Succeeded
from amends.ports.clock import Clock
from amends.wire.excerpt import MAX_EXCERPT, excerpt
from amends.wire.strict_json import BadJson, check_document

_SUCCEEDING = range(200, 300)
_REFUSING = frozenset({402, 409, 410, 412, 422})
_REFUSING_WITH_CODE = frozenset({403, 404})
_NOTHING_TO_UNDO = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_PLAIN_JSON = frozenset({"application/json", "application/json; charset=utf-8"})


class HttpAnswer(NamedTuple):
    """What came back, before it means anything."""

    status: int
    content_type: str
    """The header as it came; empty when there was none."""
    body: bytes | None
    """None: longer than the limit, not read to its end."""
    retry_after: str | None = None
    location: str | None = None


class _Problem(msgspec.Struct, gc=False):
    """The members of a problem document (RFC 9457) that are looked at, whatever their types turn out to be."""

    code: object = None
    detail: object = None
    title: object = None


_PROBLEM = msgspec.json.Decoder(_Problem)


def meaning(
    answer: HttpAnswer, *, direction: Direction, has_callback: bool, clock: Clock
) -> Answer | Accepted:
    """Classify one answer."""
    status = answer.status
    if status in _SUCCEEDING:
        return _accepted(has_callback) if status == HTTPStatus.ACCEPTED else _succeeded(answer)
    if direction == "undo" and status in _NOTHING_TO_UNDO:
        return Succeeded()
    if status in _REFUSING:
        return _refused(answer)
    if status in _REFUSING_WITH_CODE:
        return _refused_with_code(answer)
    if status in _PASSING:
        return Failed(_said(answer), "transient", retry_after(answer.retry_after, clock))
    return Failed(_said(answer), "configuration")


def _accepted(has_callback: bool) -> Answer | Accepted:  # noqa: FBT001 - the only argument, named by the function
    if has_callback:
        return Accepted()
    return Failed(
        "HTTP 202 (Accepted): the answer comes later, but the binding has no callback_url", "configuration"
    )


def _succeeded(answer: HttpAnswer) -> Answer:
    body = answer.body
    if body is None:
        return Failed(f"HTTP {answer.status}: the reply is longer than the limit", "unreadable")
    if not body:
        return Succeeded()
    if not _is_json(answer.content_type):
        found = excerpt(answer.content_type)
        return Failed(f"HTTP {answer.status}: the reply is not JSON but {found}", "unreadable")
    try:
        check_document(body)
    except BadJson as bad:
        return Failed(f"HTTP {answer.status}: the reply is not acceptable JSON: {bad}", "unreadable")
    return Succeeded(body)


def _refused(answer: HttpAnswer) -> Refused:
    problem = _problem(answer)
    return Refused(_code(problem) or f"http-{answer.status}", _words(problem) or _status(answer.status))


def _refused_with_code(answer: HttpAnswer) -> Answer:
    if _media_type(answer.content_type) == "application/problem+json":
        problem = _problem(answer)
        code = _code(problem)
        if code is not None:
            return Refused(code, _words(problem) or _status(answer.status))
    return Failed(f"{_said(answer)} (a business no would carry a problem+json code)", "configuration")


def _is_json(content_type: str) -> bool:
    """Tell whether the header announces JSON; one that is missing announces nothing else, so the body decides."""
    if not content_type or content_type in _PLAIN_JSON:
        return True
    media_type = _media_type(content_type)
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _problem(answer: HttpAnswer) -> _Problem:
    if not answer.body or not _is_json(answer.content_type):
        return _Problem()
    try:
        check_document(answer.body)
        return _PROBLEM.decode(answer.body)
    except (BadJson, msgspec.DecodeError):  # no JSON, or no object
        return _Problem()


def _code(problem: _Problem) -> str | None:
    """Return the code when it is one: sagas branch on it, so it is taken whole or not at all."""
    code = problem.code
    fits = isinstance(code, str) and 0 < len(code) <= MAX_EXCERPT and code.isprintable()
    return code if isinstance(code, str) and fits else None


def _words(problem: _Problem) -> str:
    for member in (problem.detail, problem.title):
        if isinstance(member, str) and member:
            return excerpt(member)
    return ""


def _said(answer: HttpAnswer) -> str:
    words = _words(_problem(answer))
    if not words and answer.body and _media_type(answer.content_type) == "text/plain":
        words = excerpt(answer.body)
    if not words and answer.location is not None:
        words = f"redirects to {excerpt(answer.location)}, and redirects are not followed"
    return f"{_status(answer.status)}: {words}" if words else _status(answer.status)


def _status(status: int) -> str:
    """Name the status in the standard's words; the participant's own phrase is not repeated."""
    try:
        return f"HTTP {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"HTTP {status}"
