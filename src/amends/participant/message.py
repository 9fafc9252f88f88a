"""A command as a participant receives it, and the answers that it may give.

Rules:
- The command id is opaque: equal ids mean the same command, nothing is read out of it.
- A do and its undo are joined by their pair: (namespace, saga id, step path).
- `Succeeded` means that the effect is there; `Refused` is a business no and means that nothing was done. Whatever else
  happens (an exception, no answer at all) is no answer, and the command comes again. `Later` is no answer yet.
- What cannot be read for certain raises `BadMessage` with one line that names the header or the place in the body.

Does not do: decide (barrier), speak HTTP (http), know which commands a service has (handlers).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar
from urllib.parse import unquote

from amends.participant import strict_json

Direction = Literal["do", "undo"]

LONGEST_HEADER = 1024
LARGEST_COUNT = 1_000_000

_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_COUNT = re.compile(r"[0-9]{1,7}")
_COMMAND_HEADERS = frozenset(
    {
        "idempotency-key",
        "amends-namespace",
        "amends-saga-id",
        "amends-step",
        "amends-direction",
        "amends-round",
        "amends-attempt",
        "amends-reply-to",
    }
)

R_co = TypeVar("R_co", covariant=True)


class BadMessage(ValueError):
    """The command cannot be read; nothing was done. The text is for the answer and the log."""


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[R_co]):
    """It is done. The reply is anything that msgspec encodes as JSON, usually a frozen Struct."""

    reply: R_co


@dataclass(frozen=True, slots=True)
class Refused:
    """A business no: nothing was done, nothing will be. The code is for the process, the reason for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """It has begun, and the answer comes later: by `conclude`, in the transaction that ends it. For a do only."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a do and its undo have in common."""

    namespace: str
    saga_id: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, as it arrived. Its attempt and trace differ from delivery to delivery, the rest does not."""

    command_id: str
    namespace: str
    saga_id: str
    step: str
    direction: Direction
    round: int
    attempt: int
    name: str
    payload: object
    reply_to: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def pair(self) -> Pair:
        """The key under which do and undo meet."""
        return Pair(self.namespace, self.saga_id, self.step)

    @property
    def fingerprint(self) -> str:
        """Equal for two deliveries of one command; other content under the same command id has another one."""
        content = [
            self.name,
            self.namespace,
            self.saga_id,
            self.step,
            self.direction,
            self.round,
            self.payload,
        ]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def parse_command(*, name: str, headers: Iterable[tuple[str, str]], body: bytes) -> Command:
    """Read the command `name` from the headers and the body of a request, or raise BadMessage."""
    single = _single(headers)
    command_id = _text(single, "Idempotency-Key")
    saga_id = _text(single, "Amends-Saga-Id")
    step = _decoded(_text(single, "Amends-Step"))
    direction = _direction(_text(single, "Amends-Direction"))
    rounds = _count(single, "Amends-Round")
    attempt = _count(single, "Amends-Attempt")
    namespace = _text(single, "Amends-Namespace") if "amends-namespace" in single else "default"
    reply_to = _text(single, "Amends-Reply-To") if "amends-reply-to" in single else None
    try:
        payload = strict_json.parse(body)
    except ValueError as error:
        raise BadMessage(str(error)) from None
    return Command(
        command_id=command_id,
        namespace=namespace,
        saga_id=saga_id,
        step=step,
        direction=direction,
        round=rounds,
        attempt=attempt,
        name=name,
        payload=payload,
        reply_to=reply_to,
        traceparent=single.get("traceparent"),
        tracestate=single.get("tracestate"),
    )


def _single(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in found and lower in _COMMAND_HEADERS:
            message = f"the header {name} stands twice; send it once"
            raise BadMessage(message)
        found[lower] = value
    return found


def _text(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "")
    if not value:
        message = f"the header {name} is missing or empty"
        raise BadMessage(message)
    if len(value) > LONGEST_HEADER:
        message = f"the header {name} is longer than {LONGEST_HEADER} characters"
        raise BadMessage(message)
    if not _PRINTABLE.fullmatch(value):
        message = f"the header {name} must be printable ASCII; percent-encode the rest"
        raise BadMessage(message)
    return value


def _count(headers: Mapping[str, str], name: str) -> int:
    value = _text(headers, name)
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= LARGEST_COUNT:
        message = f"the header {name} must be a whole number from 1 to {LARGEST_COUNT}"
        raise BadMessage(message)
    return int(value)


def _direction(value: str) -> Direction:
    match value:
        case "do" | "undo":
            return value
        case _:
            message = "the header Amends-Direction must be do or undo"
            raise BadMessage(message)


def _decoded(step: str) -> str:
    try:
        return unquote(step, errors="strict")
    except UnicodeDecodeError:
        message = "the header Amends-Step is percent-encoded, but not as UTF-8"
        raise BadMessage(message) from None
