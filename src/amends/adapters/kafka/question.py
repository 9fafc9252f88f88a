"""What a broker says of topics: whether they are there, who leads their partitions, and what we may do there.

Rules
- The driver asks for the first two only, and remembers what it heard once. This asks one broker, each time anew, over
  the driver's own connection, with a newer version of the same message: Metadata 8 (KIP-430), which brokers have had
  since 2.3. An older broker is asked without the last of the three, and does not say it then.
- Asking makes no topic, and needs no permission that writing does not need.
It does not: know what follows from that (`leaders.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiokafka.errors  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.protocol.api  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.protocol.metadata  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.protocol.types  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from amends.adapters.kafka.driver import Producer
from amends.driver.driver_log import told_once

_errors: Final[Any] = aiokafka.errors
_api: Final[Any] = aiokafka.protocol.api
_metadata: Final[Any] = aiokafka.protocol.metadata
_types: Final[Any] = aiokafka.protocol.types


NO_LEADER: Final = -1


class PartitionSaid(NamedTuple):
    """A partition, as one broker knows it."""

    number: int
    leader: int
    """The broker that takes its records, or `NO_LEADER`."""
    is_in_sync: bool
    """Whether all its replicas follow."""


class TopicSaid(NamedTuple):
    """A topic, as one broker knows it."""

    partitions: Sequence[PartitionSaid]
    """Empty when there is no such topic, or we may not know of it."""
    may_write: bool | None
    """Whether we may write there; None when the broker is too old to say."""


_WRITE: Final = 1 << 4
"""The operation's bit."""
_UNSAID: Final = -(1 << 31)

_Old: Final[Any] = _metadata.MetadataRequest_v5


class _Answer(_api.Response):  # type: ignore[misc]  # the driver's own class
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = _types.Schema(
        ("throttle_time_ms", _types.Int32),
        (
            "brokers",
            _types.Array(
                ("node_id", _types.Int32),
                ("host", _types.String("utf-8")),
                ("port", _types.Int32),
                ("rack", _types.String("utf-8")),
            ),
        ),
        ("cluster_id", _types.String("utf-8")),
        ("controller_id", _types.Int32),
        (
            "topics",
            _types.Array(
                ("error_code", _types.Int16),
                ("topic", _types.String("utf-8")),
                ("is_internal", _types.Boolean),
                (
                    "partitions",
                    _types.Array(
                        ("error_code", _types.Int16),
                        ("partition", _types.Int32),
                        ("leader", _types.Int32),
                        ("leader_epoch", _types.Int32),
                        ("replicas", _types.Array(_types.Int32)),
                        ("isr", _types.Array(_types.Int32)),
                        ("offline_replicas", _types.Array(_types.Int32)),
                    ),
                ),
                ("authorized_operations", _types.Int32),
            ),
        ),
        ("cluster_authorized_operations", _types.Int32),
    )


class _New(_api.RequestStruct):  # type: ignore[misc]  # the driver's own class
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Answer
    SCHEMA = _types.Schema(
        ("topics", _types.Array(_types.String("utf-8"))),
        ("allow_auto_topic_creation", _types.Boolean),
        ("include_cluster_authorized_operations", _types.Boolean),
        ("include_topic_authorized_operations", _types.Boolean),
    )


class Question(_api.Request[_Old | _New]):  # type: ignore[misc]  # the driver's own class
    """Asks for topics and what we may do there (KIP-430), which the driver's own question does not; makes none."""

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = [*topics]

    def build(self, version: Any) -> Any:
        """Return it as a broker of that version takes it."""
        makes_topics, of_cluster, of_topics = False, False, True
        return version(self._topics, makes_topics, *(() if version is _Old else (of_cluster, of_topics)))


def brokers(client: Producer) -> Sequence[int]:
    """Return the brokers that a producer knows by now."""
    known: Any = client
    return [broker.nodeId for broker in known.client.cluster.brokers()]


async def said(client: Producer, broker: int, topics: Iterable[str]) -> Mapping[str, TopicSaid]:
    """Return what one broker says of topics; each message takes no longer than the producer waits for any.

    Raises:
        Exception: one of `DRIVER_ERRORS`.
    """
    known: Any = client
    try:
        with told_once():
            answer = await known.client.send(broker, Question(topics))
    except NotImplementedError as error:
        raise _errors.UnsupportedVersionError from error
    return {each["topic"]: _topic_said(each) for each in answer.to_object()["topics"]}


def _topic_said(found: Mapping[str, Any]) -> TopicSaid:
    operations: int = found.get("authorized_operations", _UNSAID)
    partitions: Sequence[Mapping[str, Any]] = () if found["error_code"] else found["partitions"]
    may_write = None if operations == _UNSAID else bool(operations & _WRITE)
    return TopicSaid([_partition_said(each) for each in partitions], may_write)


def _partition_said(found: Mapping[str, Any]) -> PartitionSaid:
    replicas: Sequence[int] = found["replicas"]
    leader: int = NO_LEADER if found["error_code"] else found["leader"]
    return PartitionSaid(found["partition"], leader, set(found["isr"]) >= {*replicas})
