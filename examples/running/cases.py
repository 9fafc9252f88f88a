"""The demo's input: what is asked for, how the services misbehave for it, and how its saga has to end.

Rules:
- One JSON object per line, `{"about", "given", "misbehave", "expect"}`; `given` is the example's own type. A line that
  is wrong is named.
- A case that names a service or a business status that the example does not have is wrong: it could never come true.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

import msgspec
from msgspec.structs import replace

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
    over_kafka: Expected | None = None
    """How it ends over Kafka, where that differs: an answer that comes late on a topic comes all the same."""

    def on(self, transport: str) -> Self:
        """The case as it is over this transport."""
        return replace(self, expect=self.over_kafka) if transport == "kafka" and self.over_kafka else self

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
    for expected in (case.expect, case.over_kafka):
        if business_statuses is None or expected is None or expected.business_status in business_statuses:
            continue
        known = ", ".join(sorted(business_statuses))
        message = f"no saga ends as {expected.business_status!r}; the business statuses are {known}"
        raise ValueError(message)
