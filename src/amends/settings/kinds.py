"""What a setting may be: each kind reads a text into a typed value, or says why it cannot.

Rules
- The key decides the type, never the look of the text: `no`, `012` and `12:30:45` are what they are nowhere.
- `name` and `range` complete the sentence "… is not NAME RANGE" and fill the documentation.
- A kind that is `secret` is never echoed.
It does not: know where the text stands (`reading.py`) or which keys there are (`model.py`).
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from amends.settings.secret import Secret, Url

T_co = TypeVar("T_co", covariant=True)

MOST_DIGITS = 18
MOST_CHARACTERS = 4_096
HIGHEST_PORT = 65_535
LOOKED_UP = "lb://"
"""How the address begins of a service whose instances a registry knows."""

_WHOLE = re.compile(rf"-?(0|[1-9][0-9]{{0,{MOST_DIGITS - 1}}})")
_LEADING_ZEROS = re.compile(rf"0[0-9]{{1,{MOST_DIGITS}}}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_HOST_PORT = re.compile(r"(\[[^\]]+\]|[^:\[\]]+):([0-9]{1,5})")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]{0,4094}[\x21-\x7e])?")

RESERVED_HEADERS = frozenset(
    {"idempotency-key", "content-type", "content-length", "transfer-encoding", "host", "connection"}
)
"""Headers that the contract with participants or HTTP itself sets, besides all that begin with `Amends-`."""


class Wrong(Exception):
    """The text is not of the kind; the message, which may be empty, adds a hint."""


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[T_co]):
    """How a setting is read, shown and described; `read` takes the elements of a list or map one by one."""

    name: str
    range: str
    read: Callable[[str], T_co]
    write: Callable[[Any], str] = str
    secret: bool = False
    free_text: bool = False
    """Any text would do, so a plain one that YAML takes for something else must be quoted."""


@dataclass(frozen=True, kw_only=True)
class ListKind(Kind[T_co]):
    """A list; `item` reads one element, `read` a text with commas."""

    item: Kind[Any]
    most: int


@dataclass(frozen=True, kw_only=True)
class MapKind(Kind[T_co]):
    """A mapping of names to texts; `item` reads one value, `check_name` one name, `read` a text with commas and `=`."""

    item: Kind[Any]
    check_name: Callable[[str], None]


def whole(least: int, most: int) -> Kind[int]:
    """Return the kind of a whole number."""

    def read(text: str) -> int:
        if _LEADING_ZEROS.fullmatch(text):
            raise Wrong(f"write {text.lstrip('0') or '0'}")
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise Wrong
        return int(text)

    return Kind(name="a whole number", range=f"from {least:,} to {most:,}", read=read)


def decimal(least: float, most: float) -> Kind[float]:
    """Return the kind of a number that may have a fraction."""

    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not least <= float(text) <= most:
            raise Wrong
        return float(text)

    return Kind(name="a number", range=f"from {least:g} to {most:g}", read=read)


def switch() -> Kind[bool]:
    """Return the kind of `true` and `false`."""

    def read(text: str) -> bool:
        if text.lower() not in {"true", "false"}:
            raise Wrong
        return text.lower() == "true"

    return Kind(name="true or false", range="", read=read, write=lambda value: str(value).lower())


def choice(*names: str, also: Mapping[str, str] | None = None) -> Kind[Any]:
    """Return the kind of one word out of several; `also` gives other words for them."""
    words = {name: name for name in names} | dict(also or {})

    def read(text: str) -> str:
        if text.lower() not in words:
            near = difflib.get_close_matches(text.lower(), words, n=1)
            raise Wrong(f"did you mean {near[0]}?" if near else "")
        return words[text.lower()]

    return Kind(name="one of", range=", ".join(names), read=read)


def matching(pattern: str, *, name: str, range: str) -> Kind[str]:  # noqa: A002  the field's own word
    """Return the kind of a text of a certain form."""
    form = re.compile(pattern)

    def read(text: str) -> str:
        if not form.fullmatch(text):
            raise Wrong
        return text

    return Kind(name=name, range=range, read=read, free_text=True)


def text(most: int = 200) -> Kind[str]:
    """Return the kind of a line of text."""

    def read(given: str) -> str:
        _check_characters(given)
        if not 1 <= len(given) <= most:
            raise Wrong
        return given

    return Kind(name="a line of text", range=f"of 1 to {most} characters", read=read, free_text=True)


def secret(least: int = 1) -> Kind[Secret]:
    """Return the kind of a password or key."""

    def read(given: str) -> Secret:
        _check_characters(given)
        if not least <= len(given) <= MOST_CHARACTERS:
            raise Wrong
        return Secret(given)

    range_ = f"of {least} to {MOST_CHARACTERS:,} characters"
    return Kind(name="a secret", range=range_, read=read, secret=True, free_text=True)


def host() -> Kind[str]:
    """Return the kind of a host's name or address."""
    return Kind(name="a host name", range="or IP address", read=_read_host, free_text=True)


def broker() -> Kind[str]:
    """Return the kind of `HOST:PORT`."""

    def read(given: str) -> str:
        found = _HOST_PORT.fullmatch(given)
        if not found or not 1 <= int(found[2]) <= HIGHEST_PORT:
            raise Wrong("write HOST:PORT, such as kafka:9092")
        _read_host(found[1].strip("[]"))
        return given

    return Kind(name="HOST:PORT", range="with a port from 1 to 65,535", read=read)


def url() -> Kind[Url]:
    """Return the kind of an HTTP address."""
    return Kind(name="an address", range="that begins with http:// or https://", read=_read_url)


def service_url() -> Kind[Url]:
    """Return the kind of an HTTP address, or of `lb://SERVICE/PATH`, whose instances a registry knows."""
    name = "an address"
    return Kind(name=name, range="that begins with http://, https:// or lb://", read=_read_service_url)


def header() -> Kind[Secret]:
    """Return the kind of an HTTP header's value; it may carry a key, so it is a secret."""

    def read(given: str) -> Secret:
        if not _HEADER_VALUE.fullmatch(given):
            raise Wrong
        return Secret(given)

    range_ = "of visible ASCII characters, 4,096 at most"
    return Kind(name="a header value", range=range_, read=read, secret=True, free_text=True)


def list_of(item: Kind[Any], *, name: str, most: int = 100) -> ListKind[tuple[Any, ...]]:
    """Return the kind of a list of `item`."""

    def read(given: str) -> tuple[Any, ...]:
        parts = given.split(",")
        if len(parts) > most:
            raise Wrong
        return tuple(item.read(part.strip()) for part in parts)

    def write(values: Sequence[Any]) -> str:
        return ", ".join(item.write(value) for value in values) or "(none)"

    range_ = f"of at most {most}, each {item.name} {item.range}"
    return ListKind(name=name, range=range_, read=read, write=write, secret=item.secret, item=item, most=most)


def headers() -> MapKind[Mapping[str, Secret]]:
    """Return the kind of HTTP headers by name."""
    item = header()

    def read(given: str) -> Mapping[str, Secret]:
        found: dict[str, Secret] = {}
        for part in given.split(","):
            name, equals, value = part.partition("=")
            if not equals:
                raise Wrong("write NAME=VALUE, NAME=VALUE")
            check_header(name.strip())
            found[name.strip()] = item.read(value.strip())
        return found

    def write(values: Mapping[str, Secret]) -> str:
        return ", ".join(f"{name}={value}" for name, value in values.items()) or "(none)"

    range_ = f"by name; each is {item.name} {item.range}"
    return MapKind(
        name="HTTP headers",
        range=range_,
        read=read,
        write=write,
        secret=True,
        item=item,
        check_name=check_header,
    )


def check_header(name: str) -> None:
    """Refuse what cannot be a header's name, or is not the user's to set."""
    if not _HEADER.fullmatch(name):
        raise Wrong("a header's name is 1 to 100 letters, digits and signs such as -")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("amends-"):
        raise Wrong(f"the header {name} is set by Amends itself")


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches `address`."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address.lower().rstrip(".") == "localhost"


def _check_characters(given: str) -> None:
    if any(not character.isprintable() for character in given):
        raise Wrong("it has a character that cannot be seen")


def _read_host(given: str) -> str:
    try:
        ipaddress.ip_address(given)
    except ValueError:
        # Digits and dots alone are an address with a slip, such as 127.0.0.256 or 0.
        if not _HOST.fullmatch(given) or not re.search(r"[A-Za-z]", given):
            raise Wrong from None
    return given


def _read_url(given: str) -> Url:
    _check_characters(given)
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise Wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in given or port == 0:
        raise Wrong
    if len(given) > MOST_CHARACTERS:
        raise Wrong
    _read_host(parts.hostname)
    return Url(given)


def _read_service_url(given: str) -> Url:
    if not given.startswith(LOOKED_UP):
        return _read_url(given)
    _check_characters(given)
    parts = urlsplit(given)
    if not _SERVICE.fullmatch(parts.netloc) or " " in given or len(given) > MOST_CHARACTERS:
        raise Wrong("write lb://SERVICE or lb://SERVICE/PATH")
    if parts.query or parts.fragment:
        raise Wrong("write lb://SERVICE or lb://SERVICE/PATH")
    return Url(given)
