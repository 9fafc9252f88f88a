"""`Retry-After`: how long a participant wants to be left alone.

Rules: both forms of RFC 9110 (seconds, HTTP date) are honoured; a date is compared with the injected clock, and one in
the past means now. At most a day: who meant more is asked again tomorrow and may say so again.
It does not: wait, retry, or fail; what cannot be read counts as not said.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from amends.ports.clock import Clock

LONGEST = timedelta(days=1)
_NOTHING = timedelta(0)
_MOST_DIGITS = 9


def retry_after(header: str | None, clock: Clock) -> timedelta | None:
    """Return what the header's value asks for, None when it asks for nothing that can be read."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return LONGEST if len(header) > _MOST_DIGITS else min(timedelta(seconds=int(header)), LONGEST)
    date = _http_date(header)
    return None if date is None else min(max(date - clock.now(), _NOTHING), LONGEST)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
