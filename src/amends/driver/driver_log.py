"""What the driver says of our clients in the log: each thing once, for as long as it is so.

Rules
- While a broker is away every client of the driver tries again several times a second, and says each time what it did
  not reach. The outage is told by whoever waits, so here each thing passes once; what was said already, of the same
  broker, in the last `QUIET` seconds is for those who ask for details (DEBUG).
- Only our clients: what a program's own ones say is left alone. Whose a record is stands in the context that it is
  made in, which the driver's tasks have from the one that started them.
It does not: touch levels, handlers, or what is less than a warning.
"""

import logging
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

QUIET: Final = 60.0
"""Seconds without a thing being said after which it is news. Between two tries lie two seconds at most."""
MOST: Final = 1_000
"""Things that are remembered."""
LOGGERS: Final = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)
"""A filter is asked about what is logged to its very logger only, so each has it."""

_is_ours: Final = ContextVar("amends_kafka_is_ours", default=False)


class Once:
    """A filter: passes each thing once, and what was said already as a detail."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[Hashable, float] = {}
        """When each thing was said last; the longest ago stands first."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be shown."""
        if record.levelno < logging.WARNING or not _is_ours.get():
            return True
        thing, now = _thing(record), self._clock()
        before = self._said.pop(thing, None)
        self._said[thing] = now
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
        if before is None or now - before > QUIET:
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


ONCE: Final = Once()


def attach() -> None:
    """Have what the driver logs come by here; doing it again does nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(ONCE)


@contextmanager
def told_once() -> Generator[None]:
    """Have what is logged here, and by all tasks that are begun here, told once."""
    before = _is_ours.set(True)
    try:
        yield
    finally:
        _is_ours.reset(before)


def _thing(record: logging.LogRecord) -> Hashable:
    """Return what a record says and of which broker, without what is different each time."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return record.name, record.msg, *(_what(each) for each in arguments)


def _what(argument: object) -> int | str | type[object]:
    return argument if isinstance(argument, int | str) else type(argument)
