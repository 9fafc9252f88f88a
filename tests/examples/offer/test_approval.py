"""The sponsor's fourteen days, with the real orchestrator on a clock that only the test moves, over a SQLite file."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from amends import ActRefused, sqlite
from amends.testing import EffectSpy, FakeParticipant, Harness, ManualClock, harness
from examples.offer.messages import Approval
from examples.offer.saga import OFFER, AcceptanceData
from tests.examples.offer.story import (
    ACCEPTED,
    ASKED,
    BOOKED,
    DEAR,
    HELD,
    REGISTERED,
)

YES, NO = Approval(approved=True, by="ann"), Approval(approved=False, by="ann")
UNDONE = ["undo ask-sponsor", "undo register-attendee", "undo validate-offer"]
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Harness]]


@pytest.fixture
def spy() -> EffectSpy:
    return EffectSpy()


@pytest.fixture
def opened(tmp_path: Path, spy: EffectSpy) -> Open:
    """Opens an orchestrator over the same file, clock and services, again and again."""
    clock = ManualClock()
    participants = [
        FakeParticipant("registration", spy=spy).succeeds("register-attendee", REGISTERED),
        FakeParticipant("offers", spy=spy)
        .succeeds("hold-offer", HELD)
        .succeeds("ask-sponsor", ASKED)
        .succeeds("accept-offer", ACCEPTED),
        FakeParticipant("discounts", spy=spy),
        FakeParticipant("courses", spy=spy).succeeds("book-place", BOOKED),
    ]

    @asynccontextmanager
    async def open_it() -> AsyncIterator[Harness]:
        store = sqlite(tmp_path / "offers.db")
        async with harness(sagas=[OFFER], participants=participants, clock=clock, store=store) as running:
            yield running

    return open_it


async def begin(running: Harness) -> None:
    await running.start(OFFER, AcceptanceData(acceptance=DEAR), saga_id="a-1")
    view = await running.view("a-1")
    assert (view.status, view.business_status) == ("running", "WAITING_APPROVAL")


async def test_an_approval_after_six_days_completes_it_although_the_orchestrator_was_restarted(
    opened: Open, spy: EffectSpy
) -> None:
    async with opened() as running:
        await begin(running)
        await running.advance(days=3)
    async with opened() as running:
        await running.advance(days=3)
        assert (await running.view("a-1")).business_status == "WAITING_APPROVAL"
        await running.orchestrator.signal("a-1", "approval", YES)
        view = await running.view("a-1")
        assert (view.status, view.data.approved_by) == ("completed", "ann")
    spy.exactly_once("register-attendee", "validate-offer", "ask-sponsor", "book-place", "accept-offer")


async def test_a_week_that_passes_while_nobody_runs_reminds_the_sponsor_at_the_next_opening(
    opened: Open, spy: EffectSpy
) -> None:
    async with opened() as running:
        await begin(running)
        clock = running.clock
    clock.advance(timedelta(days=8))
    async with opened() as running:
        await running.advance(seconds=1)
        assert (await running.view("a-1")).business_status == "WAITING_REMINDED_APPROVAL"
        await running.orchestrator.signal("a-1", "approval", YES)
        assert (await running.view("a-1")).status == "completed"
    assert spy.calls.count("remind-sponsor") == 1


async def test_fourteen_days_of_silence_undo_everything_whoever_is_restarted(
    opened: Open, spy: EffectSpy
) -> None:
    async with opened() as running:
        await begin(running)
    for _ in range(13):
        async with opened() as running:
            await running.advance(days=1)
            assert (await running.view("a-1")).status == "running"
    async with opened() as running:
        await running.advance(days=1)
        view = await running.view("a-1")
        assert (view.status, view.business_status) == ("compensated", "NOT_APPROVED")
        with pytest.raises(ActRefused, match="compensated"):
            await running.orchestrator.signal("a-1", "approval", YES)
    spy.nothing_left()
    assert spy.calls[-4:] == ["undo remind-sponsor", *UNDONE]
    assert "book-place" not in spy.calls


async def test_a_no_on_the_last_day_undoes_everything(opened: Open, spy: EffectSpy) -> None:
    async with opened() as running:
        await begin(running)
        await running.advance(days=13, hours=23)
        await running.restart()
        await running.orchestrator.signal("a-1", "approval", NO)
        assert (await running.view("a-1")).status == "compensated"
    spy.nothing_left()


async def test_waiting_for_days_needs_no_memory(opened: Open) -> None:
    async with opened() as running:
        await begin(running)
        await running.advance(days=1)
        assert running.orchestrator.engine.live == 0
