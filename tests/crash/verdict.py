"""How a campaign ends: what it found, for programs and for people.

Rules: the document goes to standard output, what people read to standard error; the exit code says whether all holds.
It does not: judge.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

MOST: Final = 40
"""Faults that are told one by one."""


def said(wrong: Sequence[str], document: Mapping[str, object] | None) -> int:
    """Print the document, if it is wanted, and what is wrong; return the exit code."""
    if document is not None:
        print(msgspec.json.encode(document).decode())
    print(f"wrong: {len(wrong)}", file=sys.stderr)
    for fault in wrong[:MOST]:
        print(f"  {fault}", file=sys.stderr)
    return 1 if wrong else 0
