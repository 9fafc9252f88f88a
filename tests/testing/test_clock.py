"""The manual clock."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from amends.ports import Clock
from amends.testing import ManualClock

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(START)
    port: Clock = clock
    assert port.now() == port.now() == START
    assert clock.advance(timedelta(days=3)) == port.now() == START + timedelta(days=3)


def test_it_can_be_set_back_but_not_advanced_back() -> None:
    clock = ManualClock(START)
    clock.set(START - timedelta(hours=1))
    assert clock.now() == START - timedelta(hours=1)
    with pytest.raises(ValueError, match="`set` can go back"):
        clock.advance(timedelta(seconds=-1))


def test_its_time_is_aware_and_in_utc() -> None:
    clock = ManualClock(START.astimezone(timezone(timedelta(hours=2))))
    assert clock.now().tzinfo is UTC
    with pytest.raises(ValueError, match="has no time zone"):
        clock.set(START.replace(tzinfo=None))
