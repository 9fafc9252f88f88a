"""What Amends needs from outside, as Protocols: an event store, a transport, a door for callbacks, a clock.

Rules: a port speaks in the core's words and in plain values; each has one behavioural suite that every adapter runs.
It does not: import a technology, an adapter, or asyncio.
"""

from amends.ports.callback import CallbackDoor, CallbackReply, Deliver, Verdict
from amends.ports.clock import Clock
from amends.ports.event_store import (
    Append,
    EventStore,
    IndexChange,
    KeepIndex,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)
from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreHeld,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)
from amends.ports.transport import Transport

__all__ = [
    "Append",
    "CallbackDoor",
    "CallbackReply",
    "Clock",
    "Deliver",
    "EventStore",
    "IndexChange",
    "KeepIndex",
    "OpenInstance",
    "RemoveIndex",
    "SetIndex",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreHeld",
    "StoreNewer",
    "StoreReadOnly",
    "StoreUnavailable",
    "StreamKey",
    "Transition",
    "Transport",
    "Verdict",
]
