"""`receive` within a transaction that its caller has begun: what the caller takes back, the barrier has forgotten."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Session

from amends.participant import Answer, Command, Succeeded, asyncpg_ledger, psycopg_ledger
from amends.participant.execution import TransactionEnded
from amends.participant.sqlalchemy_ledger import SqlalchemyLedger, UnknownDialect, create_ledger, receive
from tests.participant.killed import COMMAND
from tests.participant.places import EFFECT, WRITE, Where, by_file, new_place, values

A_ROW = WRITE.format("'before'")


def answered(count: int) -> Answer:
    return Answer(outcome="succeeded", body=b'{"count":%d}' % count)


def write_psycopg(connection: psycopg.Connection[Any], command: Command) -> Succeeded[dict[str, int]]:
    connection.execute(WRITE.format("%s").encode(), values(command))
    return Succeeded({"count": 1})


def test_psycopg_keeps_to_its_callers_transaction() -> None:
    where = new_place("psycopg")
    with psycopg.connect(where.server, autocommit=True) as connection:
        psycopg_ledger.create_ledger(connection)
        connection.execute(EFFECT)
        for force_rollback, standing in ((True, 0), (False, 1), (False, 1)):
            with connection.transaction(force_rollback=force_rollback):
                answer = psycopg_ledger.receive(connection, COMMAND, write_psycopg, needs_do=False)
            assert answer == answered(1)
            assert where.effects("psycopg") == standing


def test_psycopg_denies_a_handler_to_commit() -> None:
    where = new_place("psycopg")

    def committing(connection: psycopg.Connection[Any], command: Command) -> Succeeded[dict[str, int]]:
        done = write_psycopg(connection, command)
        connection.commit()
        return done

    with psycopg.connect(where.server, autocommit=True) as connection:
        psycopg_ledger.create_ledger(connection)
        connection.execute(EFFECT)
        with pytest.raises(psycopg.ProgrammingError, match="forbidden"):
            psycopg_ledger.receive(connection, COMMAND, committing, needs_do=False)
    assert where.effects("psycopg") == 0


async def test_asyncpg_keeps_to_its_callers_transaction() -> None:
    where = new_place("asyncpg")

    async def write(connection: Any, command: Command) -> Succeeded[dict[str, int]]:
        await connection.execute(WRITE.format("$1").replace("$1, $1, $1", "$1, $2, $3"), *values(command))
        return Succeeded({"count": 1})

    connection: Any = await asyncpg.connect(where.server)
    await asyncpg_ledger.create_ledger(connection)
    await connection.execute(EFFECT)
    for commits, standing in ((False, 0), (True, 1), (True, 1)):
        outer = connection.transaction()
        await outer.start()
        answer = await asyncpg_ledger.receive(connection, COMMAND, write, needs_do=False)
        await (outer.commit() if commits else outer.rollback())
        assert answer == answered(1)
        assert where.effects("asyncpg") == standing
    await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, str, Where]]:
    place = "sqlite" if request.param == "sqlite" else "psycopg"
    where = new_place(place)
    url = by_file(where) if place == "sqlite" else where.server.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    with engine.begin() as connection:
        create_ledger(connection)
        connection.execute(text(EFFECT))
    yield engine, place, where
    engine.dispose()


def write_sqlalchemy(session: Session, command: Command) -> Succeeded[dict[str, int]]:
    session.execute(text(A_ROW.replace("('before', 'before', 'before')", "('1', 'count', 'do')")))
    return Succeeded({"count": 1})


def test_sqlalchemy_keeps_to_its_callers_transaction(engine: tuple[Engine, str, Where]) -> None:
    made, place, where = engine
    for commits, standing in ((False, 0), (True, 1), (True, 1)):
        with Session(made) as session:
            # It has written before: then the barrier does not begin the transaction.
            session.execute(text("DELETE FROM effect WHERE step = 'another'"))
            answer = receive(session, COMMAND, write_sqlalchemy, needs_do=False)
            if commits:
                session.commit()
        assert answer == answered(1)
        assert where.effects(place) == standing


def test_two_writers_of_one_file_wait_for_each_other_also_behind_a_callers_statement() -> None:
    where = new_place("sqlite")
    engine = create_engine(by_file(where))
    with engine.begin() as connection:
        create_ledger(connection)
        connection.execute(text(EFFECT))
    with (
        closing(sqlite3.connect(where.file, timeout=0, isolation_level=None)) as other,
        Session(engine) as session,
    ):
        session.execute(text("DELETE FROM effect WHERE step = 'another'"))
        receive(session, COMMAND, write_sqlalchemy, needs_do=False)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        session.commit()
        other.execute("BEGIN IMMEDIATE")
    engine.dispose()


class OtherPlace:
    """A connection to a database that the barrier does not know."""

    dialect = mysql.dialect()


def test_an_unknown_database_is_refused_before_anything_is_written() -> None:
    place: Any = OtherPlace()
    with pytest.raises(UnknownDialect, match="not for mysql"):
        SqlalchemyLedger(place=place).claim(COMMAND.pair)


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_sqlalchemy_fails_the_command_of_a_handler_that_ends_the_transaction(
    engine: tuple[Engine, str, Where], ending: str
) -> None:
    made, place, where = engine

    def ends(session: Session, command: Command) -> Succeeded[dict[str, int]]:
        done = write_sqlalchemy(session, command)
        getattr(session, ending)()
        return done

    with pytest.raises(TransactionEnded, match="leave that to the barrier"), Session(made) as session:
        receive(session, COMMAND, ends, needs_do=False)
    assert where.effects(place) == (1 if ending == "commit" else 0)


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
async def test_asyncpg_fails_the_command_of_a_handler_that_ends_the_transaction(ending: str) -> None:
    where = new_place("asyncpg")

    async def ends(connection: Any, command: Command) -> Succeeded[dict[str, int]]:
        await connection.execute(ending)
        return Succeeded({"count": 1})

    connection: Any = await asyncpg.connect(where.server)
    await asyncpg_ledger.create_ledger(connection)
    with pytest.raises(TransactionEnded, match="leave that to the barrier"):
        await asyncpg_ledger.receive(connection, COMMAND, ends, needs_do=False)
    await connection.close()


PAIRS = "SELECT count(*) FROM amends_pair"


def test_psycopg_begins_a_transaction_where_nobody_has() -> None:
    where = new_place("psycopg")

    def failing(connection: psycopg.Connection[Any], command: Command) -> Succeeded[object]:
        write_psycopg(connection, command)
        raise ZeroDivisionError

    with psycopg.connect(where.server, autocommit=True) as connection:
        psycopg_ledger.create_ledger(connection)
        connection.execute(EFFECT)
        with pytest.raises(ZeroDivisionError):
            psycopg_ledger.receive(connection, COMMAND, failing, needs_do=False)
        assert connection.execute(PAIRS).fetchone() == (0,)
    assert where.effects("psycopg") == 0


async def test_asyncpg_begins_a_transaction_where_nobody_has() -> None:
    where = new_place("asyncpg")

    async def failing(connection: Any, command: Command) -> Succeeded[object]:
        raise ZeroDivisionError

    connection: Any = await asyncpg.connect(where.server)
    await asyncpg_ledger.create_ledger(connection)
    with pytest.raises(ZeroDivisionError):
        await asyncpg_ledger.receive(connection, COMMAND, failing, needs_do=False)
    assert await connection.fetchval(PAIRS) == 0
    await connection.close()


@pytest.mark.parametrize("begun", [True, False])
def test_on_one_file_the_right_to_write_is_taken_before_the_handler_acts(*, begun: bool) -> None:
    where = new_place("sqlite")
    engine = create_engine(by_file(where))
    with engine.begin() as connection:
        create_ledger(connection)
    with closing(sqlite3.connect(where.file, timeout=0, isolation_level=None)) as other:

        def act(session: Session, command: Command) -> Succeeded[object]:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            return Succeeded({})

        with Session(engine) as session:
            if begun:
                session.connection().exec_driver_sql("BEGIN")
            receive(session, COMMAND, act, needs_do=False)
            session.commit()
        other.execute("BEGIN IMMEDIATE")
    engine.dispose()
