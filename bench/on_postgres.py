"""`amends bench` on a PostgreSQL of its own: what one and two orchestrators do, beside what pgbench commits one by one.

    python -m bench.on_postgres [--short] [--json]

The server is made by `servers/postgres` and gone afterwards, fsync on; so are pgbench and its limit. `--short` measures
50 callers alone, happy sagas alone.
It does not: judge; only ratios inside one run say something.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from servers import postgresql

WHOLE = (("local", 1), ("local", 2), ("http", 1), ("http", 2))
SHORT = (("local", 1), ("local", 2), ("http", 1))


def main(arguments: list[str]) -> int:
    is_short = "--short" in arguments
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "server")
        try:
            server = postgresql.start(folder)
            return max(
                measured(server, participants, processes, arguments, is_short=is_short)
                for participants, processes in (SHORT if is_short else WHOLE)
            )
        finally:
            postgresql.remove(folder)


def measured(
    server: postgresql.Server, participants: str, processes: int, arguments: list[str], *, is_short: bool
) -> int:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "bench", "--store", "postgres"]
    command += ["--database", server.local_address, "--pgbench", str(Path(server.programs, "pgbench"))]
    command += ["--participants", participants, "--processes", str(processes), *arguments]
    if is_short:
        command += ["--workload", "happy", "--concurrency", "50"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
