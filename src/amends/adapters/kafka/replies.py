"""Reads replies of participants that speak the native contract.

Rules: all that a reply needs must be there and agree: the command id with saga, step, direction and round, the key with
the saga id, the outcome with the value. The reply document keeps its bytes.
It does not: ask whether anybody waits for it.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple, cast, get_args

from amends.adapters.kafka.contract import OWN_SOURCE, REPLY_TYPE, is_own
from amends.adapters.kafka.fields import LONGEST, Bad, check_key, document_of, headers_of, required
from amends.core.effect import Direction, command_id
from amends.core.outcome import Failed, Fault, Refused, Succeeded
from amends.ports.callback import CallbackReply
from amends.ports.intake import Content, OwnMessage, Record, ReplyCame, Unreadable
from amends.wire.excerpt import MAX_EXCERPT, excerpt
from amends.wire.strict_json import BadJson, read_value

LARGEST_COUNT: Final = 1_000_000
LONGEST_PAUSE: Final = 86_400
_HEADERS: Final = frozenset(
    {
        *("ce_specversion", "ce_type", "ce_subject", "ce_amendscommandid", "ce_amendsnamespace"),
        *("ce_amendsstep", "ce_amendsdirection", "ce_amendsround", "ce_amendsattempt", "ce_amendsoutcome"),
    }
)
_TYPE: Final = REPLY_TYPE.encode()
_DIRECTIONS: Final[dict[bytes, Direction]] = {b"do": "do", b"undo": "undo"}
_SMALL: Final = {b"%d" % number: number for number in range(1, 100)}
_SENT_FAULTS: Final[dict[str, Fault]] = {
    each: each for each in get_args(Fault) if each in {"transient", "configuration", "unreadable"}
}


def read_reply(record: Record) -> Content:
    """Return what a record on the topic of replies says."""
    if (quick := _read_quickly(record)) is not None:
        return quick
    if is_own(record.headers):
        return OwnMessage()
    saga_id = ""
    try:
        headers = headers_of(record, _HEADERS)
        saga_id = headers.get("ce_subject", "")
        return ReplyCame(_reply(record, headers))
    except Bad as bad:
        return Unreadable(bad.code, bad.reason, saga_id)


def _read_quickly(record: Record) -> ReplyCame | None:
    """Return what a success says that is written as participants write it; None when it must be looked at closely.

    As strict as `_reply`, which says what is wrong. It compares bytes and decodes what it keeps.
    """
    told = dict(record.headers)
    if len(told) != len(record.headers):
        return None
    try:
        subject, named = told["ce_subject"], told["ce_amendscommandid"]
        meant = _meant(told["ce_amendsstep"], told["ce_amendsdirection"], told["ce_amendsround"])
        attempt = _SMALL[told["ce_amendsattempt"]]
        is_usual = (
            named == subject + meant.ending
            and told["ce_amendsoutcome"] == b"succeeded"
            and told["ce_type"] == _TYPE
            and told["ce_specversion"] == b"1.0"
            and told.get("ce_amendsnamespace", b"default") == b"default"
            and not told["ce_source"].startswith(OWN_SOURCE)
            and (record.key is None or record.key == subject)
        )
        saga_id, value = subject.decode(), record.value
    except (KeyError, UnicodeDecodeError):
        return None
    if not (is_usual and meant.step and value and 0 < len(saga_id) <= LONGEST and saga_id.isprintable()):
        return None
    try:
        read_value(value)
    except BadJson:
        return None
    return ReplyCame(
        CallbackReply(
            command_id=named.decode(),
            saga_id=saga_id,
            namespace="default",
            step=meant.step,
            direction=meant.direction,
            round=meant.round,
            answer=Succeeded(value),
            attempt=attempt,
        )
    )


class _Meant(NamedTuple):
    """What is answered, by whichever instance."""

    step: str
    """Empty when its name is not acceptable."""
    direction: Direction
    round: int
    ending: bytes
    """What stands behind the saga's id in the command's."""


@lru_cache(maxsize=1_000)
def _meant(step: bytes, direction: bytes, round_: bytes) -> _Meant:
    """Return what three headers say, which come together again and again.

    Raises:
        KeyError: direction or round is not a usual one. UnicodeDecodeError: the step is no text.
    """
    name, way, number = step.decode(), _DIRECTIONS[direction], _SMALL[round_]
    if len(name) > LONGEST or not name.isprintable():
        name = ""
    return _Meant(name, way, number, command_id("default", "", name, way, number).encode())


def _reply(record: Record, headers: dict[str, str]) -> CallbackReply:
    if record.value is None:
        raise Bad("empty", "the record has no value (a tombstone)")
    version, kind = headers.get("ce_specversion", "1.0"), headers.get("ce_type", "")
    if not version.startswith("1."):
        raise Bad("unknown", f"CloudEvents {excerpt(version)} is newer than this service")
    if kind != REPLY_TYPE:
        raise Bad("unknown", f"the type {excerpt(kind)!r} is not {REPLY_TYPE!r}")
    saga_id, step = required(headers, "ce_subject"), required(headers, "ce_amendsstep")
    direction = required(headers, "ce_amendsdirection")
    if direction not in {"do", "undo"}:
        raise Bad("bad-header", "the header ce_amendsdirection must be do or undo")
    namespace, round_ = headers.get("ce_amendsnamespace", "default"), _count(headers, "ce_amendsround")
    attempt = _count(headers, "ce_amendsattempt") if headers.get("ce_amendsattempt") else 0
    way = cast("Direction", direction)
    check_key(record, saga_id)
    named = required(headers, "ce_amendscommandid")
    if named != command_id(namespace, saga_id, step, way, round_):
        raise Bad("bad-correlation", "ce_amendscommandid is not the id of this saga's step, direction, round")
    return CallbackReply(
        command_id=named,
        saga_id=saga_id,
        namespace=namespace,
        step=step,
        direction=way,
        round=round_,
        answer=_answer(record, required(headers, "ce_amendsoutcome")),
        attempt=attempt,
    )


def _count(headers: dict[str, str], name: str) -> int:
    text = required(headers, name)
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= LARGEST_COUNT):  # noqa: PLR2004
        raise Bad("bad-header", f"the header {name} must be a whole number from 1 to {LARGEST_COUNT}")
    return int(text)


def _answer(record: Record, outcome: str) -> Succeeded | Refused | Failed:
    document = document_of(record)
    if outcome == "succeeded":
        return Succeeded(record.value or b"null")
    if not isinstance(document, dict):
        raise Bad("bad-body", f"the value of a reply that {outcome} must be an object")
    fields = cast("dict[str, object]", document)
    match outcome:
        case "refused":
            return Refused(_code(fields), _reason(fields))
        case "failed":
            return _failed(fields)
        case _:
            raise Bad("bad-header", "the header ce_amendsoutcome must be succeeded, refused or failed")


def _code(fields: dict[str, object]) -> str:
    code = fields.get("code")
    if not (isinstance(code, str) and 0 < len(code) <= MAX_EXCERPT and code.isprintable()):
        raise Bad("bad-body", f"code must be 1 to {MAX_EXCERPT} printable characters")
    return code


def _reason(fields: dict[str, object]) -> str:
    reason = fields.get("reason", "")
    return excerpt(reason) if isinstance(reason, str) else ""


def _failed(fields: dict[str, object]) -> Failed:
    fault, after = fields.get("fault", "transient"), fields.get("retry_after")
    if not isinstance(fault, str) or fault not in _SENT_FAULTS:
        raise Bad("bad-body", f"fault must be one of {', '.join(_SENT_FAULTS)}")
    pause = None
    if after is not None:
        if isinstance(after, bool) or not isinstance(after, int | float) or not 0 <= after <= LONGEST_PAUSE:
            raise Bad("bad-body", f"retry_after must be seconds from 0 to {LONGEST_PAUSE}")
        pause = timedelta(seconds=after)
    return Failed(_reason(fields) or "the participant reported a failure", _SENT_FAULTS[fault], pause)
