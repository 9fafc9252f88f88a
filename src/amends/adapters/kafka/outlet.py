"""Transitions on a topic, for others to follow: CloudEvents in binary mode, key = saga id.

Rules
- `ce_id` names the transition: namespace, saga id, position, and its place in the log, for an id may begin anew when
  its instance was archived. It stays the same however often the record is written.
- The source is this service's, so that no orchestrator takes a transition for an answer.
- One that is larger than the broker takes leaves without its events, and says where they are (`ce_dataref`): it is not
  left out, and does not stand in the way of what follows.
- A connection of its own: what waits here is no trouble of the participants.
It does not: know up to where the topic has the log.
"""

import asyncio
import logging
from datetime import UTC
from typing import Final

from amends.adapters.kafka import driver
from amends.adapters.kafka.contract import JSON, Headers
from amends.adapters.kafka.lines import TooLarge
from amends.adapters.kafka.sender import KafkaSender
from amends.adapters.kafka.trouble import told
from amends.driver.trouble import Trouble, longer
from amends.ports.relay import Leaving

TRANSITION_TYPE: Final = "amends.transition"

_log = logging.getLogger(__name__)


class KafkaOutlet:
    """`Outlet` to `topic`, which is made when it is not there; `partitions` as in `KafkaCluster`."""

    def __init__(
        self, address: driver.Address, topic: str, *, partitions: int = -1, longest: int = 1 << 20
    ) -> None:
        self._address = address
        self._topic = topic
        self._partitions = partitions
        self._making = asyncio.Lock()
        self._no_topic = Trouble(f"the topic {topic}")
        self._sender = KafkaSender(address, longest=longest)

    @property
    def name(self) -> str:
        """The topic."""
        return self._topic

    @property
    def trouble(self) -> str:
        """What keeps transitions from being written just now."""
        return self._no_topic.text or self._sender.trouble

    async def publish(self, leaving: Leaving) -> None:
        """Write one transition, and return when it is durable at the broker."""
        if self._partitions:
            await self._make_topic()
        key, headers = leaving.key.saga_id.encode(), transition_headers(leaving)
        try:
            await self._sender.publish(self._topic, key=key, value=leaving.body, headers=headers)
        except TooLarge as error:
            _log.warning(
                "saga %s: position %d leaves without its events: %s",
                leaving.key.saga_id,
                leaving.position,
                error,
            )
            named = [*headers, ("ce_dataref", _where(leaving).encode())]
            await self._sender.publish(self._topic, key=key, value=leaving.without_events, headers=named)

    async def close(self) -> None:
        """Close the connection."""
        await self._sender.close()

    async def _make_topic(self) -> None:
        async with self._making:
            pause = 0.0
            while self._partitions:
                try:
                    await driver.make_topics(
                        self._address, [self._topic], partitions=self._partitions, replicas=-1
                    )
                    self._partitions = 0
                except driver.NOT_ALLOWED as error:
                    # Somebody else may have made it: writing tells.
                    _log.warning("the topic is not made: %s", told(error, about=f"make {self._topic}"))
                    self._partitions = 0
                except driver.DRIVER_ERRORS as error:
                    self._no_topic.begins(told(error, about=f"make {self._topic}"))
                    pause = longer(pause)
                    await asyncio.sleep(pause)
            self._no_topic.ends()


def transition_headers(leaving: Leaving) -> Headers:
    """Return the headers of a transition's record."""
    namespace, saga_id = leaving.key
    named = {
        "ce_specversion": "1.0",
        "ce_type": TRANSITION_TYPE,
        "ce_source": f"/amends/{namespace}",
        "ce_id": f"{namespace}/{saga_id}/{leaving.position}/{leaving.sequence}",
        "ce_subject": saga_id,
        "ce_time": leaving.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "ce_amendsnamespace": namespace,
        "ce_amendsposition": str(leaving.position),
        "ce_amendssequence": str(leaving.sequence),
    }
    return [*((name, value.encode()) for name, value in named.items()), ("content-type", JSON)]


def _where(leaving: Leaving) -> str:
    return f"/v1/sagas/{leaving.key.saga_id}/events"
