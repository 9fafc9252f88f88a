"""The one place that joins adapters to roles: stores and bindings by name.

Rules: an adapter is imported when it is asked for, so the bare library needs only what it uses.
It does not: hold rules or settings.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from amends.adapters.local.refuse import Refuse
from amends.application.arrivals import Arrivals
from amends.application.callbacks import Callbacks
from amends.application.caller import signal_deposit, start_deposit
from amends.application.inspection import Inspection
from amends.application.orchestrator import Orchestrator, SystemClock
from amends.application.service import Incoming, Retained, Service
from amends.application.upkeep import Upkeep
from amends.core.codec import Codec
from amends.core.effect import SendCommand
from amends.core.outcome import Answer
from amends.definition import Saga
from amends.ports import (
    Archive,
    ArchiveError,
    AwaitedConnection,
    BlockingConnection,
    Deliver,
    EventStore,
    ReadModel,
    StoreError,
    Transport,
)
from amends.ports.exchange import Exchange
from amends.ports.parked import ParkedStore
from amends.wire.topics import TopicBindings

if TYPE_CHECKING:
    from amends.adapters.kafka import KafkaCluster
    from amends.adapters.postgres import Scratch

__all__ = [
    "ArchiveError",
    "Callbacks",
    "EventStore",
    "Exchange",
    "Inspection",
    "Refuse",
    "Retained",
    "Service",
    "StoreError",
    "Tables",
    "Transport",
    "callbacks",
    "folder_archive",
    "http",
    "incoming",
    "kafka",
    "local",
    "memory",
    "memory_parked",
    "memory_read_model",
    "mounted_callbacks",
    "postgres",
    "postgres_migrate",
    "postgres_parked",
    "postgres_read_model",
    "postgres_reader",
    "postgres_scratch",
    "redis",
    "service",
    "signal_in_transaction",
    "sqlite",
    "sqlite_limits",
    "sqlite_parked",
    "sqlite_read_model",
    "sqlite_reader",
    "start_in_transaction",
    "tables",
    "upkeep",
]

D = TypeVar("D")


def memory() -> EventStore:
    """Return a store that forgets everything at the end: for tests and trials."""
    from amends.adapters.memory import MemoryEventStore

    return MemoryEventStore()


def sqlite(path: str | Path) -> EventStore:
    """Return the embedded durable store in the file at `path`, which is made when it is not there."""
    from amends.adapters.sqlite import SqliteEventStore

    return SqliteEventStore(path)


def postgres(
    url: str,
    *,
    schema: str | None = None,
    connections: int = 5,
    connect_timeout: timedelta = timedelta(seconds=5),
    lease: timedelta = timedelta(seconds=5),
) -> EventStore:
    """Return the durable store on a PostgreSQL server, in a schema of its own, by default `amends`.

    `url`: ``postgresql://USER:PASSWORD@HOST:PORT/NAME``, also with ``jdbc:``. Several processes may open it and share
    the work; one that is silent for `lease` is taken over by the others. Needs ``amends[postgres]``.

    Raises:
        ValueError: the address cannot be used; the text does not hold its password.
    """
    from amends.adapters.postgres import Address, PostgresEventStore

    return PostgresEventStore(
        Address.of(url, schema=schema),
        connections=connections,
        connect_timeout=connect_timeout,
        lease=lease,
    )


def postgres_migrate(url: str, *, schema: str | None = None) -> Coroutine[Any, Any, Sequence[str]]:
    """Bring the tables of a store on PostgreSQL up to date, as opening does; return the names of what was applied."""
    from amends.adapters.postgres import Address, migrate

    return migrate(Address.of(url, schema=schema))


class Tables(NamedTuple):
    """Tables that migrations build."""

    name: str
    """``store`` or ``views``."""
    migrate: Callable[[], Coroutine[Any, Any, Sequence[str]]]
    """Bring them up to date; the names of what was applied. Raises `StoreHeld` while a process runs on the store."""
    missing: Callable[[], Coroutine[Any, Any, Sequence[str]]]
    """What `migrate` would apply; nothing is held or changed."""


def tables(url: str | Path, *, views_url: str | None = None) -> Sequence[Tables]:
    """Return what can be migrated of a store: the address of a PostgreSQL server, or the path of a file.

    The read model beside a file is not: it is built anew.

    Raises:
        ValueError: an address cannot be used.
    """
    if isinstance(url, Path):
        from amends.adapters import sqlite

        return [Tables("store", partial(sqlite.migrate, url), partial(sqlite.missing, url))]
    from amends.adapters import postgres

    store, views = postgres.Address.of(url), postgres.Address.of(views_url or url).of_views()
    return [
        Tables("store", partial(postgres.migrate, store), partial(postgres.missing, store)),
        Tables("views", partial(postgres.migrate_views, views), partial(postgres.missing_in_views, views)),
    ]


def postgres_reader(url: str, *, schema: str | None = None, namespace: str = "default") -> Inspection:
    """Return what is in a store on PostgreSQL, only to look at it, also while another process runs on it."""
    from amends.adapters.postgres import Address, PostgresStoreReader

    reader = PostgresStoreReader(Address.of(url, schema=schema))
    return Inspection(reader, memory_read_model(), namespace=namespace)


def postgres_scratch(url: str, *, schema: str) -> "Scratch":
    """Return a schema on a PostgreSQL server to measure in, and to measure the server itself by."""
    from amends.adapters.postgres import Address, Scratch

    return Scratch(Address.of(url, schema=schema))


@overload
def start_in_transaction(
    connection: BlockingConnection,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> str: ...


@overload
def start_in_transaction(
    connection: AwaitedConnection,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, str]: ...


def start_in_transaction(
    connection: object,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> str | Coroutine[Any, Any, str]:
    """Start an instance in the transaction that `connection` is in, and return its id; to be awaited where the
    connection's own calls are.

    The instance exists if and only if that transaction commits, and begins at once then. No orchestrator need run in
    this process, or at all just then. `schema` and `namespace` are those of the orchestrator that is to run it. Without
    `at_once` it begins within half a second, and the commit does not wait for others that start something.

    Raises:
        NotInTransaction: the connection commits each statement by itself.
        DefinitionError, DataUnfit, NotEncodable, SagaIdInvalid: what was given cannot be used; nothing was written.
        TypeError: it is no connection of psycopg, asyncpg or SQLAlchemy to a PostgreSQL.
    """
    from amends.adapters.caller import leave

    deposit = start_deposit(saga, data, saga_id=saga_id, namespace=namespace, codec=codec, at_once=at_once)
    return leave(connection, deposit, schema=schema, returning=deposit.saga_id)


@overload
def signal_in_transaction(
    connection: BlockingConnection,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> None: ...


@overload
def signal_in_transaction(
    connection: AwaitedConnection,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, None]: ...


def signal_in_transaction(
    connection: object,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, None] | None:
    """Tell an instance in the transaction that `connection` is in that something it waits for happened.

    It is told if and only if that transaction commits; the same `signal_id` counts once. Otherwise as
    `start_in_transaction`.
    """
    from amends.adapters.caller import leave

    deposit = signal_deposit(
        saga_id, signal, content, signal_id=signal_id, namespace=namespace, codec=codec, at_once=at_once
    )
    return leave(connection, deposit, schema=schema, returning=None)


def memory_read_model() -> ReadModel:
    """Return a read model in this process's memory, which is built from the log at each opening."""
    from amends.adapters.memory import MemoryReadModel

    return MemoryReadModel()


def sqlite_read_model(path: str | Path) -> ReadModel:
    """Return a read model in a file of its own, by convention ``STORE.views`` beside the store's.

    It is made when it is not there, and may be deleted whenever nobody has it open.
    """
    from amends.adapters.sqlite import SqliteReadModel

    return SqliteReadModel(path)


def postgres_read_model(
    url: str, *, schema: str | None = None, connect_timeout: timedelta = timedelta(seconds=5)
) -> ReadModel:
    """Return a read model on a PostgreSQL server, in a schema of its own: that of the address with `_views` behind.

    `url` may name the store's database or another one. Several processes share it.

    Raises:
        ValueError: the address cannot be used; the text does not hold its password.
    """
    from amends.adapters.postgres import Address, PostgresReadModel

    return PostgresReadModel(Address.of(url, schema=schema).of_views(), connect_timeout=connect_timeout)


def sqlite_reader(path: str | Path, *, namespace: str = "default") -> Inspection:
    """Return what is in the store file at `path`, only to look at it, also while another process runs on it."""
    from amends.adapters.sqlite import SqliteStoreReader

    return Inspection(SqliteStoreReader(path), memory_read_model(), namespace=namespace)


def folder_archive(folder: str | Path) -> Archive:
    """Return an archive for finished instances in a folder, which is made when it is not there."""
    from amends.adapters.folder import FolderArchive

    return FolderArchive(folder)


def upkeep(store: EventStore, archive: Archive, *, read_model: ReadModel | None = None) -> Upkeep:
    """Return a store that nobody runs on, to archive what has ended or to bring it back.

    Raises:
        TypeError: the store cannot give up anything.
    """
    return Upkeep(store, archive, read_model=read_model)


def service(
    orchestrator: Orchestrator,
    *,
    read_model: ReadModel | None = None,
    retained: Retained | None = None,
    incoming: Incoming | None = None,
    exchange: Exchange | None = None,
) -> Service:
    """Join `orchestrator`, not open yet, with its read side, feed and meter, and with what comes in over topics.

    `retained`: how long finished instances stay, and where they go then; without it they stay. `exchange`: `redis`.

    Raises:
        TypeError: the store cannot give up anything.
    """
    return Service(
        orchestrator, read_model=read_model, retained=retained, incoming=incoming, exchange=exchange
    )


def sqlite_limits(folder: Path) -> tuple[float, float]:
    """Return what SQLite itself can do below `folder`: commits per second, and sagas per second at 100 a commit."""
    from amends.adapters.sqlite.limits import measure_limits

    limits = measure_limits(folder)
    return limits.commits_per_s, limits.sagas_per_s_100_per_commit


def local(
    handlers: Mapping[str, Callable[..., Any]],
    *,
    status: Callable[[SendCommand], Answer | Awaitable[Answer | None] | None] | None = None,
) -> Transport:
    """Bind a participant to functions in this process, by command name; `status` tells what became of a command."""
    from amends.adapters.local import LocalTransport

    return LocalTransport(handlers, status=status)


def http(
    base_url: str,
    *,
    timeout: timedelta = timedelta(seconds=30),
    headers: Mapping[str, str] | None = None,
    callback_url: str | None = None,
    connections: int = 100,
    status: bool = False,
) -> Transport:
    """Bind a participant to a service: a command is posted to ``{base_url}/{command name}``. Needs ``amends[http]``.

    `connections` is how many may be open at a time; `status`: it can be asked what became of a command.
    """
    from amends.adapters.http import HttpTransport

    return HttpTransport(
        base_url,
        timeout=timeout,
        headers=headers,
        callback_url=callback_url,
        connections=connections,
        status=status,
    )


def callbacks(*, host: str = "127.0.0.1", port: int = 0) -> Callbacks:
    """Make the door for replies of participants that answer 202; `port` 0 takes a free one. Needs ``amends[http]``."""
    from amends.adapters.http.callbacks import CallbackDesk, CallbackListener

    return Callbacks(
        lambda deliver: CallbackListener(desk=CallbackDesk(deliver=deliver), host=host, port=port)
    )


def mounted_callbacks(
    url: str, *, longest_body: int, body_within: timedelta
) -> tuple[Callbacks, Callable[[Any], Awaitable[Any]]]:
    """Make the door for late replies inside another server, reached at `url`; with it the handler of its requests."""
    from amends.adapters.http.callbacks import CallbackDesk, MountedDoor

    desks: list[CallbackDesk] = []

    def door(deliver: Deliver) -> MountedDoor:
        desks.append(CallbackDesk(deliver=deliver, max_body_bytes=longest_body, body_within=body_within))
        return MountedDoor(url=url)

    made = Callbacks(door)
    return made, desks[0].answer


def memory_parked() -> ParkedStore:
    """Return a store of parked records in this process's memory."""
    from amends.adapters.memory.parked import MemoryParkedStore

    return MemoryParkedStore()


def sqlite_parked(path: str | Path) -> ParkedStore:
    """Return a store of parked records in a file of its own, by convention ``STORE.parked`` beside the store's."""
    from amends.adapters.sqlite.parked import SqliteParkedStore

    return SqliteParkedStore(path)


def postgres_parked(url: str, *, schema: str | None = None) -> ParkedStore:
    """Return a store of parked records in the tables of the store on PostgreSQL, which makes them when it is opened."""
    from amends.adapters.postgres import Address
    from amends.adapters.postgres.parked import PostgresParkedStore

    return PostgresParkedStore(Address.of(url, schema=schema))


def kafka(
    servers: Sequence[str],
    bindings: TopicBindings,
    *,
    group: str = "amends",
    client_id: str = "amends",
    replies: str = "amends.replies",
    member: str | None = None,
    partitions: int = -1,
    protocol: str = "PLAINTEXT",
    mechanism: str = "PLAIN",
    username: str | None = None,
    password: str | None = None,
) -> "KafkaCluster":
    """Return a Kafka cluster: `transports` for the participants in `bindings`, and the intake of what they answer.

    `servers`: ``HOST:PORT`` of the brokers to begin with. `partitions`: of topics that are not there and are made; 0:
    none is made, -1: as many as the broker thinks right. `member`: a name that this process alone has. Needs
    ``amends[kafka]``.

    Raises:
        ValueError: a topic means two things at once.
    """
    from amends.adapters.kafka import Address, KafkaCluster, Security

    security = Security(protocol, mechanism, username, password)
    address = Address(tuple(servers), client_id, security)
    return KafkaCluster(address, bindings, group=group, replies=replies, member=member, partitions=partitions)


def redis(host: str, *, namespace: str = "default", **how: Any) -> Exchange:
    """Return a Redis where processes share breakers and rates; `how`: see `RedisAddress`. Needs ``amends[redis]``."""
    from amends.adapters.redis import RedisAddress, RedisExchange

    return RedisExchange(RedisAddress(host, **how), namespace=namespace)


def incoming(orchestrator: Orchestrator, cluster: "KafkaCluster", parked: ParkedStore) -> Incoming:
    """Join what comes in over `cluster` with `orchestrator`; what cannot be brought to an instance is `parked`."""
    return Incoming(cluster, Arrivals(orchestrator, read=cluster.read, parked=parked, clock=SystemClock()))
