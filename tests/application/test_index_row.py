"""The change of the index row that goes with a decision, alone."""

from datetime import datetime, timedelta

import pytest

from amends.application.index_row import change_with
from amends.application.instance import Instance
from amends.core.decision import Decision
from amends.core.effect import SendCommand
from amends.core.state import State, initial
from amends.ports import SetIndex, StreamKey
from tests.application.engine_world import NOON

SOON, LATE = NOON + timedelta(seconds=5), NOON + timedelta(seconds=9)


def a_command(due: datetime | None) -> SendCommand:
    return SendCommand(
        namespace="default",
        saga_id="o-1",
        saga="fulfil",
        step="pay",
        direction="do",
        round=1,
        attempt=1,
        command_id="o-1/pay/do/1",
        participant="bank",
        name="pay",
        payload=b"1",
        due=due,
    )


@pytest.mark.parametrize(
    ("timers", "commands"),
    [
        ({"pay": LATE}, (a_command(LATE),)),
        ({"": SOON, "pay": LATE}, (a_command(LATE),)),
        ({"pay": LATE, "ask": SOON}, (a_command(LATE), a_command(SOON))),
        # What has no time of its own says nothing of when to look: the saga's deadline does.
        ({"": SOON}, (a_command(None),)),
        ({}, (a_command(None),)),
        ({"approval": SOON}, ()),
        ({}, ()),
    ],
)
def test_a_row_says_what_the_state_does(
    timers: dict[str, datetime], commands: tuple[SendCommand, ...]
) -> None:
    state = State(namespace="default", saga_id="o-1", position=1, timers=timers)
    instance = Instance(StreamKey("default", "o-1"), None, initial("default", "o-1"))
    change = change_with(instance, Decision((), state, commands))
    assert change == SetIndex(state.wake_at, outstanding=bool(commands))
