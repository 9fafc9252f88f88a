"""What waits to be written: in the order in which it came, first for its topic, then in the line of its partition.

Rules
- A record is placed when its topic's partitions are known, and not before. The key says the partition, by the hash that
  other producers of Kafka use; records without a key take turns.
- What goes is taken from the front of a line; what failed is put back there, so nothing overtakes it.
- When a topic comes to have other partitions, what waits is placed anew: not before nothing of the topic is on its way
  any more, since that may come back, and would be overtaken.
- What nobody waits for any more does not go.
- A topic's trouble ends when all is proved that its failures call for, or by who writes there.
It does not: write, or know when what failed may go again.
"""

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from amends.adapters.kafka import driver
from amends.adapters.kafka.key_hash import hash_of
from amends.adapters.kafka.leaders import Found, Proof
from amends.driver.trouble import Trouble

_log = logging.getLogger(__name__)

Told: TypeAlias = Callable[[BaseException | None], None]
"""Hears what became of a record: None when it is durable."""


UNTIL_WRITTEN = " (told until a record is written there)"
"""What is said of a trouble that nothing else can show to be over."""


class TooLarge(Exception):
    """The record is longer than the broker takes."""


class Pending:
    """A record that is to be written, and who waits for that."""

    __slots__ = ("headers", "is_alone", "is_unwanted", "key", "told", "topic", "value")

    def __init__(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], told: Told
    ) -> None:
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
        self.told = told
        self.is_alone = False
        """Whether it shares its batch with no other: what is said of the batch is then said of the record."""
        self.is_unwanted = False
        """Whether nobody waits for it any more."""

    def give_up(self) -> None:
        """Do not wait for it any more."""
        self.is_unwanted = True


class Line:
    """What waits for one partition."""

    __slots__ = ("going", "is_busy", "number", "pause", "resting", "topic", "waiting")

    def __init__(self, topic: "Topic", number: int) -> None:
        self.topic = topic
        self.number = number
        self.waiting: deque[Pending] = deque()
        self.going: Sequence[Pending] = ()
        """The batch that is under way."""
        self.is_busy = False
        """Whether a batch is under way, or about to be."""
        self.pause = 0.0
        """Seconds between the last try and the next; 0 when the last one went well."""
        self.resting: asyncio.TimerHandle | None = None

    @property
    def may_go(self) -> bool:
        """Whether something waits, and nothing keeps it from going."""
        return bool(
            self.waiting and not self.is_busy and self.resting is None and not self.topic.is_being_placed
        )

    @property
    def is_wanted(self) -> bool:
        """Whether a batch is under way, or somebody waits for a record."""
        return self.is_busy or not all(pending.is_unwanted for pending in self.waiting)

    def fill(self, builder: driver.Builder) -> None:
        """Take from the front what there is room for; what cannot be written as a record is told so."""
        going: list[Pending] = []
        waiting = self.waiting
        while waiting and not (going and (going[-1].is_alone or waiting[0].is_alone)):
            pending = waiting[0]
            if not pending.is_unwanted:
                try:
                    if not _has_taken(builder, pending, is_first=not going):
                        break
                except Exception as error:  # noqa: BLE001  whatever it is, it concerns this record alone
                    tell((pending,), error)
                else:
                    going.append(pending)
            waiting.popleft()
        self.going = going

    def ends(self, error: BaseException | None = None) -> None:
        """Tell those under way that they are durable, or what they failed by."""
        going, self.going = self.going, ()
        tell(going, error)

    def put_back(self) -> None:
        """Have those under way go again, before all others."""
        going, self.going = self.going, ()
        self.waiting = _wanted((*going, *self.waiting))

    def part(self) -> None:
        """Have those under way go again one by one."""
        for pending in self.going:
            pending.is_alone = True
        self.put_back()

    def clear(self) -> list[Pending]:
        """Take all that waits out of the line, which is not used any more."""
        waiting = [*self.waiting]
        self.waiting.clear()
        if self.resting is not None:
            self.resting.cancel()
        return waiting


class Topic:
    """What waits for one topic."""

    def __init__(self, name: str, trouble: Trouble) -> None:
        self.name = name
        self.trouble = trouble
        self.failures = 0
        """How often something failed here."""
        self._proofs: set[Proof] = set()
        """What proves, all of it together, that its trouble is over."""
        self.is_looked_for = False
        """Whether somebody finds out how many partitions there are."""
        self.lines: dict[int, Line] = {}
        self._unplaced: deque[Pending] = deque()
        self._count = 0
        self._turn = 0
        self.is_being_placed = False
        """Whether it has other partitions than its lines are for."""

    # --- what is wrong ---

    def fails(self, text: str, proof: Proof) -> None:
        """Note that it cannot be written to, and what would prove that it can."""
        self.failures += 1
        self._proofs.add(proof)
        self.trouble.begins(text)

    @property
    def is_silent(self) -> bool:
        """Whether nothing shows when its trouble is over: nothing that failed is under way or waits."""
        if not self.trouble.text or self.trouble.text.endswith(UNTIL_WRITTEN) or self.is_looked_for:
            return False
        concerned = [line for line in self.lines.values() if line.pause] or self.lines.values()
        return not any(line.is_wanted for line in concerned)

    def hears(self, found: Found) -> None:
        """Learn what the leaders of its partitions say, while it is silent."""
        if found.proves(self._proofs):
            self.ends()
        elif not found.can_prove(self._proofs):
            self.trouble.begins(f"{self.trouble.text}{UNTIL_WRITTEN}")

    def ends(self) -> None:
        """Note that it can be written to."""
        self._proofs.clear()
        for line in self.lines.values():
            line.pause = 0.0
        self.trouble.ends()

    # --- what waits ---

    def is_waited_for(self) -> bool:
        """Drop what cannot be placed yet and is not wanted any more; return whether anything is left."""
        self._unplaced = _wanted(self._unplaced)
        return bool(self._unplaced)

    @property
    def is_known(self) -> bool:
        """Whether it is known how many partitions there are."""
        return self._count > 0

    def add(self, pending: Pending) -> Line | None:
        """Put a record at the end; return its line, if it has one yet."""
        if self._count and not self.is_being_placed:
            return self._place(pending)
        self._unplaced.append(pending)
        return None

    def has(self, count: int) -> bool:
        """Learn how many partitions there are; return whether the lines are for as many."""
        if count != self._count:
            self._count = count
            self.is_being_placed = True
        return not self.is_being_placed

    def place(self) -> Iterable[Line]:
        """Place all that waits, if that is to be done and nothing of it is under way; return the lines then."""
        if not self.is_being_placed or any(line.is_busy for line in self.lines.values()):
            return ()
        waiting = self.clear()
        self.is_being_placed = False
        for pending in waiting:
            self._place(pending)
        return self.lines.values()

    def clear(self) -> list[Pending]:
        """Take out all that waits."""
        waiting = [pending for line in self.lines.values() for pending in line.clear()]
        waiting += self._unplaced
        self._unplaced.clear()
        self.lines = {}
        return waiting

    def _place(self, pending: Pending) -> Line:
        key = pending.key
        if key is not None:
            number = hash_of(key) % self._count
        else:
            self._turn += 1
            number = self._turn % self._count
        line = self.lines.get(number)
        if line is None:
            line = self.lines[number] = Line(self, number)
        line.waiting.append(pending)
        return line


def tell(pending: Iterable[Pending], error: BaseException | None) -> None:
    """Tell those who still wait what became of their records."""
    for each in pending:
        if each.is_unwanted:
            continue
        try:
            # Each its own: a traceback grows wherever one is raised.
            each.told(None if error is None else copy.copy(error))
        except Exception:  # noqa: BLE001  what one does with it must not keep the others from theirs
            _log.exception("what became of a record to %s could not be acted on", each.topic)


def _has_taken(builder: driver.Builder, pending: Pending, *, is_first: bool) -> bool:
    taken = builder.append(timestamp=None, key=pending.key, value=pending.value, headers=pending.headers)
    if taken is not None:
        return True
    if is_first:
        raise AssertionError("an empty batch takes any record")
    return False


def _wanted(waiting: Iterable[Pending]) -> deque[Pending]:
    return deque(pending for pending in waiting if not pending.is_unwanted)
