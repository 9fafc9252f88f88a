"""Who executes the commands and how they are reached, and what a bare client does on the same way.

Rules: who answers from outside is a process of its own, the same one for the engine and for the bare client.
`over_kafka` has the third way. It does not: measure the engine.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from amends.delivery.bench.bare import BareFigures
from amends.delivery.bench.point import Task
from amends.delivery.bench.processes import LOOPBACK, in_own_process, serving
from amends.delivery.bench.workload import ParticipantKind


class Beside(NamedTuple):
    """What is measured beside a point; 0 where there is no such thing."""

    bare: float = 0.0
    """Sagas a second of a bare client."""
    broker_in: float = 0.0
    """Records a second that the broker takes."""
    broker_out: float = 0.0
    """Records a second that it gives."""


class Counterpart(Protocol):
    """Where commands go."""

    @property
    def kind(self) -> ParticipantKind:
        """How they are reached."""
        ...

    def serving(self) -> AbstractContextManager[None]:
        """Have somebody answer, for the length of a `with` block."""
        ...

    def reached(self, task: Task) -> AbstractContextManager[Task]:
        """Complete a task by where its commands go."""
        ...

    def beside(self, task: Task, /) -> Beside:
        """Measure what others do on the same way."""
        ...


class InProcess:
    """Functions."""

    kind: ParticipantKind = "local"

    @contextmanager
    def serving(self) -> Generator[None]:
        """Nobody else is needed."""
        yield

    @contextmanager
    def reached(self, task: Task) -> Generator[Task]:
        """Nothing is to be added."""
        yield task

    def beside(self, _task: Task) -> Beside:
        """There is nothing to be bare of."""
        return Beside()


class OverHttp:
    """A server on loopback."""

    kind: ParticipantKind = "http"

    def __init__(self) -> None:
        self._url = ""

    @contextmanager
    def serving(self) -> Generator[None]:
        """Start the server."""
        with serving("responder") as port:
            self._url = LOOPBACK + port
            yield

    @contextmanager
    def reached(self, task: Task) -> Generator[Task]:
        """Name the server."""
        yield replace(task, url=f"{self._url}/{task.workload}")

    def beside(self, task: Task) -> Beside:
        """Measure a client that makes the same calls."""
        return Beside(in_own_process("bare", task, BareFigures).sagas_per_s)
