"""The demo's directory: whose it is now, what lies in it, and whether a run was interrupted there.

    with RunDirectory.held(Path(".amends/demo/order"), services=["payment", …]) as directory:
        directory.interrupted        # the last run has begun and not ended: it can go on

Rules:
- One demo at a time, by an operating system's lock on `demo.lock`; the lock goes with its process.
- Only the demo's own files are ever removed, by name. A directory with other things and no `demo.lock` is refused.
- A run has begun when `run.json` says so; it is written last, in one piece, so what was prepared before a kill does not
  count. `cases.jsonl` is the run's own copy of its input.

Does not do: open a database, or know what the cases mean.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from examples.running.supervisor import LOG, PID, STORE

RUN = "run.json"
INPUT = "cases.jsonl"
RESULT = "result.json"
LOCK = "demo.lock"


def own_files(services: Iterable[str]) -> tuple[str, ...]:
    """The demo's files besides the lock; `run.json` first, so that a half emptied directory holds no run."""
    names = tuple(services)
    databases = (STORE, *(f"{service}.db" for service in names))
    return (
        RUN,
        *(f"{database}{suffix}" for database in databases for suffix in ("", "-wal", "-shm", ".lock")),
        *(f"{service}.{kind}" for service in names for kind in ("log", "pid")),
        INPUT,
        RESULT,
        LOG,
        PID,
        "fleet.lock",
        f"{RUN}.new",
        f"{RESULT}.new",
    )


class CannotUse(Exception):
    """The demo cannot run like that; the text is one line and names the mend."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What `run.json` says."""

    state: Literal["begun", "ended"]
    begun_at: datetime


@dataclass(frozen=True)
class RunDirectory:
    """A directory that this process holds."""

    path: Path
    own: tuple[str, ...]

    @staticmethod
    @contextlib.contextmanager
    def held(path: Path, *, services: Iterable[str]) -> "Generator[RunDirectory, None, None]":
        """Make the directory if it is not there, and hold it.

        Raises:
            CannotUse: another demo runs there, it is full of other things, or it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()) and not (path / LOCK).exists():
                message = f"{path} holds other things than a demo; name an empty or a new directory"
                raise CannotUse(message)
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"{path} cannot be used: {error.strerror}; name another one with --directory"
            raise CannotUse(message) from error
        try:
            _take(lock, path)
            yield RunDirectory(path, own_files(services))
        finally:
            os.close(lock)

    @property
    def interrupted(self) -> Run | None:
        """The run that has begun here and not ended."""
        try:
            run = msgspec.json.decode((self.path / RUN).read_bytes(), type=Run)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        return run if run.state == "begun" else None

    def empty(self, *, keep: bool) -> Path | None:
        """Remove what an earlier run left, or put it aside; return where."""
        own = [self.path / name for name in self.own if (self.path / name).exists()]
        if keep and (self.path / RUN).exists():
            aside = self._aside()
            for file in own:
                file.rename(aside / file.name)
            return aside
        for file in own:
            file.unlink()
        return None

    def begin(self) -> None:
        """From here on the run counts, and can be interrupted."""
        self._note(Run(state="begun", begun_at=datetime.now(UTC)))

    def end(self, result: bytes) -> None:
        """Keep the result; the next run is a new one."""
        self._write(RESULT, result)
        self._note(Run(state="ended", begun_at=datetime.now(UTC)))

    def _note(self, run: Run) -> None:
        self._write(RUN, msgspec.json.encode(run) + b"\n")

    def _write(self, name: str, content: bytes) -> None:
        """Write in one piece: the whole file, durably, or nothing."""
        draft = self.path / f"{name}.new"
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / name)

    def _aside(self) -> Path:
        number = 1
        while (aside := self.path / f"earlier-{number}").exists():
            number += 1
        aside.mkdir()
        return aside


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "another process"
        message = (
            f"a demo runs in {path} already (process {holder}); stop it, or name another one with --directory"
        )
        raise CannotUse(message) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
