"""A participant that is given up while it starts its clients: whenever that is, it leaves no connection open."""

import asyncio
from pathlib import Path

from amends.participant import Database
from amends.participant.kafka import KafkaParticipant
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.open_sockets import left_open, no_collector
from tests.participant.counter import HANDLERS, prepare
from tests.participant.kafka_line import make_topics

TURNS = range(0, 1200, 40)
"""Turns of the loop; the starts of both clients take less."""


async def test_one_that_is_cancelled_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    address, name = broker().address, new_name()
    await make_topics(f"{name}.commands")
    with no_collector():
        for turns in TURNS:
            participant = KafkaParticipant(name=name, servers=[address], handlers=HANDLERS, database=database)
            running = asyncio.create_task(participant.run())
            for _turn in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
            assert left_open(int(address.rpartition(":")[2])) == [], turns
            assert asyncio.all_tasks() == {asyncio.current_task()}, turns
