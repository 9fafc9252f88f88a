"""The demo's input: what is asked for, how the services misbehave for it, and how its saga has to end.

Rules:
- One JSON object per line, `{"about", "given", "misbehave", "expect"}`; `given` is the example's own type. A line that
  is wrong is named.
- A case that names a service or a business status that the example does not have is wrong: it could never come true.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Generic, Literal, TypeVar

import msgspec

from examples.running.misbehaviour import How, Misbehave

G = TypeVar("G")


class Misbehaving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which service goes wrong, at which command, how."""

    service: str
    command: str
    how: How
    times: int = 1
    seconds: float = 0.0

    def at(self, instance: str) -> Misbehave:
        """What `POST /misbehave` of that service takes; `instance` is the business key of one case."""
        return Misbehave(
            command=self.command, instance=instance, how=self.how, times=self.times, seconds=self.seconds
        )


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the saga ends, for the engine and as its own business status ("" if it has none)."""

    status: Literal["completed", "compensated"]
    business_status: str = ""


class Case(msgspec.Struct, Generic[G], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One saga of the demo."""

    about: str
    given: G
    expect: Expected
    misbehave: tuple[Misbehaving, ...] = ()

    @property
    def is_completed(self) -> bool:
        """Whether its saga has to complete."""
        return self.expect.status == "completed"


def load_cases(
    path: Path,
    kind: type[Case[G]],
    *,
    services: Collection[str],
    business_statuses: Collection[str] | None = None,
) -> tuple[Case[G], ...]:
    """Read the cases; ValueError names the file and the line of the first that is wrong."""
    cases: list[Case[G]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            case = msgspec.json.decode(line, type=kind)
            _check(case, services, business_statuses)
        except ValueError as error:
            message = f"{path}:{number}: {error}"
            raise ValueError(message) from error
        cases.append(case)
    return tuple(cases)


def _check(case: Case[G], services: Collection[str], business_statuses: Collection[str] | None) -> None:
    for misbehaving in case.misbehave:
        if misbehaving.service not in services:
            message = f"there is no service {misbehaving.service!r}; there is {', '.join(services)}"
            raise ValueError(message)
    if business_statuses is not None and case.expect.business_status not in business_statuses:
        known = ", ".join(sorted(business_statuses))
        message = f"no saga ends as {case.expect.business_status!r}; the business statuses are {known}"
        raise ValueError(message)
