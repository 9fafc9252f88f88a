"""The seam before reading: what cannot be turned into JSON just now is kept, and taken once it can be."""

import asyncio

from amends.adapters.kafka.contract import JSON
from amends.ports.intake import CannotReadYet, Record
from tests.adapters.kafka.world import world
from tests.application.engine_world import turns


class Sometimes:
    """JSON, which at times cannot be read."""

    trouble = ""

    def __init__(self) -> None:
        self.is_away = False
        self.asked = asyncio.Event()

    async def outgoing(self, topic: str, document: bytes) -> tuple[bytes, bytes]:
        return document, JSON

    async def incoming(self, record: Record) -> Record:
        self.asked.set()
        if self.is_away:
            raise CannotReadYet("not now")
        return record

    async def close(self) -> None:
        """Nothing is held."""


async def test_what_waited_for_its_instance_is_brought_once_it_can_be_read() -> None:
    formats = Sometimes()
    async with world(formats=lambda *_: formats) as at:
        await at.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(1)
        assert [each.state for each in await at.arrivals.parked.find()] == ["waiting"]
        formats.is_away = True
        formats.asked.clear()
        await at.amends.begin("send", b'{"order":"o-1"}', saga_id="o-1")
        await formats.asked.wait()
        assert [each.state for each in await at.arrivals.parked.find()] == ["waiting"]
        formats.is_away = False
        async with asyncio.timeout(60):
            while (await at.arrivals.parked.find())[0].state == "waiting":
                await turns()
        # The answer that waited lets the saga go on.
        await at.reply("o-1", "pack")
        await at.reply("o-1", "ship")
        async with asyncio.timeout(60):
            assert (await at.amends.wait("o-1")).status == "completed"
        assert [each.state for each in await at.arrivals.parked.find()] == ["replayed"]
