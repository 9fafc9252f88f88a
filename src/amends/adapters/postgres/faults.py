"""PostgreSQL's and the driver's errors as the store errors of the port, each one sentence for an operator.

Rules
- What passes by itself becomes `StoreFull` or `StoreUnavailable`; what needs a person becomes one of the others.
- What the caller got wrong (a value that no store can keep) becomes `ValueError`: trying again would not help.
- A session that is lost leaves open whether what it was told was done; `is_lost` tells that from a plain refusal.
- No text holds the password: the address is shown without it, and the server never repeats it.
It does not: retry.
"""

from types import TracebackType
from typing import Final

from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, ServerError
from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

UNIQUE_VIOLATION: Final = "23505"
LOCK_NOT_AVAILABLE: Final = "55P03"
PASSING: Final = frozenset({"40P01", "40001"})
"""A deadlock, a serialization failure: the same statement again may go through at once."""

_DISK_FULL = "53100"
_READ_ONLY = frozenset({"25006", "42501"})
"""A session that may only read; a role without the right."""
_CALLERS_FAULTS = frozenset({"23514", "23502", "54000"})
"""A check, a value that is missing, an id too long for an index; and all of class 22: data that cannot be kept."""
_DAMAGED = frozenset({"XX001", "XX002"})
_OTHER_TABLES = frozenset({"42P01", "42703", "42P07", "42804", "42883"})
_NOT_THERE = frozenset({"42P01", "3F000"})
_LOST_CLASSES = ("08", "57P")


class AsStoreErrors:
    """Lets nothing of this technology leave its block but store errors; may be entered again and again."""

    __slots__ = ("_address",)

    def __init__(self, address: Address) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(fault, DRIVER_ERRORS):
            raise as_store_error(fault, self._address) from fault


def state_of(fault: BaseException) -> str:
    """Return the error's code in SQL; empty for one that did not come from a server."""
    return str(getattr(fault, "sqlstate", None) or "")


def is_lost(fault: BaseException) -> bool:
    """Whether the session is of no more use, so that what it was told may or may not have been done."""
    if isinstance(fault, ServerError):
        return state_of(fault).startswith(_LOST_CLASSES)
    return isinstance(fault, DRIVER_ERRORS) and not isinstance(fault, ValueError)


def not_there(fault: BaseException) -> bool:
    """Whether a table, or its schema, is not there."""
    return state_of(fault) in _NOT_THERE


def as_store_error(fault: Exception, address: Address) -> StoreError | ValueError:
    """Return what `fault` is in the words of the port."""
    match state_of(fault):
        case state if state == _DISK_FULL:
            return full(address)
        case state if state in _READ_ONLY:
            return read_only(address, told(fault))
        case state if state in _CALLERS_FAULTS or state.startswith("22"):
            return ValueError(f"{address} cannot keep what it was given: {told(fault)}")
        case state if state in _DAMAGED:
            return corrupt(address, f"it is damaged ({told(fault)})")
        case state if state in _OTHER_TABLES:
            return corrupt(address, f"its tables are not those of a store ({told(fault)})")
        case "" if isinstance(fault, ValueError):
            return ValueError(f"{address} cannot keep what it was given: {told(fault)}")
        case _:
            return unavailable(address, told(fault))


def full(address: Address) -> StoreFull:
    """No space left."""
    return StoreFull(
        f"There is no space left on the disk of {address}; nothing of the batch was written, make room and writing "
        "goes on by itself."
    )


def read_only(address: Address, why: str) -> StoreReadOnly:
    """No right to write."""
    return StoreReadOnly(
        f"{address} cannot be written to ({why}); name the primary server, and a user that may create and write there."
    )


def corrupt(address: Address, why: str) -> StoreCorrupt:
    """Not a store, or damaged; `why` says which."""
    return StoreCorrupt(
        f"{address} cannot be used as a store: {why}; name another database or schema, or restore it from a backup."
    )


def fenced(address: Address) -> StoreFenced:
    """Somebody else goes on with what this process held."""
    return StoreFenced(
        f"{address}: the lease of this process was over and others have taken its work over; nothing of the batch was "
        "written, it joins anew by itself."
    )


def unavailable(address: Address, why: str) -> StoreUnavailable:
    """It may pass by itself."""
    return StoreUnavailable(
        f"{address} does not answer now ({why}); nothing is known to be written, try again, and if it stays look at "
        "the server, its log and the way to it."
    )


def told(fault: BaseException) -> str:
    """Return what the fault says, in one line."""
    if isinstance(fault, TimeoutError):
        return "it took too long"
    return " ".join(str(fault).split()) or type(fault).__name__
