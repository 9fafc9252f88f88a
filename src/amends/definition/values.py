"""The static rules of single values: names, lengths of time, policies, functions, types, business statuses.

Rules: each check takes whatever stands there, of any type, and yields what is wrong with it; it never raises. Functions
are looked at, not called.
It does not: know where in a definition a value stands, or how values belong together (`lint`).
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypeGuard, get_args

import msgspec

from amends.definition import nodes as n
from amends.definition.policy import Backoff, RetryPolicy

Problems: TypeAlias = Iterator[tuple[str, str]]
"""Codes of `findings.RULES`, each with what exactly."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LONGEST = timedelta(days=3660)
MOST_ATTEMPTS = 10_000
LONGEST_STATUS = 100
SHOWN = 60


def shown(value: Any) -> str:
    """Return how `value` looks in a message: short, in one line, whatever its ``repr`` does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001  a user's __repr__ may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def is_int(value: Any) -> TypeGuard[int]:
    """Tell whether `value` is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_one_of(value: Any, *words: str) -> TypeGuard[str]:
    """Tell whether `value` is one of `words`."""
    return isinstance(value, str) and value in words


def is_table(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether `value` can be a table of transitions."""
    return isinstance(value, Mapping)


def is_row(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Tell whether `value` can be a row of that table; a list from code without a type checker will do."""
    return isinstance(value, (tuple, list))


def name(value: Any) -> Problems:
    """Names stand in command ids, headers and URLs."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        yield "AM010", f"the name {shown(value)} cannot be used"


def participant(value: Any) -> Problems:
    """A participant is a named value, not its name."""
    if isinstance(value, n.Participant):
        yield from name(value.name)
    else:
        yield "AM023", f"participant is {shown(value)}, not a Participant"


def version(value: Any) -> Problems:
    """Versions count from 1."""
    if not is_int(value) or value < 1:
        yield "AM017", f"version is {shown(value)}, not a whole number from 1"


def length(value: Any, what: str, *, at_least: timedelta = timedelta(microseconds=1)) -> Problems:
    """A length of time that can be waited for."""
    if not isinstance(value, timedelta):
        yield "AM023", f"{what} is {shown(value)}, not a timedelta"
    elif not at_least <= value <= LONGEST:
        least = "not negative" if not at_least else "more than nothing"
        yield "AM017", f"{what} is {value}; it must be {least} and at most {LONGEST.days} days"


def policy(value: Any, what: str) -> Problems:
    """Every field by itself, so that the message names the one to change."""
    if not isinstance(value, RetryPolicy):
        yield "AM023", f"{what} is {shown(value)}, not a RetryPolicy"
        return
    if not is_int(value.attempts) or not 1 <= value.attempts <= MOST_ATTEMPTS:
        yield (
            "AM017",
            f"{what}.attempts is {shown(value.attempts)}, not a whole number from 1 to {MOST_ATTEMPTS}",
        )
    wrong = [*length(value.first, f"{what}.first", at_least=timedelta(0)), *length(value.cap, f"{what}.cap")]
    yield from wrong
    if not wrong and value.first > value.cap:
        yield "AM017", f"{what}.first is {value.first}, longer than its cap of {value.cap}"
    if not _is_share(value.jitter):
        yield "AM017", f"{what}.jitter is {shown(value.jitter)}, not a share from 0 to 1"
    if not is_one_of(value.backoff, *get_args(Backoff)):
        yield "AM017", f"{what}.backoff is {shown(value.backoff)}, not one of {', '.join(get_args(Backoff))}"


def _is_share(value: Any) -> bool:
    return (is_int(value) or isinstance(value, float)) and 0 <= value <= 1


def kind(value: Any) -> Problems:
    """Where a step stands to the point of no return."""
    if not is_one_of(value, *get_args(n.Kind)):
        yield "AM023", f"kind is {shown(value)}, not 'pivot' or 'retriable'"


def reason(value: Any) -> Problems:
    """Why there is no undo: words that an operator reads."""
    if not isinstance(value, str):
        yield "AM023", f"no_undo is {shown(value)}, not a reason in words"
    elif not value.strip():
        yield "AM001", "no undo, and the reason is empty"
    else:
        yield "AM024", f"no undo ({value})"


def function(value: Any, what: str, *arguments: str) -> Problems:
    """An ordinary function that can be called with `arguments`."""
    if not callable(value):
        yield "AM023", f"{what} is {shown(value)}, not a function"
    elif inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004  callable above
        yield "AM026", f"{what} is async"
    elif not _takes(value, len(arguments)):
        yield "AM026", f"{what} cannot be called as {what}({', '.join(arguments)})"


def optional_function(value: Any, what: str, *arguments: str) -> Problems:
    """The same, where there need not be one."""
    if value is not None:
        yield from function(value, what, *arguments)


def _takes(callee: Callable[..., Any], count: int) -> bool:
    try:
        signature = inspect.signature(callee)
    except Exception:  # noqa: BLE001  a built-in without a signature, or a user's own __signature__
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def readable(of: Any, what: str) -> Problems:
    """A type that can be read back from JSON; None where what was said does not matter."""
    if of is None or hasattr(of, "model_validate_json"):
        return
    try:
        known = msgspec.inspect.type_info(of)
        msgspec.json.Decoder(of, dec_hook=_never)
    except Exception as error:  # noqa: BLE001  annotations may hide anything
        yield "AM025", f"{what} is {shown(of)}: {shown(str(error))}"
        return
    if isinstance(known, msgspec.inspect.CustomType):
        yield "AM025", f"{what} is {shown(of)}"


def _never(_of: Any, _plain: Any) -> Any:
    raise NotImplementedError


def data(of: Any) -> Problems:
    """The type of a saga's data; to have none is not possible."""
    if of is None or of is type(None):
        yield "AM023", "data is None, not a type"
    else:
        yield from readable(of, "data")


def status(value: Any, what: str) -> Problems:
    """A business status is a word of the user's own."""
    if value is None:
        return
    if not isinstance(value, str):
        yield "AM023", f"{what} is {shown(value)}, not a business status"
    elif not 0 < len(value) <= LONGEST_STATUS:
        yield "AM017", f"{what} is {shown(value)}; a business status has 1 to {LONGEST_STATUS} characters"


def statuses(value: Any) -> Problems:
    """The saga's own statuses and its table of transitions, each by itself."""
    if not isinstance(value, n.Statuses):
        yield "AM023", f"statuses is {shown(value)}, not Statuses"
        return
    for what in ("started", "completed", "compensating", "compensated", "cancelled"):
        yield from status(getattr(value, what), what)
    if value.transitions is not None:
        yield from _transitions(value.transitions)


def _transitions(table: Any) -> Problems:
    if not is_table(table):
        yield "AM023", f"transitions is {shown(table)}, not a mapping"
        return
    for before, after in table.items():
        yield from _listed(before)
        if is_row(after):
            for follower in after:
                yield from _listed(follower)
        else:
            yield "AM023", f"transitions of {shown(before)} is {shown(after)}, not a tuple of statuses"


def _listed(value: Any) -> Problems:
    yield from status("" if value is None else value, "a status in transitions")
