"""What the demo knows of its sagas so far, and the document that it ends with.

Rules: the newest report of a saga replaces the one before; nothing here asks anybody. `ok` only when every saga ended
as its case expects and every check holds.

Does not do: show anything, or wait.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from examples.running.cases import Case
from examples.running.orchestrate import NotStarted, SagaSeen, StepSeen
from examples.running.verdict import Verdict

ENDS_AS_EXPECTED = "sagas-end-as-expected"
BUSY = frozenset({"doing", "retrying", "undoing", "undo-retrying"})
"""Phases of a step that goes on by itself."""
UNDOING = frozenset({"undoing", "undo-retrying"})


class SagaResult(msgspec.Struct, frozen=True, kw_only=True):
    """One saga in the document."""

    id: str
    status: str
    business_status: str
    steps: tuple[StepSeen, ...] = ()
    undone: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    sagas: tuple[SagaResult, ...]
    checks: Mapping[str, bool]
    ok: bool


@dataclass
class Progress:
    """The demo's cases, by the id of their sagas, and what has been heard of each."""

    cases: Mapping[str, Case[Any]]
    sagas: dict[str, SagaSeen] = field(default_factory=dict[str, SagaSeen])
    not_started: dict[str, str] = field(default_factory=dict[str, str])
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing goes on by itself any more: all have ended, or wait for a person."""

    def hear(self, report: SagaSeen | NotStarted) -> None:
        """Take notice."""
        if isinstance(report, NotStarted):
            self.not_started[report.id] = report.reason
        else:
            self.sagas[report.id] = report
        if all(self._rests(saga_id) for saga_id in self.cases):
            self.settled.set()

    @property
    def ended(self) -> int:
        """How many have come to their end."""
        return sum(saga.ended for saga in self.sagas.values()) + len(self.not_started)

    @property
    def all_ended(self) -> bool:
        return self.ended == len(self.cases)

    @property
    def in_work(self) -> list[SagaSeen]:
        """Those that are on their way, in the order of their ids."""
        return sorted((saga for saga in self.sagas.values() if not saga.ended), key=lambda saga: saga.id)

    def _rests(self, saga_id: str) -> bool:
        saga = self.sagas.get(saga_id)
        if saga is None:
            return saga_id in self.not_started
        return saga.ended or (saga.status == "stuck" and not any(step.phase in BUSY for step in saga.steps))

    def as_expected(self, saga_id: str) -> bool:
        """Whether this saga ended as its case says."""
        saga = self.sagas.get(saga_id)
        case = self.cases[saga_id]
        expected = (case.expect.status, case.expect.business_status)
        return saga is not None and (saga.status, saga.business_status) == expected

    def result(self, verdict: Verdict) -> Result:
        """The document."""
        checks = {
            ENDS_AS_EXPECTED: all(self.as_expected(saga_id) for saga_id in self.cases),
            **verdict.checks,
        }
        sagas = tuple(self._saga(saga_id) for saga_id in self.cases)
        return Result(sagas=sagas, checks=checks, ok=all(checks.values()))

    def _saga(self, saga_id: str) -> SagaResult:
        saga = self.sagas.get(saga_id)
        if saga is None:
            return SagaResult(id=saga_id, status="not-started", business_status="")
        return SagaResult(
            id=saga_id,
            status=saga.status,
            business_status=saga.business_status,
            steps=saga.steps,
            undone=saga.undone,
        )
