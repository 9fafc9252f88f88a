"""What writes finds rows by their key, also where the server takes a table to be empty, as short sagas often leave it.

Such a server would rather read the whole table than look up some rows of it, and plans so until it counts again.
"""

import json
from typing import Any

import pytest

from amends.adapters.postgres import Address, PostgresEventStore, statements
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.session import connect
from tests.adapters.postgres.lines import session

KEYS = "FROM generate_series(1, 500) AS i"
TABLES = {
    "open_instance": f"INSERT INTO open_instance SELECT 'n', 'i-' || i, NULL, true, 0 {KEYS}",
    "inbox": f"INSERT INTO inbox (shard, namespace, saga_id, kind, body) SELECT 0, 'n', 'i', 'tick', '{{}}' {KEYS}",
    "inbox_answer": f"INSERT INTO inbox_answer SELECT i, 0, '[]' {KEYS}",
    "stream": f"INSERT INTO stream SELECT i, 'n', 'i-' || i {KEYS}",
    "transition": (
        "INSERT INTO transition (stream, position, events, recorded_at, body)"
        f" SELECT i, 1, 1, now(), '[]' {KEYS}"
    ),
}
"""What fills them."""
BY_KEY = {"Index Cond", "Recheck Cond", "TID Cond"}
STATEMENTS = {
    "append": (statements.APPEND, 19),
    "append_short": (statements.APPEND_SHORT, 10),
    "append_ended": (statements.APPEND_ENDED, 9),
    "write_late_rows": (statements.WRITE_LATE_ROWS, 7),
    "index_claimed": (statements.INDEX_CLAIMED, 1),
    "correct_open_instance": (statements.CORRECT_OPEN_INSTANCE, 5),
    "put_inbox": (statements.PUT_INBOX, 6),
    "settle_inbox": (statements.SETTLE_INBOX, 2),
    "park_inbox": (statements.PARK_INBOX, 2),
    "find_streams": (statements.FIND_STREAMS, 2),
    "stand_at": (statements.STAND_AT, 2),
}
ONLY_INSERT = {"append_short", "write_late_rows"}


async def scans(link: Link, statement: str, parameters: int) -> list[dict[str, Any]]:
    """Return how the tables would be read, as the server's plan says."""
    await link.execute(f"PREPARE asked AS {statement}")
    nothing = ", ".join(["NULL"] * parameters)
    plan = await link.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked ({nothing})")
    nodes = [json.loads(plan)[0]["Plan"]]
    for node in nodes:
        # The first row in an index's order is one row, whatever the table's size.
        is_first = node["Node Type"] == "Limit"
        nodes += [each for each in node.get("Plans", []) if not (is_first and _is_in_order(each))]
    return [node for node in nodes if "Scan" in node["Node Type"] and node.get("Relation Name") in TABLES]


def _is_in_order(node: dict[str, Any]) -> bool:
    return node["Node Type"].startswith("Index") and "Filter" not in node and not BY_KEY & node.keys()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_rows_are_looked_up_by_key_in_what_is_taken_to_be_empty(address: Address, name: str) -> None:
    await emptied(address)
    link = await connect(address, within=5, plans="once")
    try:
        found = await scans(link, *STATEMENTS[name])
        assert found or name in ONLY_INSERT
        assert [node for node in found if not BY_KEY & node.keys()] == []
    finally:
        await link.close()


async def test_what_is_given_up_is_looked_up_by_key_among_what_is_open(address: Address) -> None:
    await emptied(address)
    link = await connect(address, within=5, plans="once")
    try:
        found = await scans(link, statements.DELETE_STREAMS, 5)
        (among_open,) = (node for node in found if node["Relation Name"] == "open_instance")
        assert BY_KEY & among_open.keys()
    finally:
        await link.close()


async def emptied(address: Address) -> None:
    """Make the tables, fill them, empty them, and have the server count."""
    store = PostgresEventStore(address)
    await store.open()
    await store.close()
    async with session(address) as link:
        for table, filling in TABLES.items():
            await link.execute(filling)
            await link.execute(f"DELETE FROM {table}")  # noqa: S608
            await link.execute(f"VACUUM (TRUNCATE false, ANALYZE) {table}")
