"""The campaign's PostgreSQL, and what can be done to it: kill it, cut its sessions, lock its tables, fill its disk.

Rules
- It is a server of its own, started by the project's script; its processes are signalled by their ids.
- The store's tables lie in a tablespace on a small disk of their own, as far as this account may mount one: then "full"
  is a fact and not a simulation. Where it may not, the server's processes get a limit on the size of files.
- Each outage is a context: inside it the database is away, and it is back when the context ends.
It does not: know what runs on it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from amends.adapters.postgres import Address
from servers import postgresql
from tests.adapters.postgres.lines import session, tell

MEBIBYTE = 1 << 20
ROOMY = 512 * MEBIBYTE
LEFT_OVER = 96 * 1024
"""Bytes that a disk still has when it is made small."""
TABLES = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = $1"
TABLESPACE = "small_disk"


@dataclass
class Database:
    """One server, made in `directory` by `start`."""

    directory: Path
    may_mount: bool = True
    server: postgresql.Server = field(init=False)
    _disk: Path | None = None

    @property
    def address(self) -> Address:
        """Where the store is, with the password."""
        return Address.of(self.server.address)

    @property
    def url(self) -> str:
        """The same, as `database.url` has it."""
        return self.server.address

    @property
    def kind_of_disk(self) -> str:
        """How its disk becomes full."""
        return "a small tmpfs" if self._disk is not None else "a limit on the size of files"

    async def start(self) -> None:
        """Make the server and the small disk, and wait until it answers."""
        self.server = await asyncio.to_thread(
            postgresql.start, self.directory / "server", wal_segment_mebibytes=1
        )
        if self.may_mount:
            await asyncio.to_thread(self._mount)
        if self._disk is not None:
            await tell(
                self.address,
                f"CREATE TABLESPACE {TABLESPACE} LOCATION '{self._disk}'",
                f"ALTER ROLE amends SET default_tablespace = {TABLESPACE}",
            )

    async def remove(self) -> None:
        """End the server and delete all that it kept."""
        await asyncio.to_thread(self._remove)

    # --- outages ---

    @asynccontextmanager
    async def killed(self) -> AsyncGenerator[None]:
        """All processes of the server die at once; it is started again at the end."""
        await asyncio.to_thread(self._kill)
        try:
            yield
        finally:
            await asyncio.to_thread(postgresql.start, self.directory / "server", self.server.port)

    async def cut(self) -> int:
        """End every session but this one; return how many there were."""
        async with session(self.address) as link:
            return int(
                await link.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )

    @asynccontextmanager
    async def locked(self) -> AsyncGenerator[None]:
        """Another session has the store's tables for itself."""
        async with session(self.address) as link:
            await link.execute("BEGIN")
            tables = await link.fetchval(TABLES, self.address.schema)
            await link.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            yield
            await link.execute("COMMIT")

    @asynccontextmanager
    async def full(self) -> AsyncGenerator[None]:
        """Nothing more fits on the disk of the tables."""
        await asyncio.to_thread(self._fill)
        try:
            yield
        finally:
            await asyncio.to_thread(self._free)

    # --- how ---

    def _remove(self) -> None:
        postgresql.remove(self.directory / "server")
        if self._disk is not None:
            subprocess.run(["umount", str(self._disk)], check=False)
            shutil.rmtree(self._disk, ignore_errors=True)

    def _kill(self) -> None:
        postmaster = self.server.pid
        os.kill(postmaster, signal.SIGSTOP)
        for process in (*_children_of(postmaster), postmaster):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while self.server.is_running:
            pass

    def _mount(self) -> None:
        """Mount a small disk where the server's account can be, if this one may mount."""
        place = Path(self.server.data).with_name(f"{Path(self.server.data).name}-disk")
        place.mkdir(mode=0o700, exist_ok=True)
        if not _mount("-t", "tmpfs", "-o", f"size={ROOMY}", "amends-campaign", str(place)):
            place.rmdir()
            return
        owner = Path(self.server.data).stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        self._disk = place

    def _fill(self) -> None:
        if self._disk is not None:
            found = os.statvfs(self._disk)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            assert _mount("-o", f"remount,size={used + LEFT_OVER}", str(self._disk))
            return
        largest = max(
            file.stat().st_size for file in Path(self.server.data, "base").rglob("*") if file.is_file()
        )
        self._limit(str(max(largest, 2 * MEBIBYTE) + LEFT_OVER))

    def _free(self) -> None:
        if self._disk is not None:
            assert _mount("-o", f"remount,size={ROOMY}", str(self._disk))
            return
        self._limit("unlimited")

    def _limit(self, size: str) -> None:
        postmaster = self.server.pid
        owner = Path(self.server.data).stat()
        for process in (postmaster, *_children_of(postmaster)):
            # As the server's own account: even root may not do it to another's process everywhere.
            subprocess.run(
                ["prlimit", f"--pid={process}", f"--fsize={size}:"],
                check=process == postmaster,
                capture_output=True,
                user=owner.st_uid if os.geteuid() == 0 else None,
                group=owner.st_gid if os.geteuid() == 0 else None,
            )


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


def _children_of(parent: int) -> Iterator[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return (int(number) for number in found.stdout.split())
