"""What is in a store file, as the documents that a service would answer; and what goes wrong there, as its faults.

Rules: a document is made by writing and reading JSON, so it is what would have come over the wire.
It does not: open a file.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import msgspec

from amends.application.errors import ActRefused, AmendsError, PositionMoved, SagaConflict, SagaUnknown
from amends.application.history import EventView
from amends.application.inspection import Inspection
from amends.application.queries import Place, SagaQuery, SagaSummary
from amends.application.view import SagaView
from amends.bootstrap import StoreError
from amends.delivery.cli.faults import Unusable
from amends.delivery.client import exact_json
from amends.delivery.client.desk import Filters
from amends.delivery.client.exact_json import Document
from amends.delivery.client.faults import Denied, Unreachable

PAGE: Final = 1_000


@contextmanager
def as_faults() -> Generator[None]:
    """Turn what the application and a store raise into `Denied` and `Unreachable`."""
    try:
        yield
    except AmendsError as error:
        raise Denied(_code(error), str(error)) from error
    except StoreError as error:
        if type(error).__name__ == "StoreHeld":
            raise Denied("held", f"{error} While it runs, ask it: give --url instead of --store.") from error
        raise Unreachable(str(error)) from error


def _code(error: AmendsError) -> str:
    match error:
        case ActRefused():
            return error.code
        case SagaUnknown():
            return "not-found"
        case SagaConflict():
            return "conflict"
        case PositionMoved():
            return "position-moved"
        case _:
            return "invalid"


def plain(value: Any) -> Any:
    """Return `value` as JSON values."""
    return exact_json.read(msgspec.json.encode(value))


def document(view: "SagaView[Any]") -> Document:
    """Return the document of an instance."""
    made: Document = plain(view.as_dict())
    return made


def event_documents(events: Sequence[EventView]) -> list[Document]:
    """Return the documents of events."""
    made: list[Document] = plain([event.as_dict() for event in events])
    return made


def query_of(filters: Filters, namespace: str) -> SagaQuery:
    """Return the query that `filters` are."""
    known = {name: value for name, value in filters.items() if name not in {"order", "consistent", "status"}}
    found: dict[str, Any] = {
        **known,
        "namespace": namespace,
        "statuses": filters.get("status", ()),
        "newest_first": filters.get("order") != "oldest",
    }
    return msgspec.convert(found, SagaQuery, strict=False)


def cursor_of(place: Place | None) -> str | None:
    """Return what goes on behind `place`."""
    return None if place is None else urlsafe_b64encode(msgspec.json.encode(place)).decode()


def place_of(cursor: str | None) -> Place | None:
    """Return what `cursor` goes on behind.

    Raises:
        Unusable: it is none.
    """
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor), type=Place)
    except (ValueError, msgspec.DecodeError) as error:
        raise Unusable("--cursor is none of this list; take it from the end of a page as it is") from error


async def summaries(inspection: Inspection, query: SagaQuery) -> Sequence[SagaSummary]:
    """Return all rows that `query` wants."""
    rows: list[SagaSummary] = []
    place: Place | None = None
    while True:
        page = await inspection.find(query, limit=PAGE, after=place)
        rows += page.sagas
        place = page.next
        if place is None:
            return rows


async def definitions(inspection: Inspection, name: str | None) -> list[Document]:
    """Return the definitions that were used on a store, as it has noted them."""
    return [
        definition(note.name, note.version, note.fingerprint, exact_json.read(note.shape))
        for note in await inspection.definitions()
        if name in {None, note.name} and note.shape
    ]


def definition(name: str, version: int, fingerprint: str, shape: Any) -> Document:
    """Return the document of a definition."""
    return {
        "name": name,
        "version": version,
        "fingerprint": fingerprint,
        "participants": sorted(set(_participants(shape))),
        "shape": shape,
    }


def _participants(shape: Any) -> Iterator[str]:
    parts: Iterable[Any] = ()
    if isinstance(shape, dict):
        node = cast("Document", shape)
        if "at" in node:
            yield node["at"]
        parts = node.values()
    elif isinstance(shape, list):
        parts = cast("Iterable[Any]", shape)
    for part in parts:
        yield from _participants(part)
