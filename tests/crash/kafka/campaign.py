"""The campaign over Kafka: `python -m tests.crash.kafka.campaign [--short] [--minutes M] [--seed N] [--only PHASE] …`.

    port         20,000 sagas over a lossy way inside the process
    lossy        20,000 sagas over Kafka, with a lossy relay between the orchestrator and its services
    killed       SIGKILL of the broker under load, and its start, 10 times
    rebalanced   50 rebalances of every group under load
    deleted      topics deleted under load, and made again
    forbidden    permissions taken away under load, and given back
    poison       1,000 poison messages among 100,000

Rules: these are the numbers for `FULL` minutes and more, and what fewer minutes are given is that much less of each;
`--short` is a look of a minute at `port`, `lossy`, `killed` and `poison`, and judges no speed. The seed is printed and
repeats what is lost, kept, poisonous, and after how many sagas something is broken. The exit code is 1 if anything does
not hold.
It does not: break or judge by itself (`lossy`, `outages`, `poison`).
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.crash.kafka import lossy, outages, poison
from tests.crash.kafka.broker import Broker
from tests.crash.kafka.fates import Weather
from tests.crash.kafka.lossy import Result
from tests.crash.verdict import said

FULL: Final = 20.0
"""Minutes that the numbers of the head take about, on two cores that have nothing else to do."""
SHORT: Final = 0.005
"""Of those numbers."""
SHORT_PHASES: Final = ("port", "lossy", "killed", "poison")
TOLD_EVERY: Final = 10.0
"""Seconds between two lines of progress where there is no terminal."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    short: bool = False
    seed: int = 0
    minutes: float = FULL
    only: Sequence[str] = ()
    quiet: bool = False

    def much(self, number: int, least: int = 1) -> int:
        """Return what the time is enough for of a number that stands in the head."""
        share = SHORT if self.short else min(self.minutes / FULL, 1.0)
        return max(round(number * share), least)


@dataclass
class Campaign:
    """One run of it."""

    directory: Path
    options: Options
    found: dict[str, Result] = field(default_factory=dict[str, Result])
    _told: float = 0.0

    async def run(self) -> None:
        """Play all phases; what was found stands in `found`."""
        wanted = self.options.only or (SHORT_PHASES if self.options.short else tuple(PHASES))
        for name, play in PHASES.items():
            if name not in wanted:
                continue
            began = time.monotonic()
            self.found[name] = result = await play(self, self.directory / name)
            result.figures["seconds"] = time.monotonic() - began
            self._say(f"{line_of(name, result)}\n")

    @property
    def wrong(self) -> list[str]:
        """Everything that does not hold."""
        return [f"{name}: {fault}" for name, result in self.found.items() for fault in result.wrong]

    def teller(self, name: str) -> Callable[[str], None]:
        """Return what shows how far a phase is."""

        def tell(what: str) -> None:
            if sys.stderr.isatty():
                self._say(f"{name}: {what}")
            elif time.monotonic() - self._told > TOLD_EVERY:
                self._told = time.monotonic()
                self._say(f"{name}: {what}\n")

        return tell

    def _say(self, what: str) -> None:
        if not self.options.quiet:
            sys.stderr.write(f"\r\x1b[K{what}" if sys.stderr.isatty() else what)
            sys.stderr.flush()

    def trial(self, name: str, sagas: int, abreast: int) -> lossy.Trial:
        """Return a lossy trial of so many sagas."""
        # With few at a time an answer is quick, and less need be waited for one that is lost.
        timeout = 1.0 if self.options.short else 4.0
        return lossy.Trial(
            sagas=sagas,
            weather=Weather(seed=self.options.seed, longest=0.75 * timeout),
            abreast=min(sagas, abreast),
            timeout=timedelta(seconds=timeout),
            tell=self.teller(name),
        )


async def _port(campaign: Campaign, directory: Path) -> Result:
    trial = campaign.trial("port", campaign.options.much(20_000), 3_000)
    return await lossy.over_the_port(directory, trial)


async def _lossy(campaign: Campaign, directory: Path) -> Result:
    trial = campaign.trial("lossy", campaign.options.much(20_000), 1_000)
    async with Broker(directory.with_name("lossy-broker")) as broker:
        return await lossy.over_kafka(directory, broker.address.servers[0], trial)


async def _poison(campaign: Campaign, directory: Path) -> Result:
    async with Broker(directory.with_name("poison-broker")) as broker:
        return await poison.poisoned(directory, broker.address.servers[0], _dose(campaign))


def _dose(campaign: Campaign) -> poison.Dose:
    seed, tell, much = campaign.options.seed, campaign.teller("poison"), campaign.options.much
    if campaign.options.short:
        # Enough for every kind, and too few for a speed that would be the same the next time.
        return poison.Dose(
            seed=seed, messages=3_000, poison=60, portion=1_000, is_speed_judged=False, tell=tell
        )
    # Many portions even in a short run: a machine's moods are longer than a portion.
    # A portion of less than that passes in a moment, and its speed says nothing.
    portion = poison.PORTION if much(20) >= 8 else max(much(100_000) // 10, 3_000)
    messages = portion * max(much(100_000) // portion, 10)
    return poison.Dose(
        seed=seed,
        messages=messages,
        poison=max(much(1_000), messages // 100),
        portion=portion,
        tell=tell,
    )


def _outage(name: str, breaking: Callable[[Options], tuple[outages.Breaking, int]]) -> "Play":
    async def play(campaign: Campaign, directory: Path) -> Result:
        tell = campaign.teller(name)
        async with outages.opened(directory, seed=campaign.options.seed, tell=tell) as scene:
            broken, times = breaking(campaign.options)
            await outages.under_load(scene, broken, times=times)
        return scene.result

    return play


Play = Callable[[Campaign, Path], Awaitable[Result]]

PHASES: Final[Mapping[str, Play]] = {
    "port": _port,
    "lossy": _lossy,
    "killed": _outage("killed", lambda options: (outages.killed, options.much(10))),
    "rebalanced": _outage("rebalanced", lambda options: (outages.crowded(options.much(50, least=3)), 1)),
    "deleted": _outage("deleted", lambda options: (outages.deleted, options.much(3))),
    "forbidden": _outage("forbidden", lambda options: (outages.forbidden, options.much(3))),
    "poison": _poison,
}


def line_of(name: str, result: Result) -> str:
    """Return a phase's line of the table."""
    told = ", ".join(f"{what} {value:.4g}" for what, value in result.figures.items())
    return f"{name:<11} wrong: {len(result.wrong)}  {told}"


def document(campaign: Campaign) -> dict[str, object]:
    """Return everything as one JSON document."""
    phases = {
        name: {what: round(value, 3) for what, value in result.figures.items()}
        for name, result in campaign.found.items()
    }
    return {"seed": campaign.options.seed, "wrong": campaign.wrong, "phases": phases}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign of the command line."""
    parser = argparse.ArgumentParser(prog="tests.crash.kafka.campaign", description="outages over Kafka")
    parser.add_argument("--short", action="store_true", help="a little of each, in a minute or so")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=FULL, help="how long all of it takes about")
    parser.add_argument(
        "--only", choices=tuple(PHASES), action="append", default=[], help="one phase instead of all"
    )
    parser.add_argument("--directory", type=Path, help="where the run's files stay, to be looked at")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parsed = parser.parse_args(arguments)
    # What is broken on purpose is said by everybody who notices.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("amends").setLevel(logging.ERROR)
    options = Options(short=parsed.short, seed=parsed.seed, minutes=parsed.minutes, only=parsed.only)
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    with TemporaryDirectory(prefix="amends-kafka-") as own:
        campaign = Campaign(parsed.directory or Path(own), options)
        asyncio.run(campaign.run())
    return said(campaign.wrong, document(campaign) if parsed.json else None)


if __name__ == "__main__":
    sys.exit(main())
