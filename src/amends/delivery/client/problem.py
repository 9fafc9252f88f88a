"""What an answer other than well means, in one line.

Rules: problem+json (RFC 9457) is the service's own word and is shown with the fields that it names; anything else did
not come from Amends. 502, 503 and 504 mean that nobody could be asked; all other problems are a no.
It does not: repeat anything.
"""

from collections.abc import Iterator
from typing import Any, Final

from amends.delivery.client import exact_json
from amends.delivery.client.connection import Answer
from amends.delivery.client.exact_json import Document
from amends.delivery.client.faults import Denied, Unreachable

PREFIX: Final = "urn:amends:problem:"
PROBLEM: Final = "application/problem+json"
AWAY: Final = frozenset({502, 503, 504})
UNAUTHORIZED: Final = 401


def refused(answer: Answer, url: str) -> Denied | Unreachable:
    """Return what `answer`, which is not well, comes to."""
    problem = _read(answer)
    if problem is None:
        if 300 <= answer.status < 400:  # noqa: PLR2004  redirects
            return Unreachable(
                f"{url} is somewhere else now ({answer.status}); name the new place with --url"
            )
        return Unreachable(f"what answers at {url} is not Amends ({_told(answer)}); look at --url")
    text = _line(problem, answer)
    if answer.status in AWAY:
        return Unreachable(text)
    if answer.status == UNAUTHORIZED:
        text += "; give the key with --api-key or AMENDS_API_KEY"
    return Denied(str(problem.get("type", "")).removeprefix(PREFIX), text, problem)


def _read(answer: Answer) -> "Document | None":
    if answer.kind != PROBLEM:
        return None
    try:
        return exact_json.read_object(answer.body)
    except ValueError:
        return None


def _told(answer: Answer) -> str:
    return f"{answer.status}, {answer.kind}"


def _line(problem: Document, answer: Answer) -> str:
    text = str(problem.get("detail") or problem.get("title") or _told(answer))
    fields = "; ".join(_fields(problem.get("errors"), text))
    again = answer.headers.get("Retry-After")
    text = f"{text} ({fields})" if fields else text
    return f"{text}; try again in {again} s" if again else text


def _fields(errors: Any, said: str) -> Iterator[str]:
    """Return what the errors add to what was `said` already."""
    for error in errors or ():
        pointer, reason = error.get("pointer"), str(error.get("reason"))
        if reason not in said:
            yield f"{pointer}: {reason}" if pointer else reason
