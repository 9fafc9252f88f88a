"""One HTTP/1.1 response, read from the bytes that arrive (RFC 9112), whatever pieces they come in.

Rules
- Strict, because what is read here decides sagas: one length or none, chunks as they must be, no folded lines. What is
  not like that is `NotHttp`; the connection it came on is not used again.
- Bounded: a head has at most `LONGEST_HEAD` bytes, a body `limit` bytes after decompression. A longer body is not read:
  its answer has None in its place.
- A connection may be used again only when the response says where it ends, and nothing came behind that.
It does not: know sockets, or what a status means (`answers.py`).
"""

import re
import zlib
from typing import Any, Final

from amends.adapters.http.answers import HttpAnswer
from amends.wire.excerpt import excerpt

LONGEST_HEAD: Final = 1 << 16
LONGEST_CHUNK_LINE: Final = 4096
END: Final = b"\r\n\r\n"
NO_BODY: Final = frozenset({204, 304})
INTERIM: Final = range(100, 200)
SWITCHING: Final = 101

_STATUS_LINE = re.compile(r"HTTP/1\.(?P<minor>[01]) (?P<status>[1-9][0-9]{2})(?: [^\r\n\0]*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CHUNK = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_DIGITS = re.compile(r"[0-9]{1,18}")


class NotHttp(Exception):
    """What came is no HTTP response."""


class Undecodable(Exception):
    """The body is not what its Content-Encoding says."""


class NoAnswer(Exception):
    """The connection was closed before anything came."""


class BrokeOff(Exception):
    """The connection was closed in the middle of the response."""


class Response:
    """The response to one request."""

    __slots__ = (
        "_body",
        "_buffer",
        "_chunk",
        "_chunks",
        "_headers",
        "_left",
        "_limit",
        "_status",
        "reusable",
    )

    def __init__(self, limit: int) -> None:
        """Take at most `limit` bytes of body."""
        self._limit = limit
        self._buffer = b""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: _Body | None = None
        self._left: int | None = None
        """Bytes of the body still to come; None: until the connection ends, or in chunks."""
        self._chunks = False
        self._chunk: int | None = None
        """Bytes of the chunk still to come; None: its first line is to come."""
        self.reusable = False

    def feed(self, data: bytes) -> HttpAnswer | None:
        """Take what arrived; return the answer when it is whole.

        Raises:
            NotHttp, Undecodable: it cannot be read.
        """
        self._buffer = self._buffer + data if self._buffer else data
        while not self._status:
            if not self._head_came():
                return None
            if self._status in INTERIM:
                self._status = 0
        if self._body is None:
            return self._began()
        return self._more(self._body)

    def end(self) -> HttpAnswer:
        """The connection was closed; return the answer if that is how it ends.

        Raises:
            NoAnswer, BrokeOff, NotHttp, Undecodable: it is not.
        """
        self.reusable = False
        if not self._status and not self._buffer:
            raise NoAnswer
        if self._body is None or self._left is not None or self._chunks:
            raise BrokeOff
        return self._answer(self._body.whole())

    def _head_came(self) -> bool:
        end = self._buffer.find(END)
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise NotHttp(f"a head of more than {LONGEST_HEAD} bytes")
            if not self._buffer.startswith(b"HTTP/1."[: len(self._buffer)]):
                raise NotHttp(f"it begins with {excerpt(self._buffer[:40])}")
            return False
        lines = self._buffer[:end].decode("utf-8", "surrogateescape").split("\r\n")
        self._buffer = self._buffer[end + len(END) :]
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None or int(found["status"]) == SWITCHING:
            raise NotHttp(f"it begins with {excerpt(lines[0], limit=40)}")
        self._status = int(found["status"])
        self._headers = _headers(lines)
        connection = self._headers.get("connection", "").lower()
        self.reusable = "close" not in connection if found["minor"] == "1" else "keep-alive" in connection
        if found["minor"] == "0" and "transfer-encoding" in self._headers:
            raise NotHttp("a transfer encoding in HTTP/1.0")
        return True

    def _began(self) -> HttpAnswer | None:
        """The head is known: tell how the body ends, and take what came of it."""
        headers = self._headers
        if self._status in NO_BODY:
            return self._answer(b"")
        length = headers.get("content-length")
        coding = headers.get("transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise NotHttp("a transfer encoding that is not chunked, or a length beside it")
            self._chunks = True
        elif length is not None:
            if _DIGITS.fullmatch(length) is None:
                raise NotHttp(f"a length of {excerpt(length)}")
            self._left = int(length)
            if self._left > self._limit:
                return self._too_long()
            if not self._left:
                return self._answer(b"")
        encoding = headers.get("content-encoding", "")
        if self._left is not None and not encoding and len(self._buffer) == self._left:
            # Nearly always: all of it came at once.
            body, self._buffer = self._buffer, b""
            return self._answer(body)
        self._body = _Body(self._limit, encoding.lower())
        return self._more(self._body)

    def _more(self, body: "_Body") -> HttpAnswer | None:
        ended = self._dechunked(body) if self._chunks else self._taken(body)
        if body.is_too_long:
            return self._too_long()
        return self._answer(body.whole()) if ended else None

    def _taken(self, body: "_Body") -> bool:
        """Take what is in the buffer of a body without chunks; tell whether it is whole."""
        if self._left is None:
            body.take(self._buffer)
            self._buffer = b""
            return False
        piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        body.take(piece)
        self._left -= len(piece)
        return not self._left

    def _dechunked(self, body: "_Body") -> bool:
        """Take the chunks in the buffer; tell whether the last one came."""
        buffer, at = self._buffer, 0
        while not body.is_too_long:
            if self._chunk is None:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    break
                size = _CHUNK.fullmatch(buffer, at, end)
                if size is None:
                    raise NotHttp(f"a chunk of size {excerpt(buffer[at:end][:40])}")
                if int(size["size"], 16) == 0:
                    # The line stays until the trailers behind it are whole.
                    self._buffer = buffer[at:]
                    return self._trailers_came(end + 2 - at)
                self._chunk, at = int(size["size"], 16), end + 2
            piece = buffer[at : at + self._chunk]
            body.take(piece)
            at += len(piece)
            self._chunk -= len(piece)
            if self._chunk or len(buffer) - at < len(b"\r\n"):
                break
            if not buffer.startswith(b"\r\n", at):
                raise NotHttp("a chunk that is longer than it says")
            self._chunk, at = None, at + 2
        self._buffer = buffer[at:]
        if self._chunk is None and len(self._buffer) > LONGEST_CHUNK_LINE and b"\r\n" not in self._buffer:
            raise NotHttp("a chunk without a size")
        return False

    def _trailers_came(self, at: int) -> bool:
        """Drop the lines behind the last chunk, which begin `at`; tell whether the empty one came."""
        buffer = self._buffer
        if buffer.startswith(b"\r\n", at):
            self._buffer = buffer[at + 2 :]
            return True
        end = buffer.find(END, at)
        if end < 0:
            if len(buffer) > LONGEST_HEAD:
                raise NotHttp("trailers without an end")
            return False
        self._buffer = buffer[end + len(END) :]
        return True

    def _too_long(self) -> HttpAnswer:
        self.reusable = False
        return self._made(None)

    def _answer(self, body: bytes) -> HttpAnswer:
        if self._buffer:
            # Something stands behind the response that nobody asked for.
            self.reusable = False
        return self._made(body)

    def _made(self, body: bytes | None) -> HttpAnswer:
        get = self._headers.get
        return HttpAnswer(self._status, get("content-type", ""), body, get("retry-after"), get("location"))


class _Body:
    """The body so far, decompressed."""

    __slots__ = ("_inflate", "_limit", "_received", "is_too_long")

    def __init__(self, limit: int, encoding: str) -> None:
        self._limit = limit
        self._received = bytearray()
        self._inflate = _inflater(encoding)
        self.is_too_long = False

    def take(self, piece: bytes) -> None:
        if self._inflate is not None and piece:
            piece = self._inflate(piece, self._limit + 1 - len(self._received))
        self._received += piece
        self.is_too_long = len(self._received) > self._limit

    def whole(self) -> bytes:
        """Return it, now that its end came."""
        if self._inflate is not None and self._inflate.has_begun and not self._inflate.is_ended:
            raise Undecodable("it ends early, or late")
        return bytes(self._received)


class _Inflate:
    """gzip, zlib, or deflate without a head, which some send as `deflate`."""

    __slots__ = ("_made", "_raw")

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._made: Any = None

    def __call__(self, piece: bytes, room: int) -> bytes:
        """Return what `piece` holds, at most `room` bytes."""
        if self._made is None:
            # zlib's head has 8 in its low bits; without one the window is given as a negative number.
            bare = self._raw and piece[0] & 0x0F != 8  # noqa: PLR2004
            self._made = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        if self._made.eof:
            raise Undecodable("there is more behind its end")
        try:
            found: bytes = self._made.decompress(piece, room)
        except zlib.error as error:
            raise Undecodable(str(error)) from error
        return found

    @property
    def has_begun(self) -> bool:
        """Tell whether there is anything at all."""
        return self._made is not None

    @property
    def is_ended(self) -> bool:
        """Tell whether its end came, and nothing behind it."""
        return bool(self._made is not None and self._made.eof and not self._made.unused_data)


def _inflater(encoding: str) -> _Inflate | None:
    match encoding:
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Inflate(raw=False)
        case "deflate":
            return _Inflate(raw=True)
        case _:
            raise Undecodable(f"the encoding {excerpt(encoding)} is not known")


def _headers(lines: list[str]) -> dict[str, str]:
    """Return the headers behind the first line, by their names in small letters; of several the first.

    `Connection` is one list, however many lines it has.
    """
    found: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None or "\n" in value or "\r" in value or "\0" in value:
            raise NotHttp(f"a header {excerpt(line, limit=40)}")
        name, value = name.lower(), value.strip(" \t")
        known = found.setdefault(name, value)
        if name == "connection":
            found[name] = f"{known}, {value}"
        elif known != value and name in ("content-length", "transfer-encoding"):
            raise NotHttp(f"two headers {name}")
    return found
