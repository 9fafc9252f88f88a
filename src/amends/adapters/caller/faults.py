"""What is said when a deposit cannot be made.

Rules: an error of the driver stays what it is, for the application knows it; where Amends can say more, that is added
as a note. It does not: catch anything for good.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from amends.ports import NotInTransaction

_UNBUILT: Final = (
    "Amends: there is no store in schema {schema} of this database, or an older one: open the orchestrator there once, "
    "or name its schema."
)
_NOTES: Final = {
    "3F000": _UNBUILT,
    "42P01": _UNBUILT,
    "42703": _UNBUILT,
    "42501": (
        "Amends: the application's role needs GRANT USAGE ON SCHEMA {schema} and GRANT INSERT ON {schema}.inbox."
    ),
}


@contextmanager
def explained(schema: str) -> Generator[None]:
    """Add to an error of the server what is to be done about it, where that is known."""
    try:
        yield
    except Exception as error:
        cause: Any = getattr(error, "orig", None) or error
        if note := _NOTES.get(getattr(cause, "sqlstate", None) or ""):
            error.add_note(note.format(schema=schema))
        raise


def not_in_transaction(how: str) -> NotInTransaction:
    """Return the error for a connection that commits each statement by itself; `how` says what to do instead."""
    return NotInTransaction(
        f"the connection commits each statement by itself, so the saga would not hang on your change: {how}"
    )
