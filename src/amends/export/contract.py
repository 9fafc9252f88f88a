"""The native contract of `docs/kafka.md` as JSON Schemas: headers of commands, replies and transitions, and their data.

Rules: headers are text, numbers too. A header that may be left out is not required; more may stand beside.
It does not: write or read records (`adapters/kafka` does; a test holds the two equal).
"""

from collections.abc import Mapping
from typing import Final

from amends.core.event import AnyEvent
from amends.export.schemas import Schema

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "string", "pattern": "^[1-9][0-9]*$"}
DIRECTION: Final[Schema] = {"type": "string", "enum": ["do", "undo"]}
OWN_SOURCE: Final[Schema] = {"type": "string", "pattern": "^/amends/"}
JSON: Final[Schema] = {"type": "string", "const": "application/json"}
WRITTEN: Final[Schema] = {"type": "string", "enum": ["application/json", "application/avro"]}
"""Of what can be either: a message's `contentType` says which it is."""
KEY: Final[Schema] = {"type": "string", "description": "The saga id, UTF-8."}

EVENT_NAMES: Final = [each.__name__ for each in AnyEvent.__args__]


def _only(value: str) -> Schema:
    return {"type": "string", "const": value}


def _headers(headers: Mapping[str, Schema], *, optional: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": [*headers],
        "properties": {**headers, **optional},
    }


_TRACE: Final[Mapping[str, Schema]] = {"traceparent": TEXT, "tracestate": TEXT}

_COMMAND: Final = _headers(
    {
        "ce_specversion": _only("1.0"),
        "ce_type": _only("amends.command"),
        "ce_source": OWN_SOURCE,
        "ce_id": {"type": "string", "description": "The command id: the same for every attempt."},
        "ce_subject": {"type": "string", "description": "The saga id."},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_amendscommand": TEXT,
        "ce_amendsnamespace": TEXT,
        "ce_amendssaga": TEXT,
        "ce_amendsstep": {"type": "string", "description": "The step's path, with the keys of its items."},
        "ce_amendsdirection": DIRECTION,
        "ce_amendsround": COUNT,
        "ce_amendsattempt": COUNT,
        "content-type": WRITTEN,
    },
    optional={"ce_amendsreplyto": {"type": "string", "description": "The topic for the reply."}, **_TRACE},
)
_EVENT: Final[Schema] = {
    "type": "object",
    "properties": {
        "ce_source": {
            "type": "string",
            "not": {"pattern": "^/amends/"},
            "description": "Whose event it is; what an orchestrator wrote itself is ignored.",
        },
        "content-type": TEXT,
        **_TRACE,
    },
}
_TRANSITION: Final = _headers(
    {
        "ce_specversion": _only("1.0"),
        "ce_type": _only("amends.transition"),
        "ce_source": OWN_SOURCE,
        "ce_id": {"type": "string", "description": "Namespace, saga id, position and sequence."},
        "ce_subject": {"type": "string", "description": "The saga id."},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_amendsnamespace": TEXT,
        "ce_amendsposition": COUNT,
        "ce_amendssequence": COUNT,
        "content-type": JSON,
    },
    optional={"ce_dataref": {"type": "string", "description": "Where the events are that were too many."}},
)

_REFUSED: Final[Schema] = {
    "type": "object",
    "required": ["code"],
    "properties": {"code": {"type": "string", "minLength": 1, "maxLength": 100}, "reason": TEXT},
}
_FAILED: Final[Schema] = {
    "type": "object",
    "properties": {
        "reason": TEXT,
        "fault": {"type": "string", "enum": ["transient", "configuration", "unreadable"]},
        "retry_after": {"type": "number", "minimum": 0, "maximum": 86_400},
    },
}
_SHOWN: Final[Schema] = {
    "type": "object",
    "required": ["sequence", "namespace", "saga_id", "position", "time", "events"],
    "properties": {
        "sequence": {"type": "integer", "minimum": 1},
        "namespace": TEXT,
        "saga_id": TEXT,
        "position": {"type": "integer", "minimum": 1},
        "time": {"type": "string", "format": "date-time"},
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["position", "type"],
                "properties": {
                    "position": {"type": "integer", "minimum": 1},
                    "type": {
                        "type": "string",
                        "description": "More may come; an event has the fields of its type beside.",
                        "examples": EVENT_NAMES,
                    },
                },
            },
        },
    },
}


def _reply(outcome: str) -> Schema:
    return _headers(
        {
            "ce_specversion": _only("1.0"),
            "ce_type": _only("amends.reply"),
            "ce_source": {"type": "string", "not": {"pattern": "^/amends/"}},
            "ce_id": TEXT,
            "ce_subject": {"type": "string", "description": "The saga id."},
            "ce_amendscommandid": {"type": "string", "description": "The command's `ce_id`."},
            "ce_amendsnamespace": TEXT,
            "ce_amendsstep": TEXT,
            "ce_amendsdirection": DIRECTION,
            "ce_amendsround": COUNT,
            "ce_amendsoutcome": _only(outcome),
            "content-type": WRITTEN,
        },
        optional={"ce_amendsattempt": COUNT, **_TRACE},
    )


CONTRACT: Final[Mapping[str, Schema]] = {
    "amends-command-headers": _COMMAND,
    "amends-event-headers": _EVENT,
    "amends-transition-headers": _TRANSITION,
    "amends-transition": _SHOWN,
    "amends-refused": _REFUSED,
    "amends-failed": _FAILED,
    **{f"amends-reply-{outcome}-headers": _reply(outcome) for outcome in ("succeeded", "refused", "failed")},
}
"""By the names that they have in a document."""
