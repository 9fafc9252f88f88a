"""What an exception of the exchange means: no answer that can be trusted, and why.

Rules: an exchange that broke may have reached the participant, so it is transient, never a no; what time ran out for is
a timeout; what no retry will mend (a certificate, a text that cannot stand in a header) is configuration; an answer
that is no HTTP is unreadable.
It does not: retry, log, or look at answers that arrived whole (`answers.py`).
"""

import ssl

from amends.adapters.http.connections import CannotConnect
from amends.adapters.http.content_encoding import Undecodable
from amends.adapters.http.response import BrokeOff, NoAnswer, NotHttp
from amends.core.outcome import Failed
from amends.wire.excerpt import excerpt


def fault_of(error: Exception, *, origin: str) -> Failed:
    """Classify what sending to `origin`, or reading from it, raised."""
    match error:
        case CannotConnect(__cause__=ssl.SSLCertVerificationError() as cause):
            return Failed(f"the certificate of {origin} is not trusted: {_text(cause)}", "configuration")
        case CannotConnect():
            return Failed(f"cannot connect to {origin}: {_text(error.__cause__ or error)}", "transient")
        case TimeoutError():
            return Failed(f"no answer from {origin} in time", "timeout")
        case Undecodable():
            return Failed(f"the reply of {origin} cannot be decompressed: {_text(error)}", "unreadable")
        case NotHttp():
            return Failed(f"{origin} answered something that is not HTTP: {_text(error)}", "unreadable")
        case BrokeOff():
            return Failed(f"the reply of {origin} broke off", "transient")
        case NoAnswer():
            return Failed(f"{origin} closed the connection without an answer", "transient")
        case OSError():
            return Failed(f"the connection to {origin} broke: {_text(error)}", "transient")
        case ValueError() | TypeError():
            return Failed(f"the command cannot be sent to {origin}: {_text(error)}", "configuration")
        case _:
            return Failed(f"sending to {origin} failed: {_text(error)}", "transient")


def _text(error: BaseException) -> str:
    return excerpt(str(error) or type(error).__name__)
