"""A saga whose attempts are overdue at once: whoever looks after it has something to write."""

from datetime import timedelta

from amends import Command, Participant, RetryPolicy, Rollback, Saga, Step


def do(_data: str) -> Command[None]:
    return Command("do")


def undo(_data: str, _rollback: Rollback[None]) -> Command[None]:
    return Command("undo")


HASTY = Saga(
    "hasty",
    version=1,
    data=str,
    deadline=timedelta(milliseconds=2),
    body=Step(
        "hurry",
        Participant("desk"),
        do=do,
        undo=undo,
        timeout=timedelta(milliseconds=1),
        retry=RetryPolicy(attempts=3, first=timedelta(milliseconds=1), jitter=0),
    ),
)
