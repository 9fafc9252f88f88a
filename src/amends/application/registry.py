"""The definitions that this process knows, by name and version.

Rules: each is compiled once, and refused with its findings if it breaks a rule. An instance runs on the version that it
began on; a definition whose fingerprint changed under the same version is not used for it.
It does not: hold instances.
"""

from collections.abc import Iterable
from typing import Any

from amends.application.errors import DefinitionUnknown, SagaUnknown
from amends.core.codec import Codec
from amends.core.plan import Plan, compile_saga
from amends.core.state import State
from amends.definition import Saga


class DefinitionChanged(DefinitionUnknown):
    """An open instance was begun on another definition of the same name and version."""


class Registry:
    """Compiled definitions."""

    def __init__(self, sagas: "Iterable[Saga[Any]]", codec: Codec | None = None) -> None:
        """Compile `sagas`.

        Raises:
            DefinitionError: one breaks a rule.
            ValueError: two have the same name and version.
        """
        self._plans: dict[tuple[str, int], Plan] = {}
        for saga in sagas:
            if (saga.name, saga.version) in self._plans:
                raise ValueError(f"saga {saga.name!r} version {saga.version} is registered twice")
            self._plans[saga.name, saga.version] = compile_saga(saga, codec)

    @property
    def participants(self) -> frozenset[str]:
        """Return the names of all participants that some step needs."""
        return frozenset(name for plan in self._plans.values() for name in plan.participants)

    def plan(self, saga: "Saga[Any]") -> Plan:
        """Return the compiled form of a definition that was registered.

        Raises:
            SagaUnknown: it was not.
        """
        plan = self._plans.get((saga.name, saga.version))
        if plan is None or (plan.saga is not saga and plan.saga != saga):
            raise SagaUnknown(f"saga {saga.name!r} version {saga.version} was not given to this orchestrator")
        return plan

    def plan_of(self, state: State) -> Plan:
        """Return the definition that an instance was begun on.

        Raises:
            DefinitionUnknown: this process does not have it.
            DefinitionChanged: it has another one under the same name and version.
        """
        plan = self._plans.get((state.saga, state.version))
        if plan is None:
            known = ", ".join(f"{name} {version}" for name, version in sorted(self._plans)) or "none"
            raise DefinitionUnknown(
                f"saga {state.saga_id!r} runs on {state.saga!r} version {state.version}, which this process "
                f"does not have (it has: {known}); deploy that version beside the new one"
            )
        if plan.fingerprint != state.fingerprint:
            raise DefinitionChanged(
                f"saga {state.saga_id!r} began on {state.saga!r} version {state.version} with fingerprint "
                f"{state.fingerprint}, this process has {plan.fingerprint}: give the changed definition a new version"
            )
        return plan
