"""An orchestrator of the backlog: `python -m tests.crash.cluster.backlog_process URL LEDGER fill FIRST LAST | drain`.

`fill` starts the orders with these numbers and prints `started N` now and then and `filled` in the end; their first
command is accepted and never answered. `drain` opens the store, prints `open`, and works off what is there. Both go on
until they are killed; they end with their standard input, too.
It does not: judge.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from amends import Orchestrator, RetryPolicy, postgres
from amends.core.plan import Defaults
from amends.delivery.bench.workload import order, order_fulfilment
from tests.crash.cluster.ledger import Ledger, LedgerTransport

ABREAST: Final = 500
TOLD_EVERY: Final = 1_000
PATIENT: Final = Defaults(
    timeout=timedelta(hours=1), retry=RetryPolicy(attempts=3), undo_retry=RetryPolicy(attempts=3)
)
"""What is accepted for later is waited for; nobody gives up over a full house."""


def saga_id(number: int) -> str:
    return f"order-{number:07}"


async def fill(amends: Orchestrator, first: int, last: int) -> None:
    """Start the orders; return when all are acknowledged."""
    numbers = iter(range(first, last + 1))
    started = 0

    async def go_on() -> None:
        nonlocal started
        for number in numbers:
            await amends.start(order_fulfilment, order(number), saga_id=saga_id(number))
            started += 1
            if started % TOLD_EVERY == 0:
                print(f"started {started}", flush=True)

    await asyncio.gather(*(go_on() for _ in range(ABREAST)))


async def main(url: str, ledger: str, verb: str, *numbers: str) -> None:
    """Fill or drain."""
    kept = Ledger(Path(ledger))
    participants = {
        name: LedgerTransport(kept, answers=verb == "drain") for name in ("inventory", "payments", "shipping")
    }
    async with Orchestrator(
        sagas=[order_fulfilment], store=postgres(url), participants=participants, defaults=PATIENT
    ) as amends:
        if verb == "fill":
            await fill(amends, *map(int, numbers))
        print("filled" if verb == "fill" else "open", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
