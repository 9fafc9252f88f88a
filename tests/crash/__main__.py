"""All crash campaigns, one after the other: `python -m tests.crash [--short] [--minutes M] …`, or `make crash`.

    sqlite      kills of the engine over a file, at every moment of the order process; restarts under load
    postgres    outages of PostgreSQL, kills of orchestrators at every moment of all five processes

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

STORES: Final = ("sqlite", "postgres")
SQLITE_SHARE: Final = 0.25
RESTARTS: Final = 20
SHORT_RESTARTS: Final = 4


def commands(parsed: argparse.Namespace, seed: int) -> Iterator[list[str]]:
    """Return the arguments of each campaign's module."""
    stores = parsed.store or STORES
    short = ["--short"] if parsed.short else []
    share = SQLITE_SHARE if len(stores) == len(STORES) else 1.0
    if "sqlite" in stores:
        minutes = f"{parsed.minutes * share:g}"
        yield ["tests.crash.campaign", *short, "--seed", str(seed), "--minutes", minutes]
        restarts = SHORT_RESTARTS if parsed.short else RESTARTS
        yield ["tests.crash.restarts", "--seed", str(seed), "--restarts", str(restarts)]
    if "postgres" in stores:
        minutes = f"{parsed.minutes * (1.0 if len(stores) == 1 else 1.0 - share):g}"
        options = ["--minutes", minutes, "--processes", str(parsed.processes)]
        yield ["tests.crash.cluster.campaign", *short, "--seed", str(seed), *options]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.crash", description="kills and outages, and what must hold")
    parser.add_argument("--short", action="store_true", help="each once, in three minutes or so")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long all of it takes about")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--store", choices=STORES, action="append", help="one store instead of both")
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
