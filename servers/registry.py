"""Starts and stops a real schema registry, Apicurio Registry, for tests and trials: no container, no root.

    servers/registry start DIR [PORT]    prints its address for clients; one that runs already is left alone
    servers/registry stop DIR            ends it; its content stays for the next start
    servers/registry remove DIR          ends it and deletes what it kept

Rules
- Java 17 or newer and Maven must be there. The program is one archive that is fetched once, into
  `AMENDS_SERVERS_CACHE`, by default .amends/servers; it must have the SHA-256 that stands here.
- Its address is that of the protocol which Confluent's registry speaks (`/apis/ccompat/v7`). It checks no compatibility
  until a client asks for that, as with `PUT /config`.
- What it is told is in a file in DIR before it answers, and there after a SIGKILL.
- On loopback, without authentication.
It does not: tune, secure, or touch a registry that it did not start.
"""

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

from servers import frame
from servers.frame import Unable, must, needed

__all__ = ["Server", "Unable", "remove", "start", "stop"]

ARCHIVE = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
"""Newer ones need Java 21."""
SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
GET = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
NEEDED = "the registry needs Java 17 or newer, and Maven: install them"
JAVA = ["-Xms96m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
PROTOCOL = "/apis/ccompat/v7"


@dataclass(frozen=True, kw_only=True)
class Server(frame.Program):
    """A registry in a folder."""

    @property
    def url(self) -> str:
        """What clients are told."""
        return f"http://{self.address}{PROTOCOL}"


class _Registry(frame.Programs[Server]):
    name = "Apicurio Registry"
    script = "servers/registry"
    server = Server

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        return Server(folder=str(folder), port=port)

    def begun(self, server: Server) -> bool:
        java = needed("java", NEEDED)
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(server.port),
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            "apicurio.datasource.url": f"jdbc:h2:file:{server.folder}/data/registry;WRITE_DELAY=0",
        }
        told = [f"-D{name}={value}" for name, value in settings.items()]
        return server.begun([java, *JAVA, *told, "-jar", str(_program())], lambda _said: _answers(server))

    def addresses(self, server: Server) -> Sequence[str]:
        return [server.url]


def _answers(server: Server) -> bool:
    try:
        with urlopen(f"{server.url}/subjects", timeout=1) as answer:  # noqa: S310  on loopback
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _program() -> Path:
    (program,) = frame.fetched("registry", _unpacked).glob("*-runner.jar")
    return program


def _unpacked(place: Path) -> None:
    # Alone, for the descriptions of what it was built from are not everywhere; into a place where it is found again.
    repository = place / "repository"
    command = [needed("mvn", NEEDED), "-q", "-B", f"-Dmaven.repo.local={repository}", GET]
    command += [f"-Dartifact={ARCHIVE}", "-Dtransitive=false"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place)
    must(done, "the registry cannot be fetched")
    (archive,) = repository.rglob("*.tar.gz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise Unable(f"{archive.name} is not what servers/registry.py pins")
    with tarfile.open(archive) as packed:
        # Python 3.11 knows filters since 3.11.4; what is pinned by its hash may be unpacked without.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(place)  # noqa: S202  see above
    shutil.rmtree(repository)


KIND = _Registry()
start = KIND.start
stop = KIND.stop
remove = KIND.remove

if __name__ == "__main__":
    KIND.main()
