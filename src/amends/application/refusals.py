"""Nothing came of a trigger: what whoever sent it is told, and what is logged.

Rules: a no of the rules is for the caller; without one it is worth a line. A defect is logged with its trace, and told
to the caller as what it is.
It does not: decide what becomes of the instance.
"""

import asyncio
import logging

from amends.application.errors import AmendsError, PositionMoved, SagaUnknown, as_error
from amends.application.instance import Ask, refuse
from amends.core.decision import Rejected

log = logging.getLogger("amends.engine")

DEFECTS = (Exception, asyncio.CancelledError, GeneratorExit, SystemExit)
"""What a user's function may let out; none of it may end more than the decision that it was called in."""


def report(saga_id: str, ask: Ask, error: BaseException) -> None:
    """Tell whoever sent the trigger, and the log, why nothing came of it."""
    told = {"saga": saga_id}
    match error:
        case Rejected():
            refuse(ask.waiter, as_error(error))
            if ask.waiter is None:
                log.info("saga %s: %s", saga_id, error, extra=told)
        case SagaUnknown() | PositionMoved():
            refuse(ask.waiter, error)
            if ask.waiter is None:
                log.warning("saga %s: %s", saga_id, error, extra=told)
        case _:
            what = type(ask.trigger).__name__
            log.error("saga %s: cannot decide %s", saga_id, what, exc_info=error, extra=told)
            refuse(ask.waiter, AmendsError(f"saga {saga_id!r}: {error!r}"))


def not_loaded(saga_id: str, error: Exception) -> None:
    """Tell the log that an instance cannot be brought into memory here."""
    log.error("saga %s cannot be loaded: %s", saga_id, error, extra={"saga": saga_id})
