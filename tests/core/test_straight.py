"""The straight way decides what the walk decides, over all lives of small sagas and any life of random ones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from amends.core import trigger as t
from amends.core.codec import JsonCodec
from amends.core.decision import Decision, Rejected
from amends.core.outcome import Succeeded
from amends.core.plan import Plan, compile_saga
from amends.core.state import State, initial
from amends.core.straight import straight
from amends.definition import Command, Node, Saga, Statuses, Step, parallel, sequence, subsaga, tolerate, when
from amends.simulation import explore as search
from amends.simulation.explore import Settings, explore
from tests.core import both_ways, sagas
from tests.core.sagas import on_each, paying, pivot, plan, retriable, step, undone_before
from tests.core.scenario import BEGIN, Life
from tests.core.test_properties import QUIET
from tests.core.trees import KINDS, SHAPES, plan_of, triggers

NAMELESS: Any = 7
CHILD = Saga("child", version=1, data=sagas.Order, body=step("c"))
STATUSES = Statuses(started="BEGUN", completed="DONE", compensating="TURNED", compensated="UNDONE")
BODIES: tuple[tuple[Node[sagas.Order], ...], ...] = (
    (step("a"),),
    (step("a"), step("b"), step("c")),
    (step("a"), pivot("p"), retriable("r"), retriable("s")),
    (step("a"), pivot("p")),
    (retriable("r"), retriable("s")),
    (undone_before("u"), step("a"), undone_before("v"), step("b")),
    (sequence(step("a"), sequence(step("b"))), step("c")),
    (step("a"), paying("b", merge=sagas.discounted), step("c")),
    (step("a", waiting="FOR A"), step("b", waiting="FOR B")),
    (on_each(step("a")), step("b"), step("c"), on_each(step("d"))),
    (tolerate(step("a")), step("b"), step("c"), tolerate(step("d"))),
    (parallel(step("a"), step("b"), join=1), step("c"), step("d")),
    (parallel(step("a"), step("b")), step("c")),
    (when(sagas.has_coupon, step("a")), step("b"), when(lambda order: not order.coupon, step("c"))),
    (step("a"), subsaga(CHILD, data=lambda order: order), step("b")),
)


MOST_STATES = 600
"""Of each saga, those that are reached in the fewest steps."""


def lives(made: Plan) -> None:
    """Let happen to a saga what may, and hold each decision against the walk's."""
    acts = ("retry", "resolve", "skip", "abandon")
    world = Settings(
        data=sagas.ORDER, replies={"b": b'{"number":1}'}, pause=True, acts=acts, most=MOST_STATES
    )
    with pytest.MonkeyPatch.context() as patch, suppress(OverflowError):
        patch.setattr(search, "decide", both_ways.decide)
        seen = explore(made, world)
        assert seen.violation is None, seen.violation


def test_whatever_happens_the_straight_way_is_the_walk() -> None:
    for body in BODIES:
        lives(plan(sequence(*body), deadline=timedelta(minutes=15)))
    for statuses in (STATUSES, sagas.BOOKING_STATUSES):
        lives(plan(sequence(step("a", waiting="WAITING_STOCK"), retriable("r")), statuses=statuses))


LINES = (
    st.lists(st.one_of(st.sampled_from(KINDS), SHAPES), min_size=1, max_size=5)
    .map(lambda below: plan_of(("sequence", below)))
    .filter(lambda plan: plan is not None)
)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(LINES, st.data())
def test_any_line_is_decided_as_the_walk_would(plan: Plan, data: st.DataObject) -> None:
    state, now = initial("default", "s"), BEGIN
    trigger: t.Trigger = t.Start(b"{}")
    for _ in range(data.draw(st.integers(1, 12))):
        with suppress(Rejected):
            state = both_ways.decide(plan, state, trigger, now).state
        now += timedelta(seconds=data.draw(st.sampled_from((0, 1, 30))))
        trigger = data.draw(triggers(state, plan))


def ways(life: Life, *steps: str, reply: bytes = b"null") -> Iterator[Decision | None]:
    """Yield what the straight way says to the start, and to a yes of each step."""
    replies = (t.Reply(name, "do", 1, 1, Succeeded(reply)) for name in steps)
    brought: tuple[t.Trigger, ...] = (t.Start(life.data), *replies)
    for trigger in brought:
        yield straight(life.plan, life.state, trigger, life.now)
        life.give(trigger)


def test_a_line_of_steps_never_walks() -> None:
    bodies: tuple[tuple[Node[sagas.Order], ...], ...] = (
        (step("a"), step("b"), step("c")),
        (undone_before("u"), sequence(step("a"), pivot("b", waiting="FOR B")), retriable("c")),
        (
            step("a"),
            Step("b", sagas.at("p"), do=sagas.charge, merge=sagas.discounted, kind="pivot"),
            retriable("c"),
        ),
    )
    for body in bodies:
        life = Life(plan(sequence(*body), statuses=STATUSES))
        assert None not in list(ways(life, "a", "b", "c", reply=b'{"number":1}'))
        assert life.status == "completed"


def test_what_wakes_it_next_may_be_the_deadline_of_the_saga() -> None:
    soon = timedelta(seconds=5)
    life = Life(plan(sequence(step("a"), step("b")), deadline=soon))
    begun, going_on, ended = ways(life, "a", "b")
    assert [made and made.wake_at for made in (begun, going_on, ended)] == [BEGIN + soon, BEGIN + soon, None]


def test_what_stands_before_and_behind_a_line_is_the_walks() -> None:
    life = Life(plan(sequence(on_each(step("x")), step("a"), step("b"), step("c"), tolerate(step("y")))))
    said = ways(life, "x[a]", "x[b]", "a", "b", "c", "y")
    assert [decision is None for decision in said] == [True, True, True, False, False, True, True]


def returns(made: object) -> Callable[[Any], Any]:
    return lambda _data: made


def made_by(do: Callable[[Any], Any]) -> Node[sagas.Order]:
    return Step("b", sagas.at("service"), do=do, no_undo="there is nothing", reply=type(None))


@pytest.mark.parametrize(
    "do",
    [
        sagas.boom,
        returns("no command"),
        returns(Command("no JSON", object())),
        returns(Command(NAMELESS)),
    ],
    ids=["raises", "no command", "no JSON", "no name"],
)
def test_what_cannot_be_sent_is_the_walks(do: Callable[[Any], Any]) -> None:
    life = Life(plan(sequence(step("a"), made_by(do))))
    begun, answered = ways(life, "a")
    assert begun is not None
    assert answered is None
    assert life.status == "compensating"


def test_what_looks_like_a_command_is_the_walks() -> None:
    life = Life(plan(made_by(returns(SimpleNamespace(name="like one", payload=None)))))
    assert list(ways(life)) == [None]


def test_a_merge_that_cannot_be_used_is_the_walks() -> None:
    for merge in (sagas.boom, lambda _order, _receipt: object(), lambda _order, _receipt: {"total": "much"}):
        life = Life(plan(sequence(step("a"), paying("b", merge=merge))))
        *before, merged = ways(life, "a", "b", reply=b'{"number":1}')
        assert None not in before
        assert merged is None
        assert life.status == "compensating"


def test_what_a_function_does_to_what_it_was_handed_nobody_sees() -> None:
    def emptying(data: dict[str, int]) -> Command[None]:
        command = Command[None]("c", dict(data))
        data.clear()
        return command

    def merging(data: dict[str, int], _reply: object) -> dict[str, int]:
        more = {**data, "more": 1}
        data.clear()
        return more

    names = ("a", "b", "c", "d")
    services = [
        Step(each, sagas.at("p"), do=emptying, kind="retriable", reply=type(None), merge=merge)
        for each, merge in zip(names, (None, None, merging, None), strict=True)
    ]
    saga = Saga("emptied", version=1, data=dict[str, int], body=sequence(*services))
    life = Life(compile_saga(saga), data=b'{"had":1}')
    sent = [call.payload for said in ways(life, *names) if said is not None for call in said.commands]
    assert sent == [b'{"had":1}'] * 3 + [b'{"had":1,"more":1}']


def test_an_instance_begins_with_nothing_whatever_others_did() -> None:
    life = Life(plan(sequence(step("a"), step("b"))))
    list(ways(life, "a"))
    assert initial("n", "s") == State(namespace="n", saga_id="s")


def test_whoever_interrupts_a_function_ends_it() -> None:
    def interrupted(_data: object) -> Command[None]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(ways(Life(plan(made_by(interrupted)))))


def test_a_name_is_kept_as_the_walk_keeps_it() -> None:
    for name in ("ä" * 600, "half \ud800", "x" * 600):
        life = Life(plan(sequence(step("a"), made_by(returns(Command(name))))))
        assert None not in list(ways(life, "a", "b"))


class Sealed(JsonCodec):
    """A codec of a user's own: each document is text in hexadecimal."""

    def encode(self, value: object, /) -> bytes:
        return msgspec.json.encode(super().encode(value).hex())

    def decoder(self, of: Any) -> Callable[[bytes], Any]:
        read = super().decoder(of)
        return lambda document: read(bytes.fromhex(msgspec.json.decode(document, type=str)))


def test_a_codec_of_ones_own_is_asked_by_the_straight_way_too() -> None:
    codec = Sealed()
    body = sequence(step("a"), paying("b", merge=sagas.discounted), step("c"))
    made = compile_saga(Saga("sealed", version=1, data=sagas.Order, body=body), codec)
    life = Life(made, data=codec.encode(sagas.Order()))
    receipt = codec.encode(sagas.Receipt(1))
    said = [decision for decision in ways(life, "a", "b", "c", reply=receipt) if decision is not None]
    assert len(said) == 4
    assert [call.payload for decision in said for call in decision.commands] == [
        codec.encode(payload) for payload in (None, {"total": 100}, None)
    ]
    assert life.state.data[""] == codec.encode(sagas.Order(total=99))


def test_of_a_reply_that_does_not_matter_nothing_is_kept() -> None:
    life = Life(plan(sequence(step("a"), step("b"))))
    assert None not in list(ways(life, "a", "b", reply=b"no JSON at all"))
    assert [done.reply for _path, done in life.state.steps()] == [b"null"] * 2


def test_documents_that_do_not_fit_are_the_walks() -> None:
    receipt = Life(plan(sequence(paying("a"), step("b"))))
    receipt.start()
    nonsense = t.Reply("a", "do", 1, 1, Succeeded(b'"nonsense"'))
    assert straight(receipt.plan, receipt.state, nonsense, receipt.now) is None
    assert receipt.give(nonsense).events
    for body in (step("a"), undone_before("u")):
        with pytest.raises(Rejected, match="do not fit"):
            Life(plan(sequence(body)), data=b'{"total":"much"}').start()


def test_what_is_said_after_the_end_or_was_not_asked_is_the_walks() -> None:
    life = Life(plan(sequence(step("a"), step("b"))))
    life.start()
    with pytest.raises(Rejected, match="was not undone"):
        life.give(t.Reply("a", "undo", 1, 1, Succeeded()))
    life.give(t.Abandon("ann", "gives up"))
    assert not life.ok("a").commands
    assert life.status == "abandoned"
