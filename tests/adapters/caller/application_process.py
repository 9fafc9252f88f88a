"""An application in a process of its own, to be killed at a moment that is known.

    python -m tests.adapters.caller.application_process FLAVOUR URL SCHEMA PREFIX

It places one order after the other, each in a transaction of its own, and says `changed ID` before each commit and
`committed ID` behind it. Before it goes on from `changed` it waits for a line.
"""

import asyncio
import itertools
import sys

from tests.adapters.caller.business import Business
from tests.adapters.caller.flavours import FLAVOURS


async def run(flavour: str, url: str, schema: str, prefix: str) -> None:
    business = Business(url, schema)
    for number in itertools.count():
        saga_id = f"{prefix}-{number:04}"
        async with FLAVOURS[flavour](url) as application:
            await business.place(application, saga_id)
            print("changed", saga_id, flush=True)
            if not sys.stdin.readline():
                return
            await application.commit()
            print("committed", saga_id, flush=True)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
