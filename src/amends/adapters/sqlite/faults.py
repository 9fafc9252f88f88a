"""SQLite's and the operating system's errors as the store errors of the port, each one sentence for an operator.

Rules
- What passes by itself becomes `StoreFull` or `StoreUnavailable`; what needs a person becomes one of the others.
- What the caller got wrong (a value that no store can keep) becomes `ValueError`: trying again would not help.
- SQLite reports most write errors as "disk I/O error" without the errno, so lack of room is looked up.
It does not: retry.
"""

import errno
import os
import resource
import shutil
import sqlite3
from pathlib import Path
from types import TracebackType

from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

_PRIMARY_CODE = 0xFF
_ROOM = 64 * 1024
"""Less than this is no room: one commit writes a few pages to the log and may enlarge its index by 32 KiB."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_CALLERS_FAULTS = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


class AsStoreErrors:
    """Lets nothing of this technology leave its block but store errors; may be entered again and again.

    Every append enters it, and a generator-based context manager was measurable there (about 5 µs).
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(fault, sqlite3.Error):
            raise _of_sqlite(fault, self._path) from fault
        if isinstance(fault, OSError):
            raise _of_system(fault, self._path) from fault


def full(path: Path) -> StoreFull:
    """No space left."""
    return StoreFull(
        f"There is no space left for {path} (disk, quota or file size limit); nothing of the batch was written, "
        "make room and writing goes on by itself."
    )


def read_only(path: Path) -> StoreReadOnly:
    """No right to write."""
    return StoreReadOnly(
        f"{path} or its folder cannot be written to; give this user write access to both, or name another file."
    )


def corrupt(path: Path, why: str) -> StoreCorrupt:
    """Not a store, or damaged; `why` says which."""
    return StoreCorrupt(
        f"{path} cannot be used as a store: {why}; name the right file, or restore it from a backup."
    )


def unavailable(path: Path, why: object) -> StoreUnavailable:
    """It may pass by itself."""
    return StoreUnavailable(
        f"{path} does not answer now ({why}); nothing is known to be written, try again, and if it stays "
        "look for what else uses the file or for a failing disk."
    )


def _of_sqlite(fault: sqlite3.Error, path: Path) -> StoreError | ValueError:
    # A closed connection and its like carry no code.
    match getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return full(path)
        case sqlite3.SQLITE_IOERR if _is_out_of_room(path):
            return full(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return read_only(path)
        case sqlite3.SQLITE_CANTOPEN if not _is_writable(path):
            return read_only(path)
        case sqlite3.SQLITE_NOTADB:
            return corrupt(path, "it is not a database")
        case sqlite3.SQLITE_CORRUPT:
            return corrupt(path, f"it is damaged ({fault})")
        case code if code in _CALLERS_FAULTS:
            return ValueError(f"{path} cannot keep what it was given: {fault}")
        case _:
            return unavailable(path, fault)


def _of_system(fault: OSError, path: Path) -> StoreError:
    if fault.errno in _NO_ROOM:
        return full(path)
    if fault.errno in _NOT_WRITABLE:
        return read_only(path)
    return unavailable(path, fault.strerror)


def _is_writable(path: Path) -> bool:
    """Whether the process, under its effective identity, may write where SQLite must create its files."""
    places = (path, path.parent) if path.exists() else (path.parent,)
    return all(os.access(place, os.W_OK, effective_ids=True) for place in places)


def _is_out_of_room(path: Path) -> bool:
    size_limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return shutil.disk_usage(path.parent).free < _ROOM or (
        size_limit != resource.RLIM_INFINITY and _largest(path) + _ROOM > size_limit
    )


def _largest(path: Path) -> int:
    """Size of the larger of the database and its log."""
    log = path.with_name(f"{path.name}-wal")
    return max((file.stat().st_size for file in (path, log) if file.exists()), default=0)
