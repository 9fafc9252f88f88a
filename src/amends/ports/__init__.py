"""What Amends needs from outside, as Protocols: an event store, a read model, a transport, a
door for callbacks, a clock, an application's connection.

Rules: a port speaks in the core's words and in plain values; each has one behavioural suite that every adapter runs.
It does not: import a technology, an adapter, or asyncio.
"""

from amends.ports.callback import CallbackDoor, CallbackReply, Deliver, Verdict
from amends.ports.caller import (
    AwaitedConnection,
    BlockingConnection,
    Deposit,
    NotInTransaction,
)
from amends.ports.clock import Clock
from amends.ports.event_store import (
    Append,
    DefinitionNote,
    EventStore,
    IndexChange,
    KeepIndex,
    Logged,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StoreReader,
    StreamKey,
    Transition,
)
from amends.ports.read_model import (
    Checkpoint,
    Count,
    Place,
    ReadModel,
    SagaQuery,
    SagaSummary,
)
from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreHeld,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
)
from amends.ports.transport import Binding, Described, Transport

__all__ = [
    "Append",
    "AwaitedConnection",
    "Binding",
    "BlockingConnection",
    "CallbackDoor",
    "CallbackReply",
    "Checkpoint",
    "Clock",
    "Count",
    "DefinitionNote",
    "Deliver",
    "Deposit",
    "Described",
    "EventStore",
    "IndexChange",
    "KeepIndex",
    "Logged",
    "NotInTransaction",
    "OpenInstance",
    "Place",
    "ReadModel",
    "RemoveIndex",
    "SagaQuery",
    "SagaSummary",
    "SetIndex",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreHeld",
    "StoreNewer",
    "StoreOlder",
    "StoreReadOnly",
    "StoreReader",
    "StoreUnavailable",
    "StreamKey",
    "Transition",
    "Transport",
    "Verdict",
]
