"""The tables that the page shows are those that the kit makes, and every statement is spelled for each driver."""

from pathlib import Path

import pytest

from amends.participant import statements
from amends.participant.statements import POSTGRESQL_SCHEMA, Statement, schema_statements
from tests.docs.documents import page

FILES = Path(statements.__file__).parent / "queries"
LOADED = [value for value in vars(statements).values() if isinstance(value, Statement)]


def test_the_page_shows_the_schema() -> None:
    shown = [block.text for block in page("docs/participants.md").blocks() if block.language == "sql"]
    assert shown == [POSTGRESQL_SCHEMA]


def test_every_file_is_one_statement_that_is_used() -> None:
    files = {file.name for file in FILES.glob("*.sql")}
    assert len(files) == len(LOADED)
    assert all(len(schema_statements(file.read_text())) == 1 for file in FILES.glob("*.sql"))


@pytest.mark.parametrize("statement", LOADED, ids=lambda statement: statement.named.split()[0])
def test_a_statement_is_spelled_for_each_driver(statement: Statement) -> None:
    values = {name: name.upper() for name in statement.order}
    assert statement.arguments(values) == [name.upper() for name in statement.order]
    for place, name in enumerate(statement.order, start=1):
        assert f":{name}" in statement.named
        assert f"%({name})s".encode() in statement.formatted
        assert f"${place}" in statement.numbered
    assert ":" not in statement.numbered
