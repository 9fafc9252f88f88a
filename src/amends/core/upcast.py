"""Events to stored rows and back, over all versions of the contract.

Rules: a row's body is a JSON array of events. An event of an older contract is lifted, one version at a time, by the
function that `UPCASTERS` names for its type and version; stored rows are never rewritten. An event written by a newer
contract is refused, not guessed.
It does not: know stores, or fold the events.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from amends.core.event import SCHEMA, AnyEvent

Plain: TypeAlias = dict[str, Any]
Upcasters: TypeAlias = Mapping[tuple[str, int], Callable[[Plain], Plain]]

UPCASTERS: Upcasters = {}
"""By (type, version): what makes an event of that version one of the next. The first contract needs none."""

_encode = msgspec.json.Encoder().encode
to_body: Callable[[Sequence[AnyEvent]], bytes] = _encode
"""Return the body of a stored row."""
_decode = msgspec.json.Decoder(tuple[AnyEvent, ...], strict=True).decode
_plain = msgspec.json.Decoder(list[Plain]).decode


class UnknownEvent(ValueError):
    """A stored event is of no known type or of a newer contract; the text names it."""


def from_body(body: bytes, upcasters: Upcasters = UPCASTERS) -> "tuple[AnyEvent, ...]":
    """Return the events of a stored row, lifted to this contract.

    Raises:
        UnknownEvent: an event is not readable, or newer than this version of Amends.
    """
    try:
        return _decode(body) if b'"schema":' not in body else _decode(_lifted(body, upcasters))
    except msgspec.MsgspecError:
        pass
    try:
        return _decode(_lifted(body, upcasters))
    except msgspec.MsgspecError as error:
        raise UnknownEvent(f"a stored event cannot be read: {error}") from error


def _lifted(body: bytes, upcasters: Upcasters) -> bytes:
    return _encode([_lift(event, upcasters) for event in _plain(body)])


def _lift(event: Plain, upcasters: Upcasters) -> Plain:
    version = event.pop("schema", 1)
    if version > SCHEMA:
        raise UnknownEvent(
            f"event {event.get('type')!r} has schema {version}, this version of Amends reads up to {SCHEMA}: upgrade it"
        )
    while (step := upcasters.get((str(event.get("type")), version))) is not None:
        event = step(event)
        version += 1
    return event
