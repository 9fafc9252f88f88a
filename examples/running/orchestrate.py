"""The demo's orchestrator as a process: cases come in as lines, what becomes of them goes out as lines.

    python -m examples.running.orchestrate --example order --store saga.db --participant order=http://… …

Rules:
- Standard input: one case as JSON per line starts the saga of what it gives, whose id is the business key. The same
  line again is harmless; after a restart the parent sends them all again. The process ends with its input, so it never
  outlives its parent.
- Standard output: one `Report` as JSON per line: `ready` once, then `saga` whenever one has moved, `refused` for one
  that cannot be started.
- What was begun before goes on by itself, from the store alone, as soon as it is open.
- When the parent is killed, this process dies with it where the system can see to that (Linux); elsewhere it ends with
  its input. Either way nothing is lost, and it does not go on asking services that are going down as well.
- The predecessor may still be letting go of the store: that is waited for.

Does not do: judge what becomes of the sagas, or look at what else a case says.
"""

import argparse
import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from amends import (
    ActRefused,
    Orchestrator,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
    SagaView,
    bootstrap,
    http,
    sqlite,
)
from amends.application.service import Service
from amends.ports import EventStore, StoreHeld, StreamKey
from examples.running.example import Example, Telling, example_named
from examples.running.topics import bindings_of
from examples.running.tracing import traced

LOOK = 0.1
"""Seconds between two looks at the sagas."""
PATIENCE = 15.0
"""Seconds in which a predecessor must have let go of the store."""
LONGEST_LINE = 1 << 20
PR_SET_PDEATHSIG = 1
ENDS = ("completed", "compensated", "abandoned")


class StepSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One step that has begun."""

    path: str
    phase: str
    attempts: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The store is open; cases may come."""


class SagaSeen(msgspec.Struct, frozen=True, kw_only=True, tag="saga"):
    """A saga as it stands; `seconds` from its start to its end, by the event stream's own instants."""

    id: str
    status: str
    business_status: str
    steps: tuple[StepSeen, ...]
    undone: tuple[str, ...]
    stuck: tuple[str, ...]
    seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in ENDS


class NotStarted(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """This saga could not be started."""

    id: str
    reason: str


Report: TypeAlias = Ready | SagaSeen | NotStarted


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve standard input until it ends."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(prog="orchestrate")
    parser.add_argument("--example", required=True, help="whose saga: a folder of examples")
    parser.add_argument("--store", type=Path, required=True, help="the SQLite file of the sagas")
    parser.add_argument(
        "--participant", action="append", default=[], metavar="NAME=URL", help="where commands go"
    )
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", help="the broker: events start sagas, topics carry all"
    )
    parser.add_argument("--bindings", type=Path, help="the file that says on which topics")
    parsed = parser.parse_args(arguments)
    _die_with_parent()
    try:
        asyncio.run(_serve(example_named(parsed.example), _Wanted(**vars(parsed))))
    except BrokenPipeError:
        return 1
    return 0


def _die_with_parent() -> None:
    """Ask Linux to send SIGKILL to this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(kw_only=True)
class _Wanted:
    """The command line."""

    example: str
    store: Path
    participant: list[str]
    kafka: str | None
    bindings: Path | None

    def service(self, example: Example[Any, Any], store: EventStore) -> Service:
        """The orchestrator, with its participants as they are bound."""
        if self.kafka is None or self.bindings is None:
            urls = dict(pair.split("=", 1) for pair in self.participant)
            participants = {name: http(url) for name, url in urls.items()}
            return Service(
                Orchestrator(sagas=[example.saga], store=store, participants=participants, traces=traced())
            )
        cluster = bootstrap.kafka([self.kafka], bindings_of(self.bindings), member="orchestrator")
        orchestrator = Orchestrator(
            sagas=[example.saga], store=store, participants=cluster.transports, traces=traced()
        )
        parked = bootstrap.sqlite_parked(self.store.with_name(f"{self.store.name}.parked"))
        return Service(orchestrator, incoming=bootstrap.incoming(orchestrator, cluster, parked))


@dataclass
class _Desk:
    """The orchestrator, and what is still open in it."""

    example: Example[Any, Any]
    amends: Orchestrator
    store: EventStore
    starts_sagas: bool
    """Whether it starts them itself; else events do."""
    positions: dict[str, int] = field(default_factory=dict[str, int])
    untold: dict[str, list[Telling]] = field(default_factory=dict[str, list[Telling]])

    async def take(self, line: bytes) -> None:
        example = self.example
        case = msgspec.json.decode(line, type=example.case)
        saga_id = example.id_of(case)
        if not self.starts_sagas:
            self.positions[saga_id] = 0
            self.untold[saga_id] = [*example.tells(case.given)]
            return
        try:
            view = await self.amends.start(example.saga, example.data(case.given), saga_id=saga_id)
        except (ActRefused, SagaConflict, SagaIdInvalid) as refused:
            _report(NotStarted(id=saga_id, reason=str(refused)))
        else:
            self.positions[view.id] = 0
            self.untold[view.id] = [*example.tells(case.given)]
            await self.tell(view)

    async def tell(self, view: SagaView[Any]) -> None:
        """Send the signals whose moment it is; one that comes again after a restart counts once."""
        untold = self.untold[view.id]
        due = [telling for telling in untold if telling.at == view.business_status]
        untold[:] = [telling for telling in untold if telling not in due]
        for telling in due:
            with contextlib.suppress(ActRefused):  # It has ended meanwhile.
                await self.amends.signal(
                    view.id, telling.signal, telling.content, signal_id=telling.signal_id
                )

    async def look(self) -> None:
        """Report each saga that has moved since the last look."""
        for saga_id, position in list(self.positions.items()):
            try:
                view = await self.amends.get(saga_id)
            except SagaUnknown:
                continue
            if view.position == position:
                continue
            await self.tell(view)
            ended = view.status in ENDS
            _report(_seen(view, await self._seconds(saga_id) if ended else None))
            self.positions[saga_id] = view.position
            if ended:
                del self.positions[saga_id], self.untold[saga_id]

    async def _seconds(self, saga_id: str) -> float:
        stream = await self.store.read(StreamKey("default", saga_id))
        return (stream[-1].recorded_at - stream[0].recorded_at).total_seconds()


def _seen(view: SagaView[Any], seconds: float | None) -> SagaSeen:
    return SagaSeen(
        id=view.id,
        status=view.status,
        business_status=view.business_status,
        steps=tuple(StepSeen(path=s.path, phase=s.phase, attempts=s.attempts) for s in view.steps),
        undone=view.undone,
        stuck=view.stuck,
        seconds=seconds,
    )


def _report(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


async def _serve(example: Example[Any, Any], wanted: _Wanted) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    # Ctrl-C reaches the whole foreground group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = sqlite(wanted.store)
    service = wanted.service(example, store)
    async with AsyncExitStack() as stack:
        await _open(service, stack)
        _report(Ready())
        desk = _Desk(example, service.orchestrator, store, starts_sagas=wanted.kafka is None)
        duties = (_take_all(desk), _look_on(desk), ended.wait())
        tasks = {asyncio.ensure_future(duty) for duty in duties}
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in done:
            task.result()


async def _open(service: Service, stack: AsyncExitStack) -> None:
    """Open the store, once its former holder has let go of it."""
    clock = asyncio.get_running_loop().time
    latest = clock() + PATIENCE
    while True:
        try:
            await stack.enter_async_context(service)
            return
        except StoreHeld:
            if clock() > latest:
                raise
            await asyncio.sleep(LOOK)


async def _take_all(desk: _Desk) -> None:
    lines = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        await desk.take(line)


async def _look_on(desk: _Desk) -> None:
    while True:
        await desk.look()
        await asyncio.sleep(LOOK)


if __name__ == "__main__":
    sys.exit(main())
