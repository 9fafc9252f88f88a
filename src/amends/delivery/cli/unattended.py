"""An orchestrator that only records: for an act on a store file that nobody runs.

Rules
- What an act leads to is decided and stored as ever; no command leaves. The commands stay outstanding, and whoever
  opens the file next sends them.
- Nothing else moves: no timer fires, and no other instance is brought into memory.
It does not: run sagas.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from amends.application.orchestrator import Orchestrator
from amends.bootstrap import sqlite
from amends.core.effect import SendCommand
from amends.core.outcome import Answer
from amends.definition import Saga
from amends.definition.lint import DefinitionError
from amends.delivery.client.faults import Denied


class Unsent:
    """A transport that keeps what it is given."""

    async def send(self, command: SendCommand) -> Answer:
        """Never answer."""
        await asyncio.Event().wait()
        raise AssertionError(f"{command.command_id} was answered")

    async def close(self) -> None:
        """There is nothing to let go of."""


class Unattended:
    """A store in which, once it is open, nothing is due and nobody has to be brought back."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_open = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def open_instances(self, **page: Any) -> Sequence[Any]:
        """While it is being opened the truth, for the definitions are compared with it; then nothing."""
        found: Sequence[Any] = () if self.is_open else await self._store.open_instances(**page)
        return found

    async def due(self, _now: Any, *, limit: int = 1000) -> Sequence[Any]:
        """Nothing."""
        return ()

    async def next_wake(self) -> None:
        """Never."""


@asynccontextmanager
async def recording(
    path: Path, sagas: "Sequence[Saga[Any]]", *, namespace: str
) -> AsyncGenerator[Orchestrator]:
    """Open the store file at `path`, hold it, and record acts on it.

    Raises:
        Denied: a definition breaks a rule, or is not the one that open instances were begun on.
        StoreError: the file cannot be used; StoreHeld: another process holds it.
    """
    store = Unattended(sqlite(path))
    try:
        bindings = {name: Unsent() for name in _participants(sagas, namespace)}
        orchestrator = Orchestrator(
            sagas=sagas, store=cast("Any", store), participants=bindings, namespace=namespace
        )
    except (DefinitionError, ValueError) as wrong:
        raise Denied("definition", " ".join(str(wrong).split())) from wrong
    async with orchestrator:
        store.is_open = True
        while orchestrator.engine.recovering:  # noqa: ASYNC110  it takes a turn or two of the loop, and has no event
            # Recovery finds nothing; an act that came before it had looked would be taken for part of it.
            await asyncio.sleep(0)
        yield orchestrator


def _participants(sagas: "Sequence[Saga[Any]]", namespace: str) -> frozenset[str]:
    from amends.core.plan import compile_saga

    return frozenset[str]().union(*(compile_saga(saga).participants for saga in sagas))
