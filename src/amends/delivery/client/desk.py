"""The desk: what can be asked about sagas, wherever they are.

Rules: a service (`service`) and a store file (`delivery.cli.store_file`) are asked alike and answer with the same plain
JSON documents. Every method may raise `Denied` and `Unreachable`.
It does not: say how the answer is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from amends.delivery.client.exact_json import Document

Act: TypeAlias = Literal["signal", "cancel", "pause", "resume", "abandon", "retry", "skip", "resolve"]
Filters: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""By the names that the query of ``GET /v1/sagas`` has."""


class Coming(Iterator[Document], Protocol):
    """What happens from now on. Whoever wants no more of it closes it."""

    def close(self) -> None:
        """Let go of the connection or the file."""
        ...


class Begun(NamedTuple):
    """What became of a start."""

    saga: Document
    is_new: bool


class Desk(Protocol):
    """Where sagas can be started, looked at and steered."""

    def start(
        self, saga: str, data: bytes, *, version: int | None, saga_id: str | None, wait: float | None
    ) -> Begun:
        """Start `saga`; `wait`: seconds in which its end is waited for."""
        ...

    def get(self, saga_id: str, *, at: int | None = None) -> Document:
        """Return an instance as it stands, or stood after `at` events."""
        ...

    def events(self, saga_id: str, *, after: int = 0) -> Iterator[Document]:
        """Yield its events behind position `after`."""
        ...

    def find(self, filters: Filters, *, limit: int, cursor: str | None) -> Document:
        """Return a page of summaries: ``sagas`` and ``next``, the cursor behind it."""
        ...

    def follow(self, saga_id: str | None) -> Coming:
        """Return an iterator over what happens from now on, one transition after the other, in all instances or one.

        It is at its place when it is returned: what happens after that comes.
        """
        ...

    def act(self, act: Act, saga_id: str, body: Document, *, expected: int | None) -> Document:
        """Do `act` and return the instance as it stands then."""
        ...

    def parked(self, filters: Filters, *, limit: int, after: int) -> Document:
        """Return a page of parked records: ``parked`` and ``next``, the number behind which the next one begins."""
        ...

    def parked_record(self, record: str) -> Document:
        """Return one parked record."""
        ...

    def settle(self, verb: Literal["replay", "discard"], record: str, body: Document) -> Document:
        """Replay or discard a parked record, and return it as it is then."""
        ...

    def definitions(self, name: str | None = None) -> Sequence[Document]:
        """Return the definitions at hand, or those of one name."""
        ...

    def participants(self) -> Sequence[Document]:
        """Return the participants: how each is bound, whether it is called, what waits for it."""
        ...

    def breaker(self, act: Literal["open", "close"], participant: str, body: Document) -> Document:
        """Open or close the breaker of a participant and return it as it stands then."""
        ...

    def diagram(self, name: str, version: int | None) -> str:
        """Return a definition as a Mermaid flowchart; without `version` the highest."""
        ...
