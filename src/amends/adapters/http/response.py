"""One HTTP/1.1 response, read from the bytes that arrive (RFC 9112), whatever pieces they come in.

Rules
- The parser is httptools', llhttp, as strict as it comes. Where it takes what can be read in two ways, a check stands
  beside it. What is not HTTP is `NotHttp`; the connection it came on is not used again.
- Bounded: a head has at most `LONGEST_HEAD` bytes, and so has what stands beside the body, in chunks' lines and
  trailers; a body has `limit` bytes, as it comes and decompressed. A longer one is not read: its answer has None.
- A connection may be used again only when the response says where it ends, and nothing came behind that.
It does not: know sockets, or what a status means (`answers.py`).
"""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from amends.adapters.http.answers import HttpAnswer
from amends.adapters.http.content_encoding import check_encoding, decompressed
from amends.wire.excerpt import excerpt

LONGEST_HEAD: Final = 1 << 16
LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length."""
BEGIN: Final = b"HTTP/1."
END: Final = b"\r\n\r\n"
INTERIM: Final = range(100, 200)
SWITCHING: Final = 101


class NotHttp(Exception):
    """What came is no HTTP response."""


class NoAnswer(Exception):
    """The connection was closed before anything came."""


class BrokeOff(Exception):
    """The connection was closed in the middle of the response."""


class Response:
    """The response to one request; what begins with `on_` is for the parser."""

    __slots__ = (
        "_begun",
        "_beside",
        "_body",
        "_headers",
        "_is_whole",
        "_limit",
        "_parser",
        "_status",
        "reusable",
    )

    def __init__(self, limit: int) -> None:
        """Take at most `limit` bytes of body."""
        self._limit = limit
        self._begun = b""
        """What came of a head that is not whole."""
        self._headers: dict[bytes, bytes] = {}
        self._status = 0
        self._body = bytearray()
        self._beside = 0
        """Bytes that came since the last one of the body."""
        self._is_whole = False
        self._parser: HttpResponseParser | None = None
        self.reusable = False

    def feed(self, data: bytes) -> HttpAnswer | None:
        """Take what arrived; return the answer when it is whole.

        Raises:
            NotHttp, Undecodable: it cannot be read.
        """
        while not self._status:
            data = self._begun + data if self._begun else data
            if not data.startswith(BEGIN[: len(data)]):
                raise NotHttp(f"it begins with {excerpt(data[:40])}")
            head, end, rest = data.partition(END)
            if len(head) > LONGEST_HEAD:
                raise NotHttp(f"a head of more than {LONGEST_HEAD} bytes")
            if not end:
                self._begun = data
                return None
            self._read_head(head + end)
            self._begun, data = b"", rest
        return self._read_body(data)

    def end(self) -> HttpAnswer:
        """The connection was closed; return the answer if that is how it ends.

        Raises:
            NoAnswer, BrokeOff, Undecodable: it is not.
        """
        self.reusable = False
        if not self._status and not self._begun:
            raise NoAnswer
        if not self._status or b"content-length" in self._headers or b"transfer-encoding" in self._headers:
            raise BrokeOff
        return self._answer()

    def _read_head(self, head: bytes) -> None:
        self._parser = HttpResponseParser(self)
        self._parse(self._parser, head)
        if b"\0" in head or self._status < INTERIM.start or self._status == SWITCHING:
            raise NotHttp(f"it begins with {excerpt(head[:40])}")
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None and (coding.rstrip(b" ").lower() != b"chunked" or head.startswith(b"HTTP/1.0")):
            # The parser takes more, and some of it as a body without an end.
            raise NotHttp(f"a transfer encoding {excerpt(coding)}")
        if len(self._headers.get(b"content-length", b"")) > LONGEST_LENGTH:
            raise NotHttp(f"a length of {excerpt(self._headers[b'content-length'])}")
        if self._status in INTERIM:
            # Not the answer yet. Each head has a parser of its own, which knows nothing of the one before.
            self._status, self._is_whole = 0, False
            self._headers.clear()

    def _read_body(self, data: bytes) -> HttpAnswer | None:
        parser = self._parser
        assert parser is not None
        if not self._is_whole:
            if int(self._headers.get(b"content-length", b"0")) > self._limit:
                return self._made(None)
            check_encoding(self._encoding)
        self._beside += len(data)
        # The last byte by itself: if the response is whole before it, something came that nobody asked for.
        for piece in (data[:-1], data[-1:]):
            if self._is_whole and piece:
                self.reusable = False
            elif piece:
                self._parse(parser, piece)
        if self._is_whole or len(self._body) > self._limit:
            return self._answer()
        if self._beside > LONGEST_HEAD:
            raise NotHttp(f"more than {LONGEST_HEAD} bytes of it are no body")
        return None

    def _parse(self, parser: HttpResponseParser, piece: bytes) -> None:
        try:
            parser.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade) as error:
            # What comes behind the end, or behind all that is read, no longer matters.
            if not self._is_whole and len(self._body) <= self._limit:
                raise NotHttp(excerpt(str(error))) from error

    def on_message_begin(self) -> None:
        """Stop the parser if the response is whole: this would be another one."""
        if self._is_whole:
            raise NotHttp("something stands behind it")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header: of several the first, of transfer encodings all, of what comes behind the body none."""
        if self._status:
            return
        name = name.lower()
        if name not in self._headers:
            self._headers[name] = value
        elif name == b"transfer-encoding":
            self._headers[name] += b", " + value

    def on_headers_complete(self) -> None:
        """Look at what the parser forgets when the response is whole."""
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        self.reusable = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._body += piece
        self._beside = 0

    def on_message_complete(self) -> None:
        """End."""
        self._is_whole = True

    def _answer(self) -> HttpAnswer:
        body = bytes(self._body)
        if len(body) <= self._limit:
            body = decompressed(body, self._encoding, self._limit + 1)
        return self._made(body if len(body) <= self._limit else None)

    def _made(self, body: bytes | None) -> HttpAnswer:
        if body is None:
            self.reusable = False
        # They know each other; apart, both go at once.
        self._parser = None
        text = self._text
        return HttpAnswer(
            self._status, text(b"content-type") or "", body, text(b"retry-after"), text(b"location")
        )

    @property
    def _encoding(self) -> bytes:
        return self._headers.get(b"content-encoding", b"").strip(b" \t").lower()

    def _text(self, name: bytes) -> str | None:
        value = self._headers.get(name)
        return None if value is None else value.strip(b" \t").decode("utf-8", "surrogateescape")
