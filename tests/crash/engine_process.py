"""One life of the engine, in a process of its own: `python -m tests.crash.engine_process`.

A line of standard input is one `Life` as JSON. For each the process forks (nothing is open yet, everything is
imported), the child runs the engine over the SQLite file and the real services until its order has ended or it kills
itself at the given point, and prints what it knows:

    acknowledged           the start was acknowledged: from now on it must not be lost
    resumed SECONDS        the first command or append of this life, counted from its beginning
    ended STATUS BUSINESS  the order's saga has ended
    failed REASON          something that must not happen
    exit CODE              printed by the parent of the fork: 0, or minus the signal

It does not: judge.
"""

import asyncio
import logging
import os
import sys
import time
from contextlib import AsyncExitStack

import msgspec

from amends import Orchestrator, SagaUnknown
from amends.adapters.http import HttpTransport
from amends.adapters.sqlite import SqliteEventStore
from amends.ports import Transport
from examples.order.messages import Order
from examples.order.saga import ORDER, OrderData
from tests.crash.points import CrashStore, CrashTransport, Fuse, Kind, Point, Relay


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What one life of the engine gets to know."""

    store: str
    services: dict[str, str]
    order: Order
    point: Point | None = None
    is_acknowledged: bool = False
    """Whether an earlier life said so: then this one must find the instance."""


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


class Resuming(Fuse):
    """Says when the first thing happens."""

    def __init__(self, point: Point | None) -> None:
        super().__init__(point)
        self._began: float | None = time.monotonic()

    def burn(self, kind: Kind) -> None:
        if self._began is not None:
            say("resumed", f"{time.monotonic() - self._began:.6f}")
            self._began = None
        super().burn(kind)


async def live(life: Life) -> None:
    """Run the order to its end, or to the point where this process dies."""
    fuse = Resuming(life.point)
    async with AsyncExitStack() as stack:
        participants: dict[str, Transport] = {}
        for name, url in life.services.items():
            relay = Relay(url, lambda _head: fuse.burn("after-send"))
            stack.callback(relay.stop)
            participants[name] = CrashTransport(HttpTransport(await relay.start()), fuse)
        store = CrashStore(SqliteEventStore(life.store), fuse)
        amends = await stack.enter_async_context(
            Orchestrator(sagas=[ORDER], store=store, participants=participants)
        )
        saga_id = life.order.order_id
        if not life.is_acknowledged:
            await amends.start(ORDER, OrderData(order=life.order), saga_id=saga_id)
            say("acknowledged")
        try:
            end = await amends.wait(saga_id)
        except SagaUnknown as error:
            say("failed", f"an acknowledged start is lost: {error}")
        else:
            say("ended", end.status, end.business_status)


def main() -> None:
    """Fork a child for each line of standard input."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    for line in sys.stdin.buffer:
        life = msgspec.json.decode(line, type=Life)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(live(life))
                code = 0
            except Exception as error:  # noqa: BLE001  whatever it is, the campaign is told
                say("failed", repr(error).replace("\n", " "))
            finally:
                sys.stdout.flush()
                os._exit(code)
        _pid, status = os.waitpid(child, 0)
        say("exit", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
