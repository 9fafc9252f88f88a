"""What is left in the inbox, on every kind of connection; and what is refused before anything is written."""

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from psycopg.raw_cursor import RawCursor
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from amends import (
    DataUnfit,
    DefinitionError,
    NotEncodable,
    NotInTransaction,
    Participant,
    Saga,
    SagaIdInvalid,
    Step,
    signal_in_transaction,
    start_in_transaction,
)
from amends.adapters.caller.statements import put_in_inbox
from amends.adapters.postgres import Address
from amends.core.codec import JsonCodec
from amends.ports import StreamKey, shard_of
from tests.adapters.caller.business import Business
from tests.adapters.caller.flavours import (
    FLAVOURS,
    Flavour,
    async_engine,
    blocking_engine,
    on_psycopg,
    settled,
)
from tests.application.shop import FULFIL, Order, Word, reserve


def shard(namespace: str, saga_id: str) -> int:
    """Where its holder looks for it."""
    return shard_of(StreamKey(namespace, saga_id))


# --- what is left --------------------------------------------------------------------------------------------------


async def test_a_commit_leaves_the_change_and_the_start(business: Business, flavour: Flavour) -> None:
    async with flavour(business.url) as application:
        assert await business.place(application, "o-1") == "o-1"
        assert business.inbox() == [], "nobody sees what is not committed"
        await application.commit()
    assert business.ordered() == ["o-1"]
    (row,) = business.inbox()
    assert (row["namespace"], row["saga_id"], row["kind"]) == ("default", "o-1", "start")
    assert (row["shard"], row["sender"], row["parked"]) == (shard("default", "o-1"), None, None)
    assert row["body"] == {
        "saga": "fulfil",
        "version": 1,
        "data": {"sku": "sku-1", "amount": 10, "payment": ""},
    }


async def test_a_start_goes_on_in_the_trace_of_the_application(business: Business, flavour: Flavour) -> None:
    """Where its own span is current; what it does outside of any leaves none."""
    span = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    async with flavour(business.url) as application:
        with trace.use_span(NonRecordingSpan(span)):
            await business.place(application, "within")
        await business.place(application, "outside")
        await application.commit()
    bodies = {row["saga_id"]: row["body"] for row in business.inbox()}
    assert bodies["within"]["trace"] == {"parent": f"00-{7:032x}-{8:016x}-01"}
    assert "trace" not in bodies["outside"]


async def test_a_rollback_leaves_nothing(business: Business, flavour: Flavour) -> None:
    async with flavour(business.url) as application:
        await business.place(application, "o-1")
        await application.rollback()
    assert (business.ordered(), business.inbox()) == ([], [])


async def test_a_connection_that_is_closed_without_a_commit_leaves_nothing(
    business: Business, flavour: Flavour
) -> None:
    async with flavour(business.url) as application:
        await business.place(application, "o-1")
    assert (business.ordered(), business.inbox()) == ([], [])


async def test_a_savepoint_that_is_rolled_back_takes_its_start_along(
    business: Business, flavour: Flavour
) -> None:
    async with flavour(business.url) as application:
        await business.place(application, "kept")
        await application.execute("SAVEPOINT here")
        await business.place(application, "left")
        await application.execute("ROLLBACK TO SAVEPOINT here")
        await application.commit()
    assert business.ordered() == ["kept"]
    assert [row["saga_id"] for row in business.inbox()] == ["kept"]


async def test_a_start_and_a_signal_of_one_transaction_keep_their_order(
    business: Business, flavour: Flavour
) -> None:
    async with flavour(business.url) as application:
        await business.place(application, "o-1")
        told = signal_in_transaction(
            application.connection,
            "o-1",
            "approve",
            Word("söhø 100%"),
            signal_id="s-1",
            schema=business.schema,
        )
        assert await settled(told) is None
        await application.commit()
    start, signal = business.inbox()
    assert (start["kind"], signal["kind"]) == ("start", "signal")
    assert start["shard"] == signal["shard"]
    assert signal["body"] == {"signal": "approve", "content": {"word": "söhø 100%"}, "signal_id": "s-1"}


async def test_without_an_id_one_is_made_in_another_namespace_too(business: Business) -> None:
    async with on_psycopg(business.url) as application:
        made = start_in_transaction(
            application.connection, FULFIL, Order(), schema=business.schema, namespace="shop-2"
        )
        await application.commit()
    assert uuid.UUID(made).version == 7
    (row,) = business.inbox()
    assert (row["namespace"], row["saga_id"], row["shard"]) == ("shop-2", made, shard("shop-2", made))


async def test_the_data_are_kept_as_the_orchestrator_would_write_them(business: Business) -> None:
    """Byte for byte: the same data are the same start, whichever way it came."""
    order = Order(sku='"\x00\\ ü', amount=-1)
    async with on_psycopg(business.url) as application:
        start_in_transaction(application.connection, FULFIL, order, saga_id="o-1", schema=business.schema)
        await application.commit()
    (row,) = business.ask(f"SELECT body::text AS body FROM {business.schema}.inbox")  # noqa: S608
    assert row["body"].encode().endswith(b',"data":' + JsonCodec().encode(order) + b"}")


class Shouting(JsonCodec):
    """Another codec."""

    def encode(self, value: object) -> bytes:
        return super().encode(value).upper()

    def decoder(self, of: Any) -> Any:
        inner = super().decoder(of)
        return lambda document: inner(document.lower())


async def test_another_codec_is_used_for_both(business: Business) -> None:
    async with on_psycopg(business.url) as application:
        for codec in (Shouting(), None):
            start_in_transaction(
                application.connection, FULFIL, Order(), saga_id="o-1", schema=business.schema, codec=codec
            )
            signal_in_transaction(
                application.connection, "o-1", "approve", Word("a"), schema=business.schema, codec=codec
            )
        await application.commit()
    bodies = [row["body"] for row in business.inbox()]
    assert [body["data"] for body in bodies[::2]] == [
        {"SKU": "SKU-1", "AMOUNT": 10, "PAYMENT": ""},
        {"sku": "sku-1", "amount": 10, "payment": ""},
    ]
    assert [body["content"] for body in bodies[1::2]] == [{"WORD": "A"}, {"word": "a"}]


async def test_it_works_where_the_application_sets_its_connection_up_in_its_own_way(
    business: Business,
) -> None:
    connection = await asyncpg.connect(business.url)
    try:
        for kind in ("json", "jsonb"):
            await connection.set_type_codec(kind, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        await connection.execute("SET search_path = pg_catalog")
        async with connection.transaction():
            await start_in_transaction(connection, FULFIL, Order(), saga_id="o-1", schema=business.schema)
            assert await connection.fetchval("SHOW search_path") == "pg_catalog"
    finally:
        await connection.close()
    with psycopg.connect(business.url, cursor_factory=RawCursor, options="-c search_path=pg_catalog") as raw:
        start_in_transaction(raw, FULFIL, Order(), saga_id="o-2", schema=business.schema)
    with psycopg.connect(business.url) as piped, piped.pipeline():
        start_in_transaction(piped, FULFIL, Order(), saga_id="o-3", schema=business.schema)
    assert [row["body"]["data"]["sku"] for row in business.inbox()] == ["sku-1"] * 3


async def test_the_right_to_insert_is_enough(business: Business) -> None:
    role = f"app_{business.schema}"
    with psycopg.connect(business.url) as owner:
        owner.execute(f"CREATE ROLE {role}".encode())
    with psycopg.connect(business.url, options=f"-c role={role}") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused, connection.transaction():
            start_in_transaction(connection, FULFIL, Order(), saga_id="o-1", schema=business.schema)
        assert f"GRANT INSERT ON {business.schema}.inbox" in refused.value.__notes__[0]
        with psycopg.connect(business.url) as owner:
            owner.execute(f"GRANT USAGE ON SCHEMA {business.schema} TO {role}".encode())
            owner.execute(f"GRANT INSERT ON {business.schema}.inbox TO {role}".encode())
        start_in_transaction(connection, FULFIL, Order(), saga_id="o-1", schema=business.schema)
    assert [row["saga_id"] for row in business.inbox()] == ["o-1"]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("psycopg", ["asyncpg", "sqlalchemy", "sqlalchemy.ext.asyncio"]),
        ("asyncpg", ["psycopg", "sqlalchemy", "sqlalchemy.ext.asyncio"]),
        ("sqlalchemy-session", ["asyncpg", "sqlalchemy.ext.asyncio"]),
    ],
)
async def test_no_other_library_need_be_there(
    business: Business, name: str, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's asynchronous part, for one, cannot be imported where greenlet is missing."""
    for module in [each for each in sys.modules if each.startswith("amends.adapters.caller.")]:
        monkeypatch.delitem(sys.modules, module)
    for library in missing:
        monkeypatch.setitem(sys.modules, library, None)
    async with FLAVOURS[name](business.url) as application:
        await business.place(application, "o-1")
        await application.commit()
    monkeypatch.undo()
    assert business.ordered() == ["o-1"]


# --- what is refused -----------------------------------------------------------------------------------------------


async def test_psycopg_with_autocommit_is_refused_outside_a_block(business: Business) -> None:
    with psycopg.connect(business.url, autocommit=True) as connection:
        with pytest.raises(NotInTransaction, match=r"connection\.transaction\(\)"):
            start_in_transaction(connection, FULFIL, Order(), schema=business.schema)
        with pytest.raises(NotInTransaction):
            signal_in_transaction(connection, "o-1", "approve", schema=business.schema)
        assert business.inbox() == []
        with connection.transaction():
            start_in_transaction(connection, FULFIL, Order(), saga_id="o-1", schema=business.schema)
    async with await psycopg.AsyncConnection.connect(business.url, autocommit=True) as awaited:
        with pytest.raises(NotInTransaction):
            await start_in_transaction(awaited, FULFIL, Order(), schema=business.schema)
        async with awaited.transaction():
            await start_in_transaction(awaited, FULFIL, Order(), saga_id="o-2", schema=business.schema)
    assert [row["saga_id"] for row in business.inbox()] == ["o-1", "o-2"]


async def test_asyncpg_is_refused_outside_a_transaction(business: Business) -> None:
    async with (
        asyncpg.create_pool(business.url, min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
    ):
        with pytest.raises(NotInTransaction, match=r"connection\.transaction\(\)"):
            await start_in_transaction(connection, FULFIL, Order(), schema=business.schema)
        with pytest.raises(NotInTransaction):
            await signal_in_transaction(connection, "o-1", "approve", schema=business.schema)
    assert business.inbox() == []


@pytest.mark.parametrize("where", ["engine", "connection"])
async def test_sqlalchemy_with_autocommit_is_refused(business: Business, where: str) -> None:
    options = {"isolation_level": "AUTOCOMMIT"}
    of_engine, of_connection = (options, {}) if where == "engine" else ({}, options)
    engine = blocking_engine(business.url, **of_engine)
    with engine.connect().execution_options(**of_connection) as connection:
        for held in (connection, Session(connection)):
            with pytest.raises(NotInTransaction, match="AUTOCOMMIT"):
                start_in_transaction(held, FULFIL, Order(), schema=business.schema)
    engine.dispose()
    for driver in ("asyncpg", "psycopg"):
        awaited = async_engine(business.url, driver, **of_engine)
        async with awaited.connect() as plain:
            set_up = await plain.execution_options(**of_connection)
            with pytest.raises(NotInTransaction, match="AUTOCOMMIT"):
                await start_in_transaction(set_up, FULFIL, Order(), schema=business.schema)
            with pytest.raises(NotInTransaction, match="AUTOCOMMIT"):
                await start_in_transaction(AsyncSession(set_up), FULFIL, Order(), schema=business.schema)
        await awaited.dispose()
    assert business.inbox() == []


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_every_isolation_level_of_a_transaction_will_do(business: Business, isolation: Any) -> None:
    engine = blocking_engine(business.url, isolation_level=isolation)
    with Session(engine) as session, session.begin():
        start_in_transaction(session, FULFIL, Order(), saga_id="o-1", schema=business.schema)
    engine.dispose()
    assert [row["saga_id"] for row in business.inbox()] == ["o-1"]


def test_what_is_no_connection_to_postgresql_is_refused() -> None:
    nothing: Any = object()
    with pytest.raises(TypeError, match=r"builtins\.object is no connection"):
        start_in_transaction(nothing, FULFIL, Order())
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(TypeError, match="leads to sqlite"):
        start_in_transaction(connection, FULFIL, Order())
    engine.dispose()


@dataclass(frozen=True)
class Wrong:
    sku: int


async def test_what_was_given_is_refused_before_anything_is_written(business: Business) -> None:
    twice = Saga(
        "twice", version=1, data=Order, body=Step("a/b", Participant("x"), do=reserve, no_undo="none")
    )
    with psycopg.connect(business.url) as held:
        wrong: Any = Wrong(1)
        without_json: Any = object()
        with pytest.raises(DefinitionError):
            start_in_transaction(held, twice, Order(), schema=business.schema)
        with pytest.raises(DataUnfit, match="fulfil"):
            start_in_transaction(held, FULFIL, wrong, schema=business.schema)
        with pytest.raises(NotEncodable):
            start_in_transaction(held, FULFIL, without_json, schema=business.schema)
        with pytest.raises(NotEncodable):
            signal_in_transaction(held, "o-1", "approve", object(), schema=business.schema)
        with pytest.raises(SagaIdInvalid):
            start_in_transaction(held, FULFIL, Order(), saga_id="ü", schema=business.schema)
        with pytest.raises(SagaIdInvalid):
            signal_in_transaction(held, "", "approve", schema=business.schema)
        with pytest.raises(ValueError, match="namespace 'No'"):
            start_in_transaction(held, FULFIL, Order(), namespace="No", schema=business.schema)
        with pytest.raises(ValueError, match="schema 'a; b'"):
            start_in_transaction(held, FULFIL, Order(), schema="a; b")
    assert business.inbox() == []


@pytest.mark.parametrize(
    "name", ["amends", "_a1", "a" * 63, "a" * 64, "pg_x", "Amends", "1a", "a-b", "", 'a"b', "a\n"]
)
def test_a_schema_is_what_the_store_takes_for_one(name: str) -> None:
    try:
        expected = Address.of("postgresql://host/name", schema=name or "?").schema == name
    except ValueError:
        expected = False
    try:
        taken = f"INTO {name}.inbox" in put_in_inbox(name)
    except ValueError:
        taken = False
    assert taken == expected


async def test_a_store_that_is_not_there_is_told_by_the_driver_with_what_to_do(
    business: Business, flavour: Flavour
) -> None:
    async with flavour(business.url) as application:
        with pytest.raises(Exception, match="does not exist") as refused:
            await settled(start_in_transaction(application.connection, FULFIL, Order(), schema="nowhere"))
    assert any("there is no store in schema nowhere" in note for note in refused.value.__notes__)


# --- what is told --------------------------------------------------------------------------------------------------


async def test_the_holder_is_told_when_it_is_committed_and_not_before(
    business: Business, flavour: Flavour
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(business.url)
    try:
        await listener.add_listener(f"amends_{business.schema}", lambda *news: told.put_nowait(news[3]))
        async with flavour(business.url) as application:
            await business.place(application, "o-1")
            await application.rollback()
        async with flavour(business.url) as application:
            await business.place(application, "o-2")
            await listener.fetchval("SELECT 1")
            assert told.empty()
            await application.commit()
        async with asyncio.timeout(20):
            assert await told.get() == f"inbox {shard('default', 'o-2')}"
        async with flavour(business.url) as application:
            for saga_id in ("o-3", "o-4"):
                quiet = start_in_transaction(
                    application.connection,
                    FULFIL,
                    Order(),
                    saga_id=saga_id,
                    schema=business.schema,
                    at_once=False,
                )
                await settled(quiet)
            quiet = signal_in_transaction(
                application.connection, "o-3", "approve", schema=business.schema, at_once=False
            )
            await settled(quiet)
            await application.commit()
        await listener.fetchval("SELECT 1")
        assert told.empty()
        assert len(business.inbox()) == 4
    finally:
        await listener.close()
