"""The same saga with fewer attempts: every way that it can go is there, only the repetitions are not.

Rules: each do and each undo is tried twice, which is one repetition; nothing else changes. The explorer's spaces stay
small.
"""

from dataclasses import fields, replace
from typing import Any, TypeVar

from amends import Node, RetryPolicy, Saga, Step

D = TypeVar("D")
TWICE = RetryPolicy(attempts=2)


def impatient(saga: Saga[D]) -> Saga[D]:
    """Return the saga with two attempts for each do and undo."""
    return replace(saga, body=_hurried(saga.body))


def _hurried(value: Any) -> Any:
    match value:
        case Step():
            return replace(value, retry=TWICE, undo_retry=TWICE)
        case Node():
            # Each kind of node is a dataclass, its empty base is not.
            parts: Any = value
            return replace(
                parts, **{part.name: _hurried(getattr(value, part.name)) for part in fields(parts)}
            )
        case tuple():
            return tuple(_hurried(part) for part in value)
        case _:
            return value
