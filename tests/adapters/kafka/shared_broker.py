"""The Apache Kafka of a test run.

Rules: topics and groups have names that nobody else uses, so tests do not see one another.
It does not: start anything before it is asked for (`tests/adapters/shared.py` says how long it lives).
"""

import asyncio
import uuid
from typing import Any

import aiokafka  # type: ignore[import-untyped]

from servers import kafka
from tests.adapters.shared import Shared

PATIENCE = 120.0
"""Seconds after which what is to come is not waited for any more, on a machine that is busy."""

_SHARED = Shared("servers.kafka")


def broker() -> kafka.Server:
    """Return the shared broker."""
    found: kafka.Server = _SHARED.server()
    return found


def new_name() -> str:
    """Return the beginning of names that nobody has used."""
    return f"t-{uuid.uuid4().hex[:12]}"


async def written(server: str, topic: str, count: int) -> list[Any]:
    """Read at least `count` records of a topic, and what else is there, partition by partition."""
    reader: Any = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=server, auto_offset_reset="earliest")
    await reader.start()
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        ends = await reader.end_offsets(reader.assignment())
        while len(found) < max(count, sum(ends.values())):
            for records in (await reader.getmany(timeout_ms=500)).values():
                found += records
    await reader.stop()
    return found
