"""The meter: what happened since this process opened, and how things stand when somebody looks.

Rules
- It is told by the engine what this process decided, once that is durable and before it is acted on. So processes that
  share a store count each its own, and their sum is what happened.
- Figures are plain numbers; durations are in seconds, by the clock of the orchestrator. How they are rendered is the
  door's.
- Memory is bounded: a step's keys (``hold-stock[apple]``) are left out of its name, and what is remembered of
  commands has a limit; beyond it the oldest is forgotten. That costs a duration, never a count; so does a command that
  another process issued.
It does not: survive the process, or see what other processes do.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from amends.application.instance import Instance
from amends.core import event as e
from amends.core.decision import Decision
from amends.core.effect import Direction
from amends.ports import StreamKey

STEP_SECONDS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)
LATE_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
BATCH_SIZES: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)
MOST_REMEMBERED: Final = 100_000
_KEYS: Final = re.compile(r"\[[^\]]*\]")


class Histogram:
    """Counts of values by size."""

    __slots__ = ("bounds", "count", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count values up to each of `bounds`, and those beyond."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """`counts[i]`: values of at most ``bounds[i]`` and more than the bound before; the last: those beyond all."""
        self.count = 0
        self.total = 0.0
        """The sum of all values."""

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.count += 1
        self.total += value


class StepKey(NamedTuple):
    """What durations are told apart by."""

    saga: str
    step: str
    """Its path without keys."""
    direction: Direction
    outcome: str
    """``succeeded``, ``refused``, ``unconfirmed`` or ``unknown``."""


class AttemptKey(NamedTuple):
    """What attempts are told apart by."""

    saga: str
    step: str
    direction: Direction


class SagaCounts(msgspec.Struct):
    """What happened to the instances of one saga."""

    started: int = 0
    completed: int = 0
    compensated: int = 0
    abandoned: int = 0
    stuck: int = 0
    """How often something of an instance came to wait for a person."""

    @property
    def failed(self) -> int:
        """Compensated and stuck together."""
        return self.compensated + self.stuck


class _Tally:
    """A number that is added to in place: a dictionary would be asked twice for each addition."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Meter:
    """A witness of the engine. `sagas`, `durations`, `attempts` and `faults` are for reading."""

    def __init__(self, *, most_remembered: int = MOST_REMEMBERED) -> None:
        """Begin at nothing."""
        self.most_remembered = most_remembered
        self._issued: dict[tuple[StreamKey, str, Direction], datetime] = {}
        self.sagas: dict[str, SagaCounts] = {}
        self._durations: dict[tuple[str, str, Direction, str], Histogram] = {}
        """As `durations`, by the words of the events: a plain tuple is made in a quarter of the time of a named one. So
        are `_attempts`.
        """
        self._attempts: dict[tuple[str, str, Direction], _Tally] = {}
        self.faults: Counter[tuple[str, str, str]] = Counter()
        """Attempts that gave no trustworthy answer, by (saga, step, fault)."""
        self.lateness = Histogram(LATE_SECONDS)
        """How late timers were handled, in seconds."""
        self.batches = Histogram(BATCH_SIZES)
        """How many transitions were committed together."""
        self._count: dict[type, Callable[[StreamKey, str, Any, datetime], None]] = {
            e.SagaStarted: self._started,
            e.SagaCompleted: self._completed,
            e.SagaCompensated: self._compensated,
            e.SagaAbandoned: self._abandoned,
            e.StepStuck: self._stuck,
            e.NodeStuck: self._stuck,
            e.CommandIssued: self._issue,
            e.AttemptStarted: self._sent_again,
            e.AttemptFailed: self._fault,
            e.ReplyRecorded: self._reply,
            e.OutcomeUnknown: self._given_up,
        }

    @property
    def durations(self) -> dict[StepKey, Histogram]:
        """From the command to its first definite answer, or until its step was given up."""
        return {StepKey(*words): histogram for words, histogram in self._durations.items()}

    @property
    def attempts(self) -> dict[AttemptKey, int]:
        """How many attempts were sent."""
        return {AttemptKey(*words): tally.count for words, tally in self._attempts.items()}

    @property
    def remembered(self) -> int:
        """How many commands are remembered."""
        return len(self._issued)

    def wrote(self, transitions: int) -> None:
        """Take notice of a commit of so many transitions."""
        self.batches.add(transitions)

    def fired(self, late: timedelta) -> None:
        """Take notice of a timer that was handled so late."""
        self.lateness.add(late.total_seconds())

    def committed(self, instance: Instance, decision: Decision, at: datetime) -> None:
        """Count a decision that is stored."""
        key, saga = instance.key, decision.state.saga
        for event in decision.events:
            count = self._count.get(type(event))
            if count is not None:
                count(key, saga, event, at)

    def _started(self, _key: StreamKey, saga: str, _event: object, _at: datetime) -> None:
        self._counts(saga).started += 1

    def _completed(self, _key: StreamKey, saga: str, _event: object, _at: datetime) -> None:
        self._counts(saga).completed += 1

    def _compensated(self, _key: StreamKey, saga: str, _event: object, _at: datetime) -> None:
        self._counts(saga).compensated += 1

    def _abandoned(self, _key: StreamKey, saga: str, _event: object, _at: datetime) -> None:
        self._counts(saga).abandoned += 1

    def _stuck(self, _key: StreamKey, saga: str, _event: object, _at: datetime) -> None:
        self._counts(saga).stuck += 1

    def _issue(self, key: StreamKey, saga: str, event: e.CommandIssued, at: datetime) -> None:
        step, direction = event.step, event.direction
        tally = self._attempts.get((saga, step, direction)) or self._tally(saga, step, direction)
        tally.count += 1
        issued = self._issued
        issued[key, step, direction] = at
        if len(issued) > self.most_remembered:
            del issued[next(iter(issued))]

    def _sent_again(self, _key: StreamKey, saga: str, event: e.AttemptStarted, _at: datetime) -> None:
        self._tally(saga, event.step, event.direction).count += 1

    def _fault(self, _key: StreamKey, saga: str, event: e.AttemptFailed, _at: datetime) -> None:
        self.faults[saga, _name(event.step), event.fault] += 1

    def _reply(self, key: StreamKey, saga: str, event: e.ReplyRecorded, at: datetime) -> None:
        self._answered(key, (saga, event.step, event.direction, event.outcome), at)

    def _given_up(self, key: StreamKey, saga: str, event: e.OutcomeUnknown, at: datetime) -> None:
        self._answered(key, (saga, event.step, "do", "unknown"), at)

    def _answered(self, key: StreamKey, words: tuple[str, str, Direction, str], at: datetime) -> None:
        issued = self._issued.pop((key, words[1], words[2]), None)
        if issued is not None:
            histogram = self._durations.get(words) or self._histogram(*words)
            histogram.add((at - issued).total_seconds())

    # --- what is counted in, made when it is first needed ---

    def _counts(self, saga: str) -> SagaCounts:
        found = self.sagas.get(saga)
        if found is None:
            found = self.sagas[saga] = SagaCounts()
        return found

    def _tally(self, saga: str, step: str, direction: Direction) -> _Tally:
        return self._attempts.setdefault((saga, _name(step), direction), _Tally())

    def _histogram(self, saga: str, step: str, direction: Direction, outcome: str) -> Histogram:
        return self._durations.setdefault((saga, _name(step), direction, outcome), Histogram(STEP_SECONDS))


@lru_cache(maxsize=10_000)
def _name(path: str) -> str:
    return _KEYS.sub("", path)
