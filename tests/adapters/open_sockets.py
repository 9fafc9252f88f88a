"""Which connections of this process nobody closed.

Rules: the collector is off in between, for it would close what was forgotten, and hide it.
It does not: see what is not a socket of Python's (a driver in C has its own).
"""

import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Collect what was there before, and nothing until the block ends."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def left_open(port: int) -> list[str]:
    """The connections of this process to that port of loopback which nobody closed."""
    sockets = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0]
    return [shown for shown in map(repr, sockets) if f"raddr=('127.0.0.1', {port})" in shown]
