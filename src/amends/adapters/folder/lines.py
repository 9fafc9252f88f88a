"""What stands in an archive's files: a line for each stream, and the manifest.

Rules: the events are JSON in JSON, byte for byte as the store had them, so that any tool can look into them. Times are
RFC 3339 in UTC. What is unknown in a newer file of the same version is passed over.
They do not: read or write files.
"""

from datetime import datetime
from typing import Literal

import msgspec

from amends.ports.archive import Volume
from amends.ports.event_store import Logged, StreamKey, Transition
from amends.ports.retention import StoredStream


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a volume beside it."""

    format: Literal["amends-archive-1"] = "amends-archive-1"
    streams: int
    transitions: int
    size: int
    """Bytes of the file."""
    sha256: str
    """Of the file as it is, compressed."""
    settled: bool = False
    """Whether the store has given up what is in it."""

    def volume(self, name: str) -> Volume:
        """Return what the port says of it."""
        return Volume(name, self.streams, self.transitions, self.size, self.settled)


class _Row(msgspec.Struct, frozen=True):
    sequence: int
    position: int
    events: int
    recorded_at: datetime
    body: msgspec.Raw


class _Line(msgspec.Struct, frozen=True):
    namespace: str
    id: str
    transitions: tuple[_Row, ...]


_decoder = msgspec.json.Decoder(_Line)


def as_line(stream: StoredStream) -> bytes:
    """Return the line of a stream, with its end."""
    rows = tuple(
        _Row(sequence, each.position, each.events, each.recorded_at, msgspec.Raw(_on_one_line(each.body)))
        for sequence, each in stream.transitions
    )
    return msgspec.json.encode(_Line(*stream.key, rows)) + b"\n"


def as_stream(line: bytes) -> StoredStream:
    """Return the stream that a line is.

    Raises:
        msgspec.DecodeError: it is none.
    """
    read = _decoder.decode(line)
    key = StreamKey(read.namespace, read.id)
    return StoredStream(
        key,
        tuple(
            Logged(
                row.sequence,
                Transition(
                    key=key,
                    position=row.position,
                    events=row.events,
                    recorded_at=row.recorded_at,
                    body=bytes(row.body),
                ),
            )
            for row in read.transitions
        ),
    )


def _on_one_line(body: bytes) -> bytes:
    # Between the members of JSON an end of line is as good as a space; inside a text there is none.
    return body.replace(b"\r", b" ").replace(b"\n", b" ")
