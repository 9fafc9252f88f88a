"""All crash campaigns, one after the other: `python -m tests.crash [--short] [--minutes M] …`, or `make crash`.

    sqlite      kills of the engine over a file, at every moment of the order process; restarts under load
    postgres    outages of PostgreSQL, kills of orchestrators at every moment of all five processes
    kafka       lossy ways, outages of the broker, rebalances, poison; over SQLite

Rules: the minutes are divided among the stores that are asked for; each campaign may go over what it has by as long as
it takes to end what it began. The exit code is that of the worst.
It does not: break or judge anything by itself.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from examples.running.fleet import ROOT

STORES: Final = ("sqlite", "postgres", "kafka")
SHARES: Final = {"sqlite": 0.2, "postgres": 0.5, "kafka": 0.3}
"""Of the minutes, when all are asked for."""
RESTARTS: Final = 20
SHORT_RESTARTS: Final = 4


def commands(parsed: argparse.Namespace, seed: int) -> Iterator[list[str]]:
    """Return the arguments of each campaign's module."""
    stores = parsed.store or STORES
    short = ["--short"] if parsed.short else []
    shares = sum(SHARES[store] for store in set(stores))
    for store in STORES:
        if store not in stores:
            continue
        options = ["--seed", str(seed), "--minutes", f"{parsed.minutes * SHARES[store] / shares:g}"]
        match store:
            case "sqlite":
                yield ["tests.crash.campaign", *short, *options]
                restarts = SHORT_RESTARTS if parsed.short else RESTARTS
                yield ["tests.crash.restarts", "--seed", str(seed), "--restarts", str(restarts)]
            case "postgres":
                processes = ["--processes", str(parsed.processes)]
                yield ["tests.crash.cluster.campaign", *short, *options, *processes]
            case _:
                yield ["tests.crash.kafka.campaign", *short, *options]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.crash", description="kills and outages, and what must hold")
    parser.add_argument("--short", action="store_true", help="each once, in four minutes or so")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long all of it takes about")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--store", choices=STORES, action="append", help="one of them instead of all")
    parser.add_argument(
        "--processes", type=int, default=2, help="how many orchestrators share the PostgreSQL"
    )
    parsed = parser.parse_args(arguments)
    worst = 0
    for command in commands(parsed, parsed.seed):
        began = time.monotonic()
        print(f"--- python -m {' '.join(command)}", flush=True)
        code = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode
        print(
            f"--- {'all is well' if code == 0 else f'exit code {code}'}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        worst = max(worst, abs(code))
    return worst


if __name__ == "__main__":
    sys.exit(main())
