"""A batch on its way to the server: put in order, cleared of losers, turned into the arrays that its statement binds.

Rules
- Ordered by (namespace, saga id, position): two writers that touch the same rows then meet in the same order and wait
  for one another instead of blocking each other for good.
- Who comes to a taken place loses, and so does what follows it in its stream within the batch.
- Of several changes to one index row only the last can be seen, so only that is made; none to a row that is not written
  yet (`late_rows.py`).
They do not: ask, write, or wait.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

import msgspec

from amends.adapters.postgres import statements
from amends.adapters.postgres.late_rows import LateRows
from amends.adapters.postgres.numbers import Found
from amends.ports.event_store import Append, KeepIndex, RemoveIndex, SetIndex, StreamKey
from amends.ports.shared_store import shard_of

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""From which the statements count microseconds."""
MICROSECOND: Final = timedelta(microseconds=1)
SEPARATOR: Final = "\x01"
"""Between texts that travel as one: no JSON has it, and no id of the orchestrator's. A body that has it all the same
makes more of them than there are rows, and the server refuses the batch; a key is refused here.
"""

Place: TypeAlias = tuple[StreamKey, int]

_as_json = msgspec.json.Encoder().encode


class Prepared(NamedTuple):
    """A batch as a statement and its arguments, behind the member's token, which comes first."""

    statement: str
    arguments: tuple[object, ...]
    resting: Collection[StreamKey] = ()
    """Instances that have ended or now wait with no command out: nothing more is to come of them soon."""
    rows: "RowChanges | None" = None
    """What becomes of index rows; None: nothing."""


class RowChanges(NamedTuple):
    """What becomes of index rows."""

    late: dict[StreamKey, SetIndex]
    """These are to be written later."""
    gone: list[StreamKey]
    """These never were, and never will be."""
    in_table: dict[StreamKey, SetIndex | RemoveIndex]
    """These the statement changes."""


class Order(NamedTuple):
    """The numbers of a batch, in the order of places."""

    numbers: Sequence[int]
    is_one_each: bool
    """Whether no two belong to one stream."""


def place_of(append: Append) -> Place:
    """Return where it wants to stand."""
    return append.transition.key, append.transition.position


def ordered(batch: Sequence[Append]) -> Order:
    """Return the order of places; among equal places the first of the batch comes first."""
    keys = [append.transition.key for append in batch]
    if len(set(keys)) == len(keys):
        return Order(sorted(range(len(keys)), key=keys.__getitem__), is_one_each=True)
    places = [place_of(append) for append in batch]
    return Order(sorted(range(len(places)), key=places.__getitem__), is_one_each=False)


def without_losers(batch: Sequence[Append], order: Order, taken: Collection[Place]) -> Sequence[int]:
    """Return those numbers of `order` that come to a free place."""
    if order.is_one_each and not taken:
        return order.numbers
    losers: set[StreamKey] = set()
    seen: set[Place] = set()
    kept: list[int] = []
    for number in order.numbers:
        place = place_of(batch[number])
        if place[0] in losers or place in taken or place in seen:
            losers.add(place[0])
        else:
            seen.add(place)
            kept.append(number)
    return kept


def _array(values: Sequence[int | None]) -> str:
    """Return an array of numbers or truths as text: the driver looks at each member of a list four times.

    But for its braces the text is JSON, which is written in one call.
    """
    return f"{{{_as_json(values).decode()[1:-1]}}}"


def _keys(keys: Iterable[StreamKey]) -> tuple[str, str]:
    """Return namespaces and saga ids, each as one text.

    Raises:
        ValueError: one of them has the separator in it.
    """
    namespaces, saga_ids = zip(*keys, strict=True) if keys else ((), ())
    together = SEPARATOR.join(namespaces), SEPARATOR.join(saga_ids)
    if any(text.count(SEPARATOR) != max(len(saga_ids) - 1, 0) for text in together):
        raise ValueError("PostgreSQL cannot keep what it was given: U+0001 in a saga id or namespace")
    return together


def _bodies(bodies: Iterable[bytes]) -> bytes:
    return SEPARATOR.encode().join(bodies)


def prepare(appends: Sequence[Append], found: Found, late: LateRows) -> Prepared:
    """Turn appends, each of which has its number, into the shortest statement that does for them."""
    stored = [append.transition for append in appends]
    transitions = (
        _array(found.numbers),
        _array([each.position for each in stored]),
        _array([each.events for each in stored]),
        _array([(each.recorded_at - EPOCH) // MICROSECOND for each in stored]),
        _bodies([each.body for each in stored]),
    )
    begun = found.begun
    changes = {
        append.transition.key: append.index for append in appends if not isinstance(append.index, KeepIndex)
    }
    handled = [append.handled for append in appends if append.handled is not None]
    if not begun and not changes and not handled:
        return Prepared(statements.APPEND_TRANSITIONS, transitions)
    ended = {append.transition.key for append in appends if type(append.index) is RemoveIndex}
    rows = _divided(changes, ended, begun, late)
    resting = [
        key for key, change in changes.items() if isinstance(change, RemoveIndex) or not change.outstanding
    ]
    # What begins without a row has none that could be missing. An array that is too short is filled up with NULL.
    rowless = ended | (begun.keys() - changes.keys())
    marked = *transitions, _array([each.key in rowless or None for each in stored]) if rowless else "{}"
    streams = _array([*begun.values()]), *_keys(begun)
    if not handled and not rows.in_table:
        return Prepared(statements.APPEND_SHORT, (*streams, *marked), resting, rows)
    kept = {key: change for key, change in rows.in_table.items() if isinstance(change, SetIndex)}
    removed = _keys([key for key in rows.in_table if key not in kept])
    if not handled and not begun and not kept:
        return Prepared(statements.APPEND_ENDED, (*removed, *marked), resting, rows)
    arguments = (
        *streams,
        *rows_of(kept),
        *removed,
        _array([row.number for row in handled]),
        _bodies([row.answer for row in handled]),
        *marked,
    )
    return Prepared(statements.APPEND, arguments, resting, rows)


def _divided(
    changes: Mapping[StreamKey, SetIndex | RemoveIndex],
    ended: Collection[StreamKey],
    begun: Collection[StreamKey],
    late: LateRows,
) -> RowChanges:
    """Divide them: what begins has no row yet, which comes late while a command is out that may be answered soon."""
    found = RowChanges({}, [], {})
    for key, change in changes.items():
        if key not in begun and not late.has_alone(key):
            found.in_table[key] = change
        elif isinstance(change, RemoveIndex):
            found.gone.append(key)
        elif key in ended or not change.outstanding:
            # What goes on after its end cannot be found by the log; what only waits does so for long.
            found.in_table[key] = change
        else:
            found.late[key] = change
    return found


def rows_of(rows: Mapping[StreamKey, SetIndex]) -> tuple[str, str, str, str, str]:
    """Return index rows: whose they are, when these are to be looked at, whether a command of theirs may be unanswered,
    and their shards.

    The server could compute shards as well; it is the busier of the two.
    """
    kept = rows.values()
    looks = [None if row.wake_at is None else (row.wake_at - EPOCH) // MICROSECOND for row in kept]
    return (
        *_keys(rows),
        _array(looks),
        _array([row.outstanding for row in kept]),
        _array([*map(shard_of, rows)]),
    )
