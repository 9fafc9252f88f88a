"""Other processes of a measurement: modules of this package that serve, or that measure and print.

Rules: one that serves says a line when it is ready, and ends when its standard input closes. One that measures prints
one JSON document. It does not: measure.
"""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, Final, TypeVar

import msgspec

T = TypeVar("T")

LOOPBACK: Final = "http://127.0.0.1:"


@contextmanager
def serving(module: str, *arguments: str) -> Generator[str]:
    """Run a module of this package that serves until its standard input closes; yield what it says first."""
    command = [sys.executable, "-m", f"amends.delivery.bench.{module}", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        # Leaving closes its standard input, which ends it.
        yield first_line(process.stdout)


def first_line(stream: IO[str] | None) -> str:
    """Return the first line that a started process says."""
    line = stream.readline().strip() if stream is not None else ""
    if not line:
        raise RuntimeError("the measured server did not start")
    return line


def in_own_process(module: str, task: object, of: type[T]) -> T:
    """Run a module of this package on `task` and return what it printed."""
    command = [sys.executable, "-m", f"amends.delivery.bench.{module}", msgspec.json.encode(task).decode()]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=600)  # noqa: S603  our own module
    if ended.returncode:
        raise RuntimeError(f"the measured process failed:\n{ended.stderr.decode()[-2000:]}")
    return msgspec.json.decode(ended.stdout, type=of)
