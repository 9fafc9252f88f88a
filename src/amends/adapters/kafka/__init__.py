"""Participants that are spoken to over Apache Kafka: transports, and the intake of what they answer.

Rules: `KafkaTransport` (native) and `EventTransport` (event style) fill the transport port, `KafkaIntake` the intake
port; they share a `KafkaSender`. aiokafka is the technology, and nothing of it shows outside this folder.
It does not: decide, or keep anything that must not be lost.
"""

from amends.adapters.kafka.driver import Address, Security, make_topics
from amends.adapters.kafka.events import EventTransport, StartTopic, StepTopics, WayTopics
from amends.adapters.kafka.intake import KafkaIntake
from amends.adapters.kafka.sender import KafkaSender
from amends.adapters.kafka.transport import KafkaTransport

__all__ = [
    "Address",
    "EventTransport",
    "KafkaIntake",
    "KafkaSender",
    "KafkaTransport",
    "Security",
    "StartTopic",
    "StepTopics",
    "WayTopics",
    "make_topics",
]
