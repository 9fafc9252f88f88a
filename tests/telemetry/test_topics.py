"""Over a real broker: trace context in headers, and a span of its own for each record, linked to its saga."""

import asyncio
from typing import Any

import msgspec

from amends import traces
from amends.adapters.kafka import KafkaIntake
from amends.ports.intake import Outcome, Record
from amends.wire import trace_parent
from tests.adapters.kafka.world import SESSION, World, reply_headers, world
from tests.telemetry.receiver import Receiver, Seen, receiving

THEIRS = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{THEIRS}-b7ad6b7169203331-01"
JSON = ("content-type", b"application/json")


class Commands:
    """Reads the commands that go out, as participants do."""

    def __init__(self, at: World) -> None:
        self._found: asyncio.Queue[Record] = asyncio.Queue()
        topics = [f"{at.name}.hold", f"{at.name}.packers"]
        self.intake = KafkaIntake(at.address, topics, group=f"{at.name}-participants", session=SESSION)

    async def take(self, record: Record) -> Outcome:
        self._found.put_nowait(record)
        return "recorded"

    async def next(self) -> dict[str, str]:
        """The headers of the next command."""
        async with asyncio.timeout(60):
            record = await self._found.get()
        return {name: value.decode() for name, value in record.headers}


def listeners(receiver: Receiver, topic: str) -> list[Seen]:
    return [span for span in receiver.spans if span.name == f"process {topic}"]


async def test_each_listener_is_a_phase_of_its_own_linked_to_its_saga() -> None:
    with receiving() as receiver:
        async with world(traces=traces(receiver.url)) as at:
            commands = Commands(at)
            await commands.intake.start(commands.take)
            try:
                told = await _play(at, commands)
            finally:
                await commands.intake.stop()
    (saga,) = [span for span in receiver.spans if span.name == "send"]
    # The event that started it had a trace, and the saga goes on with it.
    assert (saga.trace, saga.parent) == (THEIRS, PARENT[36:52])
    attempts = {span.name: span for span in receiver.spans if span.kind == "client"}
    assert set(attempts) == {"hold", "pack", "ship"}
    for name, parent in told.items():
        read = trace_parent.read(parent)
        assert read is not None
        assert (read.trace.hex(), read.span.hex()) == (THEIRS, attempts[name].id)
    (started,), (held,) = listeners(receiver, at.created), listeners(receiver, at.held)
    packed, shipped = sorted(listeners(receiver, at.replies), key=lambda span: span.began)
    for span in (started, held, packed, shipped):
        assert (span.kind, span.parent) == ("consumer", "")
        assert span.trace != THEIRS
        assert (saga.trace, saga.id) in span.links
        assert span.attributes["amends.saga_id"] == "o-1"
        assert span.attributes["amends.outcome"] == "recorded"
    assert len({span.trace for span in (started, held, packed, shipped)}) == 4
    assert (THEIRS, PARENT[36:52]) in started.links
    # A reply that carries its command's trace is linked to the attempt as well.
    assert (THEIRS, attempts["pack"].id) in packed.links
    assert held.links == ((saga.trace, saga.id),)


async def _play(at: World, commands: Commands) -> dict[str, str]:
    """Start a saga by an event and answer its three commands; what each command's participant was told."""
    value = msgspec.json.encode({"order": "o-1", "items": [{"sku": "a"}]})
    await at.write(at.created, value, key=b"o-1", headers=(JSON, ("traceparent", PARENT.encode())))
    told: dict[str, str] = {}
    hold = await commands.next()
    told["hold"] = hold["traceparent"]
    await at.event(at.held, {"order": "o-1", "sku": "a", "place": "left"})
    for step in ("pack", "ship"):
        command = await commands.next()
        told[step] = command["traceparent"]
        trace: dict[str, Any] = {} if step == "ship" else {"traceparent": command["traceparent"].encode()}
        await _reply(at, step, trace)
    await at.intake.until(4)
    end = await at.amends.wait("o-1")
    assert end.status == "completed"
    return told


async def _reply(at: World, step: str, trace: dict[str, bytes]) -> None:
    headers = {**reply_headers("o-1", step), **trace}
    await at.write(at.replies, b"null", key=b"o-1", headers=[*headers.items()])


async def test_a_record_for_nobody_has_a_span_and_no_saga() -> None:
    with receiving() as receiver:
        async with world(traces=traces(receiver.url)) as at:
            await at.write(at.held, b"not json", key=b"o-1")
            await at.intake.until(1)
    (span,) = receiver.spans
    assert (span.kind, span.attributes["amends.outcome"], span.links) == ("consumer", "parked", ())
