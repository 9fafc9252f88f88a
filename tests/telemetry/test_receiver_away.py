"""The receiver of spans is away, refuses, hangs: sagas go on, memory is bounded, and it is told once."""

import logging
import socket
import time

import pytest

from amends import Orchestrator, memory, traces
from amends.adapters.otel import otlp
from amends.adapters.otel.otlp import OtlpSpans
from amends.ports.telemetry import Span, SpanForm
from tests.application.engine_world import until
from tests.application.shop import FULFIL, Order, Shop
from tests.telemetry.receiver import receiving

FORM = SpanForm("pay", "client")


def span(number: int) -> Span:
    return Span(form=FORM, trace=bytes(15) + b"\1", id=number.to_bytes(8), began=1, ended=2)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "EVERY", 0.02)
    monkeypatch.setattr(otlp, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(otlp, "LONGEST_PAUSE", 0.05)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "amends.telemetry"]


async def test_sagas_go_on_while_nobody_takes_their_spans(caplog: pytest.LogCaptureFixture) -> None:
    to = traces(f"http://127.0.0.1:{free_port()}")
    async with Orchestrator(
        sagas=[FULFIL], store=memory(), participants=Shop().bindings(), traces=to
    ) as orchestrator:
        ends = [await orchestrator.run(FULFIL, Order(), saga_id=f"order-{n}") for n in range(100)]
        await until(lambda: lines(caplog), "the line that says so")
    assert {end.status for end in ends} == {"completed"}
    # One when it began, one at the end that says what was lost.
    assert len(lines(caplog)) == 2
    assert "sagas go on" in lines(caplog)[0]
    assert "400 spans were lost" in lines(caplog)[1]


async def test_what_was_kept_is_sent_when_the_receiver_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    sink = OtlpSpans(f"http://127.0.0.1:{port}", resource={"service.name": "shop"})
    await sink.open()
    for number in range(1, 51):
        sink.emit(span(number))
    await until(lambda: sink.trouble, "the outage")
    with receiving(port) as receiver:
        await until(lambda: len(receiver.spans) == 50, "what was kept")
        await sink.close()
    assert {seen.id for seen in receiver.spans} == {f"{number:016x}" for number in range(1, 51)}
    assert sink.lost == 0
    caplog.set_level(logging.WARNING)
    assert [text.split(" by ")[0] for text in lines(caplog)] == [
        "spans are not taken",
        "spans are taken again",
    ]


async def test_a_buffer_has_an_end() -> None:
    sink = OtlpSpans(f"http://127.0.0.1:{free_port()}", resource={}, most=1_000)
    await sink.open()
    for number in range(1, 100_001):
        sink.emit(span(number))
    assert sink.waiting == 1_000
    assert sink.lost == 99_000
    await sink.close()
    assert sink.lost == 100_000


async def test_many_go_in_several_requests_and_each_goes_once() -> None:
    count = 2 * otlp.BATCH + 7
    with receiving() as receiver:
        sink = OtlpSpans(receiver.url, resource={})
        for number in range(1, count + 1):
            sink.emit(span(number))
        assert sink.waiting == count
        await sink.open()
        await sink.close()
    assert [int(seen.id, 16) for seen in receiver.spans] == [*range(1, count + 1)]
    assert (receiver.requests, sink.waiting, sink.lost) == (3, 0, 0)


@pytest.mark.parametrize("status", [400, 401])
async def test_a_receiver_that_refuses_is_not_asked_to_take_the_same_again(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver:
        sink = OtlpSpans(receiver.url, resource={})
        await sink.open()
        receiver.answer = status
        sink.emit(span(1))
        await until(lambda: sink.lost == 1, "the refused span")
        receiver.answer = 200
        sink.emit(span(2))
        await until(lambda: len(receiver.spans) == 1, "the next one")
        await sink.close()
    assert [int(seen.id, 16) for seen in receiver.spans] == [2]
    assert len(lines(caplog)) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_is_busy_gets_the_same_again(status: int) -> None:
    with receiving() as receiver:
        receiver.answer = status
        sink = OtlpSpans(receiver.url, resource={})
        await sink.open()
        sink.emit(span(1))
        await until(lambda: receiver.requests >= 3, "tries")
        receiver.answer = 200
        await until(lambda: receiver.spans, "the span")
        await sink.close()
    assert sink.lost == 0


async def test_a_receiver_that_hangs_holds_up_nobody() -> None:
    """It takes connections and says nothing; closing waits for it for a bounded time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = traces(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        async with Orchestrator(
            sagas=[FULFIL], store=memory(), participants=Shop().bindings(), traces=to
        ) as orchestrator:
            end = await orchestrator.run(FULFIL, Order(), saga_id="order-1")
            ran = time.monotonic() - began
        closed = time.monotonic() - began
    assert end.status == "completed"
    assert ran < 2
    assert closed < otlp.LAST + 5


@pytest.mark.parametrize("address", ["collector:4318", "grpc://collector", "http://", "ftp://a"])
def test_an_address_that_cannot_be_used(address: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        traces(address)


async def test_headers_and_what_is_said_of_the_service() -> None:
    with receiving() as receiver:
        to = traces(
            receiver.url,
            service_name="shop",
            headers={"Api-Key": "k-1"},
            resource={"deployment.name": "test"},
        )
        async with Orchestrator(
            sagas=[FULFIL], store=memory(), participants=Shop().bindings(), traces=to
        ) as orchestrator:
            await orchestrator.run(FULFIL, Order(), saga_id="order-1")
    assert receiver.headers["api-key"] == "k-1"
    assert receiver.headers["content-type"] == "application/x-protobuf"
    assert receiver.resource == {"deployment.name": "test", "service.name": "shop"}
