# pyright: strict
"""What a type checker says of tests: the first function checks; every line with the ignore comments does not.

Rules: the comments keep `make check` green; `test_typed.py` takes them out and looks. Nobody runs this file.
"""

from typing import assert_type

from amends import Command, SagaView
from amends.ports import Clock, Transport
from amends.testing import FakeParticipant, ManualClock, Scenario, given, harness
from tests.testing.sagas import APPROVAL, FULFIL, Order, Paid, Release, Reserved, charge, release, reserve

PLACED = Order()


async def right() -> None:
    story = given(FULFIL, PLACED)
    assert_type(story, Scenario[Order])
    story.expect("reserve-stock", reserve(PLACED)).replies(Reserved("R-1"))
    story.expect("pay", "charge", {"cents": 4990}).replies(Paid("P-1"))
    story.expect("pay", Command[Paid]("charge", {"cents": 4990})).replies(Paid("P-1"))
    story.expect_all({"ship": Command("ship", {"order": "order-1"})}).all_reply()
    story.on("ship").replies()
    assert_type(story.view, SagaView[Order])
    clock: Clock = ManualClock()
    fake: Transport = FakeParticipant("payments").succeeds("charge", Paid("P-1"))
    async with harness(sagas=[FULFIL, APPROVAL], participants={"payments": fake}) as h:
        assert_type(await h.start(FULFIL, PLACED), SagaView[Order])
    clock.now()


async def wrong() -> None:
    given(FULFIL, Release("order-1", None))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    given(release, PLACED)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given("fulfil-order", PLACED)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    story = given(FULFIL, PLACED)
    story.expect("pay", charge(PLACED)).replies(Reserved("R-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    story.expect("pay", charge(PLACED)).replies()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    story.expect("pay", PLACED)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    story.data(Paid("P-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    story.status("done")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    story.cancel(rejected="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    story.replies(Paid("P-1"))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    story.expect("pay").completed()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    story.after(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with harness(sagas=[FULFIL], participants=[]) as h:
        await h.start(FULFIL, Paid("P-1"))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
