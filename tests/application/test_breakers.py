"""The breaker and the gate alone, under a clock that is an argument."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from amends.application.breakers import LATER, NOW, Breaker, BreakerPolicy
from amends.application.gate import Budget, Gate, Kind, Protection
from amends.application.pace import Tokens
from amends.core.outcome import Accepted, Answer, Failed, Refused, Succeeded
from tests.application.engine_world import NOON, ManualClock

SECOND = timedelta(seconds=1)
POLICY = BreakerPolicy(
    failures=3, share=0.5, over=10, open_for=5 * SECOND, longest=60 * SECOND, ramp=10 * SECOND, ramp_first=5
)


def fail(breaker: Breaker, *commands: str) -> list[bool]:
    return [breaker.failed(breaker.begin(NOON), command, NOON) for command in commands]


def opened(policy: BreakerPolicy = POLICY) -> Breaker:
    breaker = Breaker(policy)
    fail(breaker, "a", "b", "c")
    assert breaker.look(NOON) == "open"
    return breaker


def test_it_opens_when_different_commands_fail_one_after_the_other() -> None:
    breaker = Breaker(POLICY)
    assert fail(breaker, "a", "b") == [False, False]
    assert not breaker.answered(breaker.begin(NOON))
    assert fail(breaker, "a", "b", "c") == [False, False, True]
    assert (breaker.look(NOON), breaker.trips) == ("open", 1)


def test_one_command_that_fails_again_and_again_says_nothing_about_its_participant() -> None:
    breaker = Breaker(POLICY)
    assert not any(fail(breaker, *["a"] * 100))
    assert breaker.look(NOON) == "closed"


def test_it_opens_when_most_calls_fail_although_some_are_answered() -> None:
    breaker = Breaker(POLICY)
    for _ in range(10):
        if any(fail(breaker, "a", "b")):
            break
        breaker.answered(breaker.begin(NOON))
    assert breaker.look(NOON) == "open"
    rare = Breaker(POLICY)
    for _ in range(50):
        assert not any(fail(rare, "a"))
        for _ in range(3):
            rare.answered(rare.begin(NOON))


def test_after_its_time_one_probe_goes_and_no_more() -> None:
    breaker = opened()
    assert breaker.wait(NOON + 2 * SECOND) == 3 * SECOND
    later = NOON + 5 * SECOND
    assert (breaker.look(later), breaker.wait(later)) == ("half-open", NOW)
    breaker.begin(later)
    assert breaker.wait(later) == LATER


def test_each_probe_that_fails_doubles_the_time_up_to_the_longest() -> None:
    breaker, now, pauses = opened(), NOON, []
    for _ in range(6):
        pause = breaker.wait(now)
        pauses.append(pause.total_seconds())
        now += pause
        assert breaker.look(now) == "half-open"
        assert breaker.failed(breaker.begin(now), "probe", now)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_it_recovers_at_a_pace_that_doubles_and_then_is_closed() -> None:
    breaker, now = opened(), NOON + 5 * SECOND
    breaker.look(now)
    assert breaker.answered(breaker.begin(now))
    breaker.recover(now)
    sent = []
    for second in range(11):
        sent.append(0)
        for tenth in range(10):
            at = now + second * SECOND + tenth * SECOND / 10
            while breaker.wait(at) == NOW and breaker.look(at) == "ramping":
                breaker.answered(breaker.begin(at))
                sent[-1] += 1
    assert sent[10] == 0, "by then there is no bound any more"
    assert breaker.look(now + 10 * SECOND) == "closed"
    assert 5 <= sent[0] <= 11
    for before, after in pairwise(sent[:10]):
        assert 1.5 * before <= after <= 2.6 * before, sent


def test_failures_while_it_recovers_open_it_again_for_longer() -> None:
    breaker, now = opened(), NOON + 5 * SECOND
    breaker.look(now)
    breaker.answered(breaker.begin(now))
    breaker.recover(now)
    for command in "abc":
        breaker.failed(breaker.begin(now), command, now)
    assert breaker.wait(now) == 10 * SECOND


def test_what_was_sent_before_it_opened_is_passed_over() -> None:
    breaker = Breaker(POLICY)
    old = [breaker.begin(NOON) for _ in range(4)]
    fail(breaker, "a", "b", "c")
    later = NOON + 5 * SECOND
    assert breaker.look(later) == "half-open"
    assert not breaker.answered(old[0])
    assert not breaker.failed(old[1], "d", later)
    assert breaker.look(later) == "half-open"
    probe = breaker.begin(later)
    assert not breaker.failed(old[2], "e", later)
    assert breaker.answered(probe)


def test_a_clock_that_was_set_back_does_not_keep_it_open() -> None:
    breaker = opened()
    back = NOON - timedelta(days=1)
    assert breaker.wait(back) == 60 * SECOND
    assert breaker.look(back + 60 * SECOND) == "half-open"
    breaker.answered(breaker.begin(back))
    breaker.recover(NOON)
    assert breaker.look(back) == "ramping"
    assert breaker.look(back + 10 * SECOND) == "closed"


def test_without_a_ramp_it_closes_at_once_and_disabled_it_never_opens_by_itself() -> None:
    breaker = opened(BreakerPolicy(failures=3, ramp=NOW))
    later = NOON + 5 * SECOND
    breaker.look(later)
    breaker.answered(breaker.begin(later))
    breaker.recover(later)
    assert breaker.is_closed
    off = Breaker(BreakerPolicy(enabled=False, failures=1, over=2, share=0.1))
    assert not any(fail(off, *"abcdefgh"))
    off.open_by_hand()
    assert off.look(NOON + timedelta(days=400)) == "open"


def test_an_answer_is_no_news_once_there_were_enough_until_a_call_fails_or_it_turns() -> None:
    breaker = Breaker(POLICY)
    seen: list[bool] = []
    for _ in range(POLICY.over):
        seen.append(breaker.is_calm)
        breaker.answered(breaker.begin(NOON))
    assert (any(seen), breaker.is_calm) == (False, True)
    fail(breaker, "a")
    assert not breaker.is_calm
    while not breaker.is_calm:
        breaker.answered(breaker.begin(NOON))
    breaker.open_by_hand()
    assert not breaker.is_calm


def test_a_person_opens_it_until_a_person_closes_it() -> None:
    breaker = Breaker(POLICY)
    breaker.open_by_hand()
    assert (breaker.by_hand, breaker.wait(NOON + timedelta(days=30))) == (True, LATER)
    breaker.close_by_hand(NOON)
    assert (breaker.by_hand, breaker.look(NOON)) == (False, "ramping")
    breaker.close_by_hand(NOON)
    assert breaker.look(NOON + 10 * SECOND) == "closed"


class Seen:
    """A breaker with what it has let go, and what is forbidden then."""

    def __init__(self) -> None:
        self.breaker = Breaker(POLICY)
        self.now = NOON
        self.out: list[int] = []

    def step(self, what: int, number: int) -> None:
        match what:
            case 0 | 1 if self.breaker.wait(self.now) == NOW:
                stage = self.breaker.look(self.now)
                assert stage != "open"
                self.out.append(self.breaker.begin(self.now))
                if stage == "half-open":
                    assert self.breaker.wait(self.now) == LATER, "one probe at a time"
            case 2 | 3 if self.out:
                permit = self.out.pop(number % len(self.out))
                self.breaker.failed(permit, f"c{number}", self.now)
            case 4 if self.out:
                is_calm, before = self.breaker.is_calm, str(vars(self.breaker))
                if self.breaker.answered(self.out.pop(number % len(self.out))):
                    self.breaker.recover(self.now)
                assert not is_calm or str(vars(self.breaker)) == before, "an answer is no news to it"
            case 5:
                self.now += timedelta(seconds=number / 10)
            case _:
                pass


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), max_size=200))
def test_whatever_happens_it_lets_one_probe_go_and_can_always_recover(steps: list[tuple[int, int]]) -> None:
    seen = Seen()
    for what, number in steps:
        seen.step(what, number)
    for permit in seen.out:
        if seen.breaker.answered(permit):
            seen.breaker.recover(seen.now)
    for _ in range(5):
        seen.now += POLICY.longest
        if seen.breaker.wait(seen.now) == NOW and seen.breaker.answered(seen.breaker.begin(seen.now)):
            seen.breaker.recover(seen.now)
    assert seen.breaker.look(seen.now + POLICY.ramp) == "closed"


def test_tokens_come_back_with_time_and_never_exceed_their_burst() -> None:
    tokens = Tokens(rate=10, burst=2, now=NOON)
    tokens.take(NOON)
    tokens.take(NOON)
    pause = tokens.wait(NOON)
    assert timedelta(milliseconds=99) < pause < timedelta(milliseconds=101)
    assert tokens.wait(NOON + pause) == NOW
    tokens.take(NOON + pause)
    assert tokens.wait(NOON - timedelta(days=1)) > NOW, "a clock that was set back gives nothing"
    hour = NOON + timedelta(hours=1)
    for _ in range(2):
        assert tokens.wait(hour) == NOW
        tokens.take(hour)
    assert tokens.wait(hour) > NOW
    assert Tokens(rate=0, burst=0, now=NOON).wait(NOON) == timedelta.max


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        (Failed("away"), "open"),
        (Failed("late", "timeout"), "open"),
        (Failed("wrong key", "configuration"), "closed"),
        (Failed("no JSON", "unreadable"), "closed"),
        (Refused("no"), "closed"),
        (Succeeded(), "closed"),
        (Accepted(), "closed"),
    ],
)
def test_what_says_that_a_participant_is_down(answer: Answer | Accepted, stage: str) -> None:
    gate = Gate(Protection(breaker=POLICY), ManualClock())
    for number in range(3):
        gate.settle(gate.begin("do"), f"c{number}", answer)
    assert gate.stage == stage


def test_retries_keep_to_their_share_and_an_undo_has_a_budget_of_its_own() -> None:
    clock = ManualClock()
    budget = Budget(share=0.2, least=1)
    gate = Gate(Protection(do_budget=budget, undo_budget=budget), clock)
    retry: Kind = "do again"
    first: Kind = "do"
    for _ in range(10):
        assert gate.obstacle(retry) is None
        gate.begin(retry)
    assert gate.obstacle(retry) is not None, "ten seconds' worth came at once"
    assert gate.obstacle("undo again") is None, "an undo is not starved by dos"
    retries = 0
    for _ in range(100):
        gate.begin(first)
        while gate.obstacle(retry) is None:
            gate.begin(retry)
            retries += 1
    assert retries == 20
    clock.move(3 * SECOND)
    for _ in range(3):
        assert gate.obstacle(retry) is None, "so many a second come besides"
        gate.begin(retry)
    assert gate.obstacle(retry) is not None


def test_the_rate_limit_counts_every_call() -> None:
    clock = ManualClock()
    gate = Gate(Protection(rate=5), clock)
    sent = 0
    for _ in range(100):
        while gate.obstacle("do") is None:
            gate.begin("do")
            sent += 1
        clock.move(SECOND / 10)
    assert 49 <= sent <= 51
    assert gate.pace == 5
