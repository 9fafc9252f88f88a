"""An orchestrator in a process of its own: `python -m tests.crash.holder STORE`.

It starts an order whose payment hangs, says `ready`, and closes in order when SIGTERM comes; what keeps it from opening
the store is its last word (exit code 2). It does not: fork, kill, or judge.
"""

import asyncio
import signal
import sys

from amends import Orchestrator, sqlite
from amends.core.effect import SendCommand
from amends.ports import StoreError
from tests.application.shop import FULFIL, SAGAS, Order, Shop


async def hold(path: str) -> int:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    shop = Shop()
    paying = asyncio.Event()

    async def never_paid(_command: SendCommand) -> None:
        paying.set()
        await asyncio.Event().wait()

    shop.on("pay", never_paid)
    try:
        async with Orchestrator(sagas=SAGAS, store=sqlite(path), participants=shop.bindings()) as amends:
            await amends.start(FULFIL, Order(), saga_id="o-1")
            await paying.wait()
            print("ready", flush=True)
            await ended.wait()
    except StoreError as error:
        print(error, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(hold(sys.argv[1])))
