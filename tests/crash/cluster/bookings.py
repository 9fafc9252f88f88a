"""A rush of bookings over three product rows: `python -m tests.crash.cluster.bookings [--bookings N] [--seconds S] …`.

21,562 bookings in 90 seconds, each of one, two or all of three products, at a steady pace over REST, into `amends
serve` on PostgreSQL with the services of the booking example: product, payment and booking, each with a database of its
own, in which three rows hold all the stock and one account pays for everything. One in ten cannot pay and is undone.

Rules: a booking counts as submitted when its start is acknowledged. In the end every booking has the end that it must
have, the store is without a gap, and the services' own books add up; `--settle` seconds after the first submission all
of that has to be so. The exit code is 1 if not.
It does not: break anything (`campaign` does).
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from examples.booking.messages import BookedProduct, BookingCreated
from examples.running.cases import Case, Expected
from tests.adapters.postgres.lines import session
from tests.crash.cluster.books import wrong_in_services, wrong_in_store
from tests.crash.cluster.database import Database
from tests.crash.cluster.load import Client, Run, World
from tests.crash.cluster.services import Cluster, Plan, pause

BOOKINGS: Final = 21_562
SECONDS: Final = 90.0
SETTLE: Final = 300.0
PRODUCTS: Final = ("room", "desk", "lamp")
POOR: Final = 10
"""One in so many cannot pay."""
ABREAST: Final = 96
"""Submissions under way at a time; no more than the client has connections."""
ANSWERED_WITHIN: Final = 120.0
"""Seconds after which a submission is made once more."""
SETTINGS: Final = (
    "log:\n  level: warning",
    "saga:\n  most-live: 50000\n  lane-width: 16",
)
OPEN: Final = "SELECT count(*) FROM open_saga"
STATUS: Final = "SELECT saga_id FROM event WHERE type = 'SagaCompensated'"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    bookings: int = BOOKINGS
    seconds: float = SECONDS
    settle: float = SETTLE
    processes: int = 2
    quiet: bool = False


@dataclass
class Rush:
    """One run."""

    directory: Path
    options: Options
    wrong: list[str] = field(default_factory=list[str])
    submitted_in: float = 0.0
    settled_in: float = 0.0
    slowest_start: float = 0.0
    _began: float = 0.0
    _submitted: int = 0

    async def run(self) -> None:
        """Submit, wait, and look at the books."""
        database = Database(self.directory, may_mount=False)
        try:
            await database.start()
            async with World(self.directory / "services", ("booking",), ANSWERED_WITHIN) as world:
                plan = Plan(
                    directory=self.directory,
                    store=database.url,
                    targets=["tests.crash.cluster.rush:RUSH"],
                    participants=world.participants,
                    processes=self.options.processes,
                    settings=SETTINGS,
                )
                async with Cluster(plan) as cluster:
                    await self._through(world, database, cluster)
        finally:
            await database.remove()

    async def _through(self, world: World, database: Database, cluster: Cluster) -> None:
        client = Client(world, cluster)
        world.runs += [booking(world, number) for number in range(1, self.options.bookings + 1)]
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle(database))
            runs = iter(world.runs)
            for _ in range(ABREAST):
                group.create_task(self._submit(client, runs))
        acknowledged = list(world.seen)
        self.wrong += world.wrong
        self.wrong += await wrong_in_store(database.address, acknowledged)
        async with session(database.address) as link:
            undone = {row[0] for row in await link.fetch(STATUS)}
        for run in world.runs:
            status, business = (
                ("compensated", "CANCELLED") if run.saga_id in undone else ("completed", "COMPLETED")
            )
            world.seen[run.saga_id] = {"status": status, "business_status": business, "cause": {"code": ""}}
        self.wrong += await wrong_in_services(world, database.address)
        if self.settled_in > self.options.settle:
            self.wrong.append(f"it took {self.settled_in:.0f} s, {self.options.settle:.0f} s were allowed")

    async def _submit(self, client: Client, runs: Iterator[Run]) -> None:
        pace = self.options.bookings / self.options.seconds
        for run in runs:
            self._submitted += 1
            early = self._began + self._submitted / pace - time.monotonic()
            if early > 0:
                await pause(early)
            asked = time.monotonic()
            await client.arrange(run)
            await client.ask_for(run, wait=0)
            self.slowest_start = max(self.slowest_start, time.monotonic() - asked)
            self.submitted_in = time.monotonic() - self._began

    async def _settle(self, database: Database) -> None:
        async with session(database.address) as link:
            while True:
                await pause(1.0)
                is_over = self._submitted >= self.options.bookings
                still_open = await link.fetchval(OPEN)
                self.settled_in = time.monotonic() - self._began
                self._say(f"{self._submitted} of {self.options.bookings} submitted, {still_open} under way")
                if is_over and not still_open:
                    return

    def _say(self, what: str) -> None:
        if not self.options.quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{self.settled_in:.0f} s: {what}")
            sys.stderr.flush()

    @property
    def document(self) -> dict[str, object]:
        """Everything that was found."""
        return {
            "bookings": self.options.bookings,
            "processes": self.options.processes,
            "submitted_in_s": round(self.submitted_in, 1),
            "settled_in_s": round(self.settled_in, 1),
            "bookings_per_s": round(self.options.bookings / max(self.settled_in, 0.001), 1),
            "slowest_start_s": round(self.slowest_start, 2),
            "wrong": self.wrong,
        }


def booking(world: World, number: int) -> Run:
    """Return the booking with this number: one, two or all of the products, paid by who can or by who cannot."""
    is_poor = number % POOR == 0
    saga_id = f"booking-{number:06}"
    products = tuple(
        BookedProduct(product_id=product, quantity=1 + number % 2)
        for product in islice((*PRODUCTS, *PRODUCTS), number % 3, number % 3 + 1 + number % 3)
    )
    made = BookingCreated(
        booking_id=saga_id,
        customer="ada",
        account="account-poor" if is_poor else "account-ada",
        products=products,
    )
    expect = (
        Expected(status="compensated", business_status="CANCELLED")
        if is_poor
        else Expected(status="completed", business_status="COMPLETED")
    )
    return Run(world.examples["booking"], "rush", saga_id, Case(about="rush", given=made, expect=expect))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rush of the command line."""
    parser = argparse.ArgumentParser(prog="tests.crash.cluster.bookings", description="a rush of bookings")
    parser.add_argument("--bookings", type=int, default=BOOKINGS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="in which they are submitted")
    parser.add_argument("--settle", type=float, default=SETTLE, help="in which all has to have ended")
    parser.add_argument("--processes", type=int, default=2, help="how many orchestrators share the database")
    parser.add_argument("--directory", type=Path, help="where the run's files stay, to be looked at")
    parsed = parser.parse_args(arguments)
    options = Options(
        bookings=parsed.bookings, seconds=parsed.seconds, settle=parsed.settle, processes=parsed.processes
    )
    with TemporaryDirectory(prefix="amends-bookings-") as own:
        rush = Rush(parsed.directory or Path(own), options)
        asyncio.run(rush.run())
    print(msgspec.json.encode(rush.document).decode())
    return 1 if rush.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
