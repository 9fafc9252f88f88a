"""Waiting for what another process, or a task beside, brings about.

Rules: a look is a function; what it has to wait for itself it does in a thread. It gives up with what it waited for.
"""

import asyncio
import os
import select
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("AMENDS_TEST_PATIENCE", "30"))


async def until(look: Callable[[], object], what: str) -> None:
    """Look again and again, in a thread, until there is something."""
    latest = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(look):
        await asyncio.to_thread(_pause)
        assert time.monotonic() < latest, f"waited in vain for {what}"


async def soon(look: Callable[[], object], what: str) -> None:
    """Let the loop's other tasks run until there is something."""
    latest = time.monotonic() + PATIENCE
    while not look():
        await asyncio.to_thread(_pause)
        assert time.monotonic() < latest, f"waited in vain for {what}"


def _pause() -> None:
    """Leave the processor to those who are waited for."""
    select.select([], [], [], 0.02)
