"""A batch on its way to the server: put in order, cleared of losers, turned into the arrays that its statement binds.

Rules
- Ordered by (namespace, saga id, position): two writers that touch the same rows then meet in the same order and wait
  for one another instead of blocking each other for good.
- Who comes to a taken place loses, and so does what follows it in its stream within the batch.
- Of several changes to one index row only the last can be seen, so only that is made.
They do not: ask, write, or wait.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from amends.ports.event_store import Append, KeepIndex, SetIndex, StreamKey

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""From which the statements count microseconds."""
MICROSECOND: Final = timedelta(microseconds=1)
SEPARATOR: Final = "\x01"
"""Between texts that travel as one: no JSON has it, and no id of the orchestrator's. A body that has it all the same
makes more of them than there are rows, and the server refuses the batch; a key is refused here.
"""

Place: TypeAlias = tuple[StreamKey, int]


class Prepared(NamedTuple):
    """The arguments of `append.sql`, or of `append_transitions.sql` when nothing but transitions is written: behind the
    member's token, which comes first.
    """

    arguments: tuple[object, ...]
    has_only_transitions: bool
    resting: Collection[StreamKey]
    """Instances that have ended or now wait with no command out: nothing more is to come of them soon."""


def place_of(append: Append) -> Place:
    """Return where it wants to stand."""
    return append.transition.key, append.transition.position


def ordered(batch: Sequence[Append]) -> list[int]:
    """Return the batch's numbers in the order of places; among equal places the first of the batch comes first."""
    keys = [append.transition.key for append in batch]
    if len(set(keys)) == len(keys):
        return sorted(range(len(keys)), key=keys.__getitem__)
    places = [place_of(append) for append in batch]
    return sorted(range(len(places)), key=places.__getitem__)


def without_losers(batch: Sequence[Append], order: Sequence[int], taken: Collection[Place]) -> Sequence[int]:
    """Return those numbers of `order` that come to a free place."""
    if not taken and len({batch[number].transition.key for number in order}) == len(order):
        return order
    losers: set[StreamKey] = set()
    seen: set[Place] = set()
    kept: list[int] = []
    for number in order:
        place = place_of(batch[number])
        if place[0] in losers or place in taken or place in seen:
            losers.add(place[0])
        else:
            seen.add(place)
            kept.append(number)
    return kept


def _numbers(values: Iterable[object]) -> str:
    """Return an array of numbers as the server writes it: the driver looks at each member of a list four times."""
    return f"{{{','.join(map(str, values))}}}"


def _instant(instant: datetime | None) -> object:
    return "NULL" if instant is None else (instant - EPOCH) // MICROSECOND


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


def prepare(
    appends: Sequence[Append], known: Mapping[StreamKey, int], begun: Mapping[StreamKey, int]
) -> Prepared:
    """Turn appends into arrays; each stream has its number in `known` or in `begun`."""
    stored = [append.transition for append in appends]
    transitions = (
        _numbers([begun.get(each.key) or known[each.key] for each in stored]),
        _numbers([each.position for each in stored]),
        _numbers([each.events for each in stored]),
        _numbers([(each.recorded_at - EPOCH) // MICROSECOND for each in stored]),
        _bodies([each.body for each in stored]),
    )
    changes = {
        append.transition.key: append.index for append in appends if type(append.index) is not KeepIndex
    }
    handled = [append.handled for append in appends if append.handled is not None]
    if not begun and not changes and not handled:
        return Prepared(transitions, has_only_transitions=True, resting=())
    kept = {key: change for key, change in changes.items() if isinstance(change, SetIndex)}
    ended = [key for key in changes if key not in kept]
    arguments = (
        _numbers(begun.values()),
        *_keys(begun),
        *_keys(kept),
        _numbers([_instant(change.wake_at) for change in kept.values()]),
        _numbers([change.outstanding for change in kept.values()]),
        *_keys(ended),
        _numbers([row.number for row in handled]),
        _bodies([row.answer for row in handled]),
        *transitions,
    )
    waiting = [key for key, change in kept.items() if not change.outstanding]
    return Prepared(arguments, has_only_transitions=False, resting=[*ended, *waiting])
