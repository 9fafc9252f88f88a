"""Server-sent events, read as they come, across broken connections.

Rules
- The last id that was seen is asked for again after a break, so nothing is missed and nothing comes twice.
- The service says something every 15 s, at least a comment; longer silence counts as a break.
- A service that stays away for `PATIENCE` tries in a row is gone. A refusal is never tried again.
It does not: know what an item means.
"""

import http.client
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Final, NamedTuple

from amends.delivery.client import exact_json
from amends.delivery.client.connection import Answer, Connection
from amends.delivery.client.faults import Unreachable
from amends.delivery.client.problem import refused

SILENCE: Final = 45.0
"""Seconds."""
PATIENCE: Final = 8
PAUSES: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Seconds before a try; the last one repeats."""
STREAM: Final = "text/event-stream"


class Message(NamedTuple):
    """One event of a stream."""

    id: str
    event: str
    data: str


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read `lines` as the standard says: fields up to an empty line; comments and unknown fields are passed over.

    What has no data is yielded too: it may have brought an id, and it shows that somebody is there.
    """
    last, event, data = "", "", list[str]()
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line:
            yield Message(last, event or "message", "\n".join(data))
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "event":
                event = value
            case "id":
                last = value
            case _:
                pass


class Feed:
    """The documents of a feed, for ever: an iterator that is at its place from the moment it is made."""

    def __init__(
        self, connection: Connection, target: str, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """Begin with what comes now.

        Raises:
            Denied: the service will not show it.
            Unreachable: it is not there.
        """
        self._connection = connection
        self._target = target
        self._wait = wait
        self._known = ""
        self._failures = 0
        self._stream = _once(connection, target, "")
        self._take(next(self._stream, None))

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> Any:
        """Return the next document.

        Raises:
            Unreachable: the service went away and stayed away.
        """
        while True:
            try:
                message = next(self._stream, None)
            except Unreachable as away:
                self._again(away)
                continue
            if message is None:
                self._again(
                    Unreachable(f"{self._connection.shown} ended the stream; look whether it still runs")
                )
                continue
            self._take(message)
            if message.event == "transition" and message.data:
                return exact_json.read(message.data.encode())

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()

    def _take(self, message: Message | None) -> None:
        if message is not None:
            self._failures = 0
            self._known = message.id or self._known

    def _again(self, gone: Unreachable) -> None:
        """Go on behind what is known, after a pause; where nothing is known something would be missed."""
        if not self._known or self._failures >= PATIENCE:
            raise gone
        self._wait(PAUSES[min(self._failures, len(PAUSES) - 1)])
        self._failures += 1
        self._stream = _once(self._connection, self._target, self._known)


def _once(connection: Connection, target: str, known: str) -> Generator[Message, None, None]:
    headers = {"Accept": STREAM} | ({"Last-Event-ID": known} if known else {})
    held, answer = connection.begin("GET", target, headers=headers, patience=SILENCE)
    try:
        if answer.status != http.client.OK or answer.headers.get_content_type() != STREAM:
            kind = answer.headers.get_content_type()
            raise refused(Answer(answer.status, kind, answer.headers, answer.read(1 << 20)), connection.shown)
        yield from messages(answer)
    except (OSError, http.client.HTTPException) as error:
        raise connection.silence(error, SILENCE) from error
    finally:
        held.close()
