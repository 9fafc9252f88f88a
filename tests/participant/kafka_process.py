"""A counting participant over Kafka as a process; it kills itself before the reply where it is told to.

python -m tests.participant.kafka_process NAME SERVER FILE {before-the-reply|never}
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler
from amends.participant.kafka import KafkaParticipant
from tests.participant.counter import HANDLERS, prepare


class Dying:
    """A database that commits, and then the process is killed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def execute(self, command: Command, handler: SqliteHandler) -> Answer:
        await self._database.execute(command, handler)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")

    async def recall(self, command_id: str) -> Remembered | None:
        return await self._database.recall(command_id)


async def main(name: str, server: str, file: str, moment: str) -> None:
    database = Database(path=Path(file), prepare=prepare)
    participant = KafkaParticipant(
        name=name,
        servers=[server],
        handlers=HANDLERS,
        database=Dying(database) if moment == "before-the-reply" else database,
        options={"client_id": "a-participant"},
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, participant.stop)
    await participant.run()
    database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
