"""What a saga looks like at a real OTLP receiver: one trace, a span for each attempt, the right parents, also later."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from amends import Orchestrator, memory, sqlite, traces, traces_through
from amends.core.effect import SendCommand, TraceContext
from amends.core.outcome import Accepted, Answer
from amends.ports import Binding, EventStore, StreamKey, Transport
from amends.ports.telemetry import DOING, Traces
from amends.wire import trace_parent
from tests.application.engine_world import until
from tests.application.shop import FULFIL, Order, Paid, Shop
from tests.telemetry.receiver import Receiver, Seen, receiving

THEIRS = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{THEIRS}-b7ad6b7169203331-01"


class Remote:
    """A transport to elsewhere: notes what it was to tell, and answers as the local one behind it."""

    def __init__(self, behind: Transport) -> None:
        self._behind = behind
        self.told: list[TraceContext | None] = []

    @property
    def binding(self) -> Binding:
        return Binding("http", "http://elsewhere")

    async def send(self, command: SendCommand) -> Answer | Accepted:
        self.told.append(command.trace() if command.trace else None)
        return await self._behind.send(command)

    async def close(self) -> None:
        await self._behind.close()


def amends(
    shop: Shop,
    to: Traces | None,
    *,
    store: EventStore | None = None,
    participants: dict[str, Transport] | None = None,
) -> Orchestrator:
    return Orchestrator(
        sagas=[FULFIL],
        store=store or memory(),
        participants=participants or shop.bindings(),
        traces=to,
    )


async def run(receiver: Receiver, shop: Shop) -> list[Seen]:
    """Run one saga from its start to its end; what was received when its orchestrator had closed."""
    async with amends(shop, traces(receiver.url, service_name="shop")) as orchestrator:
        await orchestrator.run(FULFIL, Order(), saga_id="order-1")
    return receiver.spans


async def test_one_trace_with_a_span_for_each_step() -> None:
    with receiving() as receiver:
        spans = await run(receiver, Shop())
    (whole,) = receiver.named("fulfil")
    steps = [span for span in spans if span is not whole]
    assert {span.trace for span in spans} == {whole.trace}
    assert (whole.parent, whole.kind, whole.failure) == ("", "internal", None)
    assert [(span.name, span.kind, span.parent) for span in steps] == [
        (name, "client", whole.id) for name in ("reserve", "pay", "ship")
    ]
    assert len({span.id for span in spans}) == 4
    assert all(whole.began <= span.began <= span.ended <= whole.ended for span in steps)
    assert whole.attributes["amends.status"] == "completed"
    assert receiver.resource["service.name"] == "shop"
    (pay,) = receiver.named("pay")
    assert pay.attributes == {
        "amends.saga": "fulfil",
        "amends.step": "pay",
        "amends.direction": "do",
        "amends.round": 1,
        "amends.attempt": 1,
        "amends.participant": "bank",
        "amends.outcome": "succeeded",
        "amends.saga_id": "order-1",
    }


async def test_a_refusal_and_what_it_undoes() -> None:
    shop = Shop()
    shop.refuse("pay", "declined")
    with receiving() as receiver:
        await run(receiver, shop)
    (whole,) = receiver.named("fulfil")
    (pay,) = receiver.named("pay", outcome="refused")
    (undo,) = receiver.named("reserve undo", direction="undo", outcome="succeeded")
    assert (pay.attributes["amends.code"], pay.failure) == ("declined", None)
    assert (whole.attributes["amends.status"], whole.notes) == ("compensated", ("RollbackBegun",))
    assert undo.began >= pay.ended


async def test_each_attempt_has_a_span_of_its_own() -> None:
    shop = Shop()
    tries = iter([RuntimeError("busy"), RuntimeError("busy still"), None])

    def pay(_command: SendCommand) -> object:
        if (error := next(tries)) is not None:
            raise error
        return Paid("p-1")

    shop.on("pay", pay)
    with receiving() as receiver:
        await run(receiver, shop)
    attempts = receiver.named("pay")
    assert [(span.attributes["amends.attempt"], span.attributes["amends.outcome"]) for span in attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    assert [span.failure is not None for span in attempts] == [True, True, False]
    assert "busy" in (attempts[0].failure or "")
    assert len({span.id for span in attempts}) == 3


async def test_the_starters_trace_goes_on_and_is_stored() -> None:
    store = memory()
    with receiving() as receiver:
        to = traces(receiver.url)
        async with amends(Shop(), to, store=store) as orchestrator:
            token = DOING.set(lambda: TraceContext(PARENT, "vendor=1"))
            await orchestrator.run(FULFIL, Order(), saga_id="theirs")
            DOING.reset(token)
            await orchestrator.run(FULFIL, Order(), saga_id="ours")
            first, other = [(await store.read(StreamKey("default", name)))[0] for name in ("theirs", "ours")]
    (whole,) = [span for span in receiver.named("fulfil") if span.attributes["amends.saga_id"] == "theirs"]
    assert (whole.trace, whole.parent, whole.state) == (THEIRS, "b7ad6b7169203331", "vendor=1")
    assert len(receiver.of_trace(THEIRS)) == 4
    assert msgspec.json.decode(first.body)[0]["trace"] == {"parent": PARENT, "state": "vendor=1"}
    # Whose trace follows from its identity, nothing is stored of it.
    assert "trace" not in msgspec.json.decode(other.body)[0]


async def test_an_instance_that_has_ended_is_still_known_to_be_of_its_starters_trace() -> None:
    with receiving() as receiver:
        async with amends(Shop(), traces(receiver.url)) as orchestrator:
            token = DOING.set(lambda: TraceContext(PARENT))
            await orchestrator.run(FULFIL, Order(), saga_id="theirs")
            DOING.reset(token)
            await orchestrator.run(FULFIL, Order(), saga_id="ours")
            known = [orchestrator.trace_id(name) for name in ("theirs", "ours", "nobodys")]
    (ours,) = [span for span in receiver.named("fulfil") if span.attributes["amends.saga_id"] == "ours"]
    assert known == [THEIRS, ours.trace, ""]


async def test_without_traces_nothing_is_stored_or_told() -> None:
    store, shop = memory(), Shop()
    remote = Remote(shop.bindings()["bank"])
    participants = {**shop.bindings(), "bank": remote}
    async with amends(shop, None, store=store, participants=participants) as orchestrator:
        token = DOING.set(lambda: TraceContext(PARENT))
        await orchestrator.run(FULFIL, Order(), saga_id="order-1")
        DOING.reset(token)
        (first, *_rest) = await store.read(StreamKey("default", "order-1"))
    assert b"trace" not in first.body
    assert remote.told == [None]


async def test_a_participant_is_told_the_span_of_its_attempt() -> None:
    shop = Shop()
    remote = Remote(shop.bindings()["bank"])
    with receiving() as receiver:
        participants = {**shop.bindings(), "bank": remote}
        async with amends(shop, traces(receiver.url), participants=participants) as orchestrator:
            await orchestrator.run(FULFIL, Order(), saga_id="order-1")
    (pay,) = receiver.named("pay")
    (told,) = remote.told
    assert told == TraceContext(f"00-{pay.trace}-{pay.id}-01")


@pytest.mark.parametrize("how", ["ratio", "starter"])
async def test_what_is_not_kept_costs_no_span_and_its_participants_are_told_so(how: str) -> None:
    shop = Shop()
    remote = Remote(shop.bindings()["bank"])
    starter = TraceContext(PARENT[:-1] + "0") if how == "starter" else None
    with receiving() as receiver:
        to = traces(receiver.url, ratio=0.0 if how == "ratio" else 1.0)
        participants = {**shop.bindings(), "bank": remote}
        async with amends(shop, to, participants=participants) as orchestrator:
            token = DOING.set(None if starter is None else lambda: starter)
            await orchestrator.run(FULFIL, Order(), saga_id="order-1")
            DOING.reset(token)
    (told,) = remote.told
    assert told is not None
    read = trace_parent.read(told.parent)
    assert read is not None
    assert not read.is_sampled
    assert receiver.requests == 0


async def test_a_share_is_kept_whole_and_the_same_every_time() -> None:
    kept: list[set[object]] = []
    for _time in range(2):
        with receiving() as receiver:
            async with amends(Shop(), traces(receiver.url, ratio=0.3)) as orchestrator:
                for number in range(200):
                    await orchestrator.run(FULFIL, Order(), saga_id=f"order-{number}")
        wholes = {span.attributes["amends.saga_id"] for span in receiver.named("fulfil")}
        assert len(receiver.spans) == 4 * len(wholes)
        kept.append(wholes)
    assert kept[0] == kept[1]
    assert 30 < len(kept[0]) < 90


async def test_after_a_restart_it_is_the_same_trace_and_its_span_begins_where_it_began(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sagas.db"
    shop = Shop()
    remote = Remote(shop.bindings()["bank"])
    participants = {**shop.bindings(), "bank": remote}
    never: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    shop.on("pay", lambda _command: never)
    with receiving() as receiver:
        async with amends(
            shop, traces(receiver.url), store=sqlite(path), participants=participants
        ) as orchestrator:
            token = DOING.set(lambda: TraceContext(PARENT))
            begun = await orchestrator.start(FULFIL, Order(), saga_id="order-1")
            DOING.reset(token)
            await until(lambda: len(remote.told) == 1, "the call that hangs")
        assert begun.status == "running"
        del shop.handlers["pay"]
        async with amends(
            shop, traces(receiver.url), store=sqlite(path), participants=participants
        ) as orchestrator:
            end = await orchestrator.wait("order-1")
            first = (await orchestrator.events("order-1"))[0]
    assert end.status == "completed"
    (whole,) = receiver.named("fulfil")
    assert {span.trace for span in receiver.spans} == {THEIRS}
    # The second process was told nothing of it: whoever worked for the first call works below the same span.
    assert remote.told[0] == remote.told[1]
    assert [span.name for span in receiver.spans].count("pay") == 1
    assert whole.began == round(first.time.timestamp() * 1_000_000) * 1_000
    assert whole.parent == "b7ad6b7169203331"


async def test_in_the_applications_own_pipeline_below_its_own_span() -> None:
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    async with amends(Shop(), traces_through(processor, resource=provider.resource)) as orchestrator:
        with provider.get_tracer("shop").start_as_current_span("checkout") as checkout:
            await orchestrator.run(FULFIL, Order(), saga_id="order-1")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"checkout", "fulfil", "reserve", "pay", "ship"}
    assert len({span.context.trace_id for span in spans.values() if span.context}) == 1
    above, whole = spans["fulfil"].parent, spans["fulfil"].context
    assert above is not None
    assert above.span_id == checkout.get_span_context().span_id
    assert whole is not None
    assert all(
        span.parent is not None and span.parent.span_id == whole.span_id
        for name, span in spans.items()
        if name in {"reserve", "pay", "ship"}
    )


async def test_a_saga_that_is_started_by_a_handler_does_not_hang_below_a_stranger() -> None:
    """What was current where the orchestrator was opened is not current where handlers run ever after."""
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    shop = Shop()
    orchestrator = amends(shop, traces_through(processor))

    async def reserve(command: SendCommand) -> object:
        if command.saga_id == "order-1":
            await orchestrator.start(FULFIL, Order(), saga_id="order-2")
        return None

    shop.on("reserve", reserve)
    async with AsyncExitStack() as stack:
        with provider.get_tracer("shop").start_as_current_span("startup") as startup:
            await stack.enter_async_context(orchestrator)
        await orchestrator.run(FULFIL, Order(), saga_id="order-1")
        await orchestrator.wait("order-2")
    of_second = [
        span.context.trace_id
        for span in exporter.get_finished_spans()
        if span.context and span.attributes and span.attributes.get("amends.saga_id") == "order-2"
    ]
    assert len(of_second) == 4
    assert startup.get_span_context().trace_id not in of_second
