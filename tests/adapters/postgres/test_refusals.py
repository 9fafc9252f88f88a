"""What the server says no to, as the port's errors; what passes is tried again, what cannot be kept harms nothing else.

The server itself raises them: a trigger in the store's schema says what is wrong.
"""

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import (
    Append,
    KeepIndex,
    SetIndex,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StreamKey,
    Transition,
)
from amends.testing.event_store_suite import NOON, A, B, an_append, opened, transitions_of
from tests.adapters.postgres.lines import ask, tell

TRIGGER = """
CREATE SEQUENCE asked;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A sequence counts on although the transaction fails.
    IF nextval('asked') <= {times} THEN
        RAISE EXCEPTION 'as the test wants' USING ERRCODE = '{code}';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse AFTER INSERT ON transition FOR EACH STATEMENT EXECUTE FUNCTION refuse();
"""
ALWAYS = 1_000_000


async def refuse(address: Address, code: str, times: int = ALWAYS) -> None:
    await tell(address, TRIGGER.format(code=code, times=times))


def with_body(body: bytes) -> Append:
    return Append(Transition(key=B, position=1, events=1, recorded_at=NOON, body=body), KeepIndex())


UNFIT = {
    "no JSON": with_body(b"[{"),
    "no UTF-8": with_body(b'["\xff"]'),
    "U+0000 as such": with_body(b'["\x00"]'),
    "what separates members, in a body": with_body(b'["a"]\x01["b"]'),
    "what separates members, in an id": an_append(StreamKey("default", "a\x01b")),
    "U+0000 in an id": an_append(StreamKey("default", "a\x00b")),
    "half a character in an id": an_append(StreamKey("default", "\ud800")),
    "an id that no index takes": an_append(
        StreamKey("default", "".join(map(chr, range(0x4E00, 0x4E00 + 9000))))
    ),
    "a position beyond all": an_append(A, 2**31),
    "no position": an_append(B, 0),
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
async def test_what_cannot_be_kept_is_the_callers_fault_and_harms_nothing_else(
    address: Address, unfit: Append
) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        good = an_append(A, index=SetIndex(NOON, outstanding=True))
        with pytest.raises(ValueError, match=r"cannot keep what it was given"):
            await store.append([good, unfit])
        assert list(await store.log()) == []
        assert list(await store.append([good])) == [True]
        assert list(await store.read(A)) == transitions_of([good])


async def test_an_escaped_zero_is_kept_and_can_be_looked_at(address: Address) -> None:
    """JSON may hold the character U+0000 if it is escaped; PostgreSQL's operators refuse it, its column does not."""
    async with opened(lambda: PostgresEventStore(address)) as store:
        zero = an_append(A, events=2, note="\x00")
        assert b"\\u0000" in zero.transition.body
        assert list(await store.append([zero])) == [True]
        assert list(await store.read(A)) == transitions_of([zero])
        assert await ask(address, "SELECT string_agg(type || position, ' ') FROM event") == "Noted1 Noted2"


@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["a deadlock", "a serialization failure"])
async def test_what_passes_at_once_is_tried_again(address: Address, code: str) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        await refuse(address, code, times=3)
        assert list(await store.append([an_append(A, index=SetIndex(NOON, outstanding=True))])) == [True]
        assert len(await store.log()) == 1


async def test_an_index_row_that_its_stream_left_behind_is_replaced(address: Address) -> None:
    async with opened(lambda: PostgresEventStore(address)) as store:
        await store.append([an_append(A, index=SetIndex(NOON, outstanding=True))])
    await tell(address, "DELETE FROM transition", "DELETE FROM stream")
    async with opened(lambda: PostgresEventStore(address)) as store:
        begun = an_append(A, index=SetIndex(None, outstanding=True))
        assert list(await store.append([begun])) == [True]
        assert [row.wake_at for row in await store.open_instances()] == [None]


LASTING = [
    ("40P01", StoreUnavailable),
    ("53100", StoreFull),
    ("25006", StoreReadOnly),
    ("42501", StoreReadOnly),
    ("XX001", StoreCorrupt),
    ("42P01", StoreCorrupt),
    ("57014", StoreUnavailable),
    ("53200", StoreUnavailable),
    ("P0001", StoreUnavailable),
]


@pytest.mark.parametrize(("code", "kind"), LASTING, ids=[code for code, _ in LASTING])
async def test_each_refusal_has_its_name_and_leaves_nothing(
    network_address: Address, code: str, kind: type[StoreError]
) -> None:
    async with opened(lambda: PostgresEventStore(network_address)) as store:
        await refuse(network_address, code)
        batch = [an_append(A, index=SetIndex(NOON, outstanding=True)), an_append(B)]
        with pytest.raises(kind) as refused:
            await store.append(batch)
        assert type(refused.value) is kind
        assert str(network_address) in str(refused.value)
        assert str(network_address.password) not in str(refused.value)
        assert list(await store.log()) == []
        await tell(network_address, "DROP TRIGGER refuse ON transition")
        assert list(await store.append(batch)) == [True, True], "once it passes"
