"""One question to a service over HTTP, and what its silence means.

Rules
- A connection carries one question. Nothing is repeated here: the caller knows what may be.
- The URL and the key are checked before anything is sent; no text shows the key, or a password in the URL.
- Redirects are not followed: an act must not go where nobody named.
It does not: know what is asked, or read documents.
"""

import http.client
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from amends.delivery.client.faults import Unreachable

PATIENCE: Final = 30.0
"""Seconds in which something must arrive, besides what the caller asks the service to wait."""
LARGEST: Final = 1 << 28
"""Bytes of an answer."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    kind: str
    """The media type, without parameters."""
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the service is, and what lets us in."""

    url: str
    key: str | None = field(default=None, repr=False)

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Answer:
        """Send one request and return the whole answer; `target` is path and query.

        Raises:
            Unreachable: nobody answered, or not in HTTP.
        """
        connection, answer = self.begin(method, target, body=body, headers=headers, patience=patience)
        try:
            return Answer(answer.status, answer.headers.get_content_type(), answer.headers, _whole(answer))
        except (OSError, http.client.HTTPException) as error:
            raise self.silence(error, patience) from error
        finally:
            connection.close()

    def begin(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send one request and return the answer as it begins; the caller closes the connection."""
        place = self._place()
        connection = _connection(place, patience)
        try:
            connection.request(method, place.path.rstrip("/") + target, body, self._headers(body, headers))
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self.silence(error, patience) from error

    @property
    def shown(self) -> str:
        """The URL as it may be printed."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}" if rest else self.url.rpartition("@")[2]

    def silence(self, error: Exception, patience: float) -> Unreachable:
        """Say what a failed exchange means to a person."""
        return Unreachable(_meaning(error, self.shown, patience))

    def _place(self) -> SplitResult:
        try:
            place = urlsplit(self.url)
            usable = place.scheme in {"http", "https"} and place.hostname and place.port != 0
        except ValueError:
            usable = False
            place = SplitResult("", "", "", "", "")
        if not usable or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise Unreachable(f"{self.shown!r} is no URL of a service; write --url http://HOST:PORT")
        if place.username or place.password or place.query or place.fragment:
            raise Unreachable(
                f"the URL of {place.hostname} must not carry a user, a query or a fragment; the key is --api-key"
            )
        return place

    def _headers(self, body: bytes | None, more: dict[str, str] | None) -> dict[str, str]:
        headers = {"Accept": "application/json", **(more or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.key:
            if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
                raise Unreachable("the API key has characters that a key cannot have; look at AMENDS_API_KEY")
            headers["Authorization"] = f"Bearer {self.key}"
        return headers


def _connection(place: SplitResult, patience: float) -> http.client.HTTPConnection:
    if place.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=patience, context=context
        )
    return http.client.HTTPConnection(place.hostname or "", place.port, timeout=patience)


def _whole(answer: http.client.HTTPResponse) -> bytes:
    body = answer.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise http.client.HTTPException(f"more than {LARGEST >> 20} MiB came")
    if answer.length:
        # Reading with a limit does not say by itself that there should have been more.
        raise http.client.IncompleteRead(body, answer.length)
    return body


def _meaning(error: Exception, url: str, patience: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            reason = error.verify_message
            return f"the certificate of {url} is not trusted ({reason}); name its authority in SSL_CERT_FILE"
        case ssl.SSLError():
            return f"{url} does not speak TLS ({error.reason}); is it http:// instead?"
        case socket.gaierror():
            return f"the host of {url} is not known; look at --url or AMENDS_URL"
        case ConnectionRefusedError():
            return f"nothing listens at {url}; start it with amends serve, or name another with --url"
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError():
            return f"{url} closed the connection without an answer; is it the right port, and https://?"
        case TimeoutError():
            return f"{url} did not answer within {patience:g} s; look whether it runs, and at the way to it"
        case http.client.HTTPException():
            return f"{url} does not speak HTTP as it should ({type(error).__name__}); look at --url"
        case _:
            return f"{url} cannot be reached: {error}; look at --url"
