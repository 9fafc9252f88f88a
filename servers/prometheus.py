"""Starts and stops a real Prometheus for tests and trials: no container, no root, nothing installed first.

    servers/prometheus start DIR [PORT]    prints the server's address; one that runs already is left alone
    servers/prometheus stop DIR            ends it; its content stays for the next start
    servers/prometheus remove DIR          ends it and deletes what it kept

Rules
- A prometheus that is installed is taken, with its promtool; otherwise the package of the Debian that this machine runs
  is unpacked into `AMENDS_SERVERS_CACHE`, by default .amends/servers. Debian's own keys vouch for it.
- It reads DIR/prometheus.yml, which may be there before; by default it asks nobody but itself.
It does not: tune, secure, or touch a server that it did not start.
"""

import shutil
from pathlib import Path

from servers import frame
from servers.frame import Unable

__all__ = ["Server", "Unable", "program", "remove", "start", "stop"]

READY = "Server is ready to receive web requests"
CONFIGURATION = """
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Server(frame.Program):
    """A Prometheus in a folder."""


class _Prometheus(frame.Programs[Server]):
    name = "Prometheus"
    script = "servers/prometheus"
    server = Server

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        if not (folder / "prometheus.yml").exists():
            (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=port), encoding="utf-8")
        return Server(folder=str(folder), port=port)

    def begun(self, server: Server) -> bool:
        folder = Path(server.folder)
        command = [
            str(program("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={server.address}",
        ]
        return server.begun(command, lambda said: READY in said)


def program(name: str) -> Path:
    """Return where a program of Prometheus is: `prometheus`, or `promtool`.

    Raises:
        Unable: there is none to be had.
    """
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    place = frame.fetched("prometheus", lambda place: frame.debian_package(place, "prometheus"))
    return place / "usr" / "bin" / name


KIND = _Prometheus()
start = KIND.start
stop = KIND.stop
remove = KIND.remove

if __name__ == "__main__":
    KIND.main()
