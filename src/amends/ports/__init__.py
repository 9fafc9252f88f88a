"""What Amends needs from outside, as Protocols: an event store, what a shared one has besides, a read model, an
archive, a transport, a registry of services, a door for callbacks, a clock, an application's connection.

Rules: a port speaks in the core's words and in plain values; each has one behavioural suite that every adapter runs.
It does not: import a technology, an adapter, or asyncio.
"""

from amends.ports.archive import Archive, ArchiveError, Volume
from amends.ports.callback import CallbackDoor, CallbackReply, Deliver, Verdict
from amends.ports.caller import (
    AwaitedConnection,
    BlockingConnection,
    Deposit,
    NotInTransaction,
)
from amends.ports.clock import Clock
from amends.ports.discovery import Condition, Discovery, Instances
from amends.ports.event_store import (
    Append,
    DefinitionNote,
    EventStore,
    Handled,
    IndexChange,
    KeepIndex,
    Logged,
    OpenInstance,
    PreparesBatches,
    ReadsBeginnings,
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
from amends.ports.relay import Leaving, Outlet, RelayCheckpoint, RelayedStore
from amends.ports.retention import FinishedPage, OpensAlone, RetainedStore, StoredStream, StreamEnd
from amends.ports.shared_store import (
    SHARDS,
    Inbox,
    InboxRow,
    Membership,
    News,
    SharedStore,
    Standing,
    shard_of,
)
from amends.ports.store_errors import (
    ClaimLost,
    StoreCorrupt,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreHeld,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
)
from amends.ports.transport import Binding, Described, Knows, Transport

__all__ = [
    "SHARDS",
    "Append",
    "Archive",
    "ArchiveError",
    "AwaitedConnection",
    "Binding",
    "BlockingConnection",
    "CallbackDoor",
    "CallbackReply",
    "Checkpoint",
    "ClaimLost",
    "Clock",
    "Condition",
    "Count",
    "DefinitionNote",
    "Deliver",
    "Deposit",
    "Described",
    "Discovery",
    "EventStore",
    "FinishedPage",
    "Handled",
    "Inbox",
    "InboxRow",
    "IndexChange",
    "Instances",
    "KeepIndex",
    "Knows",
    "Leaving",
    "Logged",
    "Membership",
    "News",
    "NotInTransaction",
    "OpenInstance",
    "OpensAlone",
    "Outlet",
    "Place",
    "PreparesBatches",
    "ReadModel",
    "ReadsBeginnings",
    "RelayCheckpoint",
    "RelayedStore",
    "RemoveIndex",
    "RetainedStore",
    "SagaQuery",
    "SagaSummary",
    "SetIndex",
    "SharedStore",
    "Standing",
    "StoreCorrupt",
    "StoreError",
    "StoreFenced",
    "StoreFull",
    "StoreHeld",
    "StoreNewer",
    "StoreOlder",
    "StoreReadOnly",
    "StoreReader",
    "StoreUnavailable",
    "StoredStream",
    "StreamEnd",
    "StreamKey",
    "Transition",
    "Transport",
    "Verdict",
    "Volume",
    "shard_of",
]
