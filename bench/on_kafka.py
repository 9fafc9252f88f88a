"""`amends bench` over a Kafka of its own: what the engine does with it, beside a bare client and the broker by itself.

    python -m bench.on_kafka [--short] [--json]

The broker is made by `servers/kafka` and gone afterwards. The stores are memory, SQLite in this folder and a PostgreSQL
of its own. `--short` measures 50 callers alone, happy sagas alone, on SQLite alone.
It does not: judge; only ratios inside one run say something.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from servers import kafka, postgresql

QUICK = ["--workload", "happy", "--concurrency", "50"]


def main(arguments: list[str]) -> int:
    is_short = "--short" in arguments
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "broker")
        try:
            broker = kafka.start(folder).address
            if is_short:
                return measured(broker, "sqlite", [*QUICK, *arguments])
            with store_server(Path(scratch, "store")) as address:
                worst = max(measured(broker, store, arguments) for store in ("memory", "sqlite"))
                return max(worst, measured(broker, "postgres", [*address, *arguments]))
        finally:
            kafka.remove(folder)


@contextmanager
def store_server(folder: Path) -> Iterator[Sequence[str]]:
    """Start a PostgreSQL; yield the arguments that name it."""
    server = postgresql.start(folder)
    try:
        yield ["--database", server.local_address, "--pgbench", str(Path(server.programs, "pgbench"))]
    finally:
        postgresql.remove(folder)


def measured(broker: str, store: str, arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "bench", "--store", store]
    command += ["--participants", "kafka", "--kafka", broker, *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
