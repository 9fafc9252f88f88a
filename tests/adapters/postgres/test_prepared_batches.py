"""Batches that are prepared while another is being committed: what was prepared is used only where it still holds."""

from collections.abc import AsyncIterator

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.adapters.postgres.late_rows import LateRows
from amends.adapters.postgres.numbers import StreamNumbers
from amends.adapters.postgres.prepared_batch import PreparedBatch
from amends.ports import SHARDS, Append, RemoveIndex, SetIndex, StreamKey
from amends.testing.event_store_suite import NOON, A, B, C, an_append, transitions_of
from tests.adapters.postgres.lines import ask, session, tell

OPEN = SetIndex(NOON, outstanding=True)


@pytest.fixture
async def store(address: Address) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(address)
    await store.open()
    # From the first stream on there are numbers in stock.
    await store.append([an_append(C, index=OPEN)])
    yield store
    await store.close()


async def test_what_begins_and_what_goes_on_is_prepared(store: PostgresEventStore) -> None:
    begins = store.prepared([an_append(B, index=OPEN), an_append(A, index=OPEN)])
    goes_on = store.prepared([an_append(C, 2)])
    assert isinstance(begins, PreparedBatch)
    assert isinstance(goes_on, PreparedBatch)
    assert list(await store.append(goes_on)) == [True]
    assert list(await store.append(begins)) == [True, True]
    assert [each.transition.key for each in await store.log()] == [C, C, A, B]


async def test_what_is_prepared_is_not_prepared_again(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = store.prepared([an_append(A), an_append(C, 2)])
    monkeypatch.setattr("amends.adapters.postgres.writer.prepare", None)
    assert list(await store.append(batch)) == [True, True]


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param([an_append(A), an_append(A, 2)], id="two of one stream"),
        pytest.param([an_append(A, 2)], id="a stream that must be looked up"),
        pytest.param([an_append(StreamKey("default", "a\x01b"))], id="a key that cannot be kept"),
        pytest.param([an_append(StreamKey("default", f"s-{each}")) for each in range(1001)], id="no numbers"),
    ],
)
async def test_what_is_not_usual_is_left_as_it_is(store: PostgresEventStore, batch: list[Append]) -> None:
    assert store.prepared(batch) is batch


async def test_a_stream_that_was_given_up_meanwhile_is_not_gone_on_with(store: PostgresEventStore) -> None:
    await store.membership().claim(SHARDS)
    await store.append([an_append(A)])
    batch = store.prepared([an_append(A, 2)])
    assert isinstance(batch, PreparedBatch)
    await store.append([an_append(B)])
    (stream,) = await store.streams([A])
    assert list(await store.delete_streams([stream.end])) == [True]
    assert list(await store.append(batch)) == [False]
    assert list(await store.read(A)) == []


async def test_what_was_prepared_for_a_place_that_is_taken_loses_alone(
    store: PostgresEventStore, address: Address
) -> None:
    batch = store.prepared([an_append(A, index=OPEN), an_append(B, index=OPEN), an_append(C, 2)])
    other = PostgresEventStore(address)
    await other.open()
    theirs = an_append(B, index=OPEN, note="theirs")
    assert list(await other.append([theirs])) == [True]
    await other.close()
    assert list(await store.append(batch)) == [True, False, True]
    assert list(await store.read(B)) == transitions_of([theirs])
    assert [row.key for row in await store.open_instances()] == [A, B, C]


async def test_what_was_prepared_and_turns_out_to_be_unusual_is_written_in_the_unusual_way(
    store: PostgresEventStore, address: Address
) -> None:
    batch = store.prepared([an_append(A, index=OPEN), an_append(B, index=OPEN)])
    assert isinstance(batch, PreparedBatch)
    await tell(address, "INSERT INTO open_instance VALUES ('default', 'a', NULL, false, 0)")
    assert list(await store.append(batch)) == [True, True]
    assert [(row.key, row.wake_at) for row in await store.open_instances()] == [
        (A, NOON),
        (B, NOON),
        (C, NOON),
    ]


async def test_a_session_of_its_own_writes_what_was_prepared_in_another(
    store: PostgresEventStore, address: Address
) -> None:
    batch = store.prepared([an_append(A, index=OPEN), an_append(C, 2, index=RemoveIndex())])
    assert isinstance(batch, PreparedBatch)
    async with session(address) as link:
        assert not batch.holds_for(StreamNumbers(link), LateRows())
    await ask(
        address,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks "
        "WHERE locktype = 'advisory' AND objid = $1::regnamespace::oid",
        address.schema,
    )
    assert list(await store.append(batch)) == [True, True]
    assert [row.key for row in await store.open_instances()] == [A]


async def test_what_was_prepared_and_never_appended_leaves_no_trace(store: PostgresEventStore) -> None:
    store.prepared([an_append(A, index=OPEN)])
    assert list(await store.append([an_append(A, index=OPEN, note="another")])) == [True]
    (only,) = await store.read(A)
    assert b"another" in only.body


async def test_a_closed_store_prepares_nothing(address: Address) -> None:
    store = PostgresEventStore(address)
    await store.open()
    await store.append([an_append(C)])
    await store.close()
    batch = [an_append(C, 2)]
    assert store.prepared(batch) is batch
