"""Fuses: where a process of the campaign kills itself, told by the saga and the moment in its life.

    box = FuseBox(directory)
    box.lay("order-17", Fuse("after-commit", 9))
    box.burn("order-17", "after-commit", 9)         SIGKILL, the first time; never again

Rules
- A moment is a place that does not depend on who runs the saga: `before-commit` and `after-commit` the first append at
  that position or behind it, `after-send` and `after-reply` the command of that name (`do reserve-stock 1`).
- A fuse burns once, whichever process comes to it: it leaves a mark in the directory before it kills, with the time.
- The kill is SIGKILL: nothing is flushed, closed or rolled back.
It does not: know what passes.
"""

import os
import signal
import time
from pathlib import Path
from typing import TypeAlias

import msgspec

from tests.crash.points import Kind

Moment: TypeAlias = int | str


class Fuse(msgspec.Struct, frozen=True):
    """The process that comes to this moment of a saga is killed there."""

    kind: Kind
    at: Moment

    def __str__(self) -> str:
        return f"{self.kind} {self.at}"

    def is_met(self, kind: Kind, at: Moment) -> bool:
        """Tell whether the moment has come."""
        if kind != self.kind:
            return False
        if isinstance(self.at, int) and isinstance(at, int):
            return at >= self.at
        return at == self.at


class Burnt(msgspec.Struct, frozen=True):
    """Who was killed, and when, in seconds since the epoch."""

    process: int
    at: float


def command_name(direction: str, step: str, round_: int | str) -> str:
    """Return how fuses call a command of a saga."""
    return f"{direction} {step} {round_}"


class FuseBox:
    """The fuses in a directory, shared by all processes of a campaign."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, Fuse | None] = {}

    def lay(self, saga_id: str, fuse: Fuse) -> None:
        """Have the process killed that brings this saga there. Before the saga is started."""
        self._directory.mkdir(exist_ok=True)
        (self._directory / f"{saga_id}.fuse").write_bytes(msgspec.json.encode(fuse))

    def burn(self, saga_id: str, kind: Kind, at: Moment) -> None:
        """Kill this process if it is the first that comes to where it has to die."""
        fuse = self._fuse_of(saga_id)
        if fuse is None or not fuse.is_met(kind, at):
            return
        self._known[saga_id] = None
        told = msgspec.json.encode(Burnt(os.getpid(), time.time()))
        try:
            mark = os.open(self._mark(saga_id), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return
        os.write(mark, told)
        os.kill(os.getpid(), signal.SIGKILL)

    def burnt(self, saga_id: str) -> Burnt | None:
        """Return how the saga's fuse burnt, None if it did not."""
        try:
            return msgspec.json.decode(self._mark(saga_id).read_bytes(), type=Burnt)
        except FileNotFoundError:
            return None

    def _fuse_of(self, saga_id: str) -> Fuse | None:
        if saga_id not in self._known:
            try:
                read = (self._directory / f"{saga_id}.fuse").read_bytes()
            except FileNotFoundError:
                self._known[saga_id] = None
            else:
                self._known[saga_id] = msgspec.json.decode(read, type=Fuse)
        return self._known[saga_id]

    def _mark(self, saga_id: str) -> Path:
        return self._directory / f"{saga_id}.burnt"
