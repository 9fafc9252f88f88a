"""No test waits for ever: a lost wakeup is a failure that says where, not a run that has no end.

Rules: the limit is for what hangs, so it is far beyond what a test takes on a busy machine. It does not: measure.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


def limited(test: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Return `test` with a limit, if it is a coroutine function."""
    if not inspect.iscoroutinefunction(test):
        return test

    @functools.wraps(test)
    async def within(*arguments: Any, **named: Any) -> None:
        call: Awaitable[None] = test(*arguments, **named)
        async with asyncio.timeout(seconds):
            await call

    return within
