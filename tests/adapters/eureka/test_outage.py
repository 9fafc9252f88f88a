"""An outage is two lines in the log, however many miss an answer, and however often."""

import pytest

from amends.adapters.eureka.outage import Outage

LOST = "Eureka does not answer, what is known goes on being used: refused"
BACK = "Eureka answers again"


def test_it_begins_with_the_first_and_is_over_with_the_last(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    for who in ("registration", "lookup", "registration", "lookup"):
        outage.missed(who, "refused")
    outage.answered("lookup")
    outage.answered("somebody")
    assert outage.is_on
    assert [record.getMessage() for record in caplog.records] == [LOST]
    outage.answered("registration")
    outage.answered("registration")
    assert not outage.is_on
    assert [record.getMessage() for record in caplog.records] == [LOST, BACK]


def test_who_asks_no_more_does_not_keep_it_on(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    outage.missed("lookup", "refused")
    outage.left("lookup")
    assert not outage.is_on
    outage.missed("lookup", "refused")
    assert [record.getMessage() for record in caplog.records] == [LOST, LOST]
