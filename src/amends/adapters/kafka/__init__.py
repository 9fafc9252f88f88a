"""Participants that are spoken to over Apache Kafka: transports, and the intake of what they answer.

Rules: `KafkaCluster` joins the parts: transports (native, or in event style) over one `KafkaSender`, and the
`KafkaIntake`. aiokafka is the technology, and nothing of it shows outside this folder.
It does not: decide, or keep anything that must not be lost.
"""

from amends.adapters.kafka.cluster import KafkaCluster
from amends.adapters.kafka.driver import Address, Security, behind, make_topics
from amends.adapters.kafka.intake import KafkaIntake
from amends.adapters.kafka.outlet import KafkaOutlet
from amends.adapters.kafka.sender import KafkaSender
from amends.adapters.kafka.transport import KafkaTransport

__all__ = [
    "Address",
    "KafkaCluster",
    "KafkaIntake",
    "KafkaOutlet",
    "KafkaSender",
    "KafkaTransport",
    "Security",
    "behind",
    "make_topics",
]
