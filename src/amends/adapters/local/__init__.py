"""Participants in this process: ordinary functions, for tests, laptops and services that live beside the orchestrator.

Rules: `LocalTransport` fills the transport port; a handler says no by raising `Refuse`.
It does not: talk to anybody outside the process.
"""

from amends.adapters.local.handlers import Handler
from amends.adapters.local.refuse import Refuse
from amends.adapters.local.transport import LocalTransport

__all__ = ["Handler", "LocalTransport", "Refuse"]
