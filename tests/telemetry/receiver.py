"""A real OTLP receiver in this process: takes spans over HTTP and reads them with `opentelemetry-proto`.

Rules: it listens on loopback, in a thread of its own, until its block ends. `answer` is what it says to the next
requests; a body that is no OTLP gets 400, as a receiver should.
It does not: keep spans beyond the test.
"""

import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage, Status

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A span as it was received."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, object]
    failure: str | None
    links: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    state: str


@dataclass
class Receiver:
    """What was received."""

    port: int = 0
    answer: int = 200
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    resource: dict[str, object] = field(default_factory=dict[str, object])
    spans: list[Seen] = field(default_factory=list[Seen])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of_trace(self, trace: str) -> list[Seen]:
        return [span for span in self.spans if span.trace == trace]

    def named(self, name: str, **attributes: object) -> list[Seen]:
        """The spans of this name with these attributes; `_` stands for `.`, after `amends.`."""
        wanted = {f"amends.{key}": value for key, value in attributes.items()}
        return [
            span
            for span in self.spans
            if span.name == name and wanted.items() <= dict(span.attributes).items()
        ]

    def take(self, body: bytes) -> int:
        self.requests += 1
        if self.answer != 200:
            return self.answer
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except Exception:  # noqa: BLE001  whatever it is, it is no OTLP
            return 400
        for resource in request.resource_spans:
            self.resource = _plain(resource.resource.attributes)
            service = str(self.resource.get("service.name"))
            self.spans += [_seen(service, span) for scope in resource.scope_spans for span in scope.spans]
        return 200


def _seen(service: str, span: SpanMessage) -> Seen:
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
    return Seen(
        service=service,
        name=span.name,
        kind=KINDS[span.kind],
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        failure=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        notes=tuple(event.name for event in span.events),
        state=span.trace_state,
    )


def _plain(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {
        pair.key: pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value
        for pair in pairs
    }


@contextmanager
def receiving(port: int = 0) -> Generator[Receiver]:
    """A receiver on loopback, on a free port unless one is given."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            receiver.headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.take(body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
