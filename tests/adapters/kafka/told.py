"""What the driver tells in the log, counted.

It does not: look at what only those see who ask for details.
"""

import logging
from collections import Counter
from collections.abc import Mapping

import pytest


def said(caplog: pytest.LogCaptureFixture, more_than: int = 0, by: str = "aiokafka") -> Mapping[str, int]:
    """Return what `by` and its parts told to everybody, and how often, where that is more often than `more_than`."""
    found = Counter(
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(by) and record.levelno >= logging.WARNING
    )
    return {text: times for text, times in found.items() if times > more_than}
