"""`amends serve` as a process that can be killed at a fuse: `python -m tests.crash.cluster.fused_service`.

A line of standard input is one `Birth` as JSON. For each the process forks (everything is imported, nothing is open),
the child runs the verb `serve` as it is, and the parent prints `born PID` and, in the end, `exit CODE`: minus the
signal, if it was one. Standard error is the child's.

Rules: the store and the transports are the product's own; around them stands what burns the saga's fuse, before and
after each append, when a command has left (a relay in front of each participant sees the end of the request), and when
an answer has arrived. When the standard input ends the child is killed.
`liar` is the defect that the campaign has to find: appends are acknowledged before they are committed.
It does not: decide when a process dies.
"""

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from amends import bootstrap
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.delivery.cli.app import run
from amends.ports import Append, EventStore, Transport
from examples.running.example import example_named
from tests.crash.cluster.fuses import FuseBox, command_name
from tests.crash.points import Relay

EXAMPLES = ("order", "offer", "fulfilment", "reservation", "booking")
READY_TO_FORK = (
    "amends.adapters.http",
    "amends.adapters.postgres",
    "amends.adapters.sqlite",
    "amends.delivery.api.running",
    "amends.delivery.cli.serve",
    "yaml",
)
"""What each child would import otherwise."""
LIE = 0.25
"""Seconds by which a liar's commit follows what it says: on a busy machine, too, the caller is told before."""
HEADERS = re.compile(rb"(?im)^amends-(saga-id|step|direction|round): *(.*?)\r?$")


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """How a process comes to be."""

    arguments: list[str]
    """Of `amends`."""
    fuses: str
    """The directory of the fuses; empty: without relays, and nothing burns."""
    liar: bool = False


def fused_store(make: Callable[..., EventStore], box: FuseBox, *, liar: bool) -> Callable[..., EventStore]:
    """Return what makes the same stores, with a fuse before and after each append."""

    @wraps(make)
    def made(*arguments: Any, **named: Any) -> EventStore:
        store = make(*arguments, **named)
        append: Callable[..., Any] = store.append
        late: set[asyncio.Task[Any]] = set()

        def burn(batch: Sequence[Append], kind: Any) -> None:
            for each in batch:
                box.burn(each.transition.key.saga_id, kind, each.transition.position)

        async def appended(batch: Sequence[Append], *more: Any, **options: Any) -> Any:
            burn(batch, "before-commit")
            verdicts = await append(batch, *more, **options)
            burn(batch, "after-commit")
            return verdicts

        async def later(batch: Sequence[Append], *more: Any, **options: Any) -> None:
            waiting = asyncio.Event()
            asyncio.get_running_loop().call_later(LIE, waiting.set)
            await waiting.wait()
            await appended(batch, *more, **options)

        async def lied(batch: Sequence[Append], *more: Any, **options: Any) -> Sequence[bool]:
            task = asyncio.create_task(later(batch, *more, **options))
            late.add(task)
            task.add_done_callback(late.discard)
            return [True] * len(batch)

        setattr(store, "append", lied if liar else appended)  # noqa: B010  a method is replaced on purpose
        return store

    return made


class FusedTransport:
    """A transport with a relay in front of the participant, and a fuse behind each of its answers."""

    def __init__(self, make: Callable[[str], Transport], url: str, box: FuseBox) -> None:
        self._make = make
        self._box = box
        self._relay = Relay(url, self._sent)
        self._opening = asyncio.Lock()
        self._transport: Transport | None = None

    async def send(self, command: SendCommand) -> Answer | Accepted:
        transport = self._transport or await self._opened()
        answer = await transport.send(command)
        name = command_name(command.direction, command.step, command.round)
        self._box.burn(command.saga_id, "after-reply", name)
        return answer

    async def close(self) -> None:
        self._relay.stop()
        if self._transport is not None:
            await self._transport.close()

    async def _opened(self) -> Transport:
        async with self._opening:
            if self._transport is None:
                self._transport = self._make(await self._relay.start())
        return self._transport

    def _sent(self, head: bytes) -> None:
        told = {name.lower(): value.decode() for name, value in HEADERS.findall(head)}
        name = command_name(told[b"direction"], told[b"step"], told[b"round"])
        self._box.burn(told[b"saga-id"], "after-send", name)


def fused_transports(make: Callable[..., Transport], box: FuseBox) -> Callable[..., Transport]:
    """Return what makes the same transports, fused."""

    @wraps(make)
    def made(url: str, *arguments: Any, **named: Any) -> Transport:
        return FusedTransport(lambda relay: make(relay, *arguments, **named), url, box)

    return made


def live(birth: Birth) -> int:
    """Serve until the end, or a fuse."""
    if birth.fuses or birth.liar:
        box = FuseBox(Path(birth.fuses or "."))
        for name in ("postgres", "sqlite"):
            setattr(bootstrap, name, fused_store(getattr(bootstrap, name), box, liar=birth.liar))
        if birth.fuses:
            setattr(bootstrap, "http", fused_transports(bootstrap.http, box))  # noqa: B010  replaced on purpose
    return run(birth.arguments)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def bear(birth: Birth) -> int:
    """Fork a child that lives so; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = live(birth)
    except BaseException as error:  # noqa: BLE001  whatever it is, the log of the process is told
        sys.stderr.write(f"{error!r}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def bury(child: int) -> None:
    """Wait for the child's end and say it."""
    _pid, status = os.waitpid(child, 0)
    say("exit", os.waitstatus_to_exitcode(status))


def main() -> None:
    """Bear a child for each line of standard input."""
    for example in EXAMPLES:
        example_named(example)
    for module in READY_TO_FORK:
        import_module(module)
    grave: threading.Thread | None = None
    child = 0
    say("ready")
    for line in sys.stdin.buffer:
        if grave is not None:
            grave.join()
        child = bear(msgspec.json.decode(line, type=Birth))
        say("born", child)
        grave = threading.Thread(target=bury, args=(child,))
        grave.start()
    if grave is not None and grave.is_alive():
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
