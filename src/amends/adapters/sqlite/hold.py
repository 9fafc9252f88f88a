"""The hold on a store: one process at a time, by an operating system's lock on ``<database>.lock``.

Rules
- The lock lies on a file of its own: SQLite's locks on the database come and go with each transaction.
- `flock` belongs to the opened file, so a second store in the same process is refused as well, and the system lets go
  when the holder dies, SIGKILL included. Only a child forked without exec would keep it alive.
- The file says who holds it and is left behind: removing it would let two processes lock two files of that name.
It does not: wait, or take a hold over.
"""

import fcntl
import os
from pathlib import Path

from amends.ports.store_errors import StoreHeld


class FileHold:
    """A lock that is held until `release`."""

    def __init__(self, database: Path) -> None:
        """Take the hold.

        Raises:
            StoreHeld: somebody else has it.
            OSError: the lock file cannot be written.
        """
        lock = database.with_name(f"{database.name}.lock")
        self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(self._descriptor, database)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        os.close(self._descriptor)


def _lock(descriptor: int, database: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        # The holder may be between taking the lock and writing its number: then the text cannot name it.
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "(just starting)"
        raise StoreHeld(
            f"{database} is held by process {holder}; stop that process, or give this one a file of its own."
        ) from taken
