"""The broker of a demo that goes over Kafka: a real one, in the run's own directory, as long as the demo runs.

Rules: `servers/kafka.py` starts and ends it, and says why it cannot. A run that goes on finds its records again; a new
run begins with an empty broker. When the demo is killed the broker stays, and the next run takes it over.
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from examples.running.run_directory import CannotUse

FOLDER = "broker"


@asynccontextmanager
async def broker(directory: Path, *, is_new: bool) -> AsyncGenerator[str]:
    """Start the broker of this directory; gives its address."""
    servers: Any = importlib.import_module("servers.kafka")
    folder = (directory / FOLDER).resolve()
    if is_new:
        await asyncio.to_thread(servers.remove, folder)
    try:
        started = await asyncio.to_thread(servers.start, folder)
    except servers.Unable as error:
        raise CannotUse(" ".join(str(error).split())) from error
    try:
        yield started.address
    finally:
        await asyncio.to_thread(servers.stop, folder)
