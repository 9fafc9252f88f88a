"""The inbox: what is put there is decided once, whatever happens in between; what cannot be taken harms nobody."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import Append, InboxRow, StoreUnavailable
from tests.adapters.postgres import storage
from tests.adapters.postgres.lines import ask, session
from tests.application.engine_world import events_of, orchestrator, until
from tests.application.shop import FOR_EVER, FULFIL, Order, Shop, Word
from tests.sharing.fleet import held, id_at, member, pair, shares, sharing

PUT = """
INSERT INTO inbox (shard, namespace, saga_id, kind, body)
VALUES (get_byte(sha256(convert_to('default/' || $1, 'UTF8')), 0) % 64, 'default', $1, $2, $3)
"""
PARKED = "SELECT saga_id, parked FROM inbox WHERE parked IS NOT NULL ORDER BY number"
LEFT = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM inbox_answer)"
OVERDUE = """
UPDATE member SET expires_at = now() - interval '1 second' WHERE token = (SELECT min(token) FROM member)
"""


@pytest.fixture
def address() -> Address:
    return storage.address()


async def put(address: Address, *rows: tuple[str, str, bytes]) -> None:
    """Put rows as an application does that knows nothing of members."""
    async with session(address) as link:
        for row in rows:
            await link.fetch(PUT, *row)


async def left(address: Address, rows: int = 0) -> None:
    """Wait until so many are left."""
    async with asyncio.timeout(20):
        while await ask(address, LEFT) != rows:
            pass


async def test_what_an_application_puts_there_is_begun_and_told(address: Address) -> None:
    shop = Shop()
    async with pair(address, shop) as (one, other):
        start = json.dumps({"saga": "for-ever", "version": None, "data": {"amount": 5}}).encode()
        rows = [(id_at(each, name), "start", start) for name, each in (("a", one), ("b", other))]
        await put(address, *rows)
        signal = json.dumps({"signal": "go", "content": {"word": "now"}, "signal_id": "s-1"}).encode()
        await put(address, *((saga_id, "signal", signal) for saga_id, _, _ in rows))
        await left(address)
        for saga_id, _, _ in rows:
            view = await one.get(saga_id)
            assert (view.status, view.data) == ("completed", Order(amount=5))
            assert (await events_of(one.store, saga_id)).count("SignalReceived") == 1


async def test_what_waits_there_is_found_by_who_opens_later(address: Address) -> None:
    async with member(address, Shop()):
        pass
    start = json.dumps({"saga": "fulfil", "version": 1, "data": {}}).encode()
    await put(address, *((f"o-{number}", "start", start) for number in range(20)))
    async with member(address, Shop()) as amends:
        await left(address)
        for number in range(20):
            assert (await amends.wait(f"o-{number}")).status == "completed"


BAD: tuple[tuple[str, str, bytes], ...] = (
    ("o-1", "start", b'{"saga": "nobody-knows-it", "version": null, "data": {}}'),
    ("o-2", "start", b'{"saga": "fulfil", "version": 7, "data": {}}'),
    ("o-3", "start", b'{"saga": "fulfil", "version": 1, "data": {"amount": "ten"}}'),
    ("o-4", "start", b'{"version": 1}'),
    ("o-5", "start", b"[1, 2]"),
    (" x", "start", b'{"saga": "fulfil", "version": 1, "data": {}}'),
    ("o-6", "dance", b"{}"),
    ("o-7", "signal", b'{"signal": "go"}'),
    ("o-8", "resolve", b'{"by": "me", "reason": "x", "step": "pay"}'),
    ("o-9", "reply", b'{"step": "pay"}'),
)


async def test_what_cannot_be_taken_is_parked_with_the_reason_and_harms_nobody(address: Address) -> None:
    async with member(address, Shop()) as amends:
        good = json.dumps({"saga": "fulfil", "version": 1, "data": {}}).encode()
        await put(address, *BAD, ("o-99", "start", good), ("o-99", "signal", b'{"signal": "what"}'))
        await left(address, len(BAD) + 1)
        assert (await amends.wait("o-99")).status == "completed"
        async with asyncio.timeout(20):
            while len(parked := await _parked(address)) < len(BAD) + 1:
                pass
        assert list(parked) == [*(saga_id for saga_id, _, _ in BAD), "o-99"]
        assert "nobody-knows-it" in parked["o-1"]
        assert "version 7" in parked["o-2"]
        assert "amount" in parked["o-3"]
        assert "saga id ' x'" in parked[" x"]
        assert "no saga 'o-7'" in parked["o-7"]
        assert sharing(amends).receiver.in_hand == 0


async def _parked(address: Address) -> dict[str, str]:
    async with session(address) as link:
        return {row[0]: row[1] for row in await link.fetch(PARKED)}


class Hanging(PostgresEventStore):
    """Hangs before or after an append that follows from the inbox, until `gate` is open."""

    def __init__(self, address: Address, *, is_after: bool) -> None:
        super().__init__(address)
        self.is_after = is_after
        self.gate = asyncio.Event()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        hangs = any(append.handled for append in batch)
        if hangs and not self.is_after:
            await self.gate.wait()
        verdicts = await super().append(batch)
        if hangs and self.is_after:
            await self.gate.wait()
        return verdicts


@pytest.mark.parametrize("is_stored", [False, True], ids=["before it is stored", "after it was stored"])
async def test_a_row_whose_holder_dies_is_decided_once_by_the_next(
    address: Address, *, is_stored: bool
) -> None:
    """The holder hangs around its append until its lease is over and another has taken over."""
    shop = Shop()
    hanging = Hanging(address, is_after=is_stored)
    async with orchestrator(hanging, shop) as dying, member(address, shop) as other:
        await shares(dying, other)
        far = id_at(dying)
        await dying.start(FOR_EVER, Order(), saga_id=far)
        told = asyncio.create_task(other.signal(far, "go", Word()))
        await until(lambda: sharing(dying).receiver.in_hand, "the row")
        async with asyncio.timeout(20):
            # It is there until what followed from it is stored.
            while await ask(address, "SELECT count(*) FROM inbox") != (not is_stored):
                pass
        # As if it were dead: it renews nothing more, and its lease is over.
        await sharing(dying).leases.stop()
        await ask(address, OVERDUE)
        sharing(other).leases.wake()
        assert (await told).status == "completed"
        await until(lambda: len(held(other)) == 64, "take-over")
        hanging.gate.set()
        await left(address)
        assert (await events_of(other.store, far)).count("SignalReceived") == 1


async def test_an_answer_that_is_missed_is_found_by_looking(address: Address) -> None:
    """Without any news everything still arrives."""
    async with pair(address, Shop()) as (one, other):
        for each in (one, other):
            store = each.store
            assert isinstance(store, PostgresEventStore)
            store.listen(lambda _news, _shards: None)
        assert (await one.run(FULFIL, Order(), saga_id=id_at(other))).status == "completed"


async def test_sending_waits_for_a_store_that_is_away(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(address, Shop()) as (one, other):
        store = one.store
        assert isinstance(store, PostgresEventStore)
        inbox, calls = store.inbox(), 0
        put_rows = inbox.put

        async def failing(rows: Sequence[InboxRow]) -> None:
            nonlocal calls
            calls += 1
            await put_rows(rows)
            if calls < 3:
                # It was put, and nobody knows.
                raise StoreUnavailable("away")

        monkeypatch.setattr(inbox, "put", failing)
        assert (await one.run(FULFIL, Order(), saga_id=id_at(other))).status == "completed"
        await until(lambda: calls == 3, "what was put already is put again, and is not there twice")
        assert (await events_of(other.store, id_at(other))).count("SagaStarted") == 1
    assert await ask(address, LEFT) == 0
