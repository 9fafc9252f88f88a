"""Every no of the API: a code, a status, and a document (RFC 9457).

Rules: `type` is ``urn:amends:problem:CODE``, and a code means one thing. A detail echoes at most 100 characters of the
input, printable. `errors` say all that is wrong, each with its place: a JSON pointer into the body, ``?name`` for a
query parameter, the name for a header.
It does not: log (`server.py` does), or decide what is refused.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

TYPE = "urn:amends:problem:"
CONTENT_TYPE = "application/problem+json"
MOST_ERRORS = 20

CODES: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request is not good HTTP"),
    "bad-header": (400, "A header has no meaning here"),
    "bad-json": (400, "The body is not acceptable JSON"),
    "bad-body": (400, "The body is broken"),
    "unauthorized": (401, "A key is needed"),
    "not-found": (404, "There is no such path"),
    "saga-unknown": (404, "There is no such instance"),
    "definition-unknown": (404, "There is no such definition"),
    "participant-unknown": (404, "There is no such participant"),
    "record-unknown": (404, "There is no such record"),
    "unknown-command": (404, "There is no such command"),
    "position-unknown": (404, "The instance has no such position"),
    "method-not-allowed": (405, "The path does not have this method"),
    "not-acceptable": (406, "The answer has another content type"),
    "timeout": (408, "The request did not arrive in time"),
    "conflict": (409, "The id stands for something else"),
    "refused": (409, "The rules forbid it"),
    "length-required": (411, "The body's length is missing"),
    "position-moved": (412, "The instance has moved on"),
    "too-long": (413, "The body is too long"),
    "media-type": (415, "The body has another content type"),
    "invalid": (422, "The request does not make sense"),
    "overloaded": (429, "Too much is in work"),
    "too-many": (429, "Too many requests came from this client"),
    "head-too-long": (431, "The head of the request is too long"),
    "internal": (500, "Something broke here"),
    "unavailable": (503, "Not now"),
}
"""What each code means, and the status that goes with it."""


class Fault(NamedTuple):
    """What is wrong in one place."""

    pointer: str
    reason: str


class Problem(Exception):
    """The request ends here, with a problem document."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
        refusal: str = "",
    ) -> None:
        """`refusal` is the code of a rule of sagas, which stands in the document instead of `code`."""
        super().__init__(detail)
        self.status, self.title = CODES[code]
        self.code = refusal or code
        self.detail = detail
        self.errors = tuple(errors[:MOST_ERRORS])
        self.headers: dict[str, str] = {**headers} if headers else {}
        self.members = dict(members or {})

    def told(self) -> str:
        """Return all of it on one line, for the log."""
        return "; ".join([self.detail, *(f"{fault.pointer} {fault.reason}" for fault in self.errors)])

    def document(self, *, full: bool = True) -> bytes:
        """Return the document; without `full` only what kind of problem it is."""
        document: dict[str, object] = {
            "type": TYPE + self.code,
            "title": self.title,
            "status": self.status,
        }
        if full:
            document["detail"] = self.detail
            if self.errors:
                document["errors"] = [fault._asdict() for fault in self.errors]
            document |= self.members
        return msgspec.json.encode(document)


def phrase(status: int) -> str:
    """Return what HTTP calls a status."""
    return HTTPStatus(status).phrase


def invalid(pointer: str, reason: str) -> Problem:
    """Return the 422 for one place."""
    return Problem("invalid", reason, errors=(Fault(pointer, reason),))
