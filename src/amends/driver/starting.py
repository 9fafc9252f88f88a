"""How a client of the driver is started, so that nothing stays open when that is given up.

Rules: what the driver logs of a client that is started here is told once (`driver_log.py`).
It does not: try again.
"""

import asyncio
from typing import Final, Protocol

from amends.driver.driver_log import attach, told_once

GRACE: Final = 1.0


class Startable(Protocol):
    """A client that has to be started."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def start(client: Startable) -> None:
    """Start a client; when that is given up, or fails, stop it.

    One that is given up has `GRACE` seconds to come to the end of its start: cancelled while it asks its first
    question, the driver would forget the connection, and leave it open until it is collected.

    Raises:
        Exception: the driver's own, or an OSError.
    """
    attach()
    with told_once():
        starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.wait([starting], timeout=GRACE)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await client.stop()
        raise
