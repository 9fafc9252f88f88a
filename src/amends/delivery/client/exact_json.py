"""JSON documents without a loss: a number keeps the digits that it was written with.

Rules: a number with a point is a `Decimal`, on the way in and out, so ``1.10`` stays ``1.10``.
It does not: judge what strangers send (`amends.wire` does).
"""

from decimal import Decimal
from typing import Any, Final, TypeAlias, cast

import msgspec

Document: TypeAlias = dict[str, Any]
"""A JSON object."""

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def read(body: bytes) -> Any:
    """Return the document in `body`.

    Raises:
        ValueError: it is none (`msgspec.DecodeError`), or holds a number that is out of range.
    """
    try:
        return _DECODER.decode(body)
    except ArithmeticError as error:
        raise ValueError("a number is out of range") from error


def read_object(body: bytes) -> Document:
    """Return the object in `body`.

    Raises:
        ValueError: it holds none.
    """
    found = read(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  the caller asks whether the body is what it should be
    return cast("Document", found)


def write(value: Any) -> bytes:
    """Return `value` as JSON; `msgspec.Raw` stands as it is."""
    return _ENCODER.encode(value)
