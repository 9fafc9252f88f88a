"""A store file as a desk: read while a service has it, or changed while none has.

Rules
- Reading takes no hold and needs no definitions.
- A start or an act holds the file for a moment and needs the definition (`--sagas`). What follows from it is recorded;
  commands are sent by whoever opens the file next.
- Documents are what a service would answer.
It does not: run sagas.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from amends.application.inspection import Inspection
from amends.bootstrap import sqlite_reader
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.file_documents import (
    as_faults,
    cursor_of,
    definition,
    definitions,
    document,
    event_documents,
    place_of,
    plain,
    query_of,
)
from amends.delivery.client import exact_json
from amends.delivery.client.desk import Act, Begun, Coming, Filters
from amends.delivery.client.exact_json import Document
from amends.delivery.client.faults import Denied, Unreachable

T = TypeVar("T")

ONLY_A_SERVICE: Final = (
    "a store file has no parked records; ask the service: leave --store out, or give --url"
)
CALLS_NOBODY: Final = "from a store file nobody is called; ask the service, with --url"
NEED: Final = "a change in a store file needs the definition of the saga: give --sagas MODULE:SAGA"


class StoreFile:
    """The desk of the file at `path`."""

    def __init__(self, path: Path, *, targets: Sequence[str], namespace: str) -> None:
        self._path = path
        self._targets = targets
        self._namespace = namespace

    def start(
        self, saga: str, data: bytes, *, version: int | None, saga_id: str | None, wait: float | None
    ) -> Begun:
        if wait:
            raise Unusable(
                "nothing is sent from a store file, so there is no end to wait for; leave --wait out"
            )

        async def begin(orchestrator: Any) -> Begun:
            begun = await orchestrator.begin(saga, data, version=version, saga_id=saga_id)
            return Begun(document(begun.view), begun.is_new)

        return self._change(begin)

    def get(self, saga_id: str, *, at: int | None = None) -> Document:
        async def get(inspection: Inspection) -> Document:
            return document(await inspection.get(saga_id, at=at))

        return self._look(get)

    def events(self, saga_id: str, *, after: int = 0) -> "Iterator[Document]":
        async def events(inspection: Inspection) -> list[Document]:
            return event_documents(await inspection.events(saga_id, after=after))

        return iter(self._look(events))

    def find(self, filters: Filters, *, limit: int, cursor: str | None) -> Document:
        query, place = query_of(filters, self._namespace), place_of(cursor)

        async def find(inspection: Inspection) -> Document:
            page = await inspection.find(query, limit=limit, after=place)
            return {"sagas": plain(page.sagas), "next": cursor_of(page.next)}

        return self._look(find)

    def follow(self, saga_id: str | None) -> Coming:
        from amends.delivery.cli.file_feed import FileFeed

        return FileFeed(self._reader(), namespace=self._namespace, saga_id=saga_id)

    def act(self, act: Act, saga_id: str, body: Document, *, expected: int | None) -> Document:
        if not self._path.exists():
            raise Unreachable(f"there is no store file {str(self._path)!r}; look at --store")

        async def do(orchestrator: Any) -> Document:
            if act == "signal":
                told = {name: body[name] for name in ("content", "signal_id") if name in body}
                signalled = orchestrator.signal(saga_id, body["signal"], **told, expected=expected)
                return document(await signalled)
            named = {name: value for name, value in body.items() if name != "step"}
            steps = (body["step"],) if "step" in body else ()
            return document(await getattr(orchestrator, act)(saga_id, *steps, **named, expected=expected))

        return self._change(do)

    def parked(self, filters: Filters, *, limit: int, after: int) -> Document:
        raise Unusable(ONLY_A_SERVICE)

    def parked_record(self, record: str) -> Document:
        raise Unusable(ONLY_A_SERVICE)

    def settle(self, verb: Literal["replay", "discard"], record: str, body: Document) -> Document:
        raise Unusable(ONLY_A_SERVICE)

    def definitions(self, name: str | None = None) -> Sequence[Document]:
        async def read(inspection: Inspection) -> list[Document]:
            return await definitions(inspection, name)

        found = self._given() if self._targets else self._look(read)
        found = [each for each in found if name in {None, each["name"]}]
        if name is not None and not found:
            raise Denied(
                "unknown-saga", f"no saga {name[:40]!r} was used on this store; give --sagas MODULE:SAGA"
            )
        return found

    def participants(self) -> Sequence[Document]:
        raise Denied("refused", CALLS_NOBODY)

    def breaker(self, act: Literal["open", "close"], participant: str, body: Document) -> Document:
        raise Denied("refused", CALLS_NOBODY)

    def diagram(self, name: str, version: int | None) -> str:
        from amends.export.mermaid import flowchart_of_shape

        found = {each["version"]: each["shape"] for each in self.definitions(name)}
        chosen = max(found) if version is None else version
        if chosen not in found:
            versions = ", ".join(str(known) for known in sorted(found))
            raise Denied(
                "unknown-saga", f"saga {name[:40]!r} has no version {chosen} here; it has {versions}"
            )
        return flowchart_of_shape(found[chosen])

    def _given(self) -> list[Document]:
        from amends.definition.shape import fingerprint, shape

        sagas = self._sagas()
        made = [
            definition(saga.name, saga.version, fingerprint(saga), exact_json.read(shape(saga)))
            for saga in sagas
        ]
        return sorted(made, key=lambda each: (each["name"], each["version"]))

    def _sagas(self) -> list[Any]:
        from amends.delivery.cli.sagas import saga_at

        return [saga_at(target) for target in self._targets]

    def _reader(self) -> Inspection:
        return sqlite_reader(self._path, namespace=self._namespace)

    def _look(self, ask: "Callable[[Inspection], Coroutine[Any, Any, T]]") -> T:
        async def look() -> T:
            async with self._reader() as inspection:
                return await ask(inspection)

        with as_faults():
            return asyncio.run(look())

    def _change(self, do: "Callable[[Any], Coroutine[Any, Any, T]]") -> T:
        from amends.delivery.cli.unattended import recording

        if not self._targets:
            raise Unusable(NEED)
        sagas = self._sagas()

        async def change() -> T:
            async with recording(self._path, sagas, namespace=self._namespace) as orchestrator:
                return await do(orchestrator)

        with as_faults():
            return asyncio.run(change())
