"""The small parts: what settings come to, which lines carry a trace, what a participant's handler sees."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from amends.delivery.api import logs
from amends.delivery.api.telemetry import attributes, traces
from amends.delivery.stores import NotServed
from amends.participant import Command
from amends.participant.tracing import traced
from amends.settings.kinds import url
from amends.settings.telemetry import Telemetry
from tests.telemetry.receiver import receiving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SOMEWHERE = url().read("http://127.0.0.1:4318")


def test_without_an_address_or_when_they_are_off_there_are_no_traces() -> None:
    assert traces(Telemetry()) is None
    assert traces(Telemetry(otlp_endpoint=SOMEWHERE, disabled=True)) is None
    assert traces(Telemetry(otlp_endpoint=SOMEWHERE)) is not None


def test_what_is_said_of_the_service_is_read_as_opentelemetry_writes_it() -> None:
    assert attributes("deployment.environment.name=test, team=a%20b,") == {
        "deployment.environment.name": "test",
        "team": "a b",
    }
    with pytest.raises(NotServed, match="NAME=VALUE"):
        traces(Telemetry(otlp_endpoint=SOMEWHERE, resource_attributes="nonsense"))


def test_the_bare_library_needs_nothing_of_opentelemetry() -> None:
    """A saga runs, and a trace is refused with the module that is missing, not at import."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import amends\n"
        "try:\n    amends.traces('http://127.0.0.1:1')\nexcept ImportError as error:\n    print(error.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith("opentelemetry"), done.stderr


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service's log says, as JSON, while a test runs."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    root.handlers[:] = [handler]
    yield stream
    root.handlers[:] = before


def test_a_line_about_an_instance_carries_its_trace(written: io.StringIO) -> None:
    known = {"order-1": "ab" * 16}
    logs.carry_traces(lambda saga_id: known.get(saga_id, ""))
    log = logging.getLogger("amends.engine")
    log.warning("one", extra={"saga": "order-1"})
    log.warning("two", extra={"saga": "order-2"})
    log.warning("three", extra={"saga": "order-1", "trace": "cd" * 16})
    log.warning("four")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line.get("saga"), line.get("trace")) for line in lines] == [
        ("order-1", "ab" * 16),
        ("order-2", None),
        ("order-1", "cd" * 16),
        (None, None),
    ]


def command(traceparent: str | None) -> Command:
    return Command(
        command_id="o-1/pay/do/1",
        namespace="default",
        saga_id="o-1",
        step="pay",
        direction="do",
        round=1,
        attempt=1,
        name="pay",
        payload=None,
        traceparent=traceparent,
    )


def current() -> SpanContext:
    return trace.get_current_span().get_span_context()


@pytest.mark.parametrize("parent", [PARENT, None, "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_handler_works_in_the_trace_of_its_command(parent: str | None) -> None:
    """Without an SDK the span is the command's own context, so what the handler calls is told of it."""
    with traced(command(parent), "server"):
        seen = f"{current().trace_id:032x}"
    assert seen == (PARENT[3:35] if parent == PARENT else "0" * 32)
    assert not current().is_valid


def test_a_span_that_is_current_already_is_not_left() -> None:
    own = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with trace.use_span(NonRecordingSpan(own)), traced(command(PARENT), "consumer"):
        assert current().trace_id == 7


def test_a_receiver_reads_only_what_is_otlp() -> None:
    """The tests' own receiver refuses what it cannot read: a span that it has is one that was written well."""
    with receiving() as receiver:
        assert receiver.take(b"\xff\xff\xff") == 400
