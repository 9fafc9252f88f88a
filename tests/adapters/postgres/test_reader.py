"""Reading a store that somebody else holds; and how its tables look."""

import asyncio
import re
from dataclasses import replace

import pytest

from amends.adapters.postgres import Address, PostgresEventStore, PostgresStoreReader, migrate, statements
from amends.adapters.postgres.readers import Readers
from amends.ports import (
    SetIndex,
    StoreCorrupt,
    StoreError,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
    StreamKey,
)
from amends.testing.event_store_suite import NOON, A, B, an_append, opened
from tests.adapters.postgres.lines import ask, names, session, tell


async def test_a_store_that_is_held_can_be_read(address: Address) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        await store.append(
            [an_append(A, index=SetIndex(NOON, outstanding=True)), an_append(A, 2), an_append(B)]
        )
        reader = PostgresStoreReader(address)
        await reader.open()
        assert list(await reader.read(A)) == list(await store.read(A))
        assert list(await reader.read(A, limit=1)) == list(await store.read(A))[:1]
        assert list(await reader.log()) == list(await store.log())
        assert await reader.log_end() == await store.log_end()
        assert list(await reader.open_instances()) == list(await store.open_instances())
        await store.append([an_append(B, 2)])
        assert len(await reader.read(B)) == 2, "it sees what is committed meanwhile"
        await reader.close()
        await reader.close()
        with pytest.raises(StoreUnavailable):
            await reader.log_end()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("DELETE FROM migration", StoreOlder),
        ("INSERT INTO migration VALUES (9999, '9999_tomorrow', 'x')", StoreNewer),
        ("UPDATE migration SET checksum = 'another'", StoreCorrupt),
        ("DROP TABLE migration", StoreCorrupt),
    ],
)
async def test_a_store_of_another_version_is_not_read(
    address: Address, change: str, kind: type[StoreError]
) -> None:
    await migrate(address)
    await tell(address, change)
    with pytest.raises(kind):
        await PostgresStoreReader(address).open()


async def test_reading_makes_nothing(address: Address) -> None:
    with pytest.raises(StoreCorrupt, match="no store"):
        await PostgresStoreReader(address).open()
    assert await ask(address, "SELECT count(*) FROM pg_namespace WHERE nspname = $1", address.schema) == 0


async def test_readers_cannot_write(address: Address) -> None:
    await migrate(address)
    readers = Readers(address, most=1, connect_within=20)
    with pytest.raises(StoreReadOnly):
        await readers.ask(lambda link: link.fetch("DELETE FROM transition"))
    assert await readers.ask(lambda link: link.fetchval("SELECT 1")) == 1, "the session is kept"
    await readers.close()


async def test_many_questions_at_once_share_a_few_sessions(address: Address) -> None:
    place = replace(address, application=f"many {address.schema}")
    async with opened(lambda: PostgresEventStore(place, connections=6)) as store:
        await store.append([an_append(A)])
        answers = await asyncio.gather(*(store.read(A) for _ in range(100)))
        assert all(len(answer) == 1 for answer in answers)
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        assert await ask(address, count, place.application) == 4, "one that writes, three that read"


async def test_the_view_shows_one_row_for_each_event(address: Address) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        await store.append([an_append(A, events=2), an_append(A, 3), an_append(StreamKey("ω", "é"))])
    async with session(address) as link:
        rows = await link.fetch(
            "SELECT namespace, saga_id, position, type, time FROM event ORDER BY sequence, position"
        )
    assert [tuple(row)[:4] for row in rows] == [
        ("default", "a", 1, "Noted"),
        ("default", "a", 2, "Noted"),
        ("default", "a", 3, "Noted"),
        ("ω", "é", 1, "Noted"),
    ]
    assert rows[0]["time"] == NOON


SMALL_PLANS = {
    "append": statements.STAND_AT,
    "find": statements.FIND_STREAMS,
    "read": statements.READ_STREAM,
    "log": statements.READ_LOG,
    "log end": statements.LOG_END,
    "due": statements.DUE_INSTANCES,
    "wake": statements.NEXT_WAKE,
    "page": statements.OPEN_INSTANCES_AFTER,
    "first page": statements.OPEN_INSTANCES,
    "change": statements.APPEND,
    "begin": statements.APPEND_SHORT,
    "write late": statements.WRITE_LATE_ROWS,
    "index": statements.INDEX_CLAIMED,
    "end": statements.APPEND_ENDED,
    "go on": statements.APPEND_TRANSITIONS,
}


@pytest.mark.parametrize("statement", SMALL_PLANS.values(), ids=SMALL_PLANS)
async def test_no_statement_reads_a_whole_table(address: Address, statement: str) -> None:
    await migrate(address)
    async with session(address) as link:
        await link.execute(f"PREPARE asked AS {statement}")
        await link.execute("SET plan_cache_mode = force_generic_plan")
        arguments = ", ".join(["NULL"] * await link.fetchval(PARAMETERS))
        asked = f"EXECUTE asked({arguments})" if arguments else "EXECUTE asked"
        plan = "\n".join(names(await link.fetch(f"EXPLAIN {asked}")))
    # Members are a few, shards are 64.
    assert not re.search("Seq Scan on (?!member|shard)", plan), plan
    assert "Hash Join" not in plan, plan


PARAMETERS = (
    "SELECT coalesce(array_length(parameter_types, 1), 0) FROM pg_prepared_statements WHERE name = 'asked'"
)
