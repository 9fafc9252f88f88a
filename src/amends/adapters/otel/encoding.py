"""Spans as OTLP says them: the protobuf messages of `opentelemetry-proto` 1, written directly.

Rules
- A span is a few fields, always in the same order, and what spans of one form share is written once. So one costs about
  1.5 µs; the SDK's exporter takes 40 (decision 0031). The tests read what is written here with `opentelemetry-proto`.
- Only what is written is known: nothing is ever read here.
It does not: send.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from amends.ports.telemetry import Attributes, Link, Note, Span, SpanForm, SpanKind, SpanSubject

MOST_FORMS: Final = 4_096
MOST_NAMES: Final = 256
"""Of attributes."""
SHORT: Final = 120
"""Bytes of an attribute's name and text whose lengths fit into seven bits each, with what stands between them."""

_KINDS: Final[Mapping[SpanKind, int]] = {"internal": 1, "server": 2, "client": 3, "consumer": 5}
_FAILED: Final = b"\x18\x02"
"""Field 3 of a status: error."""
_HEAD: Final = Struct("<2s16s2s8sBQBQ").pack
"""Fields 1, 2, 7 and 8 of a span: trace id, span id, begin and end."""
_CHILD: Final = Struct("<2s16s2s8sBQBQ2s8s").pack
"""The same and field 4: its parent."""
ATTRIBUTE: Final = b"\x4a"
"""Field 9 of a span."""
_INSTANT: Final = Struct("<BQ").pack
_INSTANT_SIZE: Final = 9
_VARINTS: Final = tuple(bytes((number,)) for number in range(128))


def _varint(number: int) -> bytes:
    if 0 <= number < 128:  # noqa: PLR2004  what fits into seven bits
        return _VARINTS[number]
    number &= (1 << 64) - 1
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004  as above
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_BEGINNINGS: Final = tuple(b"\x12" + _varint(size) for size in range(1_024))
"""Field 2 of what a scope says, a span, and how long it is."""


def _field(tag: bytes, content: bytes) -> bytes:
    """Return a field that has a length: bytes, a text, a message."""
    return tag + _varint(len(content)) + content


def _text(value: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair is replaced."""
    return value.encode(errors="replace")


@lru_cache(maxsize=MOST_NAMES)
def _key(name: str) -> bytes:
    """Return the first field of a `KeyValue`."""
    return _field(b"\x0a", _text(name))


@lru_cache(maxsize=MOST_NAMES)
def _before_texts(tag: bytes, name: str) -> tuple[bytes, ...]:
    """Return what stands before the text of a field that is a `KeyValue`, by the number of the text's bytes."""
    key = _key(name)
    return tuple(
        b"%b%c%b\x12%c\x0a%c" % (tag, len(key) + 4 + size, key, 2 + size, size)
        for size in range(SHORT - len(key))
    )


def _pairs(tag: bytes, attributes: Attributes) -> bytes:
    """Return a field for each attribute: a `KeyValue`."""
    written: list[bytes] = []
    for name, value in attributes:
        if isinstance(value, str):
            text = value.encode("utf-8", "replace")
            before = _before_texts(tag, name)
            written.append(before[len(text)] + text if len(text) < len(before) else _long(tag, name, text))
        else:
            number = _varint(value)
            key = _key(name)
            content = b"%b\x12%b\x18%b" % (key, _varint(1 + len(number)), number)
            written.append(_field(tag, content))
    return b"".join(written)


def _long(tag: bytes, name: str, text: bytes) -> bytes:
    size = _varint(len(text))
    return _field(tag, b"%b\x12%b\x0a%b%b" % (_key(name), _varint(1 + len(size) + len(text)), size, text))


class Encoder:
    """Spans of one service."""

    def __init__(self, resource: Mapping[str, str], *, scope: str, version: str) -> None:
        """`resource` says which service it is, `scope` and `version` what makes its spans."""
        described = _pairs(b"\x0a", tuple(resource.items()))
        named = _field(b"\x0a", _text(scope)) + _field(b"\x12", _text(version))
        self._resource = _field(b"\x0a", described)
        self._scope = _field(b"\x0a", named)
        self._forms: dict[SpanForm, bytes] = {}

    def body(self, spans: bytes | bytearray) -> bytes:
        """Return the body of a request with `spans`, each as `span` returned it, one behind the other."""
        told = b"\x12" + _varint(len(self._scope) + len(spans)) + self._scope
        size = len(self._resource) + len(told) + len(spans)
        return b"".join((b"\x0a", _varint(size), self._resource, told, spans))

    def span(self, span: Span) -> bytes:
        """Return one span, as a field of what is sent."""
        form = self._forms.get(span.form) or self._form(span.form)
        subject = span.about
        about = b"" if subject is None else subject.written or _written(subject)
        if span.parent:
            head = _CHILD(
                b"\x0a\x10",
                span.trace,
                b"\x12\x08",
                span.id,
                0x39,
                span.began,
                0x41,
                span.ended,
                b"\x22\x08",
                span.parent,
            )
        else:
            head = _HEAD(b"\x0a\x10", span.trace, b"\x12\x08", span.id, 0x39, span.began, 0x41, span.ended)
        own = (
            _own(span)
            if span.attributes or span.state or span.failure is not None or span.notes or span.links
            else b""
        )
        size = len(head) + len(form) + len(about) + len(own)
        beginning = _BEGINNINGS[size] if size < len(_BEGINNINGS) else b"\x12" + _varint(size)
        return b"".join((beginning, head, form, about, own))

    def _form(self, form: SpanForm) -> bytes:
        if len(self._forms) >= MOST_FORMS:
            self._forms.clear()
        kind = b"\x30" + _VARINTS[_KINDS[form.kind]]
        made = _field(b"\x2a", _text(form.name)) + kind + _pairs(ATTRIBUTE, form.attributes)
        self._forms[form] = made
        return made


def _written(subject: SpanSubject) -> bytes:
    """Return what spans say of their subject; it is written once."""
    subject.written = written = _pairs(ATTRIBUTE, subject.attributes)
    return written


def _own(span: Span) -> bytes:
    """Return what a span says that most do not."""
    written: list[bytes] = []
    if span.attributes:
        written.append(_pairs(ATTRIBUTE, span.attributes))
    if span.state:
        written.append(_field(b"\x1a", _text(span.state)))
    if span.failure is not None:
        written.append(_field(b"\x7a", _field(b"\x12", _text(span.failure)) + _FAILED))
    if span.notes:
        written += _events(span.notes)
    if span.links:
        written += _links(span.links)
    return written[0] if len(written) == 1 else b"".join(written)


def _events(notes: Sequence[Note]) -> list[bytes]:
    written: list[bytes] = []
    for note in notes:
        beginning, end = _event(note.name, note.attributes)
        written += (beginning, _INSTANT(0x09, note.at), end)
    return written


@lru_cache(maxsize=MOST_FORMS)
def _event(name: str, attributes: Attributes) -> tuple[bytes, bytes]:
    """Return what stands before and behind the instant of a note."""
    end = _field(b"\x12", _text(name)) + _pairs(b"\x1a", attributes)
    return b"\x5a" + _varint(_INSTANT_SIZE + len(end)), end


def _links(links: Sequence[Link]) -> list[bytes]:
    return [_field(b"\x6a", _field(b"\x0a", link.trace) + _field(b"\x12", link.span)) for link in links]
