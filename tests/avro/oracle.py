"""fastavro's own reading and writing, to hold ours against."""

import io
from typing import Any

import fastavro


def theirs(schema: Any, value: bytes) -> Any:
    """What fastavro reads, with logical types."""
    source = io.BytesIO(value)
    found = fastavro.schemaless_reader(source, fastavro.parse_schema(schema), None)
    assert source.tell() == len(value)
    return found


def written_by_them(schema: Any, datum: Any) -> bytes:
    """What fastavro writes."""
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(schema), datum)
    return target.getvalue()
