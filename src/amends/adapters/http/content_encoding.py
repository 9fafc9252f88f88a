"""The body of a response, decompressed as its Content-Encoding says.

Rules: gzip and deflate, which is what a request accepts; no more is made of a body than the caller has room for; what
ends early or late is not taken.
It does not: read bodies (`response.py`).
"""

import zlib
from typing import Final

from amends.wire.excerpt import excerpt

NONE: Final = frozenset({b"", b"identity"})
KNOWN: Final = NONE | {b"gzip", b"x-gzip", b"deflate"}
ZLIB: Final = 8
"""The low bits of a body that begins with zlib's head."""


class Undecodable(Exception):
    """The body is not what its Content-Encoding says."""


def check_encoding(encoding: bytes) -> None:
    """Raise `Undecodable` unless a body in this encoding can be read."""
    if encoding not in KNOWN:
        raise Undecodable(f"the encoding {excerpt(encoding)} is not known")


def decompressed(body: bytes, encoding: bytes, room: int) -> bytes:
    """Return what `body` holds, at most `room` bytes of it.

    Raises:
        Undecodable: it is not what `encoding` says.
    """
    if not body or encoding in NONE:
        return body
    # Some send as deflate what has no head; zlib is told so by a negative number.
    bare = encoding == b"deflate" and body[0] & 0x0F != ZLIB
    inflate = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
    try:
        found = inflate.decompress(body, room)
    except zlib.error as error:
        raise Undecodable(str(error)) from error
    if len(found) < room and (not inflate.eof or inflate.unused_data):
        raise Undecodable("it ends early, or late")
    return found
