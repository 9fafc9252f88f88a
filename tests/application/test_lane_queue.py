"""What waits in a lane, one attempt at a time: the order, and that each is there once."""

from collections.abc import Sequence

from amends.application.instance import Instance
from amends.application.lane_queue import LaneQueue
from amends.core.effect import Direction, SendCommand
from amends.core.state import initial
from amends.ports import StreamKey


def a_command(
    number: int, direction: Direction = "do", attempt: int = 1, payload: bytes = b"1"
) -> SendCommand:
    saga_id = f"o-{number}"
    return SendCommand(
        namespace="default",
        saga_id=saga_id,
        saga="fulfil",
        step="pay",
        direction=direction,
        round=1,
        attempt=attempt,
        command_id=f"{saga_id}/pay/{direction}/1",
        participant="bank",
        name="pay",
        payload=payload,
        due=None,
    )


def queue_of(commands: Sequence[SendCommand]) -> LaneQueue:
    queue = LaneQueue()
    for command in commands:
        queue.add(command)
    return queue


def taken(queue: LaneQueue) -> list[SendCommand]:
    found: list[SendCommand] = []
    while (command := queue.take(lambda _kind: True)) is not None:
        found.append(command)
    assert (queue.length, queue.kinds()) == (0, [])
    return found


def test_commands_leave_in_the_order_in_which_they_came_while_others_come() -> None:
    commands = [a_command(number) for number in range(20)]
    queue = queue_of(commands[:10])
    found: list[SendCommand] = []
    for late in commands[10:]:
        found.append(queue.take_from(queue.first_dos))
        queue.add(late)
    assert [*found, *taken(queue)] == commands


def test_the_same_attempt_is_queued_once_as_it_was_last_ordered() -> None:
    for attempt in (1, 2):
        old, new = (a_command(1, attempt=attempt, payload=payload) for payload in (b"1", b"2"))
        queue = queue_of([old, a_command(2), new])
        assert queue.length == 2
        assert sorted(command.payload for command in taken(queue)) == [b"1", b"2"]


def test_an_attempt_and_the_next_of_the_same_command_are_two() -> None:
    commands = [a_command(1, attempt=attempt) for attempt in (1, 2, 3)]
    assert taken(queue_of(commands)) == commands


def test_what_was_removed_is_passed_over_and_may_come_again() -> None:
    commands = [a_command(number) for number in range(6)]
    queue = queue_of(commands)
    assert queue.take_from(queue.first_dos) is commands[0]
    assert queue.remove(commands[1])
    assert queue.remove(commands[3])
    assert not queue.remove(commands[1])
    again = a_command(1, payload=b"again")
    queue.add(again)
    assert queue.length == 4
    found = taken(queue)
    assert sorted(found, key=lambda each: each.saga_id) == [again, commands[2], *commands[4:]]


def test_those_that_came_last_are_put_aside_first() -> None:
    commands = [a_command(number) for number in range(5)]
    queue = queue_of(commands)
    assert queue.take_from(queue.first_dos) is commands[0]
    assert queue.take_last(2) == commands[3:]
    assert taken(queue) == commands[1:3]


def test_dos_and_undos_go_in_turn() -> None:
    dos, undos = ([a_command(number, direction) for number in range(2)] for direction in ("do", "undo"))
    assert taken(queue_of([*dos, *undos])) == [undos[0], dos[0], undos[1], dos[1]]


def test_the_answer_to_an_older_attempt_leaves_the_newer_in_flight() -> None:
    instance = Instance(StreamKey("default", "o-1"), None, initial("default", "o-1"))
    first, second = (a_command(1, attempt=attempt) for attempt in (1, 2))
    for command in (first, second):
        instance.in_flight[command.command_id] = command.attempt
    instance.landed(first)
    assert instance.is_at_work()
    instance.landed(second)
    assert not instance.is_at_work()
