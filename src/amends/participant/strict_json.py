"""JSON as it must be: one reading, or none.

Rules: what is refused, and how that is told, is the same as at Amends' own doors (`amends.wire.strict_json`). It raises
ValueError, one line that says where or what.

Does not do: judge what the value means (the payload's type does that), limit its size (the door does that).
"""

from amends.wire.strict_json import BadJson, read_value


def parse(body: bytes) -> object:
    """The one value that the body holds."""
    try:
        return read_value(body)
    except BadJson as bad:
        message = f"the body is not acceptable JSON: {bad}"
        raise ValueError(message) from bad
