"""The native contract's headers: what a command's record says about itself."""

import pytest

from amends.adapters.kafka.contract import command_headers
from amends.testing.transport_suite import command


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0.0, b"1970-01-01T00:00:00.000Z"),
        (1_767_225_599.999, b"2025-12-31T23:59:59.999Z"),
        (1_767_225_599.9999, b"2025-12-31T23:59:59.999Z"),
        (1_767_225_600.0, b"2026-01-01T00:00:00.000Z"),
        (1_767_225_600.001, b"2026-01-01T00:00:00.001Z"),
    ],
)
def test_the_time_is_in_utc_and_has_milliseconds(now: float, expected: bytes) -> None:
    for _ in range(2):
        assert dict(command_headers(command(), reply_to=None, now=now))["ce_time"] == expected
