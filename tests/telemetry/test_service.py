"""`amends serve` with its participants as processes of their own: one trace from the request to the last service.

Rules: the receiver is real; so are the services, with the kit and OpenTelemetry's SDK as any service has it.
"""

import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.running.example import example_named
from tests.delivery.api import serving as s
from tests.delivery.world import fleet, new, plain
from tests.telemetry.receiver import Receiver, Seen, receiving

TARGET = "examples.fulfilment.saga:ORDER_FULFILMENT"
THEIRS = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{THEIRS}-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "orchestrator")
        yield found


def order(saga_id: str) -> dict[str, object]:
    example = example_named("fulfilment")
    data = plain(example.data(example.load()[0].given)) | {"order_id": saga_id}
    return {"saga": example.saga.name, "id": saga_id, "data": data}


def below(spans: list[Seen], above: Seen) -> list[Seen]:
    return [span for span in spans if span.parent == above.id]


def answer(desk: str, saga_id: str) -> int:
    """Have the desk give the answer that it owes; what the service said to it."""
    connection = http.client.HTTPConnection(desk.removeprefix("http://"), timeout=s.PATIENCE)
    try:
        connection.request("POST", "/answer", json.dumps({"saga_id": saga_id}))
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def desk() -> Iterator[str]:
    with s.desk() as url:
        yield url


def test_one_trace_from_the_request_through_the_services_and_back(receiver: Receiver, tmp_path: Path) -> None:
    example = example_named("fulfilment")
    with fleet(tmp_path / "services", example) as services:
        lines = [f"  {name}: {services.commands(name)}" for name in example.services]
        lines += ["log:", "  format: json", "  requests: true"]
        config = s.configuration(tmp_path, desk="http://127.0.0.1:1", lines=lines)
        with s.serving(tmp_path, config=config, sagas=(TARGET,)) as running:
            saga_id = new("f")
            headers = {"traceparent": PARENT, "tracestate": "vendor=42"}
            found = running.ask("POST", "/v1/sagas?wait=20", order(saga_id), headers=headers)
            assert (found.status, found.json["status"]) == (201, "completed"), found.body
            assert running.stop() == 0
            log = [json.loads(line) for line in running.lines() if line.startswith("{")]
    spans = receiver.of_trace(THEIRS)
    (request,) = [span for span in spans if span.kind == "server" and span.service == "orchestrator"]
    assert (request.name, request.parent, request.state) == ("POST /v1/sagas", PARENT[36:52], "vendor=42")
    assert request.attributes["http.response.status_code"] == 201
    assert request.attributes["amends.saga_id"] == saga_id
    (saga,) = below(spans, request)
    assert saga.name == "order-fulfilment"
    attempts = below(spans, saga)
    assert len(attempts) == 3
    assert {span.kind for span in attempts} == {"client"}
    # Each service's own span hangs below the attempt that called it, within its time.
    for attempt in attempts:
        (handled,) = below(spans, attempt)
        assert (handled.kind, handled.attributes["amends.saga_id"]) == ("server", saga_id)
        assert handled.service not in {"orchestrator", "None"}
        assert attempt.began <= handled.began <= handled.ended <= attempt.ended
    assert len(spans) == 1 + 1 + 3 + 3
    (line,) = [each for each in log if "POST" in each["message"]]
    assert line["trace"] == THEIRS


def test_the_process_is_killed_and_the_trace_goes_on(receiver: Receiver, tmp_path: Path, desk: str) -> None:
    config = s.configuration(tmp_path, desk=desk)
    saga_id = new("e")
    document = {"saga": "errand", "id": saga_id, "data": {"name": saga_id, "prepare": "later"}}
    with s.serving(tmp_path, config=config) as running:
        begun = running.ask("POST", "/v1/sagas", document, headers={"traceparent": PARENT})
        assert begun.status == 201
        # Its span was sent; what the process had of the saga's own is lost with it.
        s.until(lambda: receiver.of_trace(THEIRS), "the span of the request")
        running.stop(signal.SIGKILL)
    assert [span.kind for span in receiver.spans] == ["server"]
    with s.serving(tmp_path, config=config) as running:
        told = {"by": "kim", "reason": "enough"}
        refused = running.ask("POST", f"/v1/sagas/{saga_id}/cancel", told)
        assert refused.status == 200, refused.body
        # The desk was asked again, by this process, and is told where this one listens.
        s.until(lambda: answer(desk, saga_id) == 200, "the desk's answer is taken")
        running.reached(saga_id, lambda saga: saga["status"] == "compensated")
        (first,) = running.ask("GET", f"/v1/sagas/{saga_id}/events").json["events"][:1]
        assert running.stop() == 0
    assert PARENT.startswith(first["trace"]["parent"][:36])
    spans = receiver.of_trace(THEIRS)
    (saga,) = [span for span in spans if span.name == "errand"]
    assert saga.attributes["amends.status"] == "compensated"
    assert {"CancelRequested", "RollbackBegun"} <= set(saga.notes)
    (prepare,) = [span for span in spans if span.name == "prepare"]
    (undo,) = [span for span in spans if span.name == "prepare undo"]
    assert {prepare.parent, undo.parent} == {saga.id}
    # The request of another is a trace of its own, linked to the saga.
    (cancel,) = [span for span in receiver.spans if span.name == "POST /v1/sagas/{id}/cancel"]
    assert cancel.trace != THEIRS
