"""A running service as a desk, over its REST door.

Rules: what may be asked again is told by the service (an id makes a start harmless to repeat); nothing is asked again
here. A document goes on as it came.
It does not: read arguments, or print.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec

from amends.delivery.client import exact_json
from amends.delivery.client.connection import PATIENCE, Answer, Connection
from amends.delivery.client.desk import Act, Begun, Coming, Filters
from amends.delivery.client.exact_json import Document
from amends.delivery.client.faults import Denied, Unreachable
from amends.delivery.client.feed import Feed
from amends.delivery.client.problem import refused

PAGE: Final = 500
"""Events asked for at a time."""
SLICE: Final = 10.0
"""Seconds that a service is asked to wait at a time: a proxy must not think that it is dead."""
SETTLED: Final = frozenset({"completed", "compensated", "abandoned", "stuck"})
"""There is nothing to wait for, or a person is waited for."""


class Service:
    """The desk at `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start(
        self, saga: str, data: bytes, *, version: int | None, saga_id: str | None, wait: float | None
    ) -> Begun:
        chosen = str(uuid4()) if saga_id is None else saga_id
        body: Document = {"saga": saga, "id": chosen, "data": msgspec.Raw(data)}
        if version is not None:
            body["version"] = version
        answer = self._ask("POST", "/v1/sagas", body)
        begun = Begun(self._document(answer), answer.status == HTTPStatus.CREATED)
        return Begun(self._waited(begun.saga, body, wait), begun.is_new) if wait else begun

    def _waited(self, begun: Document, body: Document, wait: float) -> Document:
        """Ask for the same instance, which is there now, until there is something to say or the time is over."""
        over = monotonic() + wait
        saga = begun
        while saga["status"] not in SETTLED and (left := over - monotonic()) > 0:
            pause = min(left, SLICE)
            target = f"/v1/sagas?{urlencode({'wait': f'{pause:.3f}'})}"
            saga = self._document(self._ask("POST", target, body, patience=PATIENCE + pause))
        return saga

    def get(self, saga_id: str, *, at: int | None = None) -> Document:
        query = "" if at is None else f"?at={at}"
        return self._document(self._ask("GET", f"{_saga(saga_id)}{query}"))

    def events(self, saga_id: str, *, after: int = 0) -> Iterator[Document]:
        place: int | None = after
        while place is not None:
            page = self._document(self._ask("GET", f"{_saga(saga_id)}/events?after={place}&limit={PAGE}"))
            yield from page["events"]
            place = page["next"]

    def find(self, filters: Filters, *, limit: int, cursor: str | None) -> Document:
        asked: dict[str, Any] = {**filters, "limit": limit} | ({"cursor": cursor} if cursor else {})
        return self._document(self._ask("GET", f"/v1/sagas?{urlencode(asked, doseq=True)}"))

    def follow(self, saga_id: str | None) -> Coming:
        target = "/v1/feed" if saga_id is None else f"{_saga(saga_id)}/feed"
        return Feed(self._connection, target)

    def act(self, act: Act, saga_id: str, body: Document, *, expected: int | None) -> Document:
        verb = "signals" if act == "signal" else act
        headers = {} if expected is None else {"If-Match": f'"{expected}"'}
        return self._document(self._ask("POST", f"{_saga(saga_id)}/{verb}", body, headers=headers))

    def parked(self, filters: Filters, *, limit: int, after: int) -> Document:
        asked = {**filters, "limit": limit, "after": after}
        return self._document(self._ask("GET", f"/v1/parked?{urlencode(asked, doseq=True)}"))

    def parked_record(self, record: str) -> Document:
        return self._document(self._ask("GET", f"/v1/parked/{_segment(record)}"))

    def settle(self, verb: Literal["replay", "discard"], record: str, body: Document) -> Document:
        return self._document(self._ask("POST", f"/v1/parked/{_segment(record)}/{verb}", body))

    def definitions(self, name: str | None = None) -> Sequence[Document]:
        target = "/v1/definitions" if name is None else f"/v1/definitions/{_segment(name)}"
        found: Sequence[Document] = self._document(self._ask("GET", target))["definitions"]
        return found

    def participants(self) -> Sequence[Document]:
        found: Sequence[Document] = self._document(self._ask("GET", "/v1/participants"))["participants"]
        return found

    def breaker(self, act: Literal["open", "close"], participant: str, body: Document) -> Document:
        return self._document(self._ask("POST", f"/v1/participants/{_segment(participant)}/{act}", body))

    def diagram(self, name: str, version: int | None) -> str:
        chosen = version or max(each["version"] for each in self.definitions(name))
        answer = self._ask("GET", f"/v1/definitions/{_segment(name)}/{chosen}/diagram", accept="text/plain")
        return answer.body.decode(errors="replace")

    def _ask(
        self,
        method: str,
        target: str,
        body: Document | None = None,
        *,
        headers: dict[str, str] | None = None,
        patience: float = PATIENCE,
        accept: str = "application/json",
    ) -> Answer:
        content = None if body is None else exact_json.write(body)
        accepted = {"Accept": f"{accept}, application/problem+json", **(headers or {})}
        answer = self._connection.ask(method, target, body=content, headers=accepted, patience=patience)
        if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED} and answer.kind == accept:
            return answer
        raise refused(answer, self._connection.shown)

    def _document(self, answer: Answer) -> Document:
        try:
            return exact_json.read_object(answer.body)
        except ValueError as error:
            where = self._connection.shown
            raise Unreachable(f"what answers at {where} is not Amends ({error}); look at --url") from error


def _saga(saga_id: str) -> str:
    return f"/v1/sagas/{_segment(saga_id)}"


def _segment(text: str) -> str:
    """Return `text` as one segment of a path; what a proxy would fold away is refused here."""
    if text in {"", ".", ".."}:
        raise Denied("not-found", f"{text!r} is no name that anything can have")
    return quote(text, safe="", errors="backslashreplace")
