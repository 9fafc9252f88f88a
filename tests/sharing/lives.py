"""An orchestrator in a process of its own, on a shared store: `python -m tests.sharing.lives URL SCHEMA LEASE`.

It has the shop's sagas, and participants that say each command and answer once the gate is open. A line of standard
input is a verb with arguments; what it prints is in brackets:

    gate                 let participants answer from now on   [open]
    start SAGA ID        [started ID]
    signal ID            [signalled ID STATUS]
    wait ID              [ended ID STATUS], when it has
    hold                 [held NUMBER], of shards
    close                [closed]

Besides it prints `ready`, and `did COMMAND-ID ATTEMPT` for each command that reached a participant.
It does not: judge.
"""

import asyncio
import sys
from datetime import timedelta

from amends import Orchestrator, local
from amends.adapters.postgres import Address, PostgresEventStore
from amends.core.effect import SendCommand
from tests.application.shop import SAGAS, Order, Paid, Word

BY_NAME = {saga.name: saga for saga in SAGAS}
COMMANDS = ("reserve", "release", "pay", "refund", "ship")


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Gate:
    """Participants behind a gate."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def handle(self, _payload: object, command: SendCommand) -> object:
        say("did", command.command_id, command.attempt)
        await self.open.wait()
        return Paid("p-1") if command.name == "pay" else None


class Life:
    """Follows what it is told."""

    def __init__(self, amends: Orchestrator, gate: Gate) -> None:
        self._amends = amends
        self._gate = gate
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, line: str) -> None:
        task = asyncio.create_task(self._follow(line.split()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, words: list[str]) -> None:
        amends = self._amends
        match words:
            case ["gate"]:
                self._gate.open.set()
                say("open")
            case ["start", saga, saga_id]:
                say("started", (await amends.start(BY_NAME[saga], Order(), saga_id=saga_id)).id)
            case ["signal", saga_id]:
                say("signalled", saga_id, (await amends.signal(saga_id, "go", Word())).status)
            case ["wait", saga_id]:
                say("ended", saga_id, (await amends.wait(saga_id)).status)
            case ["hold"]:
                say("held", len(amends.engine.shards.held))
            case _:
                say("what?", *words)


async def main(url: str, schema: str, lease: str) -> None:
    gate = Gate()
    participants = {name: local(dict.fromkeys(COMMANDS, gate.handle)) for name in ("stock", "bank")}
    store = PostgresEventStore(Address.of(url, schema=schema), lease=timedelta(seconds=float(lease)))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Orchestrator(sagas=SAGAS, store=store, participants=participants) as amends:
        life = Life(amends, gate)
        say("ready")
        while (line := await lines.readline()) not in {b"", b"close\n"}:
            life.follow(line.decode())
    say("closed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
