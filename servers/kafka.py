"""Starts and stops a real Apache Kafka for tests, benchmarks and trials: no container, no root.

    servers/kafka start DIR [PORT]    prints the broker's address; one that runs already is left alone
    servers/kafka stop DIR            ends it; its content stays for the next start
    servers/kafka remove DIR          ends it and deletes what it kept

Rules
- Java 17 or newer and Maven must be there. The jars that `kafka.xml` names are fetched once, into
  `AMENDS_SERVERS_CACHE`, by default .amends/servers; each must have the SHA-256 that stands in `kafka.txt`.
- One node, broker and controller at once (KRaft), on loopback, one replica of everything, no authentication. Topics are
  made by whoever needs them, not by being named.
- Everybody may do everything, until somebody makes a rule (an ACL): all who come are User:ANONYMOUS.
- It takes records from any time, also from those that are to come: readers must stand that.
- It is back soon after a SIGKILL: a session ends after two seconds, a group does not wait for more members.
- What must be known to stop it stands in DIR, with its log.
It does not: tune, secure, or touch a broker that it did not start.
"""

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from servers import frame
from servers.frame import HERE, Unable, free_port, jars, must, needed

__all__ = ["Server", "Unable", "remove", "start", "stop"]

JAVA = ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
READY = "Kafka Server started"

CONFIGURATION = """
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=3
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.message.timestamp.after.max.ms=9223372036854775807
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""


@dataclass(frozen=True, kw_only=True)
class Server(frame.Program):
    """A broker in a folder."""

    controller_port: int


class _Kafka(frame.Programs[Server]):
    name = "Kafka"
    script = "servers/kafka"
    server = Server

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        """Write what the broker reads; a new one gets its storage, too."""
        server = Server(folder=str(folder), port=port, controller_port=free_port())
        data, properties = folder / "data", folder / "server.properties"
        text = CONFIGURATION.format(port=port, controller_port=server.controller_port, data=data)
        properties.write_text(text, encoding="utf-8")
        if not (data / "meta.properties").exists():
            shutil.rmtree(data, ignore_errors=True)
            _format(folder, properties)
        return server

    def begun(self, server: Server) -> bool:
        command = [*_java(), "kafka.Kafka", str(Path(server.folder, "server.properties"))]
        return server.begun(command, lambda said: READY in said)


def _format(folder: Path, properties: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # Joined by "=": one that begins with "-" would be taken for an option.
    storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
    done = subprocess.run([*_java(), *storage], check=False, capture_output=True, text=True, cwd=folder)
    must(done, "the broker's storage cannot be made")


def _java() -> list[str]:
    classes = frame.fetched("kafka", lambda place: jars(place, HERE / "kafka.xml", HERE / "kafka.txt"))
    java = needed("java", "Kafka needs Java 17 or newer, and Maven: install them")
    return [java, *JAVA, "-cp", f"{classes}/*"]


KIND = _Kafka()
start = KIND.start
stop = KIND.stop
remove = KIND.remove

if __name__ == "__main__":
    KIND.main()
