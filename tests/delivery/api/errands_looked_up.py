"""A saga whose participant is looked up, and is asked again when an instance of it breaks off."""

from datetime import timedelta

from amends import RetryPolicy, Saga, Step, sequence
from tests.delivery.api.errands import DESK, Errand, finish, prepare, put_back

AGAIN = RetryPolicy(attempts=30, first=timedelta(milliseconds=20), cap=timedelta(milliseconds=500))

SAGAS = [
    Saga(
        "errand",
        version=1,
        data=Errand,
        body=sequence(
            Step("prepare", DESK, do=prepare, undo=put_back, retry=AGAIN),
            Step("finish", DESK, do=finish, kind="retriable", retry=AGAIN),
        ),
    )
]
