"""What an administrator may do to a broker behind everybody's back: delete topics, forbid things, set small limits.

It does not: wait for what follows.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import aiokafka.admin  # type: ignore[import-untyped]
import aiokafka.protocol.admin  # type: ignore[import-untyped]

from amends.adapters.kafka import Address

_admin: Final[Any] = aiokafka.admin
_messages: Final[Any] = aiokafka.protocol.admin

RESOURCES: Final = {"topic": 2, "group": 3}
OPERATIONS: Final = {"all": 2, "read": 3, "write": 4}
LITERAL: Final = 3
DENY, ALLOW = 2, 3
EVERYBODY: Final = ("User:ANONYMOUS", "*")


class Rule(NamedTuple):
    """What nobody may do."""

    resource: Literal["topic", "group"]
    name: str
    operation: Literal["read", "write"]


async def delete(address: Address, topics: Sequence[str]) -> None:
    """Delete topics, with all that is in them."""
    await _ask(address, lambda client: client.delete_topics(list(topics)))


async def make_small(address: Address, topic: str, *, longest: int) -> None:
    """Make a topic that takes records of at most `longest` bytes."""
    made = _admin.NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": str(longest)})
    await _ask(address, lambda client: client.create_topics([made]))


async def forbid(address: Address, rule: Rule) -> None:
    """Forbid something to everybody, and nothing else: where there is a rule, the rest must be allowed by one."""
    for each in _rules(rule):
        await _ask(address, _sent(_messages.CreateAclsRequest(*each)))


async def allow(address: Address, rule: Rule) -> None:
    """Take back what was forbidden."""
    for each in _rules(rule):
        await _ask(address, _sent(_messages.DeleteAclsRequest(*each)))


async def _ask(address: Address, question: Callable[[Any], Any]) -> Any:
    client: Any = _admin.AIOKafkaAdminClient(**address.options())
    await client.start()
    try:
        return await question(client)
    finally:
        await client.close()


def _rules(rule: Rule) -> Sequence[tuple[object, ...]]:
    about = (RESOURCES[rule.resource], rule.name, LITERAL, *EVERYBODY)
    return [(*about, OPERATIONS["all"], ALLOW), (*about, OPERATIONS[rule.operation], DENY)]


def _sent(message: object) -> Callable[[Any], Any]:
    return lambda client: client._send_request(message)  # noqa: SLF001  the driver has the message, and no method
