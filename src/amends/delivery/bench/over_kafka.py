"""Participants that are reached over Kafka.

Rules: every point has topics of its own, which are gone afterwards, and its own group of readers. The broker is
somebody else's. It does not: measure the engine.
"""

import asyncio
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from amends.delivery.bench import kafka_driver
from amends.delivery.bench.bare import BareFigures
from amends.delivery.bench.counterpart import Beside
from amends.delivery.bench.kafka_limit import BrokerFigures
from amends.delivery.bench.point import Task
from amends.delivery.bench.processes import in_own_process, serving
from amends.delivery.bench.workload import WORKLOADS, ParticipantKind, Topics


class OverKafka:
    """A process that reads topics."""

    kind: ParticipantKind = "kafka"

    def __init__(self, servers: tuple[str, ...]) -> None:
        """`servers` are ``HOST:PORT`` of the brokers."""
        self._servers = servers
        self._prefix = f"amends-bench-{uuid.uuid4().hex[:12]}"
        self._points = 0

    @contextmanager
    def serving(self) -> Generator[None]:
        """Start the reader."""
        topics = [f"{self._prefix}.{workload}" for workload in WORKLOADS]
        with self._made(*topics), serving("kafka_responder", ",".join(self._servers), *topics):
            yield

    @contextmanager
    def reached(self, task: Task) -> Generator[Task]:
        """Name the topics of the point, made for it."""
        self._points += 1
        name = f"{self._prefix}.{self._points}"
        topics = Topics(
            servers=self._servers,
            commands=f"{self._prefix}.{task.workload}",
            replies=f"{name}.replies",
            bare=f"{name}.bare",
            limit=f"{name}.limit",
        )
        with self._made(topics.replies, topics.bare, topics.limit):
            yield replace(task, topics=topics)

    def beside(self, task: Task) -> Beside:
        """Measure a client that makes the same round trips, and the broker by itself."""
        broker = in_own_process("kafka_limit", task, BrokerFigures)
        bare = in_own_process("kafka_bare", task, BareFigures)
        return Beside(bare.sagas_per_s, broker.in_per_s, broker.out_per_s)

    @contextmanager
    def _made(self, *topics: str) -> Generator[None]:
        asyncio.run(kafka_driver.make_topics(self._servers, topics))
        try:
            yield
        finally:
            with suppress(*kafka_driver.UNREACHABLE):
                asyncio.run(kafka_driver.delete_topics(self._servers, topics))
