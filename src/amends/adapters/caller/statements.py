"""The SQL of this adapter, with the store's schema in it, as each driver writes its parameters.

Rules: values reach PostgreSQL as bound parameters only. A schema cannot be bound, and the search path is the
application's, so its name is written into the statement, after it was held against the rule for a store's schema.
It does not: run anything.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Final

from amends.ports import Deposit

ORDER: Final = ("namespace", "saga_id", "kind", "body", "channel", "at_once")
"""The parameters by number, where a driver numbers them."""

LONGEST_CHANNEL: Final = 63
"""Bytes of a channel's name."""

_SCHEMA: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_PARAMETER: Final = re.compile(r":([a-z_]+)")
_NUMBERS: Final = {name: number for number, name in enumerate(ORDER, 1)}
_PUT: Final = (files("amends.adapters.caller") / "queries" / "put_in_inbox.sql").read_text(encoding="utf-8")


@cache
def put_in_inbox(schema: str) -> str:
    """Return the statement with ``:name`` for a parameter.

    Raises:
        ValueError: no store can have that schema.
    """
    if not _SCHEMA.fullmatch(schema):
        raise ValueError(
            f"schema {schema[:70]!r}: a store's is named with small letters, digits and _, at most 63 of them"
        )
    return "\n".join(line for line in _PUT.splitlines() if not line.startswith("--")).replace(
        "amends.inbox", f"{schema}.inbox"
    )


@cache
def put_in_inbox_percent(schema: str) -> bytes:
    """Return the statement with ``%(name)s`` for a parameter."""
    return _PARAMETER.sub(r"%(\1)s", put_in_inbox(schema)).encode()


@cache
def put_in_inbox_numbered(schema: str) -> str:
    """Return the statement with ``$1`` for a parameter, in the order of `ORDER`."""
    return _PARAMETER.sub(lambda match: f"${_NUMBERS[match[1]]}", put_in_inbox(schema))


def parameters(deposit: Deposit, schema: str) -> dict[str, object]:
    """Return what is bound, by name."""
    return {
        "namespace": deposit.namespace,
        "saga_id": deposit.saga_id,
        "kind": deposit.kind,
        "body": deposit.body.decode(),
        "channel": f"amends_{schema}"[:LONGEST_CHANNEL],
        "at_once": deposit.at_once,
    }
