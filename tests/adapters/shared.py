"""A server of a test run: started when the first test wants it, shared by all of the run's processes.

    BROKER = Shared("servers.kafka");  BROKER.server().address

Rules
- Who uses the server holds a lock for as long as it lives. A process beside the run waits until nobody does, however
  they ended, and then takes the server away: `python -m tests.adapters.shared MODULE FOLDER`.
- MODULE is a script of `servers`, with `start(folder)` and `remove(folder)`.
It does not: serve tests that break their server; those start their own.
"""

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex


class Shared:
    """The run's one server of a kind."""

    def __init__(self, script: str) -> None:
        self._script = script
        name = script.rpartition(".")[2]
        self._folder = Path(tempfile.gettempdir(), f"amends-test-{name}-{os.getuid()}-{RUN}")
        self._held: int | None = None
        self._server: Any = None

    def server(self) -> Any:
        """Return the shared server."""
        if self._server is None:
            self._hold()
            if not (self._folder / "server").exists():
                self._begin_to_watch()
            self._server = importlib.import_module(self._script).start(self._folder / "server")
        return self._server

    def _begin_to_watch(self) -> None:
        # Two may come here at once: the second watch finds nothing left to do.
        subprocess.run(
            [
                *("/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", "tests.adapters.shared"),
                *(self._script, str(self._folder)),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )

    def _hold(self) -> None:
        """Say that this process uses the server. The system takes that back when it ends."""
        while self._held is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            users = _users(self._folder)
            # Waits while an earlier server is being taken away, its folder too: then there is a new one to make.
            fcntl.flock(users, fcntl.LOCK_SH)
            if self._is_there(users):
                self._held = users
            else:
                os.close(users)

    def _is_there(self, users: int) -> bool:
        try:
            return os.path.samestat(os.fstat(users), (self._folder / "users").stat())
        except FileNotFoundError:
            return False


def _users(folder: Path) -> int:
    return os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def watch(script: str, folder: Path) -> None:
    """Wait until nobody uses the server in `folder` any more, and remove it."""
    users = _users(folder)
    fcntl.flock(users, fcntl.LOCK_EX)
    importlib.import_module(script).remove(folder / "server")
    shutil.rmtree(folder, ignore_errors=True)
    os.close(users)


if __name__ == "__main__":
    watch(sys.argv[1], Path(sys.argv[2]))
