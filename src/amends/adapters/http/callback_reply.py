"""A reply that comes later, as a participant that answered 202 posts it.

    {"command_id", "saga_id", "namespace"?, "step", "direction", "round",
     "outcome": "succeeded" | "refused" | "failed", "reply"?, "code"?, "reason"?}

Rules: unknown fields, fields that do not belong to the outcome and a command id that is not this step's are faults, and
all faults are told at once. The reply keeps its bytes: a number is not read and written again.
It does not: ask whether anybody waits for it (`deliver` does), or judge the reply's content.
"""

import difflib
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias, cast

import msgspec

from amends.core.effect import Direction, command_id
from amends.core.outcome import Failed, Refused, Succeeded
from amends.ports.callback import CallbackReply
from amends.wire.excerpt import MAX_EXCERPT, excerpt

Outcome: TypeAlias = Literal["succeeded", "refused", "failed"]

_MAX_ID = 1_000
_MAX_ROUND = 1_000_000


class FieldFault(NamedTuple):
    """What is wrong with one field."""

    pointer: str
    reason: str


class _ReplyBytes(msgspec.Struct):
    reply: msgspec.Raw = msgspec.Raw(b"null")


_REPLY_BYTES = msgspec.json.Decoder(_ReplyBytes)


def read_reply(document: dict[str, object], body: bytes) -> CallbackReply | list[FieldFault]:
    """Check `document`, which was read from `body`; return the reply, or everything that is wrong with it."""
    faults = _unknown_fields(document) + _bad_fields(document)
    if faults:
        return faults
    fields = cast("dict[str, str]", document)  # checked just now; the round, the only number, is cast below
    direction = cast("Direction", fields["direction"])
    round_ = cast("int", document["round"])
    namespace = fields.get("namespace", "default")
    expected = command_id(namespace, fields["saga_id"], fields["step"], direction, round_)
    if fields["command_id"] != expected:
        return [FieldFault("/command_id", "not the id of this saga's step, direction and round")]
    return CallbackReply(
        command_id=expected,
        saga_id=fields["saga_id"],
        namespace=namespace,
        step=fields["step"],
        direction=direction,
        round=round_,
        answer=_answer(fields, body),
    )


def _answer(fields: dict[str, str], body: bytes) -> Succeeded | Refused | Failed:
    reason = excerpt(fields.get("reason", ""))
    match cast("Outcome", fields["outcome"]):
        case "succeeded":
            return Succeeded(bytes(_REPLY_BYTES.decode(body).reply))
        case "refused":
            return Refused(fields["code"], reason)
        case "failed":
            return Failed(reason or "the participant reported a failure")


def _unknown_fields(document: dict[str, object]) -> list[FieldFault]:
    return [FieldFault(excerpt(f"/{name}"), _unknown(name)) for name in document if name not in _CHECKS]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name[:MAX_EXCERPT], _CHECKS, n=1)
    return f"unknown field; did you mean {near[0]}?" if near else "unknown field"


def _bad_fields(document: dict[str, object]) -> list[FieldFault]:
    outcome = document.get("outcome")
    required = _REQUIRED | ({"code"} if outcome == "refused" else set[str]())
    faults: list[FieldFault] = []
    for name, check in _CHECKS.items():
        if name not in document:
            reason = "required" if name in required else None
        else:
            reason = _out_of_place(name, outcome) or check(document[name])
        if reason is not None:
            faults.append(FieldFault(f"/{name}", reason))
    return faults


def _out_of_place(name: str, outcome: object) -> str | None:
    places = _ONLY_WITH.get(name)
    if places is None or outcome not in _OUTCOMES or outcome in places:
        return None
    return f"only with the outcome {' or '.join(places)}"


def _text(longest: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return "text expected"
        if not 0 < len(value) <= longest:
            return f"from 1 to {longest} characters expected"
        return None if value.isprintable() else "characters that do not print are not allowed"

    return check


def _choice(*choices: str) -> Callable[[object], str | None]:
    return lambda value: None if value in choices else f"one of {', '.join(choices)} expected"


def _round(value: object) -> str | None:
    # A bool is an int to Python.
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_ROUND
    return None if good else f"a whole number from 0 to {_MAX_ROUND} expected"


def _any_text(value: object) -> str | None:
    return None if isinstance(value, str) else "text expected"


def _anything(value: object) -> str | None:
    return None


_OUTCOMES = ("succeeded", "refused", "failed")
_REQUIRED = {"command_id", "saga_id", "step", "direction", "round", "outcome"}
_ONLY_WITH = {"reply": ("succeeded",), "code": ("refused",), "reason": ("refused", "failed")}
_CHECKS: dict[str, Callable[[object], str | None]] = {
    "command_id": _text(4 * _MAX_ID),
    "saga_id": _text(_MAX_ID),
    "namespace": _text(_MAX_ID),
    "step": _text(_MAX_ID),
    "direction": _choice("do", "undo"),
    "round": _round,
    "outcome": _choice(*_OUTCOMES),
    "reply": _anything,
    "code": _text(MAX_EXCERPT),
    "reason": _any_text,
}
