"""`amends bench` on a PostgreSQL of its own: what one and two orchestrators do, beside what pgbench commits one by one.

    python -m bench.on_postgres [--short] [--json]

The server is made by `servers/postgres` and gone afterwards, fsync on; so are pgbench and its limit. `--short` measures
50 callers alone, happy sagas alone. The last table is what traces and metrics cost.
The server stands for one that has been in use: the files of its log are there. A new one makes each of them while
everybody waits, 16 MiB in some 25 ms: one saga in a hundred sees that, and it says nothing of what is measured.
It does not: judge; only ratios inside one run say something.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from servers import postgresql

WHOLE = (("local", 1), ("local", 2), ("http", 1), ("http", 2))
LOG_FILES = 64
"""Of 16 MiB each."""
SHORT = (("local", 1), ("local", 2), ("http", 1))


def main(arguments: list[str]) -> int:
    is_short = "--short" in arguments
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "server")
        try:
            server = postgresql.start(folder)
            asyncio.run(make_log_files(server))
            codes = [
                measured(server, participants, processes, arguments, is_short=is_short)
                for participants, processes in (SHORT if is_short else WHOLE)
            ]
            return max(*codes, watched(server, arguments))
        finally:
            postgresql.remove(folder)


async def make_log_files(server: postgresql.Server) -> None:
    """Have the server make as many files of its log as a run writes, and keep them for the next."""
    link = await asyncpg.connect(server.local_address)
    try:
        await link.execute(f"ALTER SYSTEM SET min_wal_size = '{LOG_FILES * 16}MB'")
        await link.execute("SELECT pg_reload_conf()")
        for _ in range(LOG_FILES):
            await link.execute("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
        await link.execute("CHECKPOINT")
    finally:
        await link.close()


def measured(
    server: postgresql.Server, participants: str, processes: int, arguments: list[str], *, is_short: bool
) -> int:
    command = [*bench(server), "--participants", participants, "--processes", str(processes), *arguments]
    if is_short:
        command += ["--workload", "happy", "--concurrency", "50"]
    return subprocess.run(command, check=False).returncode


def watched(server: postgresql.Server, arguments: list[str]) -> int:
    """Measure what traces and metrics cost."""
    return subprocess.run([*bench(server), "--all-on", *arguments], check=False).returncode


def bench(server: postgresql.Server) -> list[str]:
    """Return the command that measures on this server."""
    command = [sys.executable, "-m", "amends.delivery.cli.main", "bench", "--store", "postgres"]
    return [*command, "--database", server.local_address, "--pgbench", str(Path(server.programs, "pgbench"))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
