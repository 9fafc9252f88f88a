"""The core by itself: microseconds a transition, bytes a live instance.

Rules: no store and no network; one order saga (six steps, two items) from its start to its end, again and again.
It does not: say what the engine does with group commit and a database.

    python -m bench.core [rounds]
"""

import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import msgspec

from amends.core import trigger as t
from amends.core.decide import decide
from amends.core.event import AnyEvent
from amends.core.evolve import evolve
from amends.core.outcome import Succeeded
from amends.core.plan import Plan, compile_saga
from amends.core.state import State, initial
from amends.definition import Command, Participant, Rollback, Saga, Step, each, sequence, tolerate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INSTANCES = 10_000


class Order(msgspec.Struct, frozen=True):
    number: str
    lines: tuple[str, ...]
    total: int


def do(_data: Any) -> Command[None]:
    return Command("do", {"amount": 12})


def undo(_data: Any, _rollback: Rollback[None]) -> Command[None]:
    return Command("undo")


def lines(order: Order) -> tuple[str, ...]:
    return order.lines


def same(line: str) -> str:
    return line


def order_saga() -> Plan:
    at = Participant("service")
    reserve: Step[str, None] = Step("reserve", at, do=do, undo=undo)
    coupon: Step[Order, None] = Step("coupon", at, do=do, undo=undo)
    pay: Step[Order, None] = Step("pay", at, do=do, undo=undo)
    approve: Step[Order, None] = Step("approve", at, do=do, kind="pivot")
    complete: Step[Order, None] = Step("complete", at, do=do, kind="retriable")
    body = sequence(each(lines, reserve, key=same, item=str), tolerate(coupon), pay, approve, complete)
    return compile_saga(Saga("order", version=1, data=Order, body=body, deadline=timedelta(minutes=15)))


DATA = msgspec.json.encode(Order("1001", ("a", "b"), 120))
TRIGGERS: tuple[t.Trigger, ...] = (
    t.Start(DATA),
    *(
        t.Reply(step, "do", 1, 1, Succeeded())
        for step in ("reserve[a]", "reserve[b]", "coupon", "pay", "approve", "complete")
    ),
)


def life(plan: Plan) -> list[tuple[State, tuple[AnyEvent, ...]]]:
    """Return each state with the events that follow it."""
    state, seen = initial("default", "s"), list[tuple[State, tuple[AnyEvent, ...]]]()
    for trigger in TRIGGERS:
        decision = decide(plan, state, trigger, NOW)
        seen.append((state, decision.events))
        state = decision.state
    return seen


def microseconds(rounds: int) -> list[tuple[str, float]]:
    """Return the mean time of each part of one transition."""
    plan, encoder = order_saga(), msgspec.json.Encoder()
    decoder = msgspec.json.Decoder(tuple[AnyEvent, ...])
    seen = life(plan)
    stored = [encoder.encode(events) for _state, events in seen]
    parts: dict[str, Callable[[], object]] = {
        "decide": lambda: [decide(plan, s, x, NOW) for (s, _e), x in zip(seen, TRIGGERS, strict=True)],
        "encode": lambda: [encoder.encode(events) for _state, events in seen],
        "decode": lambda: [decoder.decode(text) for text in stored],
        "evolve": lambda: [evolve(state, events) for state, events in seen],
    }
    rows: list[tuple[str, float]] = []
    for name, part in parts.items():
        begin = perf_counter()
        for _ in range(rounds):
            part()
        rows.append((name, (perf_counter() - begin) / rounds / len(TRIGGERS) * 1e6))
    return rows


def bytes_an_instance(answered: int) -> float:
    """Return what a live instance holds after its start and `answered` replies."""
    plan = order_saga()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    held: list[State] = []
    for number in range(INSTANCES):
        state = initial("default", f"s{number}")
        for trigger in TRIGGERS[: 1 + answered]:
            state = decide(plan, state, trigger, NOW).state
        held.append(state)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(held)


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 2_000
    events = sum(len(events) for _state, events in life(order_saga()))
    print(f"order saga: {len(TRIGGERS)} transitions, {events} events; mean of {rounds} lives")
    print(f"{'':24}{'per transition':>16}")
    for name, mean in microseconds(rounds):
        print(f"{name:24}{mean:>13.1f} µs")
    print(f"{'':24}{'per live instance':>16}")
    for name, answered in (("just started", 0), ("waits for its payment", 3)):
        print(f"{name:24}{bytes_an_instance(answered):>10,.0f} bytes")


if __name__ == "__main__":
    main()
