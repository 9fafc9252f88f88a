"""A database file that was taken hold of, checked and brought up to date: one connection to write, one to read.

Rules
- WAL and synchronous=FULL: a commit that returned survives the power going off. The log is folded back after 1,000
  pages, as part of a commit: a stall of 3 to 17 ms that batches of 125 meet at their 99th percentile and small ones
  at their 99.9th. 4,000 pages gave rarer and longer stalls; a checkpointing thread beside the writer gave no gain.
- No connection waits for a lock: it could be the event loop that waits. A locked file is `StoreUnavailable`.
- Two connections, because on one a read would see what is not committed yet.
- The whole file is checked at opening as far as that is quick; a larger one by its schema and the end of its log.
It does not: know streams.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.faults import AsStoreErrors, corrupt
from amends.adapters.sqlite.hold import FileHold
from amends.adapters.sqlite.migrations import apply_missing, check_applied

APPLICATION_ID: Final = 0x414D4E44
"""Set by the first migration; tells this database from another program's."""
CHECKPOINT_PAGES: Final = 1_000
CACHE_KIBIBYTES: Final = 16_384
CHECK_SECONDS: Final = 0.25
"""Time for the check of the whole file: about 200 MB from the page cache."""


class Database(NamedTuple):
    """An open database file."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    release: Callable[[], None]
    """Close both connections, then let go of the file."""
    applied: list[str]
    """The migrations that opening applied."""


def open_database(path: Path) -> Database:
    """Take hold of `path`, creating it when it is not there. Raises only store errors."""
    with AsStoreErrors(path), ExitStack() as undo:
        if path.is_dir():
            raise corrupt(path, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        undo.callback(FileHold(path).release)
        writer = _connect(path)
        undo.callback(writer.close)
        applied = _make_ready(writer, path)
        reader = _connect(path)
        undo.callback(reader.close)
        reader.execute("PRAGMA query_only = ON")
        return Database(writer, reader, undo.pop_all().close, applied)


def _connect(path: Path) -> sqlite3.Connection:
    # Opened in one thread, used in another, never in two at once.
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    # A statement of several rows notes how pages were; outside of memory that wants a folder for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _make_ready(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Check the file and bring it up to date; return the migrations that were applied."""
    (tables,) = connection.execute(statements.COUNT_TABLES).fetchone()
    (program,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and program != APPLICATION_ID:
        raise corrupt(path, "it is a database of another program")
    if tables:
        check_applied(connection, path)
        _check_undamaged(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    applied = apply_missing(connection, path, is_new=not tables)
    # A file that can only be read shows it here, not at the first append.
    connection.execute(statements.PROVE_WRITABLE)
    return applied


def _check_undamaged(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(statements.READ_LOG_END).fetchone()
    if finding := damage(connection):
        raise corrupt(path, f"it is damaged ({finding})")


def damage(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the file, as far as that is found quickly; empty when nothing is."""
    alarm = threading.Timer(CHECK_SECONDS, connection.interrupt)
    alarm.start()
    try:
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        finding = "ok"
    finally:
        alarm.cancel()
        # Behind this line it cannot interrupt what comes next.
        alarm.join()
    return "" if finding == "ok" else str(finding)
