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

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("AMENDS_SERVERS_CACHE", HERE.parent / ".amends" / "servers"))
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA = ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
READY = "Kafka Server started"
TRIES = 5
"""A free port may be taken by somebody else before the broker has it."""
SECONDS = 120

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


class Unable(Exception):
    """Why there is no broker."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What is known of a broker in a folder."""

    folder: str
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """What clients begin with."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process."""
        return int(Path(self.folder, "pid").read_text(encoding="ascii"))

    @property
    def is_running(self) -> bool:
        try:
            os.kill(self.pid, 0)
            arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            # Where there is no /proc, what was noted when it ended must do.
            return Path("/proc").exists() is False and not Path(self.folder, "ended").exists()
        return str(Path(self.folder, "server.properties")).encode() in arguments


def start(folder: Path, port: int | None = None) -> Server:
    """Start the broker of `folder`, making it when it is not there, and wait until it serves.

    Raises:
        Unable: there is no Kafka to be had, or it does not start; the text says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        known = _known(folder)
        if known is not None and known.is_running:
            return known
        classes = _classes()
        for attempt in range(TRIES):
            # A broker that was killed a moment ago may still have its ports.
            kept = known is not None and attempt < TRIES - 1
            wanted = port or (known.port if known is not None and kept else _free_port())
            controller = known.controller_port if known is not None and kept else _free_port()
            server = Server(folder=str(folder), port=wanted, controller_port=controller)
            _keep(server, classes)
            if _started(server, classes):
                return server
            if port is not None:
                break
        raise Unable(f"Kafka does not start:\n{_log(folder)}")


def stop(folder: Path) -> None:
    """End the broker of `folder`, if it runs."""
    if not folder.exists():
        return
    with _alone(folder):
        server = _known(folder)
        if server is None or not server.is_running:
            return
        for number, seconds in ((signal.SIGTERM, SECONDS), (signal.SIGKILL, SECONDS)):
            with suppress(ProcessLookupError):
                os.kill(server.pid, number)
            if _ended(server, seconds):
                return
        raise Unable(f"the broker {server.pid} does not end")


def remove(folder: Path) -> None:
    """End the broker of `folder` and delete all that belongs to it."""
    stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


# --- the folder -------------------------------------------------------------------------------------------------


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _known(folder: Path) -> Server | None:
    try:
        return Server(**json.loads((folder / "server.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _keep(server: Server, classes: str) -> None:
    """Write what the broker reads; a new one gets its storage, too."""
    folder = Path(server.folder)
    data, properties = folder / "data", folder / "server.properties"
    text = CONFIGURATION.format(port=server.port, controller_port=server.controller_port, data=data)
    properties.write_text(text, encoding="utf-8")
    if not (data / "meta.properties").exists():
        shutil.rmtree(data, ignore_errors=True)
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Joined by "=": one that begins with "-" would be taken for an option.
        storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
        done = subprocess.run(
            [_java(), *JAVA, "-cp", classes, *storage],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
        )
        if done.returncode:
            raise Unable(f"the broker's storage cannot be made:\n{done.stdout}{done.stderr}")
    (folder / "server.json").write_text(json.dumps(asdict(server), indent=2), encoding="utf-8")


def _started(server: Server, classes: str) -> bool:
    """Start it below a shell that waits for it, so that a killed broker leaves the system's list of processes."""
    folder = Path(server.folder)
    ended, pid, log = folder / "ended", folder / "pid", folder / "server.log"
    ended.unlink(missing_ok=True)
    pid.unlink(missing_ok=True)
    before = log.stat().st_size if log.exists() else 0
    command = [_java(), *JAVA, "-cp", classes, "kafka.Kafka", str(folder / "server.properties")]
    script = 'ended=$0; pid=$1; shift; ( "$@" & echo $! > "$pid"; wait $!; echo $? > "$ended" ) &'
    with log.open("ab") as told:
        subprocess.run(
            ["/bin/sh", "-c", script, str(ended), str(pid), *command],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            cwd=folder,
            start_new_session=True,
            check=True,
        )
    latest = time.monotonic() + SECONDS
    while not ended.exists() and time.monotonic() < latest:
        with log.open("rb") as said:
            said.seek(before)
            if READY.encode() in said.read():
                return True
        time.sleep(0.05)
    return False


def _ended(server: Server, seconds: float) -> bool:
    latest = time.monotonic() + seconds
    while server.is_running:
        if time.monotonic() > latest:
            return False
        time.sleep(0.02)
    return True


def _log(folder: Path) -> str:
    try:
        lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(it wrote nothing)"
    return "\n".join(lines[-20:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- the programs -----------------------------------------------------------------------------------------------


def _java() -> str:
    return _program("java")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unable(f"Kafka needs {name}, which is not there: install Java 17 or newer, and Maven")
    return found


def _classes() -> str:
    """Return the class path of the broker, fetched once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone(CACHE):
        place = CACHE / "kafka"
        if not place.exists():
            half = place.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            _fetch(half)
            _check(half)
            half.rename(place)
    return f"{place}/*"


def _fetch(place: Path) -> None:
    pom = place / "pom" / "pom.xml"
    pom.parent.mkdir(parents=True)
    shutil.copyfile(HERE / "kafka.xml", pom)
    done = subprocess.run(
        [
            *("mvn", "-q", "-B", "-f", str(pom), PLUGIN),
            "-DincludeScope=runtime",
            f"-DoutputDirectory={place}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Unable(f"Kafka cannot be fetched:\n{done.stdout}{done.stderr}")
    shutil.rmtree(pom.parent)


def _check(place: Path) -> None:
    """Refuse what is not, byte for byte, what was pinned."""
    pinned = dict(line.split()[::-1] for line in (HERE / "kafka.txt").read_text("ascii").splitlines())
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in place.glob("*.jar")}
    wrong = sorted(name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name))
    if wrong:
        raise Unable(f"not what servers/kafka.txt pins: {', '.join(wrong)}")


def main(arguments: Sequence[str]) -> str:
    """Do what the command line says; return what to print."""
    match arguments:
        case ["start", folder, *rest] if len(rest) <= 1:
            return f"{start(Path(folder).resolve(), int(rest[0]) if rest else None).address}\n"
        case ["stop", folder]:
            stop(Path(folder).resolve())
        case ["remove", folder]:
            remove(Path(folder).resolve())
        case _:
            raise Unable("usage: servers/kafka start DIR [PORT] | stop DIR | remove DIR")
    return ""


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except Unable as reason:
        sys.exit(str(reason))
