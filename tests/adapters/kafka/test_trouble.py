"""A topic's trouble ends without a record when the leaders of its partitions say what proves that it is over."""

import asyncio
import itertools
import logging

import pytest

from amends.adapters.kafka import KafkaSender
from amends.adapters.kafka.driver import Partition
from amends.adapters.kafka.leaders import Found
from amends.driver.trouble import FIRST_PAUSE, LONGEST_PAUSE, longer
from tests.adapters.kafka.scripted_broker import (
    AWAY,
    FORBIDDEN,
    MOVED,
    PATIENCE,
    STRANGE,
    TOO_FEW,
    ScriptedBroker,
)
from tests.adapters.kafka.test_order import ONE, key_of, publish, turns

ALL_WELL = Found(is_led=True, is_in_sync=True, may_write=True)
LED = Found(is_led=True, is_in_sync=False, may_write=False)
SEVERAL = 4
"""Questions that are waited for, with pauses that grow."""


async def give_up(
    sender: KafkaSender, broker: ScriptedBroker, *errors: Exception, place: Partition = ONE
) -> None:
    """Have a record fail by each of `errors`, one after the other, and not be waited for any more."""
    broker.refuse(place, *errors, *[errors[-1]] * 100)
    tried = len(broker.tries)
    key = key_of(place.partition, of=broker.partitions[place.topic])
    publishing = publish(sender, b"given up", topic=place.topic, key=key)
    await broker.until_tried(tried + len(errors))
    await turns(3)
    assert sender.trouble_of([place.topic])
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    await turns(3)
    broker.goes_well(place)


async def until_clear(sender: KafkaSender, broker: ScriptedBroker, topic: str = "one") -> None:
    """Wait until answers have ended a topic's trouble."""
    await turns(3)
    async with asyncio.timeout(PATIENCE):
        while sender.trouble_of([topic]):
            await broker.until_asked(len(broker.asked) + 1)
            await turns(3)


async def stays(sender: KafkaSender, broker: ScriptedBroker) -> str:
    """Hold the trouble to staying for some answers; return it."""
    asked = len(broker.asked)
    for number in range(1, SEVERAL):
        await broker.until_asked(asked + number)
        assert sender.trouble
        await turns(3)
        assert sender.trouble, number
    return sender.trouble


@pytest.mark.parametrize("error", [AWAY(), MOVED(), OSError("no route")])
async def test_an_answer_of_the_leaders_ends_a_trouble_that_nothing_else_would(error: Exception) -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await give_up(sender, broker, error)
    await stays(sender, broker)
    tried = len(broker.tries)
    broker.found["one"] = LED
    await until_clear(sender, broker)
    assert len(broker.tries) == tried, "no record was needed"
    await sender.close()


async def test_a_topic_that_was_not_there_is_asked_after_when_nobody_waits_for_it() -> None:
    broker = ScriptedBroker()
    sender = broker.sender()
    waiting = publish(sender, b"0")
    await turns(20)
    assert sender.trouble
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await stays(sender, broker)
    broker.found["one"] = LED
    await until_clear(sender, broker)
    assert not broker.tries
    await sender.close()


async def test_as_long_as_a_record_waits_it_alone_shows_whether_the_trouble_is_over() -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = ALL_WELL
    broker.refuse(ONE, *[AWAY()] * 100)
    sender = broker.sender()
    waiting = publish(sender, b"0")
    for number in range(1, 7):
        await broker.until_tried(number)
        await turns(3)
        assert sender.trouble, number
    assert not broker.asked
    broker.goes_well(ONE)
    await waiting
    assert not sender.trouble
    await sender.close()


async def test_a_record_that_comes_after_all_is_not_held_up_and_ends_the_trouble() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await give_up(sender, broker, AWAY())
    await stays(sender, broker)
    await publish(sender, b"0")
    assert not sender.trouble
    assert broker.written[ONE] == [b"0"]
    await sender.close()


async def test_a_partition_that_is_silent_is_asked_after_while_others_are_written_to() -> None:
    broker = ScriptedBroker(two=2)
    sender, other = broker.sender(), Partition("two", 1)
    await give_up(sender, broker, AWAY(), place=Partition("two", 0))
    broker.hold(other)
    under_way = publish(sender, b"under way", topic="two", key=key_of(1, of=2))
    await broker.until_tried(len(broker.tries) + 1)
    broker.found["two"] = LED
    await until_clear(sender, broker, "two")
    assert not under_way.done()
    broker.let_go(other)
    await under_way
    # Nothing is left of it: another partition's trouble ends with its record.
    broker.refuse(other, AWAY())
    asked = len(broker.asked)
    await publish(sender, b"last", topic="two", key=key_of(1, of=2))
    assert not sender.trouble
    assert len(broker.asked) == asked
    await sender.close()


async def test_the_first_record_to_a_topic_that_has_come_shows_that_it_has() -> None:
    broker = ScriptedBroker(other=1)
    sender = broker.sender()
    broker.hold(ONE)
    broker.found["one"] = ALL_WELL
    waiting = publish(sender, b"0")
    # Another topic shows that there was time to ask.
    await give_up(sender, broker, AWAY(), place=Partition("other", 0))
    await broker.until_asked(2)
    tried = len(broker.tries)
    broker.partitions["one"] = 1
    await broker.until_tried(tried + 1)
    await broker.until_asked(len(broker.asked) + 2)
    assert all("one" not in topics for topics in broker.asked)
    assert sender.trouble_of(["one"])
    broker.let_go(ONE)
    await waiting
    assert not sender.trouble_of(["one"])
    await sender.close()


async def test_what_was_forbidden_is_over_when_the_leaders_allow_it_and_not_before() -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = LED._replace(is_in_sync=True)
    sender = broker.sender()
    await give_up(sender, broker, FORBIDDEN())
    assert await stays(sender, broker) == "not allowed: write to one"
    broker.found["one"] = LED._replace(may_write=True)
    await until_clear(sender, broker)
    await sender.close()


async def test_replicas_that_were_missing_must_follow_again() -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = LED
    sender = broker.sender()
    await give_up(sender, broker, TOO_FEW())
    await stays(sender, broker)
    broker.found["one"] = LED._replace(is_in_sync=True)
    await until_clear(sender, broker)
    await sender.close()


async def test_every_reason_that_there_was_must_be_over() -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = LED._replace(may_write=True)
    sender = broker.sender()
    await give_up(sender, broker, TOO_FEW(), AWAY())
    await stays(sender, broker)
    broker.found["one"] = ALL_WELL
    await until_clear(sender, broker)
    # Those of the last trouble are forgotten.
    broker.found["one"] = LED
    await give_up(sender, broker, AWAY())
    await until_clear(sender, broker)
    await sender.close()


@pytest.mark.parametrize(
    ("error", "found"),
    [(STRANGE(), ALL_WELL), (FORBIDDEN(), ALL_WELL._replace(may_write=None))],
    ids=["nothing proves it", "the broker does not say"],
)
async def test_what_no_answer_can_prove_is_told_until_a_record_passes_and_says_so(
    error: Exception, found: Found
) -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = found
    sender = broker.sender()
    await give_up(sender, broker, error)
    told = sender.trouble
    await broker.until_asked(1)
    await turns(3)
    assert sender.trouble == f"{told} (told until a record is written there)"
    # Another topic that is asked after shows that there was time to ask again.
    broker.partitions["other"] = 1
    await give_up(sender, broker, AWAY(), place=Partition("other", 0))
    await broker.until_asked(1 + SEVERAL)
    assert all("one" not in topics for topics in broker.asked[1:]), "there is nothing to be asked"
    assert sender.trouble_of(["one"])
    await publish(sender, b"0")
    assert not sender.trouble_of(["one"])
    await sender.close()


async def test_who_may_not_be_answered_is_asked_on_with_pauses_that_grow() -> None:
    broker = ScriptedBroker(one=1)
    broker.is_mute = True
    sender = broker.sender()
    await give_up(sender, broker, AWAY())
    for number in range(1, 5):
        await broker.until_asked(number)
        assert sender.trouble
    gaps = [after - before for before, after in itertools.pairwise(broker.asked_at)]
    pause = FIRST_PAUSE
    for gap in gaps:
        pause = longer(pause)
        assert gap > 0.9 * pause
    assert longer(LONGEST_PAUSE) == LONGEST_PAUSE
    broker.is_mute, broker.found["one"] = False, LED
    await until_clear(sender, broker)
    asked = len(broker.asked)
    await give_up(sender, broker, AWAY())
    await until_clear(sender, broker)
    assert len(broker.asked) == asked + 1, "nobody was asked while all was well"
    await sender.close()


async def test_all_topics_are_asked_after_at_once() -> None:
    broker = ScriptedBroker(one=1, two=2)
    sender = broker.sender()
    await give_up(sender, broker, AWAY())
    await give_up(sender, broker, AWAY(), place=Partition("two", 1))
    async with asyncio.timeout(PATIENCE):
        while not broker.asked or set(broker.asked[-1]) != {"one", "two"}:
            await broker.until_asked(len(broker.asked) + 1)
    broker.found["one"] = LED
    await until_clear(sender, broker)
    assert sender.trouble_of(["two"])
    broker.found["two"] = LED
    await until_clear(sender, broker, "two")
    await sender.close()


async def test_an_answer_that_is_older_than_a_failure_ends_nothing() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await give_up(sender, broker, AWAY())
    broker.answers.clear()
    await broker.until_asked(1)
    await give_up(sender, broker, AWAY())
    broker.found["one"] = LED
    broker.answers.set()
    await turns(3)
    assert sender.trouble, "it had failed since it was asked"
    await until_clear(sender, broker)
    assert len(broker.asked) > 1
    await sender.close()


async def test_closing_asks_no_more() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await give_up(sender, broker, AWAY())
    broker.answers.clear()
    await broker.until_asked(1)
    async with asyncio.timeout(PATIENCE):
        await sender.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_asking_that_fails_by_itself_is_told_once_and_the_trouble_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = ScriptedBroker(one=1)
    broker.found["one"] = LED
    sender = broker.sender()
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(Found, "proves", None)
        await give_up(sender, broker, AWAY())
        await broker.until_asked(1)
        await turns(3)
    assert [record.message for record in caplog.records] == ["whether a trouble is over cannot be asked"]
    assert sender.trouble
    await give_up(sender, broker, AWAY())
    await until_clear(sender, broker)
    await sender.close()
