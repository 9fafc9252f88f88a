"""The thirteen rules of the engine, one by one. `mutations.py` breaks each once and sees its test go red."""

from datetime import timedelta

import msgspec
import pytest

from amends.core import event as e, trigger as t
from amends.core.decision import Decision, Rejected
from amends.core.effect import command_id
from amends.core.outcome import Refused, Succeeded
from amends.core.plan import compile_saga
from amends.core.state import StepState
from amends.definition import (
    Command,
    Node,
    Saga,
    Statuses,
    Step,
    parallel,
    sequence,
    tolerate,
    wait_for,
    when,
)
from tests.core import sagas
from tests.core.sagas import on_each, pivot, plan, retriable, step, undone_before
from tests.core.scenario import Life


def begun(life: Life) -> Life:
    life.start()
    return life


def life_of(*nodes: Node[sagas.Order]) -> Life:
    return begun(Life(plan(sequence(*nodes))))


def ids(life: Life) -> list[str]:
    return [command.command_id for command in life.last.commands]


def phase(life: Life, path: str) -> str:
    node = life.state.nodes[path]
    assert isinstance(node, StepState)
    return node.phase


def named(life: Life, kind: type) -> list[e.AnyEvent]:
    return [event for event in life.last.events if isinstance(event, kind)]


def test_rule_01_persist_then_act() -> None:
    life = life_of(on_each(step("x")), step("y", retry=sagas.TWICE))
    assert ids(life) == ["s1/x[a]/do/1", "s1/x[b]/do/1"]
    assert list(life.last.commands) == life.folded().outstanding()
    life.ok("x[a]")
    assert ids(life) == []
    assert [command.step for command in life.folded().outstanding()] == ["x[b]"]
    life.ok("x[b]")
    assert ids(life) == ["s1/y/do/1"]
    life.fail("y")
    assert ids(life) == []
    assert life.folded().outstanding() == []
    life.tick(1)
    assert ids(life) == ["s1/y/do/1"]
    assert list(life.last.commands) == life.folded().outstanding()


def test_rule_01_nothing_is_sent_while_paused() -> None:
    life = life_of(step("x"), step("y"))
    life.give(t.Pause("ann", "waits"))
    assert life.folded().outstanding() == []
    life.ok("x")
    assert ids(life) == []
    life.give(t.Resume("ann", "goes on"))
    assert ids(life) == ["s1/y/do/1"]


def test_rule_01_an_abandoned_instance_sends_nothing() -> None:
    life = life_of(step("x"))
    life.give(t.Abandon("ann", "gives up"))
    assert life.folded().outstanding() == []


def test_rule_01_a_restart_uses_up_no_attempt() -> None:
    life = life_of(step("x"))
    life.now += timedelta(hours=1)
    life.give(t.Recover())
    assert ids(life) == ["s1/x/do/1"]
    assert life.last.commands[0].attempt == 1
    assert life.tick(0).events == ()
    life.ok("x")
    assert life.status == "completed"


def test_rule_01_what_is_not_overdue_goes_on_as_it_is_after_a_restart() -> None:
    life = life_of(step("x"))
    due = life.state.wake_at
    assert life.give(t.Recover()).events == ()
    assert (life.state.wake_at, len(life.state.outstanding())) == (due, 1)


def test_rule_01_the_time_of_what_was_not_sent_stands_still() -> None:
    life = life_of(parallel(step("x", retry=sagas.TWICE), step("y", retry=sagas.TWICE)))
    life.now += timedelta(hours=1)
    life.give(t.Tick(frozenset({"x"})))
    assert (phase(life, "x"), phase(life, "y")) == ("doing", "retrying")
    assert life.give(t.Recover(frozenset())).events == ()
    life.give(t.Recover(frozenset({"x", "y"})))
    assert ids(life) == ["s1/x/do/1"]
    assert life.last.commands[0].attempt == 1
    life.now += timedelta(hours=1)
    life.give(t.Tick(frozenset({"x"})))
    assert ids(life) == ["s1/y/do/1"], "the retry of the other is due"
    assert phase(life, "x") == "doing"


def test_rule_02_deterministic_ids() -> None:
    life = life_of(step("x", retry=sagas.TWICE), step("y"))
    first = life.last.commands[0]
    assert command_id("shop", "s1", "x", "do", 1) == "shop:s1/x/do/1"
    life.fail("x")
    life.tick(1)
    second = life.last.commands[0]
    assert (first.command_id, second.command_id) == ("s1/x/do/1", "s1/x/do/1")
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.payload == second.payload


def test_rule_02_a_second_reply_changes_nothing() -> None:
    life = life_of(step("x"), step("y"))
    life.ok("x")
    assert life.ok("x").events == ()
    assert named_of(life.no("x")) == ["ReplyContradicted"]
    assert life.no("x").events == ()
    assert phase(life, "x") == "succeeded"


def named_of(decision: Decision) -> list[str]:
    return [type(event).__name__ for event in decision.events]


def test_rule_03_forward() -> None:
    life = life_of(step("x"), parallel(step("y"), step("z")), step("end"))
    assert ids(life) == ["s1/x/do/1"]
    life.ok("x")
    assert ids(life) == ["s1/y/do/1", "s1/z/do/1"]
    life.ok("y")
    assert ids(life) == []
    life.ok("z")
    assert ids(life) == ["s1/end/do/1"]


def test_rule_03_refusal_unknown_cancel_and_deadline_turn() -> None:
    for turn in ("no", "fail", "cancel", "deadline"):
        life = begun(Life(plan(sequence(step("x"), step("y")), deadline=timedelta(seconds=10))))
        life.ok("x")
        match turn:
            case "no":
                life.no("y")
            case "fail":
                life.fail("y")
            case "cancel":
                life.give(t.Cancel("ann", "asks"))
            case _:
                life.tick(10)
        assert life.status == "compensating", turn


def test_rule_04_settle_first() -> None:
    life = life_of(step("a"), parallel(sequence(step("x"), step("x2")), step("y")), step("z"))
    life.ok("a", "x")
    life.no("y")
    assert ids(life) == [], "x2 is in flight, and nothing goes back before it has settled"
    life.ok("x2")
    assert ids(life) == ["s1/x2/undo/1"]
    life.ok("x2/undo")
    assert ids(life) == ["s1/x/undo/1"]
    life.ok("x/undo")
    assert ids(life) == ["s1/a/undo/1"]


def test_rule_04_each_branch_goes_back_by_itself() -> None:
    life = life_of(step("a"), parallel(sequence(step("x"), step("x2")), sequence(step("y"), step("y2"))))
    life.ok("a", "x", "y")
    life.no("x2")
    assert ids(life) == ["s1/x/undo/1"], "y2 is in flight in the other branch"
    life.ok("x/undo")
    assert ids(life) == []


def test_rule_05_backward() -> None:
    life = life_of(undone_before("order"), step("a"), step("b"), step("c"))
    life.ok("a")
    life.fail("b")
    life.ok("b/undo")
    assert ids(life) == ["s1/a/undo/1"]
    life.ok("a/undo")
    assert ids(life) == ["s1/order/undo/1"]
    life.ok("order/undo")
    assert life.status == "compensated"
    assert "c" not in life.state.nodes


def test_rule_05_what_was_refused_is_not_undone() -> None:
    life = life_of(step("a"), step("b"))
    life.ok("a")
    life.no("b")
    assert ids(life) == ["s1/a/undo/1"]


def test_rule_06_tolerated_is_not_forgotten() -> None:
    life = life_of(tolerate(step("x")), step("y"))
    life.fail("x")
    assert ids(life) == ["s1/y/do/1", "s1/x/undo/1"]
    life.ok("y")
    assert life.status == "running"
    life.ok("x/undo")
    assert life.status == "completed"


def test_rule_06_losers_are_undone() -> None:
    life = life_of(parallel(step("x"), step("y"), join="any"))
    life.ok("x")
    assert life.status == "running"
    life.ok("y")
    assert ids(life) == ["s1/y/undo/1"]
    life.ok("y/undo")
    assert life.status == "completed"


def test_rule_06_a_tolerated_branch_counts_as_done() -> None:
    life = life_of(parallel(tolerate(step("x")), step("y"), step("z"), join=2), step("end"))
    life.no("x")
    life.no("y")
    life.ok("z")
    assert ids(life) == ["s1/end/do/1"]


def test_rule_07_late_success() -> None:
    life = life_of(step("a"), step("x"))
    life.ok("a")
    life.fail("x")
    life.ok("x")
    life.ok("x/undo")
    assert ids(life) == ["s1/x/undo/2"]
    assert phase(life, "a") == "succeeded"
    life.ok("x/undo/2", "a/undo")
    assert life.status == "compensated"


def test_rule_07_after_the_end() -> None:
    life = life_of(step("x"))
    life.fail("x")
    life.ok("x/undo")
    assert life.status == "compensated"
    life.ok("x")
    assert ids(life) == ["s1/x/undo/2"]
    assert life.status == "compensating"


def test_rule_07_a_late_success_that_cannot_be_read_counts() -> None:
    life = life_of(sagas.paying("x"))
    life.fail("x")
    life.ok("x/undo")
    life.ok("x", reply=b'"nonsense"')
    assert ids(life) == ["s1/x/undo/2"]


def test_rule_07_a_completed_saga_that_reopens_cannot_be_cancelled() -> None:
    life = life_of(tolerate(step("x")), step("y"))
    life.fail("x")
    life.ok("x/undo", "y", "x")
    assert life.status == "running"
    with pytest.raises(Rejected, match="was completed"):
        life.give(t.Cancel("ann", "asks"))
    life.ok("x/undo/2")
    assert life.status == "completed"


def test_rule_08_point_of_no_return() -> None:
    life = begun(Life(plan(sequence(step("a"), pivot("p"), retriable("r")), deadline=timedelta(hours=1))))
    life.ok("a")
    life.give(t.Cancel("ann", "asks"))
    assert life.status == "running", "a cancel waits for a pivot in flight"
    life.ok("p")
    assert life.state.no_return == "p"
    assert named(life, e.CancelRefused)
    with pytest.raises(Rejected, match="point of no return"):
        life.give(t.Cancel("ann", "asks again"))
    life.no("r")
    assert life.status == "stuck", "a retriable step is never refused, and nothing turns"
    assert "" not in life.state.turned


def test_rule_08_a_deadline_behind_it_only_warns() -> None:
    life = begun(Life(plan(sequence(pivot("p"), retriable("r")), deadline=timedelta(seconds=10))))
    life.ok("p")
    life.tick(10)
    assert named(life, e.DeadlinePassed) == [e.DeadlinePassed(ignored=True)]
    assert life.status == "running"


def test_rule_08_an_unknown_pivot_is_stuck_and_not_compensated() -> None:
    life = life_of(step("a"), pivot("p"))
    life.ok("a")
    life.fail("p")
    assert life.status == "stuck"
    life.give(t.Resolve("p", Refused("no"), "ann", "looked"))
    assert ids(life) == ["s1/a/undo/1"]


def test_rule_08_nothing_turns_under_a_pivot_in_flight() -> None:
    life = begun(Life(compile_saga(sagas.raising_beside())))
    life.ok("a")
    assert named(life, e.NodeFailed)
    assert life.status == "running"
    life.ok("p")
    assert life.status == "stuck"
    assert list(life.state.stuck) == ["when#3"]


def test_rule_09_undo_does_not_give_up_by_itself() -> None:
    life = life_of(parallel(sequence(step("a"), step("a2")), step("b")), step("c"))
    life.ok("a", "a2", "b")
    life.no("c")
    life.fail("b/undo")
    assert life.status == "stuck"
    assert life.state.stuck == {"b": "undo"}
    life.ok("a2/undo")
    assert ids(life) == ["s1/a/undo/1"], "what does not depend on the stuck step goes on"
    life.give(t.Retry("b", "ann", "mended"))
    assert ids(life) == ["s1/b/undo/1"]
    life.ok("b/undo", "a/undo")
    assert life.status == "compensated"


def test_rule_10_evidence() -> None:
    life = life_of(step("a"), step("b"))
    life.ok("a")
    life.no("b")
    life.fail("a/undo")
    life.give(t.Skip("a", "ann", "went there"))
    assert life.last.events[-1] == e.SagaCompensated(unconfirmed=("a",))


def test_rule_10_a_binding_without_confirmation_is_listed() -> None:
    life = life_of(step("a"), step("b"))
    life.ok("a")
    life.no("b")
    life.tell("silent a/undo")
    assert life.status == "compensated"
    assert life.state.unconfirmed == ("a",)


def test_rule_11_every_stream_ends() -> None:
    life = life_of(wait_for("word", int, timeout=timedelta(hours=1)), step("a"))
    assert life.state.wake_at == life.now + timedelta(hours=1)
    life.tick(3600)
    assert life.status == "compensated"


def test_rule_11_a_skipped_step_in_a_turned_part_holds_nothing_up() -> None:
    life = life_of(tolerate(parallel(retriable("r"), when(sagas.boom, retriable("x")))))
    life.fail("r")
    assert life.status == "stuck"
    life.give(t.Skip("r", "ann", "goes on"))
    assert life.status == "completed"


def test_rule_12_replay_calls_no_user_code() -> None:
    life = begun(Life(compile_saga(sagas.raising_do())))
    life.ok("a")
    assert named_of(life.last)[1:3] == ["FunctionRaised", "StepRefused"]
    assert ids(life) == ["s1/a/undo/1"]


def test_rule_12_what_a_function_changes_in_its_arguments_changes_nothing() -> None:
    def greedy(data: dict[str, int]) -> Command[None]:
        data["taken"] = data.get("taken", 0) + 1
        return Command("take", data)

    body = sequence(
        Step("x", sagas.at("s"), do=greedy, undo=sagas.undo_of("x")),
        Step("y", sagas.at("s"), do=greedy, undo=sagas.undo_of("y")),
    )
    life = begun(Life(compile_saga(Saga("greedy", version=1, data=dict[str, int], body=body)), b"{}"))
    first = life.last.commands[0].payload
    life.ok("x")
    assert life.last.commands[0].payload == first == b'{"taken":1}'


def test_rule_12_what_cannot_be_read_back_is_a_fault_of_the_function_that_made_it() -> None:
    odd = sagas.paying("x", merge=lambda _data, _receipt: {"lines": 5})
    life = life_of(odd, step("y"))
    life.ok("x", reply=b'{"number":1}')
    assert named_of(life.last)[1] == "FunctionRaised"
    assert ids(life) == ["s1/x/undo/1"]


def test_rule_12_an_error_without_a_text_is_a_fact_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    def do(_data: sagas.Order) -> Command[None]:
        raise Mute

    life = life_of(Step("x", sagas.at("s"), do=do, undo=sagas.undo_of("x")))
    assert named(life, e.FunctionRaised) == [e.FunctionRaised(path="x", function="do", error="Mute")]


def test_rule_12_replies_that_do_not_matter_need_not_be_json() -> None:
    life = life_of(step("x"), step("y"))
    life.ok("x", reply=b"<html>")
    assert life.folded() == life.state


def test_rule_13_start_is_idempotent() -> None:
    life = life_of(step("x"))
    assert life.start().events == ()
    life.data = msgspec.json.encode(sagas.Order(total=5))
    with pytest.raises(Rejected, match="other data"):
        life.start()


def test_rule_13_what_was_merged_does_not_make_it_another_start() -> None:
    life = life_of(sagas.paying("p", merge=sagas.discounted), step("x"))
    life.ok("p", reply=b'{"number":1}')
    merged = life.state.data[""]
    assert merged != life.data
    assert life.start().events == ()
    life.data = merged
    with pytest.raises(Rejected, match="other data"):
        life.start()


def test_resolve_with_the_reply_that_the_participant_would_have_given() -> None:
    life = life_of(step("a"), Step("p", sagas.at("s"), do=sagas.charge, kind="pivot", retry=sagas.ONCE))
    life.ok("a")
    life.fail("p")
    with pytest.raises(Rejected, match="cannot be read"):
        life.give(t.Resolve("p", Succeeded(b"5"), "ann", "looked"))
    life.give(t.Resolve("p", Succeeded(b'{"number":1}'), "ann", "looked"))
    assert life.status == "completed"


def test_rule_12_a_saga_that_a_function_turned_does_not_look_as_if_it_still_waited() -> None:
    shown = Saga(
        "shown",
        version=1,
        data=sagas.Order,
        body=sequence(step("x", waiting="WAITING"), when(sagas.boom, step("y"))),
        statuses=Statuses(started="CREATED", cancelled="CANCELLED"),
    )
    life = begun(Life(compile_saga(shown)))
    assert life.state.business == "WAITING"
    life.ok("x")
    assert life.state.business == "CANCELLED"
