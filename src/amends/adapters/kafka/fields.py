"""Headers and JSON of a record, read strictly: what could be understood in two ways is not accepted.

Rules: a header of the contract stands once, is UTF-8, printable and not longer than 1,000 characters; whatever else
stands beside is ignored, and need not be text. Nothing of the input is echoed beyond an excerpt.
It does not: know which headers a record needs.
"""

from collections.abc import Collection, Mapping

from amends.ports.intake import Record
from amends.wire.excerpt import excerpt
from amends.wire.strict_json import BadJson, read_value

LONGEST = 1_000
_SHOWN = 16
"""How many bytes of a value that is no JSON are shown."""
_AVRO = 0


class Bad(Exception):
    """The record cannot be read for certain."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def headers_of(record: Record, wanted: Collection[str]) -> dict[str, str]:
    """Return those of the `wanted` headers that are there.

    Raises:
        Bad: one stands twice, or is no printable text.
    """
    found: dict[str, str] = {}
    name = ""
    try:
        for name, value in record.headers:
            if name in wanted:
                if name in found:
                    raise Bad("bad-header", f"the header {name} stands twice")
                found[name] = text = value.decode()
                if not text.isprintable() or len(text) > LONGEST:
                    raise Bad("bad-header", f"the header {name} is too long, or does not print")
    except UnicodeDecodeError:
        raise Bad("bad-header", f"the header {name} is not UTF-8") from None
    return found


def required(headers: Mapping[str, str], name: str) -> str:
    """Return a header.

    Raises:
        Bad: it is not there, or empty.
    """
    value = headers.get(name, "")
    if not value:
        raise Bad("no-correlation", f"the header {name} is missing")
    return value


def document_of(record: Record) -> object:
    """Return the record's JSON document.

    Raises:
        Bad: there is none, or it is not acceptable.
    """
    value = record.value
    if value is None:
        raise Bad("empty", "the record has no value (a tombstone)")
    if value[:1] == bytes([_AVRO]):
        raise Bad("not-json", f"not JSON but, it seems, Avro; it begins with {begins_with(value)}")
    try:
        return read_value(value)
    except BadJson as error:
        raise Bad("not-json", f"{error}; it begins with {begins_with(value)}") from error


def begins_with(value: bytes) -> str:
    """Return the first bytes of a value, for people."""
    return value[:_SHOWN].hex(" ") or "nothing"


def check_key(record: Record, saga_id: str) -> None:
    """Hold the record's key against what it says itself.

    Raises:
        Bad: they differ. A record without a key has nothing to differ from.
    """
    if record.key is not None and record.key != saga_id.encode():
        raise Bad("key-differs", f"the key is {excerpt(record.key)!r}, the record says {excerpt(saga_id)!r}")
