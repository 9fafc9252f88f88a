"""Watching an instance that another process drives: reads its stream until it has come to what is waited for.

Rules: only what is durable counts. It is read anew with pauses that grow to a quarter of a second, each time what was
added alone; a store that is away is waited for.
It does not: act.
"""

import asyncio
from functools import partial
from typing import Final

from amends.application.history import unknown
from amends.application.instance import Until, reached
from amends.application.loader import Loader
from amends.core.state import State
from amends.ports import StreamKey

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.25


async def watched(loader: Loader, key: StreamKey, until: Until) -> State:
    """Return the state of an instance once it is what `until` names.

    Raises:
        SagaUnknown: there is no such instance.
    """
    state = await loader.patience.ask(partial(loader.fold, key))
    if not state.position:
        raise unknown(key)
    pause = FIRST_PAUSE
    while not reached(state, until):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        state = await loader.further(key, state)
    return state
