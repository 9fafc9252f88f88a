"""A batch of which all but the writing was done while the one before it was being committed.

Rules
- It is the batch, as a list, so whoever does not know better takes it as that.
- What was done holds for the numbers of streams that it was done with: in the same session, as long as none of them may
  have gone; and for the index rows that were not written then. Else it is done again.
- What takes a question to the server, or is not the usual case, is not prepared.
It does not: ask, write, or wait.
"""

from collections.abc import Sequence
from typing import NamedTuple

from amends.adapters.postgres.batch import Order, Prepared, ordered, prepare
from amends.adapters.postgres.late_rows import LateRows
from amends.adapters.postgres.numbers import Found, StreamNumbers
from amends.ports.event_store import Append


class Ready(NamedTuple):
    """What is to be written, in the order of places, with all that writing it takes."""

    appends: Sequence[Append]
    found: Found
    prepared: Prepared


class PreparedBatch(list[Append]):
    """Made by `prepared`."""

    __slots__ = ("_asked", "_forgotten", "_numbers", "order", "ready")

    def __init__(
        self, batch: Sequence[Append], order: Order, ready: Ready, numbers: StreamNumbers, late: LateRows
    ) -> None:
        super().__init__(batch)
        self.order = order
        self.ready = ready
        self._numbers = numbers
        self._forgotten = numbers.forgotten
        self._asked = late.asked

    def holds_for(self, numbers: StreamNumbers, late: LateRows) -> bool:
        """Tell whether `ready` can be written."""
        return numbers is self._numbers and (numbers.forgotten, late.asked) == (self._forgotten, self._asked)


def prepared(batch: Sequence[Append], numbers: StreamNumbers, late: LateRows) -> Sequence[Append]:
    """Prepare a batch; return it as it is where that cannot be done."""
    order = ordered(batch)
    if not order.is_one_each:
        return batch
    appends = [batch[number] for number in order.numbers]
    found = numbers.at_hand(appends)
    if found is None:
        return batch
    try:
        ready = Ready(appends, found, prepare(appends, found, late))
    except ValueError:
        # Whoever appends it is told.
        return batch
    return PreparedBatch(batch, order, ready, numbers, late)
