"""What others read from the topic that transitions leave to, and how it is held against the log.

Rules: it is read as anybody would, by a group of its own, from the beginning.
It does not: trust what the relay says of itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC

import msgspec

from amends.adapters.kafka import Address, KafkaIntake, make_topics
from amends.application.feed import feed_item
from amends.application.follower import Followed
from amends.ports import Logged, StoreReader
from amends.ports.intake import Outcome, Record
from tests.adapters.kafka.shared_broker import new_name

PATIENCE = 120


class Heard:
    """A topic as somebody hears it."""

    def __init__(self, address: Address, topic: str) -> None:
        self.topic = topic
        self.records: list[Record] = []
        self._news = asyncio.Condition()
        self.intake = KafkaIntake(address, [topic], group=new_name(), session=6.0)

    async def take(self, record: Record) -> Outcome:
        async with self._news:
            self.records.append(record)
            self._news.notify_all()
        return "recorded"

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(condition)

    @property
    def ids(self) -> set[str]:
        return {headers_of(each)["ce_id"] for each in self.records}

    async def whole(self, log: Sequence[Logged]) -> None:
        """Wait until all of `log` was heard, and hold it against what was."""
        wanted = {ce_id(each) for each in log}
        await self.until(lambda: self.ids >= wanted)
        complete(self.records, log)


@asynccontextmanager
async def heard(address: Address, topic: str) -> AsyncGenerator[Heard]:
    """Hear a topic, which is made with three partitions."""
    found = Heard(address, topic)
    await make_topics(address, [topic], partitions=3, replicas=1)
    await found.intake.start(found.take)
    try:
        yield found
    finally:
        await found.intake.stop()


def headers_of(record: Record) -> dict[str, str]:
    assert len(dict(record.headers)) == len(record.headers), "each header stands once"
    return {name: value.decode() for name, value in record.headers}


def ce_id(logged: Logged) -> str:
    sequence, transition = logged
    namespace, saga_id = transition.key
    return f"{namespace}/{saga_id}/{transition.position + transition.events - 1}/{sequence}"


def complete(records: Sequence[Record], log: Sequence[Logged]) -> None:
    """Nothing is missing, nothing is there that is not in the log, and of each instance the firsts are in order."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for each in log:
        wanted[each.transition.key.saga_id].append(ce_id(each))
    firsts: dict[str, dict[str, None]] = defaultdict(dict)
    for record in sorted(records, key=lambda each: (each.partition, each.offset)):
        assert record.key is not None
        firsts[record.key.decode()].setdefault(headers_of(record)["ce_id"])
    assert {saga_id: [*ids] for saga_id, ids in firsts.items()} == wanted
    _say_what_the_log_says(records, log)


def _say_what_the_log_says(records: Sequence[Record], log: Sequence[Logged]) -> None:
    by_id = {ce_id(each): each for each in log}
    for record in records:
        headers = headers_of(record)
        logged = by_id[headers["ce_id"]]
        namespace, saga_id = logged.transition.key
        item = feed_item(Followed(logged))
        instant = item.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert headers == {
            "ce_specversion": "1.0",
            "ce_type": "amends.transition",
            "ce_source": f"/amends/{namespace}",
            "ce_id": ce_id(logged),
            "ce_subject": saga_id,
            "ce_time": instant,
            "ce_amendsnamespace": namespace,
            "ce_amendsposition": str(item.position),
            "ce_amendssequence": str(logged.sequence),
            "content-type": "application/json",
        }
        assert record.key == saga_id.encode()
        assert record.value == msgspec.json.encode(item.as_dict())


async def log_of(reader: StoreReader) -> Sequence[Logged]:
    """Return the whole log of a store."""
    await reader.open()
    try:
        log: list[Logged] = []
        while piece := await reader.log(after=log[-1].sequence if log else 0):
            log += piece
        return log
    finally:
        await reader.close()
