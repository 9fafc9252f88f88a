"""What holds for all tests: none of them waits for ever.

Rules: five minutes are more than any takes. It does not: limit what does not run on an event loop.
"""

from typing import Final

import pytest

from tests.limits import limited

LONGEST: Final = 300.0
"""Seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its limit."""
    for item in items:
        if isinstance(item, pytest.Function):
            item.obj = limited(item.obj, LONGEST)
