"""What is sent: the request that carries one command to one base URL.

Rules
- ``POST {base_url}/{command name}``, the payload's bytes as they are; who it is about stands in headers, and
  `Idempotency-Key` is the command id, the same for every attempt.
- What is the same for every command of a name is written once.
It does not: send.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from yarl import URL

from amends.adapters.http.connections import Host
from amends.core.effect import SendCommand

_RESERVED = frozenset(
    {"idempotency-key", "content-type", "content-length", "transfer-encoding", "host", "connection"}
)
"""Headers that the contract or HTTP itself sets, besides all that begin with `Amends-`."""
_USUAL = {
    "User-Agent": "amends",
    "Accept": "application/json, application/problem+json",
    "Accept-Encoding": "gzip, deflate",
}
"""What is sent unless a binding's own headers say otherwise."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_MAX_HEADS = 10_000


class Requests:
    """The requests to one base URL."""

    def __init__(
        self, base_url: str, *, headers: Mapping[str, str] | None = None, callback_url: str | None = None
    ) -> None:
        """Raises ValueError: the URL, or a header, cannot be used; a URL's text is not in the message."""
        self.base_url = checked_url(base_url, "base_url").rstrip("/")
        url = URL(self.base_url)
        self.origin = str(url.origin())
        self.host = Host(url.raw_host or "", url.port or 0, url.scheme == "https")
        self._path = url.raw_path.rstrip("/")
        self._heads: dict[str, str] = {}
        self._fixed = _fixed_lines(url.host_port_subcomponent or "", headers or {}, callback_url)

    def head(self, command: SendCommand, length: int) -> bytes:
        """Return everything in front of a payload of `length` bytes.

        Raises:
            ValueError: a part of it cannot stand in a header.
        """
        command_id, saga_id, namespace, step = (
            command.command_id,
            command.saga_id,
            command.namespace,
            command.step,
        )
        for text in (command_id, saga_id, namespace, step):
            # Two looks that cost nothing; only what is not plain is looked at closely.
            if not (text.isascii() and text.isprintable()) and _CONTROL.search(text):
                raise ValueError("an id with a control character cannot stand in a header")
        head = (
            f"{self._heads.get(command.name) or self._command_lines(command.name)}"
            f"Idempotency-Key: {command_id}\r\n"
            f"Amends-Saga-Id: {saga_id}\r\n"
            f"Amends-Namespace: {namespace}\r\n"
            f"Amends-Step: {step}\r\n"
            f"Amends-Direction: {command.direction}\r\n"
            f"Amends-Round: {command.round}\r\n"
            f"Amends-Attempt: {command.attempt}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        )
        # Half a surrogate pair raises here: replaced by something else, two ids would become one.
        return head.encode()

    def _command_lines(self, name: str) -> str:
        """Return the first line and the headers that are the same for every command of this name."""
        # Quoted whole: a name stays one path segment, whatever characters it has.
        lines = f"POST {self._path}/{quote(name, safe='')} HTTP/1.1\r\n{self._fixed}"
        if len(self._heads) < _MAX_HEADS:
            self._heads[name] = lines
        return lines


def _fixed_lines(host: str, headers: Mapping[str, str], callback_url: str | None) -> str:
    """Return the headers that every call has, line by line."""
    for name, value in headers.items():
        if name.lower() in _RESERVED or name.lower().startswith("amends-"):
            raise ValueError(f"the header {name} is set by the transport itself")
        if _NAME.fullmatch(name) is None or _CONTROL.search(value):
            raise ValueError(
                f"the header {name!r} cannot be sent: its name or its value has forbidden characters"
            )
    own = {name.lower() for name in headers}
    fixed = {
        "Host": host,
        **{name: value for name, value in _USUAL.items() if name.lower() not in own},
        **headers,
    }
    fixed["Content-Type"] = "application/json"
    if callback_url is not None:
        fixed["Amends-Reply-To"] = checked_url(callback_url, "callback_url")
    return "".join(f"{name}: {value}\r\n" for name, value in fixed.items())


def checked_url(url: str, setting: str) -> str:
    """Return `url` when it is one to call; its text is not repeated in the error, it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{setting} must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{setting} must not hold credentials; give them in a header")
    if setting == "base_url" and (parts.query or parts.fragment):
        raise ValueError(
            f"{setting} must not have a query or a fragment; the command's name is put behind it"
        )
    return url
