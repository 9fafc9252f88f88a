"""Appends to a store without end and prints each acknowledged "stream position"; its parent kills it.

Each batch holds following transitions of a few streams; the index row of a stream always names its last position, so
that a row which does not fit its stream would show a torn batch.
"""

import asyncio
import random
import sys
from datetime import timedelta

from amends.adapters.sqlite import SqliteEventStore
from amends.ports.event_store import Append, SetIndex, StreamKey, Transition
from amends.testing.event_store_suite import NOON

KEYS = tuple(StreamKey("crash", f"saga-{number}") for number in range(6))


def crash_append(key: StreamKey, position: int) -> Append:
    """The same for the same place; large enough that the log is folded back within seconds."""
    body = b'[{"type":"Noted","note":"%d %s"}]' % (position, b"x" * 6_000)
    transition = Transition(key=key, position=position, events=1, recorded_at=NOON, body=body)
    return Append(transition, SetIndex(NOON + timedelta(microseconds=position), outstanding=True))


async def append_for_ever(path: str, seed: int, inline_limit: float) -> None:
    draw = random.Random(seed)
    store = SqliteEventStore(path, inline_limit=inline_limit)
    await store.open()
    ends = {key: len(await store.read(key)) for key in KEYS}
    while True:
        batch = []
        for _ in range(draw.randint(1, 12)):
            key = draw.choice(KEYS)
            ends[key] += 1
            batch.append(crash_append(key, ends[key]))
        if not all(await store.append(batch)):
            sys.exit("a position was taken although nobody else writes")
        places = (append.transition for append in batch)
        sys.stdout.write("".join(f"{place.key.saga_id} {place.position}\n" for place in places))
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(append_for_ever(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
