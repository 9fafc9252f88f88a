"""What ends a topic's trouble when no record does: what those who lead its partitions say themselves.

Rules
- Who leads a partition is asked, not somebody else about it: a leader that has just died is still named for seconds.
- What proves that a reason is over depends on the reason. That there was no answer: every partition has a leader, which
  answers. That too few replicas followed: all of them follow as well. That we were not allowed: each leader says
  that we may write. Whatever else it was, only a record that is written.
It does not: know when to ask, or write.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from amends.adapters.kafka import driver, question
from amends.adapters.kafka.question import NO_LEADER, TopicSaid


class Proof(Enum):
    """What proves that a reason is over."""

    LED = "every partition has a leader, which answers"
    IN_SYNC = "all replicas follow"
    ALLOWED = "the leaders say that we may write"
    WRITTEN = "a record is written"


class Found(NamedTuple):
    """What the leaders of a topic's partitions say of it."""

    is_led: bool = False
    """Whether each partition has a leader that answers."""
    is_in_sync: bool = False
    """Whether all replicas of each follow it."""
    may_write: bool | None = None
    """Whether all of them let us write; None when one does not say."""

    def proves(self, wanted: Collection[Proof]) -> bool:
        """Whether it proves all that is wanted."""
        proved = {
            Proof.LED: self.is_led,
            Proof.IN_SYNC: self.is_led and self.is_in_sync,
            Proof.ALLOWED: self.is_led and bool(self.may_write),
            Proof.WRITTEN: False,
        }
        return all(proved[each] for each in wanted)

    def can_prove(self, wanted: Collection[Proof]) -> bool:
        """Whether those who were asked may ever say what is wanted."""
        return Proof.WRITTEN not in wanted and not (
            Proof.ALLOWED in wanted and self.is_led and self.may_write is None
        )


def proof_of(error: BaseException) -> Proof:
    """Return what proves that it is over what `error` told."""
    if isinstance(error, driver.NO_ANSWER + driver.NO_TOPIC):
        return Proof.LED
    if isinstance(error, driver.TOO_FEW):
        return Proof.IN_SYNC
    return Proof.ALLOWED if isinstance(error, driver.NOT_ALLOWED) else Proof.WRITTEN


async def ask(producer: driver.Producer, topics: Collection[str]) -> Mapping[str, Found]:
    """Return what is found about topics, by asking any broker who leads them, and then those.

    Raises:
        Exception: one of `DRIVER_ERRORS`: nobody answers.
    """
    said = await _anyone(producer, topics)
    leaders = {
        each.leader for answer in said.values() for topic in answer.values() for each in topic.partitions
    }
    others = [*(leaders - said.keys() - {NO_LEADER})]
    answers = await asyncio.gather(
        *(question.said(producer, each, topics) for each in others), return_exceptions=True
    )
    for broker, answer in zip(others, answers, strict=True):
        if not isinstance(answer, BaseException):
            said[broker] = answer
        elif not isinstance(answer, driver.DRIVER_ERRORS):
            raise answer
    return {topic: found(topic, said) for topic in topics}


async def _anyone(producer: driver.Producer, topics: Collection[str]) -> dict[int, Mapping[str, TopicSaid]]:
    last: Exception = ConnectionError("no broker is known")
    for broker in question.brokers(producer):
        try:
            return {broker: await question.said(producer, broker, topics)}
        except driver.DRIVER_ERRORS as error:
            last = error
    raise last


def found(topic: str, said: Mapping[int, Mapping[str, TopicSaid]]) -> Found:
    """Return what brokers together say of a topic, by who said what."""
    everybody = [(broker, answer[topic]) for broker, answer in said.items() if topic in answer]
    partitions = {each.number for _broker, about in everybody for each in about.partitions}
    own = {
        each.number: (each.is_in_sync, about.may_write)
        for broker, about in everybody
        for each in about.partitions
        if each.leader == broker
    }
    return Found(
        bool(partitions) and partitions == own.keys(),
        all(is_in_sync for is_in_sync, _ in own.values()),
        _together(may_write for _, may_write in own.values()),
    )


def _together(said: Iterable[bool | None]) -> bool | None:
    """Return whether all may; None when one of them does not say."""
    every: Sequence[bool | None] = [*said]
    return None if None in every else all(every)
