"""The seam for values that are not JSON on the wire: what is written is turned last, what is read is turned first.

Rules: to everything else of this folder a value is a JSON document. Which topics carry something else is the
configuration's; a topic carries one format.
It does not: know a format (`avro_topics.py` knows one).
"""

from typing import Protocol

from amends.ports.intake import Record, Unreadable


class Formats(Protocol):
    """What some topics carry in place of JSON."""

    @property
    def trouble(self) -> str:
        """What keeps values from being turned just now; empty when nothing does."""
        ...

    async def outgoing(self, topic: str, document: bytes) -> tuple[bytes, bytes]:
        """Return value and content type of what is to be written, however long that takes.

        Raises:
            ValueError: it will never be written as it is. ConnectionError: this was closed.
        """
        ...

    async def incoming(self, record: Record) -> Record | Unreadable:
        """Return a record with its JSON document for a value.

        Raises:
            CannotReadYet: it passes.
        """
        ...

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        ...


def trouble_of_formats(formats: Formats | None) -> str:
    """What keeps values from being turned just now; empty also where all of them are JSON."""
    return "" if formats is None else formats.trouble
