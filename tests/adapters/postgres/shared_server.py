"""The PostgreSQL of a test run: started when the first test wants it, shared by all of the run's processes.

Rules
- Each storage is a schema of its own, so tests do not see one another.
- Who uses the server holds a lock for as long as it lives. A process beside the run waits until nobody does, however
  they ended, and then takes the server away: `python -m tests.adapters.postgres.shared_server FOLDER`.
It does not: serve tests that break their server; those start their own.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from functools import cache
from pathlib import Path

import psycopg

from servers import postgresql

ROOT = Path(__file__).resolve().parents[3]
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
FOLDER = Path(tempfile.gettempdir(), f"amends-test-{os.getuid()}-{RUN}")


@cache
def server() -> postgresql.Server:
    """Return the shared server."""
    _held_while_alive()
    if not (FOLDER / "server").exists():
        # Two may come here at once: the second watch finds nothing left to do.
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", __name__, str(FOLDER)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )
    return postgresql.start(FOLDER / "server")


def new_schema() -> str:
    """Return a name that nobody has used."""
    return f"t_{uuid.uuid4().hex[:16]}"


def new_database() -> str:
    """Return the address of a database that nobody has used."""
    name = f"d_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server().local_address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server().local_address.replace("/amends?", f"/{name}?")


@cache
def _held_while_alive() -> int:
    """Say that this process uses the server. The system takes that back when it ends."""
    while True:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        users = _users(FOLDER)
        # Waits while an earlier server is being taken away, and its folder with it: then there is a new one to make.
        fcntl.flock(users, fcntl.LOCK_SH)
        if _is_there(users):
            return users
        os.close(users)


def _users(folder: Path) -> int:
    return os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_there(users: int) -> bool:
    try:
        return os.path.samestat(os.fstat(users), (FOLDER / "users").stat())
    except FileNotFoundError:
        return False


def watch(folder: Path) -> None:
    """Wait until nobody uses the server in `folder` any more, and remove it."""
    users = _users(folder)
    fcntl.flock(users, fcntl.LOCK_EX)
    postgresql.remove(folder / "server")
    shutil.rmtree(folder, ignore_errors=True)
    os.close(users)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
