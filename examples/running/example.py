"""What makes one example: a value that the demo, the orchestrator's process and the tests are given.

    EXAMPLE = Example(name="order", noun="order", services=…, saga=ORDER, case=Case[Order], …)

Rules:
- It stands as `EXAMPLE` in `examples.NAME.demo`; the orchestrator's process finds it there by the name alone.
- `key` is the business key of what is given, and the id of its saga. The services know the same key.
- `check` and the sentences are functions of the services' `GET /state` documents, by the service's name.

Does not do: start anything.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from amends import Saga
from examples.running.cases import Case, load_cases
from examples.running.verdict import Verdict

D = TypeVar("D")
G = TypeVar("G")

States = Mapping[str, object]
"""What each service answered to `GET /state`."""


@dataclass(frozen=True, kw_only=True)
class Post:
    """A request that is made before a saga starts, for what has to exist before it."""

    service: str
    path: str
    body: msgspec.Struct


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Checks about one thing: "Stock does" NOT add up; `well` is the sentence when all of them hold."""

    subject: str
    checks: tuple[str, ...]
    well: Callable[[States], str]


@dataclass(frozen=True, kw_only=True)
class Telling:
    """A signal that somebody sends once the saga's business status is `at`; the same `signal_id` counts once."""

    at: str
    signal: str
    content: object
    signal_id: str


def nothing_before(_: object) -> tuple[Post, ...]:
    """Most sagas need nothing that exists before them."""
    return ()


def nothing_told(_: object) -> tuple[Telling, ...]:
    """Most sagas wait for no signal."""
    return ()


async def nothing_witnessed(_: Path) -> States:
    """Most verdicts need the services' documents alone."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Example(Generic[G, D]):
    """One example; `G` is what a case gives, `D` the saga's data.

    services    module by participant's name; each is started with `python -m`
    saga, data  the saga, and its data for what is given
    case        the type of a line of `cases` (`Case[Order]`), whose file this is
    before      what to POST to the services before the saga starts
    tells       the signals of a case, sent by the orchestrator's process
    kafka       the file that says on which topics all of it goes over Kafka, if it can
    witness     what the verdict needs beside the services' documents, from the sagas' store, which is closed by then
    """

    name: str
    noun: str
    services: Mapping[str, str]
    seed: Path
    cases: Path
    case: type[Case[G]]
    key: Callable[[G], str]
    saga: Saga[D]
    data: Callable[[G], D]
    check: Callable[[Sequence[Case[G]], States], Verdict]
    topics: tuple[Topic, ...]
    before: Callable[[G], Sequence[Post]] = nothing_before
    tells: Callable[[G], Sequence[Telling]] = nothing_told
    witness: Callable[[Path], Awaitable[States]] = nothing_witnessed
    kafka: Path | None = None

    def id_of(self, case: Case[G]) -> str:
        """The case's business key, which is its saga's id."""
        return self.key(case.given)

    def load(self, path: Path | None = None) -> tuple[Case[G], ...]:
        """Read the example's cases, or those of another file; ValueError names the line that is wrong."""
        return load_cases(
            path or self.cases,
            self.case,
            services=self.services,
            business_statuses=_business_statuses(self.saga),
        )


def _business_statuses(saga: Saga[Any]) -> frozenset[str] | None:
    """What the saga's table of transitions knows; None without one."""
    table = saga.statuses.transitions
    return None if table is None else frozenset(table).union(*table.values())


def example_named(name: str) -> Example[Any, Any]:
    """The example of this name, from its own module."""
    found: Example[Any, Any] = importlib.import_module(f"examples.{name}.demo").EXAMPLE
    return found
