"""A broker of the campaign's own that may be killed, and members of groups that come and go.

It does not: judge what follows.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiokafka  # type: ignore[import-untyped]
import aiokafka.abc  # type: ignore[import-untyped]

from amends.adapters.kafka import Address
from amends.adapters.kafka.driver import DRIVER_ERRORS
from servers import kafka

PASSING: Final[tuple[type[Exception], ...]] = (TimeoutError, *DRIVER_ERRORS)

_driver: Final[Any] = aiokafka
_listener: Final[Any] = aiokafka.abc.ConsumerRebalanceListener


@dataclass
class Broker:
    """The one broker in `folder`."""

    folder: Path
    server: kafka.Server | None = None
    kills: int = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(kafka.remove, self.folder)

    @property
    def address(self) -> Address:
        """Where it listens; the same after each start."""
        assert self.server is not None
        return Address((self.server.address,))

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        before, self.server = self.server, await asyncio.to_thread(kafka.start, self.folder)
        assert before is None or before.address == self.server.address, "its port was taken by somebody else"

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.server is not None
        self.server.kill()
        self.kills += 1


@dataclass
class Visitor:
    """A member of a group that comes and goes: it takes its share of the partitions, reads, and commits nothing."""

    address: Address
    group: str
    topics: Sequence[str]
    first: int = 0
    last: int = 0
    """Generations of the group that it saw: each rebalance makes a new one."""
    visits: int = field(default=0)

    @property
    def rebalances(self) -> int:
        """How many rebalances of the group there were from its first visit on."""
        return self.last - self.first + 1 if self.visits else 0

    async def visit(self, within: float) -> None:
        """Come, wait for a share, read something of it, and go."""
        came = asyncio.Event()

        class Listener(_listener):  # type: ignore[misc]  # the driver wants its own class
            async def on_partitions_assigned(self, assigned: Iterable[object]) -> None:
                if list(assigned):
                    came.set()

            async def on_partitions_revoked(self, revoked: Iterable[object]) -> None: ...

        reader: Any = _driver.AIOKafkaConsumer(
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=10_000,
            heartbeat_interval_ms=500,
            **self.address.options(),
        )
        reader.subscribe(topics=list(self.topics), listener=Listener())
        try:
            async with asyncio.timeout(within):
                await reader.start()
                await came.wait()
                await reader.getmany(timeout_ms=100, max_records=20)
            self.last = reader._coordinator.generation  # noqa: SLF001  the driver does not show it otherwise
            self.first = self.first or self.last
            self.visits += 1
        except PASSING:
            # It was not let in this time; whoever counts on it sees that it did not.
            return
        finally:
            await reader.stop()
