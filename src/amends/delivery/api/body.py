"""The body of a request: taken within its limits, read strictly.

Rules
- What the head alone condemns is refused before a byte is read: no length, a length over the limit, another content
  type or encoding. The limit counts after decompression, and nothing is read beyond it.
- A body arrives within its time as a whole; a byte now and then does not help.
- JSON has one reading or none (`amends.wire.strict_json`); an unknown field is told with the nearest known one.
It does not: know what a body is for.
"""

import asyncio
import difflib
import re
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from amends.delivery.api.problem import Fault, Problem
from amends.wire.excerpt import excerpt
from amends.wire.strict_json import BadJson, NotAnObject, read_object

T = TypeVar("T", bound=msgspec.Struct)

ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_AT = re.compile(r" - at `\$(?P<path>.*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.+)`", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\.\.\.|\d+)\]")


def check_head(request: web.BaseRequest, *, limit: int) -> None:
    """Refuse what the head alone condemns."""
    if request.content_length is None and hdrs.TRANSFER_ENCODING not in request.headers:
        raise Problem("length-required", "give Content-Length, or send the body in chunks")
    if request.content_type != "application/json" or _charset(request) != "utf-8":
        raise Problem("media-type", "send the body as application/json in UTF-8")
    if request.headers.get(hdrs.CONTENT_ENCODING, "").lower() not in ENCODINGS:
        raise Problem("media-type", "send the body as it is, or with gzip or deflate")
    if (request.content_length or 0) > limit:
        raise _too_long(limit)


async def read(request: web.BaseRequest, *, limit: int, within: float) -> bytes:
    """Return the body; at most `limit` bytes, in at most `within` seconds.

    Raises:
        Problem: 400, 408 or 413.
    """
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    received = bytearray()
    try:
        async with asyncio.timeout(within):
            while piece := await request.content.readany():
                received += piece
                if len(received) > limit:
                    raise _too_long(limit)
    except TimeoutError as error:
        raise Problem("timeout", "the body did not arrive in time") from error
    except (web.RequestPayloadError, ValueError) as error:
        raise Problem("bad-body", f"the body is broken: {excerpt(str(error))}") from error
    return bytes(received)


def parse(body: bytes, kind: type[T]) -> T:
    """Return what `body` says, as `kind`, a msgspec struct.

    Raises:
        Problem: 400 it is no acceptable JSON; 422 it is not a `kind`.
    """
    try:
        document = read_object(body)
    except NotAnObject as bad:
        raise Problem("invalid", bad.reason, errors=(Fault("", bad.reason),)) from bad
    except BadJson as bad:
        raise _bad_json(bad) from bad
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    faults = [
        Fault(excerpt(f"/{name}"), "unknown field" + nearest(name, known))
        for name in document
        if name not in known
    ]
    if faults:
        raise Problem("invalid", "the body has fields that are not known", errors=faults)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        fault = fault_of(str(error))
        raise Problem("invalid", f"{fault.pointer or 'the body'}: {fault.reason}", errors=(fault,)) from error


def fault_of(message: str, *, within: str = "") -> Fault:
    """Return msgspec's complaint about what stands at `within` as a fault: its path as a JSON pointer."""
    at = _AT.search(message)
    reason = message[: at.start()] if at else message
    pointer = within + "".join(f"/{name or index}" for name, index in _STEP.findall(at["path"] if at else ""))
    for pattern, what in ((_MISSING, "required"), (_UNKNOWN, "unknown field")):
        if found := pattern.fullmatch(reason):
            return Fault(excerpt(f"{pointer}/{found['name']}"), what)
    return Fault(excerpt(pointer), excerpt(reason, limit=300))


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """Return what may have been meant, as the end of a sentence; nothing when there is nothing near."""
    near = difflib.get_close_matches(name[:100], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _charset(request: web.BaseRequest) -> str:
    try:
        return (request.charset or "utf-8").lower()
    except ValueError:
        return "unreadable"


def _bad_json(bad: BadJson) -> Problem:
    errors = () if bad.pointer is None else (Fault(bad.pointer, bad.reason),)
    place = {} if bad.line is None else {"line": bad.line, "column": bad.column}
    return Problem("bad-json", str(bad), errors=errors, members=place)


def _too_long(limit: int) -> Problem:
    return Problem("too-long", f"the body is longer than {limit} bytes")
