"""Starts and stops a real Eureka server, as Spring Cloud has it, for tests and trials: no container, no root.

    servers/eureka start DIR [PORT]    prints the server's address; one that runs already is left alone
    servers/eureka stop DIR            ends it; it keeps nothing, and begins empty with the next start
    servers/eureka remove DIR          ends it and deletes its folder

Rules
- A JDK, 17 or newer, and Maven must be there. The jars that `eureka.xml` names are fetched once, into
  `AMENDS_SERVERS_CACHE`, by default .amends/servers; each must have the SHA-256 that stands in `eureka.txt`. The one
  class of `eureka.java` is compiled beside them.
- One server without peers, on loopback, no authentication. It is in a hurry: its caches hold for half a second, an
  instance whose lease is over is taken out within a second, and it protects nobody who is silent.
It does not: tune, secure, or touch a server that it did not start.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servers import frame
from servers.frame import HERE, Unable, jars, must, needed

__all__ = ["Server", "Unable", "remove", "start", "stop"]

JAVA = ["-Xms96m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
READY = ("Started Eureka in", "Started Eureka Server")
NEEDED = "Eureka needs a JDK, 17 or newer, and Maven: install them"

CONFIGURATION = """
server.address=127.0.0.1
server.port={port}
spring.main.banner-mode=off
eureka.client.register-with-eureka=false
eureka.client.fetch-registry=false
eureka.dashboard.enabled=false
eureka.server.enable-self-preservation=false
eureka.server.eviction-interval-timer-in-ms=1000
eureka.server.response-cache-update-interval-ms=500
eureka.server.wait-time-in-ms-when-sync-empty=0
"""


@dataclass(frozen=True, kw_only=True)
class Server(frame.Program):
    """A Eureka server in a folder."""

    @property
    def url(self) -> str:
        """What clients call its default zone."""
        return f"http://{self.address}/eureka/"


class _Eureka(frame.Programs[Server]):
    name = "Eureka"
    script = "servers/eureka"
    server = Server

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        server = Server(folder=str(folder), port=port)
        _properties(server).write_text(CONFIGURATION.format(port=port), encoding="utf-8")
        return server

    def begun(self, server: Server) -> bool:
        place = frame.fetched("eureka", _fetch)
        command = [needed("java", NEEDED), *JAVA, "-cp", f"{place}/classes:{place}/*", "amends.Eureka"]
        return server.begun(
            [*command, f"--spring.config.location=file:{_properties(server)}"],
            lambda said: all(each in said for each in READY),
        )

    def addresses(self, server: Server) -> Sequence[str]:
        return [server.url]


def _properties(server: Server) -> Path:
    return Path(server.folder, "application.properties")


def _fetch(place: Path) -> None:
    jars(place, HERE / "eureka.xml", HERE / "eureka.txt")
    compiler = [needed("javac", NEEDED), "-proc:none", "-cp", f"{place}/*", "-d", str(place / "classes")]
    done = subprocess.run([*compiler, str(HERE / "eureka.java")], check=False, capture_output=True, text=True)
    must(done, "eureka.java cannot be compiled")


KIND = _Eureka()
start = KIND.start
stop = KIND.stop
remove = KIND.remove

if __name__ == "__main__":
    KIND.main()
