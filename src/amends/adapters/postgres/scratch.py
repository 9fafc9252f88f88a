"""A schema to measure in: made empty, asked how large it has become, dropped; and the limit of its server.

Rules
- The limit is what pgbench reaches with 50 clients when every transition is a commit of its own, of two rows: no engine
  that commits per transition can pass it. pgbench is run as a program of its own, from the path that is given.
- The CPU of a server is told when its processes can be seen, that is on this machine.
It does not: use the store, or say what is good.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.session import connect

CLIENTS: Final = 50
SECONDS: Final = 4
CONNECT_SECONDS: Final = 10.0
BODY: Final = f'{{"type":"CommandIssued","step":"reserve-inventory","payload":"{"x" * 120}"}}'
"""A happy saga has about 1.4 kB of JSON in eight events."""


class Scratch:
    """The schema that `address` names, which is nobody else's."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def commits_per_s(self, program: Path) -> float:
        """Return how many transitions a second `program`, a pgbench, commits one by one; takes some seconds.

        Raises:
            OSError: there is no such program.
            RuntimeError: it fails; the text says why.
            StoreUnavailable: the server is not there.
        """
        link = await self._connected()
        try:
            await link.execute(statements.CREATE_SCHEMA)
            await link.execute(statements.CREATE_LIMIT_TABLE)
            with TemporaryDirectory() as folder:
                return await _transactions_per_s(program, self._address, _script(folder))
        finally:
            await link.execute(statements.DROP_SCHEMA)
            await link.close()

    async def stored_bytes(self) -> int:
        """Return how much the tables take, indexes included."""
        link = await self._connected()
        try:
            return int(await link.fetchval(statements.STORED_BYTES, self._address.schema))
        finally:
            await link.close()

    async def drop(self) -> None:
        """Delete the schema and all that is in it."""
        link = await self._connected()
        try:
            await link.execute(statements.DROP_SCHEMA)
        finally:
            await link.close()

    async def server_process(self) -> int:
        """Return the process that all of the server's sessions are children of; 0 when it is not on this machine."""
        link = await self._connected()
        try:
            backend = int(await link.fetchval(statements.BACKEND))
            return _fields(backend)[1] if _is_postgres(backend) else 0
        finally:
            await link.close()

    @staticmethod
    def cpu_seconds(server: int) -> float:
        """Return the CPU that the processes of `server` have used, those included that have ended; 0 for no server."""
        if not server:
            return 0.0
        _, _, *own = _fields(server)
        ticks = sum(own)
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                ticks += _ticks_of_child(int(entry.name), server)
        return ticks / os.sysconf("SC_CLK_TCK")

    async def _connected(self) -> Link:
        return await connect(self._address, within=CONNECT_SECONDS)


def _is_postgres(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").startswith("postgres")
    except OSError:
        return False


def _ticks_of_child(process: int, parent: int) -> int:
    try:
        _, its_parent, user, system, *_ = _fields(process)
    except OSError:
        return 0
    return user + system if its_parent == parent else 0


def _fields(process: int) -> list[int]:
    """Return its number, its parent's, and its ticks: user, system, and those of children that have ended."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    values = text.rpartition(")")[2].split()
    return [process, int(values[1]), *(int(value) for value in values[11:15])]


def _script(folder: str) -> Path:
    script = Path(folder, "transition.sql")
    script.write_text(statements.LIMIT_TRANSITION, encoding="utf-8")
    return script


async def _transactions_per_s(program: Path, address: Address, script: Path) -> float:
    how = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS)]
    how += ["-D", f"body={BODY}", "-f", str(script)]
    running = await asyncio.create_subprocess_exec(
        program,
        *how,
        env={**os.environ, **_environment(address)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, faults = await running.communicate()
    found = re.search(rb"tps = ([\d.]+)", told)
    if running.returncode or found is None:
        raise RuntimeError(f"pgbench failed: {faults.decode(errors='replace')[-500:]}")
    return float(found[1])


def _environment(address: Address) -> Mapping[str, str]:
    named = {
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGDATABASE": address.database,
        "PGUSER": address.user,
        "PGPASSWORD": address.password,
        "PGOPTIONS": f"-c search_path={address.schema}",
    }
    tls = {f"PG{name.replace('_', '').upper()}": value for name, value in address.tls}
    return {**tls, **{name: value for name, value in named.items() if value}}
