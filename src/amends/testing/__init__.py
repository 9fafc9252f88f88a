"""Public test material: what a user of Amends, or the builder of a new adapter, tests with.

    given         one saga, pure and synchronous, as its sequence diagram (`scenario`)
    harness       the real orchestrator on a `ManualClock`, with `FakeParticipant`s and an `EffectSpy`
    *_suite       a conformance suite per port, imported by its full name

Rules: free of any test runner; failures are AssertionErrors that say what happened. It does not: run in production, or
reach behind a port.
"""

from amends.testing.clock import ManualClock
from amends.testing.fakes import EffectSpy, FakeParticipant
from amends.testing.harness import Harness, harness
from amends.testing.scenario import Scenario, ScenarioFailed, Sent, given

__all__ = [
    "EffectSpy",
    "FakeParticipant",
    "Harness",
    "ManualClock",
    "Scenario",
    "ScenarioFailed",
    "Sent",
    "given",
    "harness",
]
