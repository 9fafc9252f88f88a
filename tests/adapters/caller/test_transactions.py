"""A saga that was started in the application's transaction runs if and only if that transaction was committed."""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from amends import NotRunning, Orchestrator, Saga, SagaUnknown, postgres, signal_in_transaction
from amends.adapters.caller.statements import parameters, put_in_inbox_percent
from amends.application import receiver
from amends.ports import Deposit, StreamKey
from amends.wire import trace_parent
from tests.adapters.caller.business import Business
from tests.adapters.caller.flavours import FLAVOURS, Flavour, on_psycopg, settled
from tests.application.shop import APPROVED, FULFIL, SAGAS, Order, Shop, Word

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30
ORDERS = 40


@asynccontextmanager
async def orchestrating(
    business: Business, shop: Shop | None = None, *, sagas: Sequence[Saga[Any]] = SAGAS
) -> AsyncGenerator[Orchestrator]:
    """An orchestrator of the business's store, for as long as a test is patient."""
    store = postgres(business.url, schema=business.schema)
    bindings = (shop or Shop()).bindings()
    async with (
        asyncio.timeout(PATIENCE),
        Orchestrator(sagas=sagas, store=store, participants=bindings) as amends,
    ):
        yield amends


@contextmanager
def applying(flavour: str, business: Business, prefix: str) -> Generator["subprocess.Popen[str]"]:
    """An application in a process of its own; it is killed at the end."""
    module = "tests.adapters.caller.application_process"
    process = subprocess.Popen(
        [sys.executable, "-m", module, flavour, business.url, business.schema, prefix],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: "subprocess.Popen[str]", times: int = 1) -> None:
    assert process.stdin is not None
    process.stdin.write("\n" * times)
    process.stdin.flush()


@pytest.fixture
def long_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not told looks in vain."""
    monkeypatch.setattr(receiver, "POLL", 3600)


async def commit_quietly(business: Business, saga_id: str) -> None:
    async with on_psycopg(business.url) as application:
        business.start(application, saga_id, Order(), at_once=False)
        await application.commit()


async def commit(business: Business, flavour: Flavour, *saga_ids: str) -> None:
    for saga_id in saga_ids:
        async with flavour(business.url) as application:
            await business.place(application, saga_id)
            await application.commit()


# --- both or neither -----------------------------------------------------------------------------------------------


async def test_a_commit_lets_it_run_and_a_rollback_does_not(business: Business, flavour: Flavour) -> None:
    shop = Shop()
    async with orchestrating(business, shop) as amends:
        async with flavour(business.url) as application:
            await business.place(application, "left")
            await application.rollback()
        await commit(business, flavour, "kept")
        assert (await amends.wait("kept")).status == "completed"
        with pytest.raises(SagaUnknown):
            await amends.get("left")
        assert shop.names == ["reserve", "pay", "ship"]
    assert (business.ordered(), business.inbox()) == (["kept"], [])


@pytest.mark.parametrize("name", FLAVOURS)
async def test_killed_between_change_and_commit_there_is_neither(business: Business, name: str) -> None:
    with applying(name, business, "o") as process:
        assert line_of(process) == "changed o-0000"
    assert (business.ordered(), business.inbox()) == ([], [])
    async with orchestrating(business) as amends:
        await commit(business, on_psycopg, "behind")
        await amends.wait("behind")
        with pytest.raises(SagaUnknown):
            await amends.get("o-0000")


@pytest.mark.parametrize("name", FLAVOURS)
async def test_killed_right_behind_the_commit_it_runs(business: Business, name: str) -> None:
    with applying(name, business, "o") as process:
        assert line_of(process) == "changed o-0000"
        go_on(process)
        assert line_of(process) == "committed o-0000"
    assert business.ordered() == ["o-0000"]
    async with orchestrating(business) as amends:
        assert (await amends.wait("o-0000")).status == "completed"


@pytest.mark.parametrize("name", FLAVOURS)
async def test_killed_at_any_moment_the_orders_and_the_sagas_are_the_same(
    business: Business, name: str
) -> None:
    """The application is somewhere in a transaction, perhaps in its commit, when it dies."""
    lines = random.Random(name).randrange(1, 2 * ORDERS)
    shop = Shop()
    async with orchestrating(business, shop) as amends:
        with applying(name, business, "o") as process:
            go_on(process, ORDERS)
            for _ in range(lines):
                line_of(process)
        ordered = business.ordered()
        assert len(ordered) >= lines // 2
        for saga_id in ordered:
            assert (await amends.wait(saga_id)).status == "completed"
        with pytest.raises(SagaUnknown):
            await amends.get(f"o-{len(ordered):04}")
    assert business.inbox() == []
    assert sorted(call.saga_id for call in shop.named("ship")) == ordered


# --- when it begins ------------------------------------------------------------------------------------------------


async def test_while_no_orchestrator_runs_it_waits_for_one(business: Business) -> None:
    await commit(business, on_psycopg, "o-1", "o-2")
    async with orchestrating(business) as amends:
        for saga_id in ("o-1", "o-2"):
            assert (await amends.wait(saga_id)).status == "completed"
    assert business.inbox() == []


async def test_two_processes_share_what_is_started(business: Business) -> None:
    """Each saga runs once, whichever of them holds its shard."""
    shop = Shop()
    saga_ids = [f"o-{number}" for number in range(ORDERS)]
    async with orchestrating(business, shop) as one, orchestrating(business, shop) as other:
        await commit(business, on_psycopg, *saga_ids)
        for number, saga_id in enumerate(saga_ids):
            assert (await (one, other)[number % 2].wait(saga_id)).status == "completed"
    assert sorted(call.saga_id for call in shop.named("ship")) == sorted(saga_ids)
    assert business.inbox() == []


async def test_it_begins_by_the_notification_alone(
    business: Business, flavour: Flavour, long_poll: None
) -> None:
    """Whoever looks from time to time looks once an hour here."""
    async with orchestrating(business) as amends:
        await commit(business, flavour, "o-1")
        assert (await amends.wait("o-1")).status == "completed"
        async with flavour(business.url) as application:
            await business.place(application, "o-2", APPROVED)
            await application.commit()
        await approve(business, flavour, "o-2", commits=True)
        assert (await amends.wait("o-2")).status == "completed"


async def test_without_a_notification_it_is_found_by_looking(business: Business) -> None:
    async with orchestrating(business) as amends:
        await commit_quietly(business, "o-1")
        assert (await amends.wait("o-1")).status == "completed"


async def test_a_start_that_waits_in_the_inbox_is_waited_for(business: Business, long_poll: None) -> None:
    async with orchestrating(business) as one, orchestrating(business) as other:
        await commit(business, on_psycopg, "behind")
        await one.wait("behind")
        await commit_quietly(business, "o-1")
        waiting = [asyncio.create_task(each.wait("o-1")) for each in (one, other)]
        await business.ask_later()
        with pytest.raises(SagaUnknown, match="there is no saga 'o-1'"):
            await one.get("o-1")
        with pytest.raises(SagaUnknown, match="there is no saga 'o-2'"):
            await one.wait("o-2")
        assert not any(task.done() for task in waiting)
        await commit(business, on_psycopg, *(f"loud-{number}" for number in range(ORDERS)))
        assert [view.status for view in await asyncio.gather(*waiting)] == ["completed", "completed"]


@asynccontextmanager
async def one_waiting(business: Business) -> AsyncGenerator[tuple[Orchestrator, "asyncio.Task[Any]"]]:
    """An orchestrator, and who waits in it for a start that stays in the inbox."""
    async with orchestrating(business) as amends:
        await commit(business, on_psycopg, "behind")
        await amends.wait("behind")
        await commit_quietly(business, "o-1")
        waiting = asyncio.create_task(amends.wait("o-1"))
        await business.ask_later()
        yield amends, waiting


async def test_who_waits_in_an_orchestrator_that_closes_is_told(business: Business, long_poll: None) -> None:
    async with one_waiting(business) as (_amends, waiting):
        assert not waiting.done()
    with pytest.raises(NotRunning):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_who_looked_when_it_closed_is_told_as_well(business: Business, long_poll: None) -> None:
    """The store is closed between two looks: what it says then is no outage to wait for."""
    async with one_waiting(business) as (amends, waiting):
        await amends.store.close()
        while amends.engine.availability.reason is None:
            await business.ask_later()
    with pytest.raises(NotRunning):
        await asyncio.wait_for(waiting, PATIENCE)


# --- twice, and what cannot be taken -------------------------------------------------------------------------------


async def test_the_same_start_twice_is_one_instance(business: Business) -> None:
    shop = Shop()
    async with orchestrating(business, shop) as amends:
        for _ in range(2):
            async with on_psycopg(business.url) as application:
                business.start(application, "o-1", Order())
                await application.commit()
        assert (await amends.wait("o-1")).status == "completed"
        assert (await amends.start(FULFIL, Order(), saga_id="o-1")).status == "completed"
        await business.emptied()
    assert shop.names == ["reserve", "pay", "ship"]


async def test_another_start_under_the_same_id_is_parked_with_the_reason(business: Business) -> None:
    async with orchestrating(business) as amends:
        async with on_psycopg(business.url) as application:
            business.start(application, "o-1", Order())
            business.start(application, "o-1", Order(sku="other"))
            business.start(application, "o-2", Order())
            await application.commit()
        assert (await amends.wait("o-1")).data.sku == "sku-1"
        assert (await amends.wait("o-2")).status == "completed"
        (row,) = await business.parked(1)
    assert row["body"]["data"]["sku"] == "other"
    assert "was started with other data" in row["parked"]


async def test_what_no_process_can_run_is_parked_and_runs_once_it_can(business: Business) -> None:
    newer = replace(FULFIL, version=2)
    async with orchestrating(business) as amends:
        async with on_psycopg(business.url) as application:
            await business.place(application, "o-1", newer)
            await application.commit()
        with pytest.raises(SagaUnknown, match=r"could not begin, its start is parked: .*no version 2"):
            await amends.wait("o-1")
        (row,) = await business.parked(1)
    async with orchestrating(business, sagas=(newer,)) as amends:
        business.unpark(row["number"])
        assert (await amends.wait("o-1")).version == 2
        await business.emptied()


async def test_a_signal_that_comes_too_early_is_parked_and_taken_later(business: Business) -> None:
    async with orchestrating(business) as amends:
        await approve(business, on_psycopg, "o-1", commits=True)
        (row,) = await business.parked(1)
        assert row["parked"] == "there is no saga 'o-1' in namespace 'default'"
        async with on_psycopg(business.url) as application:
            await business.place(application, "o-1", APPROVED)
            await application.commit()
        assert await business.parked(1) == [row], "the start was taken, the signal is still there"
        business.unpark(row["number"])
        assert (await amends.wait("o-1")).status == "completed"


# --- signals -------------------------------------------------------------------------------------------------------


async def approve(business: Business, flavour: Flavour, saga_id: str, *, commits: bool) -> None:
    async with flavour(business.url) as application:
        await application.execute(business.order(f"approval of {saga_id}"))
        told = signal_in_transaction(
            application.connection, saga_id, "approve", Word(), signal_id="once", schema=business.schema
        )
        await settled(told)
        await (application.commit() if commits else application.rollback())


async def test_a_signal_arrives_if_it_is_committed(business: Business, flavour: Flavour) -> None:
    async with orchestrating(business) as amends:
        async with flavour(business.url) as application:
            await business.place(application, "o-1", APPROVED)
            await application.commit()
        await approve(business, flavour, "o-1", commits=False)
        await commit(business, on_psycopg, "behind")
        await amends.wait("behind")
        assert (await amends.get("o-1")).status == "running"
        await approve(business, flavour, "o-1", commits=True)
        assert (await amends.wait("o-1")).status == "completed"
        types = [event.type for event in await amends.events("o-1")]
        assert types.count("SignalReceived") == 1


async def test_a_start_and_its_signal_may_be_one_transaction(business: Business) -> None:
    async with orchestrating(business) as amends:
        async with on_psycopg(business.url) as application:
            await business.place(application, "o-1", APPROVED)
            signal_in_transaction(application.connection, "o-1", "approve", Word(), schema=business.schema)
            await application.commit()
        assert (await amends.wait("o-1")).status == "completed"


@pytest.mark.parametrize("parent", [f"00-{7:032x}-{8:016x}-01", "x" * 100_000, f"00-{0:032x}-{8:016x}-01"])
async def test_a_trace_that_an_application_left_is_stored_if_it_is_one(
    business: Business, parent: str
) -> None:
    """The stream begins with it, so the saga's spans hang below the application's; what is none is left out."""
    body = {"saga": "fulfil", "version": 1, "data": msgspec.to_builtins(Order()), "trace": {"parent": parent}}
    left = Deposit("default", "o-1", "start", msgspec.json.encode(body), at_once=True)
    with psycopg.connect(business.url) as connection:
        connection.execute(put_in_inbox_percent(business.schema), parameters(left, business.schema))
    async with orchestrating(business) as amends:
        await business.emptied()
        await amends.wait("o-1")
        first = (await amends.store.read(StreamKey("default", "o-1")))[0]
    (started, *_others) = msgspec.json.decode(first.body)
    is_one = trace_parent.read(parent) is not None
    assert started.get("trace") == ({"parent": parent} if is_one else None)
