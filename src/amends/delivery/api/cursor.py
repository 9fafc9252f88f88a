"""Where a listing goes on: an opaque text, signed, so that only places that this service gave out come back.

Rules: a cursor belongs to the query that it came from; with another one it is refused. The key lies beside the store,
or with the rows that several processes share, so that a cursor outlives a restart and is good at each of them.
It does not: hide what is in it.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_BYTES = 32
_MAC_BYTES = 16


class Forged(Exception):
    """Not a cursor of this service for this query."""


class KeyUnusable(Exception):
    """The key can be neither read nor written; the text names its file."""


def key_beside(store: str | None) -> bytes:
    """Return the key in ``STORE.cursor-key``, made when it is not there; a passing one for a store in memory.

    Raises:
        KeyUnusable: it can be neither read nor written.
    """
    if store is None:
        return secrets.token_bytes(KEY_BYTES)
    path = Path(f"{store}.cursor-key")
    try:
        return _kept(path) or _made(path)
    except OSError as error:
        raise KeyUnusable(f"the key of cursors, {path}, cannot be used: {error.strerror}") from error


def _kept(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(found) == KEY_BYTES:
        return found
    # What is left of a crash while it was written.
    path.unlink()
    return None


def _made(path: Path) -> bytes:
    made = secrets.token_bytes(KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    return made


class Cursors:
    """Signs places and reads them back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, place: bytes, query: bytes) -> str:
        """Return the cursor for `place` in the listing of `query`."""
        return base64.urlsafe_b64encode(self._mac(place, query) + place).decode().rstrip("=")

    def read(self, cursor: str, query: bytes) -> bytes:
        """Return the place that `cursor` stands for.

        Raises:
            Forged: it is none of this service's for this query.
        """
        try:
            # Base64 has several texts for some bytes; only the one that was given out counts.
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise Forged from error
        mac, place = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(place, query)) or self.write(place, query) != cursor:
            raise Forged
        return place

    def _mac(self, place: bytes, query: bytes) -> bytes:
        text = hashlib.sha256(query).digest() + place
        return hmac.new(self._key, text, hashlib.sha256).digest()[:_MAC_BYTES]
