"""The three services over Kafka, as one process: `python -m tests.crash.kafka.services SERVER DIRECTORY NAME ENDING`.

They read `NAME.SERVICE.ENDING` (`SERVICE.ENDING` without a name) as the groups `NAME-SERVICE`, each with a database of
its own in DIRECTORY, through the participants' kit. SIGTERM ends them in good order; then `came.json` says in which
order each saga's commands came to each service, whatever became of them: each command id once, where it was first seen.

It does not: answer otherwise than a service does.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler
from amends.participant.kafka import KafkaParticipant
from examples.running.fleet import ROOT, search_path
from tests.crash.kafka.shop import COMMANDS, SERVICES, database

CAME: Final = "came.json"
LOG: Final = "services.log"
ENDED_WITHIN: Final = 60.0

Came = dict[str, dict[str, list[str]]]
"""Command ids in the order in which they came, by service and saga."""


@dataclass(frozen=True)
class Noting:
    """A service's database that notes which commands come, in their order."""

    database: Database
    came: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    seen: set[str] = field(default_factory=set[str])

    async def execute(self, command: Command, handler: SqliteHandler) -> Answer:
        if command.command_id not in self.seen:
            self.seen.add(command.command_id)
            self.came.setdefault(command.saga_id, []).append(command.command_id)
        return await self.database.execute(command, handler)

    async def recall(self, command_id: str) -> Remembered | None:
        return await self.database.recall(command_id)


async def main(server: str, directory: Path, name: str, ending: str) -> None:
    """Serve until SIGTERM."""
    noting = {service: Noting(database(directory, service)) for service in SERVICES}
    participants = [
        KafkaParticipant(
            name=service,
            topic=f"{name}.{service}.{ending}".removeprefix("."),
            group=f"{name}-{service}",
            servers=[server],
            handlers=COMMANDS[service],
            database=noting[service],
            options={"client_id": service, "metadata_max_age_ms": 5_000},
        )
        for service in SERVICES
    ]

    def stop() -> None:
        for each in participants:
            each.stop()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await asyncio.gather(*(each.run() for each in participants))
    came: Came = {service: each.came for service, each in noting.items()}
    (directory / CAME).write_bytes(msgspec.json.encode(came))
    for each in noting.values():
        each.database.close()


@asynccontextmanager
async def services(server: str, directory: Path, name: str, ending: str) -> AsyncGenerator[Path]:
    """Have the services run; at the end `came` may be read."""
    with (directory / LOG).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.kafka.services", server, str(directory), name, ending),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path()},
            stdout=log,
            stderr=log,
        )
    try:
        yield directory
        if process.returncode is not None:
            raise AssertionError(f"the services ended by themselves:\n{told(directory)}")
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), ENDED_WITHIN)
            except TimeoutError:
                process.kill()
                await process.wait()


def told(directory: Path) -> str:
    """Return the end of what the services said."""
    return (directory / LOG).read_text(errors="replace")[-3000:]


def came(directory: Path) -> Came:
    """Return which commands came, in their order."""
    return msgspec.json.decode((directory / CAME).read_bytes(), type=Came)


def wrong_order(
    came: Mapping[str, Mapping[str, Sequence[str]]], issued: Mapping[str, Sequence[str]]
) -> list[str]:
    """Tell for which sagas commands came in another order than that in which they were issued."""
    wrong: list[str] = []
    for service, by_saga in came.items():
        for saga_id, ids in by_saga.items():
            places = {command_id: place for place, command_id in enumerate(issued.get(saga_id, ()))}
            order = [places.get(command_id, -1) for command_id in ids]
            if order != sorted(order) or -1 in order:
                wrong.append(f"{saga_id}: to {service} came {', '.join(ids)}")
    return wrong


if __name__ == "__main__":
    _server, _directory, *_names = sys.argv[1:]
    arguments: Any = (_server, Path(_directory), *_names)
    asyncio.run(main(*arguments))
