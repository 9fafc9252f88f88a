"""What the application raises, as problems.

Rules: a no of the rules is 409 with the rule's own code; what is not there is 404, what does not fit 422; what passes
by itself says when to come again. No more than 100 characters of an input come back.
It does not: log, or decide.
"""

import re

from amends.application.errors import (
    ActRefused,
    AmendsError,
    DataUnfit,
    DefinitionUnknown,
    NoSuchParticipant,
    NoSuchSaga,
    NotEncodable,
    NotRunning,
    Overloaded,
    PositionMoved,
    PositionUnknown,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
)
from amends.bootstrap import StoreError
from amends.delivery.api.body import fault_of
from amends.delivery.api.problem import Fault, Problem
from amends.wire.excerpt import MAX_EXCERPT, excerpt

_UNFIT = re.compile(
    r"the data do not fit saga '.*?': (?P<data>.*)"
    r"|the content of signal '.*?' does not fit: (?P<content>.*)"
    r"|step '.*?': (?P<reply>.*)",
    re.DOTALL,
)
"""What the core says does not fit, by the field of the body that it came in."""
BROKEN = "something broke here; the log says more, under this request's id"
SOON = {"Retry-After": "1"}


def problem_of(error: AmendsError | StoreError) -> Problem:
    """Return the problem that `error` is for a client."""
    text = str(error)
    match error:
        case NoSuchSaga():
            members = {"near": list(error.near), "versions": list(error.versions)}
            return Problem("definition-unknown", text, members=members)
        case DefinitionUnknown():
            return Problem("unavailable", text, headers=SOON)
        case NoSuchParticipant():
            return Problem("participant-unknown", text)
        case SagaUnknown():
            return Problem("saga-unknown", text)
        case SagaConflict():
            return Problem("conflict", text)
        case DataUnfit():
            return _unfit(text)
        case ActRefused():
            return _refused(error)
        case PositionMoved():
            members = {"expected": error.expected, "actual": error.actual}
            return Problem("position-moved", text, members=members)
        case PositionUnknown():
            return Problem("position-unknown", text, errors=(Fault("?at", f"from 1 to {error.end}"),))
        case SagaIdInvalid() | NotEncodable():
            return Problem("invalid", text)
        case Overloaded():
            return Problem("overloaded", text, headers=SOON)
        case NotRunning() | StoreError():
            return Problem("unavailable", text, headers=SOON)
        case _:
            return Problem("internal", BROKEN)


def _refused(error: ActRefused) -> Problem:
    match error.code:
        case "unknown-command":
            return Problem("unknown-command", str(error))
        case "unknown-signal":
            return Problem("invalid", str(error), errors=(Fault("/signal", str(error)),))
        case code:
            return Problem("refused", str(error), refusal=code)


def _unfit(text: str) -> Problem:
    """Tell what does not fit, with its place in the body of the request."""
    found = _UNFIT.fullmatch(text)
    field = found.lastgroup if found else None
    if found is None or field is None:
        return Problem("invalid", excerpt(text, limit=300), errors=(fault_of(text),))
    fault = fault_of(found[field], within=f"/{field}")
    return Problem("invalid", excerpt(text, limit=300), errors=(fault,))


def shorten(text: str, *inputs: str) -> str:
    """Return `text` with each of `inputs` cut down that stands in it and is long."""
    for given in inputs:
        if len(given) > MAX_EXCERPT:
            text = text.replace(repr(given), repr(excerpt(given))).replace(given, excerpt(given))
    return text
