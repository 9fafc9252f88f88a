"""Taking hold of a store: what is made, what is refused, and in which words."""

import asyncio
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from amends import bootstrap
from amends.adapters.postgres import Address, PostgresEventStore, migrate, migrations
from amends.adapters.postgres.migrations import Migration, known_migrations
from amends.adapters.postgres.session import settings_of
from amends.ports import (
    RemoveIndex,
    SetIndex,
    StoreCorrupt,
    StoreError,
    StoreHeld,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
    StreamKey,
)
from amends.testing.event_store_suite import A, an_append, opened
from tests.adapters.postgres import shared_server, storage
from tests.adapters.postgres.lines import ask, names, session, tell

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1"
ROOT = Path(__file__).resolve().parents[3]
ALL = [migration.name for migration in known_migrations()]


async def tables(address: Address) -> list[str]:
    async with session(address) as link:
        return names(await link.fetch(TABLES, address.schema))


async def refusal(address: Address, kind: type[StoreError]) -> str:
    """Return the text with which a store is not opened."""
    store = PostgresEventStore(address, connect_timeout=timedelta(seconds=20))
    with pytest.raises(kind) as refused:
        await store.open()
    return str(refused.value)


async def test_a_new_schema_is_built_and_every_migration_noted(address: Address) -> None:
    async with opened(lambda: PostgresEventStore(address)):
        pass
    async with session(address) as link:
        noted = [
            Migration(number, name, "")
            for number, name in await link.fetch("SELECT number, name FROM migration")
        ]
        sums = names(await link.fetch("SELECT checksum FROM migration ORDER BY number"))
    assert [(each.number, each.name) for each in noted] == [
        (each.number, each.name) for each in known_migrations()
    ]
    assert sums == [each.checksum for each in known_migrations()]


async def test_migrating_by_itself_does_the_same_once(address: Address) -> None:
    assert await migrate(address) == ALL
    assert await migrate(address) == []
    async with opened(lambda: PostgresEventStore(address)) as store:
        assert list(await store.append([an_append(A)])) == [True]


async def test_a_newer_schema_is_refused_and_left_alone(address: Address) -> None:
    await migrate(address)
    await tell(address, "INSERT INTO migration VALUES (9999, '9999_tomorrow', 'x'); DROP TABLE definition")
    told = await refusal(address, StoreNewer)
    assert "newer version" in told
    assert "9999" in told
    assert "definition" not in await tables(address)


async def test_a_store_that_other_files_built_is_refused(address: Address) -> None:
    await migrate(address)
    await tell(address, "UPDATE migration SET checksum = 'another'")
    assert "0001_event_store" in await refusal(address, StoreCorrupt)


async def test_a_schema_of_another_program_is_refused_and_left_alone(address: Address) -> None:
    await tell(address, f"CREATE SCHEMA {address.schema}; CREATE TABLE {address.schema}.transition (a text)")
    assert "not those of a store" in await refusal(address, StoreCorrupt)
    assert await tables(address) == ["transition"]
    await tell(address, f"CREATE TABLE {address.schema}.migration (done text)")
    assert "not those of a store" in await refusal(address, StoreCorrupt)


async def test_a_migration_that_fails_leaves_nothing(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = known_migrations()
    bad = Migration(9000, "9000_bad", "CREATE TABLE half (a text); CREATE TABLE half (a text);")
    monkeypatch.setattr(migrations, "known_migrations", lambda *_: (*good, bad))
    await refusal(address, StoreCorrupt)
    assert await tables(address) == []
    monkeypatch.setattr(migrations, "known_migrations", lambda *_: good)
    assert await migrate(address) == ALL
    better = Migration(9000, "9000_better", "CREATE TABLE whole (a text); CREATE TABLE other (a text);")
    monkeypatch.setattr(migrations, "known_migrations", lambda *_: (*good, better))
    assert await migrate(address) == ["9000_better"]
    assert {"whole", "other"} <= set(await tables(address))


async def test_a_number_between_those_that_were_applied_is_applied_as_well(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = known_migrations()
    last = Migration(9002, "9002_last", "CREATE TABLE last (a text)")
    monkeypatch.setattr(migrations, "known_migrations", lambda *_: (*good, last))
    assert await migrate(address) == [*ALL, "9002_last"]
    between = Migration(9001, "9001_between", "CREATE TABLE between_them (a text)")
    monkeypatch.setattr(migrations, "known_migrations", lambda *_: (*good, between, last))
    assert await migrate(address) == ["9001_between"]
    assert {"last", "between_them"} <= set(await tables(address))
    assert await migrate(address) == []


async def test_several_that_open_a_new_store_at_once_all_have_it(address: Address) -> None:
    stores = [PostgresEventStore(address) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    for position, store in enumerate(stores, start=1):
        assert list(await store.append([an_append(A, position)])) == [True]
    await asyncio.gather(*(store.close() for store in stores))
    assert await ask(address, "SELECT count(*) FROM member") == 0


async def test_an_older_version_keeps_this_one_out_and_is_kept_out(address: Address) -> None:
    """A version before several processes could share a store has it to itself: its hold is exclusive."""
    await migrate(address)
    take = (
        "SELECT pg_try_advisory_lock($1::integer, (SELECT oid FROM pg_namespace WHERE nspname = $2)::integer)"
    )
    async with session(replace(address, application="an older one")) as older:
        assert await older.fetchval(take, migrations.LOCK_CLASS, address.schema)
        told = await refusal(address, StoreHeld)
        assert "“a test”" in told
        assert re.search(r"session \d+, from this host, since \d{4}-\d\d-\d\dT", told), told
    async with opened(lambda: PostgresEventStore(address)), session(address) as older:
        assert not await older.fetchval(take, migrations.LOCK_CLASS, address.schema)
        other = storage.address()
        async with opened(lambda: PostgresEventStore(other)):
            pass


async def test_nobody_migrates_a_store_that_somebody_runs_on(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        assert await migrate(address) == [], "with nothing missing there is nothing to wait for"
        tomorrow = Migration(9000, "9000_tomorrow", "CREATE TABLE tomorrow (a text)")
        monkeypatch.setattr(migrations, "known_migrations", lambda *_: (*known_migrations(), tomorrow))
        with pytest.raises(StoreHeld, match="must be migrated first"):
            await migrate(address)
        assert "tomorrow" not in await tables(address)
        assert list(await store.append([an_append(A)])) == [True]
    assert await migrate(address) == ["9000_tomorrow"]


HOLDER = """
import asyncio, sys
from amends.adapters.postgres import Address, PostgresEventStore

async def main():
    store = PostgresEventStore(Address.of(sys.argv[1], schema=sys.argv[2]))
    await store.open()
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_member_holds_nobody_up(address: Address) -> None:
    url = shared_server.server().local_address
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url, address.schema, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout is not None
    async with asyncio.timeout(60):
        assert await holder.stdout.readline() == b"open\n"
        count = "SELECT count(*) FROM member WHERE name LIKE '% ' || $1 AND NOT fenced"
        assert await ask(address, count, str(holder.pid)) == 1
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        async with opened(lambda: PostgresEventStore(address)) as store:
            assert list(await store.append([an_append(A)])) == [True]


async def test_no_error_shows_the_password(network_address: Address) -> None:
    wrong = replace(network_address, password="hunter2")
    told = await refusal(wrong, StoreUnavailable)
    assert "password authentication failed" in told
    nowhere = replace(network_address, port=1)
    told += await refusal(nowhere, StoreUnavailable)
    told += await refusal(replace(network_address, database="nothing"), StoreUnavailable)
    told += await refusal(replace(network_address, tls=(("sslmode", "nonsense"),)), StoreUnavailable)
    told += await refusal(replace(network_address, tls=(("sslmode", "require"),)), StoreUnavailable)
    assert "hunter2" not in told
    assert str(network_address.password) not in told
    assert network_address.schema in told


ROLES: Sequence[tuple[str, str]] = (
    ("reads", "ALTER ROLE {role} SET default_transaction_read_only = on"),
    ("lacks", "ALTER ROLE {role} SET work_mem = '4MB'"),
)


@pytest.mark.parametrize(("name", "setting"), ROLES, ids=[name for name, _ in ROLES])
async def test_what_may_not_write_is_told_so(network_address: Address, name: str, setting: str) -> None:
    role = f"{name}_{network_address.schema}"
    await migrate(network_address)
    await tell(
        network_address,
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'",
        f"GRANT USAGE ON SCHEMA {network_address.schema} TO {role}",
        setting.format(role=role),
    )
    as_role = replace(network_address, user=role, password="x")
    assert "cannot be written to" in await refusal(as_role, StoreReadOnly)
    new = replace(as_role, schema=shared_server.new_schema())
    assert "cannot be written to" in await refusal(new, StoreReadOnly)


async def test_a_database_in_another_encoding_is_refused(address: Address) -> None:
    other = replace(address, database=f"latin_{address.schema}")
    await tell(address, f"CREATE DATABASE {other.database} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    assert "LATIN1" in await refusal(other, StoreCorrupt)


async def test_commits_wait_for_the_disk_whatever_the_default_is(network_address: Address) -> None:
    role = f"hurried_{network_address.schema}"
    await tell(
        network_address,
        f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'x'",
        f"ALTER ROLE {role} SET synchronous_commit = off",
    )
    hurried = replace(network_address, user=role, password="x")
    assert await ask(hurried, "SELECT current_setting('synchronous_commit')") == "off"
    store = PostgresEventStore(hurried)
    await store.open()
    try:
        await tell(
            hurried,
            "CREATE TABLE seen (setting text)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
            "CREATE TRIGGER note AFTER INSERT ON transition FOR EACH STATEMENT EXECUTE FUNCTION note()",
        )
        await store.append([an_append(A)])
        assert await ask(hurried, "SELECT setting FROM seen") == "on"
    finally:
        await store.close()


async def test_batches_are_planned_once(address: Address) -> None:
    async with opened(partial(PostgresEventStore, address)) as store:
        await tell(
            address,
            "CREATE TABLE seen (custom bigint, generic bigint)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen "
            "SELECT sum(custom_plans), sum(generic_plans) FROM pg_prepared_statements "
            "WHERE statement LIKE '%INTO transition%'; RETURN NULL; END $$",
            "CREATE TRIGGER note AFTER INSERT ON transition FOR EACH STATEMENT EXECUTE FUNCTION note()",
        )
        for number in range(1, 9):
            begun, ended = StreamKey("default", f"s-{number}"), StreamKey("default", f"s-{number - 1}")
            await store.append([an_append(begun, index=SetIndex(None, outstanding=True))])
            if number > 1:
                await store.append([an_append(ended, 2, index=RemoveIndex())])
        custom, generic = await ask(address, "SELECT ARRAY[max(custom), max(generic)] FROM seen")
        assert custom == 0
        assert generic >= 15


def test_the_page_for_those_who_have_a_pooler_names_every_setting() -> None:
    page = (ROOT / "docs" / "postgres.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ignore_startup_parameters = (.*)$", page, re.MULTILINE)
    address = Address.of("postgresql://db/shop")
    given = {
        *settings_of(address, is_reader=False, plans="once"),
        *settings_of(address, is_reader=True, plans="anew"),
    }
    assert set(line.split(",")) == given - {"application_name"}, "which PgBouncer takes"


async def test_bootstrap_makes_all_three(address: Address) -> None:
    url, schema = shared_server.server().local_address, address.schema
    assert await bootstrap.postgres_migrate(url, schema=schema) == ALL
    async with opened(lambda: bootstrap.postgres(url, schema=schema)) as store:
        await store.append([an_append(A)])
        async with bootstrap.postgres_reader(url, schema=schema) as reader:
            assert await reader.counts() == {}
    with pytest.raises(ValueError, match="PostgreSQL"):
        bootstrap.postgres("mysql://db/shop")
