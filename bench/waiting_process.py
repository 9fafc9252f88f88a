"""The process that opens a store full of instances that wait: one JSON document about how that went.

    python -m bench.waiting_process URL SCHEMA INSTANCES DUE REPLIES

It opens a service, waits until `DUE` timers have fired, tells `REPLIES` instances what they wait for (half of them a
signal, half of them the reply to a command that was sent before the restart), and says how long each took and how much
memory all of it needed.
It does not: judge.
"""

import asyncio
import json
import random
import re
import sys
import time
from datetime import timedelta
from pathlib import Path

from amends.application.orchestrator import Orchestrator
from amends.application.service import Service
from amends.bootstrap import postgres
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Succeeded
from bench.waiting import SAGAS, Word, is_a_notice, waiting_id

PATIENCE = 180.0


class Registrar:
    """A participant: it takes what was sent before the restart for later, and answers all else at once."""

    def __init__(self, outstanding: int) -> None:
        self.sent = 0
        self._outstanding = outstanding
        self.all_sent = asyncio.Event()

    async def send(self, command: SendCommand) -> Answer | Accepted:
        self.sent += 1
        if self.sent >= self._outstanding:
            self.all_sent.set()
        return Accepted() if is_a_notice(int(command.saga_id.rpartition("-")[2])) else Succeeded()

    async def close(self) -> None:
        """Nothing to release."""


class Lateness:
    """How late timers were; those that were due before the opening count from there."""

    def __init__(self, wanted: int) -> None:
        self.opened = time.time()
        self.late: list[float] = []
        self._wanted = wanted
        self.all_fired = asyncio.Event()

    def fired(self, late: timedelta) -> None:
        self.late.append(min(late.total_seconds(), time.time() - self.opened))
        if len(self.late) >= self._wanted:
            self.all_fired.set()


def peak_memory() -> int:
    """In bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0


async def recovery(registrar: Registrar, began: float) -> float:
    """Return the seconds until everything that was outstanding has been sent again."""
    await registrar.all_sent.wait()
    return time.perf_counter() - began


async def answered(service: Service, instances: int, replies: int) -> tuple[int, int, float]:
    """Tell instances what they wait for; return how many, how many completed, and the 99th percentile in seconds."""
    chance = random.Random(7)
    notices = [number for number in range(instances) if is_a_notice(number)]
    approvals = (chance.randrange(instances) for _ in range(instances * 2))
    wanted = [number for number in dict.fromkeys(approvals) if not is_a_notice(number)][: replies // 2]
    wanted += chance.sample(notices, min(replies - len(wanted), len(notices)))
    spent: list[float] = []
    completed = 0
    amends = service.orchestrator
    for number in wanted:
        saga_id, began = waiting_id(number), time.perf_counter()
        if is_a_notice(number):
            await amends.reply(saga_id, "note", Succeeded())
        else:
            await amends.signal(saga_id, "approve", Word("ada"))
        async with asyncio.timeout(PATIENCE):
            completed += (await amends.wait(saga_id)).status == "completed"
        spent.append(time.perf_counter() - began)
    return len(wanted), completed, sorted(spent)[len(spent) * 99 // 100]


async def main(url: str, schema: str, instances: int, due: int, replies: int) -> dict[str, object]:
    registrar, lateness = Registrar(sum(map(is_a_notice, range(instances)))), Lateness(due)
    amends = Orchestrator(
        sagas=SAGAS, store=postgres(url, schema=schema), participants={"registry": registrar}
    )
    began = time.perf_counter()
    lateness.opened = time.time()
    async with Service(amends) as service:
        opened = time.perf_counter() - began
        amends.engine.timers.on_fired = lateness.fired
        async with asyncio.timeout(PATIENCE):
            recovered, _ = await asyncio.gather(recovery(registrar, began), lateness.all_fired.wait())
        sent = registrar.sent
        told, completed, p99 = await answered(service, instances, replies)
        return {
            "start_s": opened,
            "recovered_s": recovered,
            "sent_again": sent,
            "timers": len(lateness.late),
            "latest_timer_s": max(lateness.late),
            "replies": told,
            "replies_handled": completed,
            "reply_p99_ms": p99 * 1e3,
            "peak_memory": peak_memory(),
        }


if __name__ == "__main__":
    place, tables, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(main(place, tables, *map(int, numbers)))))
