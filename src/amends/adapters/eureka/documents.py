"""What is said to Eureka, and what it says: its JSON, which has XML behind it.

Rules
- What comes from the registry was written there by anybody: it is read strictly, and an entry that cannot be used is
  left out without harm to its neighbours.
- Only instances that are `UP` count. One with a secure port is called over https, as Spring does; the host is its
  `hostName`, which is an address where it was registered so.
It does not: talk to anybody.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from amends.wire.strict_json import BadJson, check_document

Status: TypeAlias = Literal["UP", "DOWN"]
"""What is said of this service. Not `OUT_OF_SERVICE`: from a client that is registered as `UP` a server does not take
it, and whoever stands as that is not taken for `UP` when it comes again."""

LEASE: Final = 3
"""So many signs of life may fail to come before an instance is taken out; Eureka's own proportion."""

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_HIGHEST_PORT = 65_535
_MOST_DIGITS = 5


class Instance(NamedTuple):
    """This service as it is registered."""

    app: str
    host: str
    port: int
    id: str = ""
    """Unique in the registry, and the same after a restart; ``HOST:APP:PORT`` when empty."""
    is_secure: bool = False
    prefers_ip: bool = False
    """Whether others are told the IP address in place of the host's name."""

    @property
    def name(self) -> str:
        """The id that it is registered by."""
        return self.id or f"{self.host}:{self.app}:{self.port}"


def registration(instance: Instance, status: Status, *, ip: str, renewal_s: int, dirty_ms: int) -> bytes:
    """Return the document that registers `instance`; `dirty_ms` grows with each that says something else."""
    host = ip if instance.prefers_ip else instance.host
    place = f"[{host}]" if ":" in host else host
    origin = f"{'https' if instance.is_secure else 'http'}://{place}:{instance.port}"
    document = {
        "instanceId": instance.name,
        "app": instance.app.upper(),
        "hostName": host,
        "ipAddr": ip,
        "status": status,
        "port": _port(instance.port, is_enabled=not instance.is_secure),
        "securePort": _port(instance.port, is_enabled=instance.is_secure),
        "vipAddress": instance.app.lower(),
        "secureVipAddress": instance.app.lower(),
        "homePageUrl": f"{origin}/",
        "statusPageUrl": f"{origin}/ready",
        "healthCheckUrl": f"{origin}/health",
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
            "name": "MyOwn",
        },
        "leaseInfo": {"renewalIntervalInSecs": renewal_s, "durationInSecs": LEASE * renewal_s},
        "metadata": {"management.port": str(instance.port)},
        "lastDirtyTimestamp": str(dirty_ms),
    }
    return msgspec.json.encode({"instance": document})


def _port(number: int, *, is_enabled: bool) -> dict[str, object]:
    return {"$": number, "@enabled": str(is_enabled).lower()}


class Unreadable(Exception):
    """What came is not what Eureka says of a service."""


class _Application(msgspec.Struct):
    instance: msgspec.Raw = msgspec.Raw(b"[]")


class _Answer(msgspec.Struct):
    application: _Application


class _Port(msgspec.Struct, frozen=True):
    number: int | str = msgspec.field(name="$", default=0)
    is_enabled: bool | str = msgspec.field(name="@enabled", default=False)

    @property
    def open(self) -> int | None:
        """The number, where it is one and the port is enabled."""
        text = str(self.number)
        if str(self.is_enabled).lower() != "true" or not text.isascii() or not text.isdecimal():
            return None
        return int(text) if len(text) <= _MOST_DIGITS and 0 < int(text) <= _HIGHEST_PORT else None


class _Listed(msgspec.Struct):
    status: str = ""
    host: str = msgspec.field(name="hostName", default="")
    port: _Port = _Port()
    secure: _Port = msgspec.field(name="securePort", default=_Port())

    @property
    def url(self) -> str | None:
        """Where it is called; None when it cannot be."""
        host = _checked_host(self.host)
        if host is None:
            return None
        if self.secure.open is not None:
            return f"https://{host}:{self.secure.open}"
        return None if self.port.open is None else f"http://{host}:{self.port.open}"


_ANSWER = msgspec.json.Decoder(_Answer)
_LISTED = msgspec.json.Decoder(_Listed)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class Listing(NamedTuple):
    """What the registry says of one service."""

    urls: tuple[str, ...]
    """Of those that are up, in a fixed order."""
    unusable: int
    """How many are up and cannot be called: no host, or no port that is one."""


def listing(body: bytes) -> Listing:
    """Read what Eureka says of one application.

    Raises:
        Unreadable: it is not that.
    """
    try:
        check_document(body)
        entries = _entries(_ANSWER.decode(body).application.instance)
    except (BadJson, msgspec.DecodeError) as error:
        raise Unreadable(str(error)) from error
    found = [_url_of(each) for each in entries]
    urls = {url for url in found if url}
    return Listing(tuple(sorted(urls)), sum(url is None for url in found))


def _entries(raw: msgspec.Raw) -> Sequence[msgspec.Raw]:
    # Older versions write an instance that is alone without a list around it.
    return [raw] if bytes(raw).lstrip()[:1] == b"{" else _LIST.decode(raw)


def _url_of(entry: msgspec.Raw) -> str | None:
    """Return where an instance is called; empty when it is not up, None when that cannot be told."""
    try:
        listed = _LISTED.decode(entry)
    except msgspec.DecodeError:
        return None
    return listed.url if listed.status == "UP" else ""


def _checked_host(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if _HOST.fullmatch(host) else None
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  IPv6 is its name
