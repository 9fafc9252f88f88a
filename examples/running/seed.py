"""Reads a seed file: what the services of an example hold at first.

Rules: one JSON file for all services of an example; each takes its own part, once, when its database is new.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

S = TypeVar("S")


def load_seed(path: Path, kind: type[S]) -> S:
    """Read a seed file as this type; ValueError says what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"the seed {path} cannot be used: {error}"
        raise ValueError(message) from error
