"""Whatever is in a span, `opentelemetry-proto` reads the same of what is written."""

from collections.abc import Iterable

from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from amends.adapters.otel.encoding import Encoder
from amends.ports.telemetry import Link, Note, Span, SpanForm, SpanSubject

TEXT = st.text(max_size=300)
INSTANT = st.integers(0, (1 << 64) - 1)
VALUE = TEXT | st.integers(-(1 << 63), (1 << 63) - 1)
ATTRIBUTES = st.lists(st.tuples(st.text(min_size=1, max_size=40), VALUE), max_size=5).map(tuple)
TRACE, SPAN = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)
FORM = st.builds(
    SpanForm,
    name=TEXT,
    kind=st.sampled_from(["internal", "server", "client", "consumer"]),
    attributes=ATTRIBUTES,
)
SPANS = st.builds(
    Span,
    form=FORM,
    trace=TRACE,
    id=SPAN,
    parent=st.just(b"") | SPAN,
    state=TEXT,
    began=INSTANT,
    ended=INSTANT,
    about=st.none() | st.builds(SpanSubject, ATTRIBUTES),
    attributes=ATTRIBUTES,
    failure=st.none() | TEXT,
    links=st.lists(st.builds(Link, trace=TRACE, span=SPAN), max_size=3).map(tuple),
    notes=st.lists(st.builds(Note, name=TEXT, at=INSTANT, attributes=ATTRIBUTES), max_size=3).map(tuple),
)
KINDS = {"internal": 1, "server": 2, "client": 3, "consumer": 5}


def as_text(value: str) -> str:
    return value.encode(errors="replace").decode()


def told(attributes: Iterable[KeyValue]) -> list[tuple[str, object]]:
    return [
        (pair.key, pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value)
        for pair in attributes
    ]


def meant(attributes: tuple[tuple[str, str | int], ...]) -> list[tuple[str, object]]:
    return [(as_text(key), as_text(value) if isinstance(value, str) else value) for key, value in attributes]


@settings(max_examples=300, deadline=None)
@given(spans=st.lists(SPANS, max_size=5), resource=st.dictionaries(st.text(min_size=1), TEXT, max_size=3))
def test_what_is_written_is_read_the_same(spans: list[Span], resource: dict[str, str]) -> None:
    encoder = Encoder(resource, scope="amends", version="1")
    # Twice, because what is the same in several spans is written once.
    spans = [*spans, *spans]
    request = ExportTraceServiceRequest.FromString(encoder.body(b"".join(map(encoder.span, spans))))
    (whole,) = request.resource_spans
    (scope,) = whole.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("amends", "1")
    assert told(whole.resource.attributes) == meant(tuple(resource.items()))
    assert len(scope.spans) == len(spans)
    for read, span in zip(scope.spans, spans, strict=True):
        assert (read.trace_id, read.span_id, read.parent_span_id) == (span.trace, span.id, span.parent)
        assert (read.name, read.kind) == (as_text(span.form.name), KINDS[span.form.kind])
        assert (read.start_time_unix_nano, read.end_time_unix_nano) == (span.began, span.ended)
        assert read.trace_state == as_text(span.state)
        assert sorted(told(read.attributes), key=str) == sorted(
            meant((*span.form.attributes, *(span.about.attributes if span.about else ()), *span.attributes)),
            key=str,
        )
        assert (read.status.code == Status.STATUS_CODE_ERROR) == (span.failure is not None)
        assert read.status.message == as_text(span.failure or "")
        assert [(link.trace_id, link.span_id) for link in read.links] == [
            (x.trace, x.span) for x in span.links
        ]
        assert [(event.name, event.time_unix_nano, told(event.attributes)) for event in read.events] == [
            (as_text(note.name), note.at, meant(note.attributes)) for note in span.notes
        ]
        assert not read.flags
