"""The one seam through which user data pass on their way into events and back.

Rules: JSON, decimals as strings, unknown fields of a reply ignored. A type that msgspec knows (structs, dataclasses,
built-ins) is decoded and validated by it; a pydantic model validates itself, so pydantic is needed only where the user
has it. ``None`` as a type means: whatever was said does not matter.
It does not: encrypt (a later codec may), or know events.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec


class Unreadable(ValueError):
    """A document does not fit the type that was expected; the text says where."""


class Codec(Protocol):
    """Turns values into JSON and JSON into values."""

    def encode(self, value: object, /) -> bytes:
        """Return `value` as a JSON document.

        Raises:
            Unreadable: it has no JSON form.
        """
        ...

    def decoder(self, of: Any) -> Callable[[bytes], Any]:
        """Return a function from a JSON document to a value of type `of`; it raises `Unreadable`."""
        ...


def _to_plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"{type(value).__name__} is neither a dataclass, a struct nor a built-in")


def _from_plain(of: Any, plain: Any) -> Any:
    if hasattr(of, "model_validate"):
        return of.model_validate(plain)
    raise NotImplementedError(f"no way to read a {of}")


def ignore(_document: bytes) -> None:
    """Read a document whose content does not matter; it need not even be JSON."""


def kept(decoder: Callable[[bytes], Any], document: bytes) -> bytes:
    """Return what is stored of a document that came from outside: ``null`` where its content does not matter."""
    return b"null" if decoder is ignore else document


class _Bare:
    """What `JsonCodec` does, with the errors of whatever does it."""

    def __init__(self) -> None:
        """Make the encoder once; it is reused for every value."""
        self.encode: Callable[[object], bytes] = msgspec.json.Encoder(enc_hook=_to_plain).encode

    def decoder(self, of: Any) -> Callable[[bytes], Any]:
        if of is None or of is type(None):
            return ignore
        if hasattr(of, "model_validate_json"):
            validate: Callable[[bytes], Any] = of.model_validate_json
            return validate
        return msgspec.json.Decoder(of, dec_hook=_from_plain).decode


_BARE: Final = _Bare()


class JsonCodec:
    """msgspec's JSON, with pydantic models where they appear."""

    def encode(self, value: object, /) -> bytes:
        """Return `value` as a JSON document."""
        try:
            return _BARE.encode(value)
        except (TypeError, ValueError, NotImplementedError, RecursionError, msgspec.MsgspecError) as error:
            raise Unreadable(f"{type(value).__name__} has no JSON form: {error}") from error

    def decoder(self, of: Any) -> Callable[[bytes], Any]:
        """Return the decoder for `of`."""
        decode = _BARE.decoder(of)
        return ignore if decode is ignore else _guarded(decode)


def bare(codec: Codec) -> Codec:
    """Return `codec` for who catches whatever it raises, and takes no word from it.

    The library's own can do without its guard, which costs a call for each document; another is taken as it is.
    """
    return _BARE if type(codec) is JsonCodec else codec


def _guarded(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def guarded(document: bytes) -> Any:
        try:
            return decode(document)
        except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            raise Unreadable(str(error)[:300]) from error

    return guarded
