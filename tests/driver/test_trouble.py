"""A trouble is told when it begins and when it is over, however many wait meanwhile."""

import pytest

from amends.driver.trouble import FIRST_PAUSE, LONGEST_PAUSE, SharedTrouble, Trouble, longer


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_trouble_is_told_once_with_its_first_reason_and_keeps_the_newest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = Trouble("reading one")
    trouble.ends()
    trouble.begins("nobody is there")
    trouble.begins("not allowed")
    assert trouble.text == "not allowed"
    trouble.ends()
    trouble.ends()
    assert trouble.text == ""
    assert told(caplog) == ["reading one waits: nobody is there", "reading one goes on"]


def test_what_several_wait_for_is_over_when_none_waits_any_more(caplog: pytest.LogCaptureFixture) -> None:
    trouble = SharedTrouble("writing to one")
    trouble.waits("not allowed")
    trouble.waits("not allowed")
    trouble.goes_on()
    assert trouble.text == "not allowed"
    assert told(caplog) == ["writing to one waits: not allowed"]
    trouble.goes_on()
    assert trouble.text == ""
    assert told(caplog) == ["writing to one waits: not allowed", "writing to one goes on"]


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [longer(0.0)]
    while pauses[-1] < LONGEST_PAUSE:
        pauses.append(longer(pauses[-1]))
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert longer(pauses[-1]) == LONGEST_PAUSE
