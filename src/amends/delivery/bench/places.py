"""Where the measured store is kept: a folder's disk, a PostgreSQL server, or memory; and the limit of that place.

Rules: every point has a store of its own, which is gone afterwards. A server's CPU counts when it can be seen.
It does not: measure the engine.
"""

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, NamedTuple, Protocol

from amends.bootstrap import postgres_scratch, sqlite_limits

StoreKind = Literal["sqlite", "memory", "postgres"]

TRANSITIONS: Final = 4
"""Of one saga of the measured work."""


class Limits(NamedTuple):
    """Sagas per second that the place itself could do."""

    single: float
    """One commit per transition."""
    batched: float
    """A hundred sagas in each commit; 0 where that is not measured."""


class Stored(NamedTuple):
    """A store that is to be measured."""

    address: str
    """A file's path, or a URL."""
    size: Callable[[], int]
    """Its bytes, after it was closed."""
    server_cpu: Callable[[], float]
    """Seconds of CPU that its server has used so far; 0 where it has none."""


class Place(Protocol):
    """Where stores can be made."""

    @property
    def kind(self) -> StoreKind:
        """How they are kept."""
        ...

    def limits(self) -> Limits:
        """Measure what the place itself can do; takes some seconds."""
        ...

    def fresh(self) -> AbstractContextManager[Stored]:
        """Make room for a store, for the length of a `with` block."""
        ...


def _nothing() -> float:
    return 0.0


class InMemory:
    """Nothing is kept."""

    kind: StoreKind = "memory"

    def limits(self) -> Limits:
        """There is none."""
        return Limits(0.0, 0.0)

    @contextmanager
    def fresh(self) -> Generator[Stored]:
        """Name nothing."""
        yield Stored("", lambda: 0, _nothing)


class OnDisk:
    """SQLite files below a folder."""

    kind: StoreKind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def limits(self) -> Limits:
        """Measure commits of bare SQLite."""
        commits, batched = sqlite_limits(self._folder)
        return Limits(commits / TRANSITIONS, batched)

    @contextmanager
    def fresh(self) -> Generator[Stored]:
        """Name a file in a folder that is deleted afterwards."""
        with TemporaryDirectory(dir=self._folder, prefix="amends-bench-") as scratch:
            file = Path(scratch, "bench.db")
            yield Stored(str(file), lambda: file.stat().st_size, _nothing)


class OnPostgres:
    """Schemas of a server."""

    kind: StoreKind = "postgres"

    def __init__(self, url: str, pgbench: Path) -> None:
        self._url = url
        self._pgbench = pgbench

    def limits(self) -> Limits:
        """Measure commits by pgbench."""
        commits = asyncio.run(postgres_scratch(self._url, schema=_schema()).commits_per_s(self._pgbench))
        return Limits(commits / TRANSITIONS, 0.0)

    @contextmanager
    def fresh(self) -> Generator[Stored]:
        """Name a schema that is dropped afterwards."""
        schema = _schema()
        scratch = postgres_scratch(self._url, schema=schema)
        server = asyncio.run(scratch.server_process())
        address = f"{self._url}{'&' if '?' in self._url else '?'}schema={schema}"
        try:
            yield Stored(
                address,
                lambda: asyncio.run(scratch.stored_bytes()),
                lambda: scratch.cpu_seconds(server),
            )
        finally:
            asyncio.run(scratch.drop())


def find_pgbench() -> Path | None:
    """Return the pgbench of this machine: on the path, or where `pg_config` says that PostgreSQL's programs are."""
    if found := shutil.which("pgbench"):
        return Path(found)
    if not (config := shutil.which("pg_config")):
        return None
    told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603  found by name
    program = Path(told.stdout.strip(), "pgbench")
    return program if program.is_file() else None


def _schema() -> str:
    return f"amends_bench_{uuid.uuid4().hex[:12]}"
