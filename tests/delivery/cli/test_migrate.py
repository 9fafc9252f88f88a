"""`amends migrate`: builds and says so, finds nothing to do, says what is missing, refuses what is newer."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from amends.adapters.postgres import Address
from tests.adapters.postgres import shared_server
from tests.adapters.postgres.lines import ask
from tests.delivery.cli.asking import Place, Said


def migrate(where: str, *options: str) -> Said:
    return Place().ask("migrate", "--store", where, *options)


def a_file(folder: Path) -> str:
    return str(folder / "amends.db")


def a_server(_: Path) -> str:
    return f"{shared_server.server().address}?schema={shared_server.new_schema()}"


def a_socket(_: Path) -> str:
    return f"{shared_server.server().local_address}&schema={shared_server.new_schema()}"


@pytest.mark.parametrize("place", [a_file, a_server, a_socket])
def test_tables_are_built_once(place: Callable[[Path], str], tmp_path: Path) -> None:
    where = place(tmp_path)
    checked = migrate(where, "--check")
    assert (checked.code, checked.err) == (1, "")
    assert "missing  store  0001_event_store" in checked.out.splitlines()
    assert migrate(where, "--check").out == checked.out, "looking changed something"
    applied = migrate(where)
    assert applied.code == 0
    assert applied.out == checked.out.replace("missing", "applied")
    assert ("views  0001_read_model" in applied.out) == (place is not a_file)
    for options in ([], ["--check"]):
        again = migrate(where, *options)
        assert (again.code, again.out.endswith("is up to date\n")) == (0, True)
    assert "amends:" not in applied.err
    document = migrate(where, "--json").json
    assert document["applied"] == ({"store": [], "views": []} if place is not a_file else {"store": []})


def test_a_part_that_is_missing_is_told_and_applied(tmp_path: Path) -> None:
    where = a_server(tmp_path)
    assert migrate(where).code == 0
    asyncio.run(
        ask(Address.of(where).of_views(), "DROP TABLE migration, saga, saga_count, checkpoint, secret")
    )
    missing = migrate(where, "--check", "--json")
    assert missing.code == 1
    assert json.loads(missing.out)["missing"] == {"store": [], "views": ["0001_read_model"]}
    assert migrate(where).out == "applied  views  0001_read_model\n"


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    assert migrate(str(path)).code == 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migration VALUES (9999, '9999_later', 'x')")
        connection.commit()
    before = path.read_bytes()
    for options in ([], ["--check"]):
        refused = migrate(str(path), *options)
        assert (refused.code, refused.out) == (1, "")
        assert "newer version" in refused.err
    assert path.read_bytes() == before


def test_an_older_file_lacks_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    assert migrate(str(path)).code == 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE definition")
        connection.execute("DELETE FROM migration WHERE number = 2")
        connection.commit()
    assert migrate(str(path), "--check").out == "missing  store  0002_definition\n"
    assert migrate(str(path)).out == "applied  store  0002_definition\n"


def test_what_cannot_be_migrated_is_told(tmp_path: Path) -> None:
    for where, code, says in (
        ("memory:", 2, "nothing to migrate"),
        ("mysql://h/d", 2, "write a file"),
        ("postgresql://amends:hushhush@127.0.0.1:1/amends", 1, "127.0.0.1:1"),
        (f"{tmp_path}/", 2, "write a file"),
    ):
        said = migrate(where)
        assert (said.code, says in said.err, said.err.count("\n")) == (code, True, 1), said.err
        assert "hushhush" not in said.err
