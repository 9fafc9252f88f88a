"""What a view shows: plain values, as it stood when it was made, and equal to another of the same instance."""

import msgspec
import pytest

from amends import SagaView, StepView
from amends.ports import EventStore
from tests.application.engine_world import orchestrator, until
from tests.application.shop import APPROVED, FULFIL, Order, Shop, Word

SHOWN = (
    "id",
    "namespace",
    "saga",
    "version",
    "status",
    "business_status",
    "paused",
    "data",
    "steps",
    "undone",
    "stuck",
    "unconfirmed",
    "contradicted",
    "cause",
    "position",
)


async def test_a_view_shows_everything_as_plain_values(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        view = await amends.run(FULFIL, Order(), saga_id="o-1")
    assert [getattr(view, name) for name in SHOWN[:8]] == [
        *("o-1", "default", "fulfil", 1, "completed", "", False),
        Order(payment="p-1"),
    ]
    assert [(step.path, step.phase, step.attempts, step.undo_round, step.reply) for step in view.steps] == [
        ("reserve", "succeeded", 1, 0, None),
        ("pay", "succeeded", 1, 0, {"payment": "p-1"}),
        ("ship", "succeeded", 1, 0, None),
    ]
    assert [getattr(view, name) for name in SHOWN[9:]] == [(), (), (), (), None, view.position]
    assert view.data is view.data, "it is read once"
    document = msgspec.json.decode(msgspec.json.encode(view.as_dict()))
    assert tuple(document) == SHOWN
    assert (document["data"]["payment"], document["steps"][1]["reply"]) == ("p-1", {"payment": "p-1"})
    told = repr(view)
    assert [name for name in SHOWN if f"{name}={getattr(view, name)!r}" not in told] == []
    assert told.startswith("SagaView(id='o-1'")
    assert repr(view.steps[1]).startswith("StepView(path='pay', phase='succeeded'")


async def test_views_of_the_same_moment_are_equal_and_older_ones_stay_as_they_were(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        waiting, again = await amends.get("o-1"), await amends.get("o-1")
        shown = repr(waiting)
        await amends.signal("o-1", "approve", Word())
        end = await amends.wait("o-1")
    assert (waiting == again, hash(waiting) == hash(again)) == (True, True)
    assert len({waiting, again, end}) == 2
    assert waiting.steps[0] == end.steps[0]
    assert len({*waiting.steps, *end.steps}) == 2
    assert (repr(waiting), waiting.status, end.status) == (shown, "running", "completed")


@pytest.mark.parametrize("name", SHOWN)
async def test_a_view_cannot_be_changed(shop: Shop, store: EventStore, name: str) -> None:
    async with orchestrator(store, shop) as amends:
        view = await amends.run(FULFIL, Order())
    with pytest.raises(AttributeError):
        setattr(view, name, None)
    with pytest.raises(AttributeError):
        setattr(view.steps[0], "path", "")  # noqa: B010  a type checker would object to the assignment
    assert isinstance(view, SagaView)
    assert isinstance(view.steps[0], StepView)
    assert view != "o-1"
    assert view.steps[0] != "reserve"
