"""The sagas that the door's tests start, and what they ask of the participant `desk` (`desk.py`).

What the desk does with a command stands in the saga's data: `ok`, `refuse`, `broken` (until it is mended), `later`
(202).
"""

from datetime import timedelta
from decimal import Decimal

import msgspec

from amends import Command, Participant, RetryPolicy, Rollback, Saga, Step, sequence, wait_for

DESK = Participant("desk")
ONCE = RetryPolicy(attempts=1, first=timedelta(0), jitter=0)


class Errand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done, and how the desk takes it."""

    name: str
    prepare: str = "ok"
    finish: str = "ok"
    price: Decimal = Decimal("0.00")

    def __post_init__(self) -> None:
        if self.price != round(self.price, 2):
            message = "price has at most two decimals"
            raise ValueError(message)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command's payload."""

    name: str
    how: str


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an approval says."""

    word: str = "yes"


def prepare(errand: Errand) -> Command[None]:
    return Command("prepare", Asked(name=errand.name, how=errand.prepare))


def put_back(errand: Errand, _rollback: Rollback[None]) -> Command[None]:
    return Command("put-back", Asked(name=errand.name, how="ok"))


def finish(errand: Errand) -> Command[None]:
    return Command("finish", Asked(name=errand.name, how=errand.finish))


preparing = Step("prepare", DESK, do=prepare, undo=put_back, retry=ONCE)
finishing = Step("finish", DESK, do=finish, kind="retriable", retry=ONCE)

ERRAND = Saga("errand", version=1, data=Errand, body=sequence(preparing, finishing))
ERRAND_2 = Saga("errand", version=2, data=Errand, body=sequence(preparing, finishing))
APPROVAL = Saga(
    "approval",
    version=1,
    data=Errand,
    body=sequence(preparing, wait_for("approve", Word, timeout=timedelta(days=30)), finishing),
)
plain = Step("prepare", DESK, do=prepare, undo=put_back)
PLAIN = Saga("plain", version=1, data=Errand, body=plain)
"""Says nothing about how often and how long."""

SAGAS = (ERRAND, ERRAND_2, APPROVAL)
