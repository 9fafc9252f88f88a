"""What an exception of the HTTP client means: no answer that can be trusted, and why.

Rules: an exchange that broke may have reached the participant, so it is transient, never a no; what time ran out for is
a timeout; what no retry will mend (a certificate, a URL, a header that cannot be sent) is configuration; an answer that
is no HTTP is unreadable.
It does not: retry, log, or look at answers that arrived whole (`answers.py`).
"""

import aiohttp
from aiohttp import http_exceptions

from amends.core.outcome import Failed
from amends.wire.excerpt import excerpt


def fault_of(error: Exception, *, origin: str) -> Failed:
    """Classify what sending to `origin`, or reading from it, raised."""
    match error:
        case TimeoutError():
            return Failed(f"no answer from {origin} in time", "timeout")
        case aiohttp.ClientConnectorCertificateError():
            return Failed(f"the certificate of {origin} is not trusted: {_text(error)}", "configuration")
        case aiohttp.ClientConnectorError():
            return Failed(f"cannot connect to {origin}: {_text(error.os_error)}", "transient")
        case aiohttp.ClientPayloadError() if isinstance(
            error.__cause__, http_exceptions.ContentEncodingError
        ):
            return Failed(f"the reply of {origin} cannot be decompressed", "unreadable")
        case aiohttp.ClientPayloadError():
            return Failed(f"the reply of {origin} broke off", "transient")
        case aiohttp.ClientResponseError():
            return Failed(f"{origin} answered something that is not HTTP: {_text(error)}", "unreadable")
        case aiohttp.ServerDisconnectedError():
            return Failed(f"{origin} closed the connection without an answer", "transient")
        case aiohttp.InvalidURL():
            return Failed(f"not a URL that can be called: {_text(error)}", "configuration")
        case aiohttp.ClientError() | OSError():
            return Failed(f"the connection to {origin} broke: {_text(error)}", "transient")
        case ValueError() | TypeError():
            return Failed(f"the command cannot be sent to {origin}: {_text(error)}", "configuration")
        case _:
            return Failed(f"sending to {origin} failed: {_text(error)}", "transient")


def _text(error: BaseException) -> str:
    return excerpt(str(error) or type(error).__name__)
