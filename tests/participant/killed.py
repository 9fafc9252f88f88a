"""A process that executes one do in one database of the kit, and kills itself where the arguments say.

python -m tests.participant.killed PLACE {in-the-handler|before-the-answer|never} FILE SERVER
"""

import asyncio
import os
import signal
import sys

from amends.participant import Command
from tests.participant.places import PLACES, Where, harmless

COMMAND = Command(
    command_id="s1/count/do/1",
    namespace="default",
    saga_id="s1",
    step="count",
    direction="do",
    round=1,
    attempt=1,
    name="add",
    payload={"by": 1},
)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(place: str, moment: str, where: Where) -> None:
    async with PLACES[place](where, kill if moment == "in-the-handler" else harmless) as deliver:
        answer = await deliver(COMMAND)
        if moment == "before-the-answer":
            kill()
        print(answer.outcome, answer.body.decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Where(sys.argv[3], sys.argv[4])))
