"""The definitions that this process knows, by name and version.

Rules: each is compiled once, and refused with its findings if it breaks a rule. An instance runs on the version that it
began on; a definition whose fingerprint changed under the same version is not used for it.
It does not: hold instances.
"""

import difflib
from collections.abc import Iterable
from typing import Any

from amends.application.definitions import definition_changed
from amends.application.errors import DefinitionUnknown, NoSuchSaga, SagaUnknown
from amends.core.codec import Codec
from amends.core.plan import LIBRARY, Defaults, Plan, compile_saga
from amends.core.state import State
from amends.definition import Saga


class Registry:
    """Compiled definitions."""

    def __init__(
        self, sagas: "Iterable[Saga[Any]]", codec: Codec | None = None, *, defaults: Defaults = LIBRARY
    ) -> None:
        """Compile `sagas`, with `defaults` where a step does not say.

        Raises:
            DefinitionError: one breaks a rule.
            ValueError: two have the same name and version.
        """
        self._plans: dict[tuple[str, int], Plan] = {}
        for saga in sagas:
            if (saga.name, saga.version) in self._plans:
                raise ValueError(f"saga {saga.name!r} version {saga.version} is registered twice")
            self._plans[saga.name, saga.version] = compile_saga(saga, codec, defaults=defaults)
        self._highest = dict(sorted(self._plans))
        """The highest version of each name."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Return all of them, by name and version."""
        return tuple(self._plans[key] for key in sorted(self._plans))

    def named(self, name: str, version: int | None = None) -> Plan:
        """Return the definition of that name: of that version, or of the highest.

        Raises:
            NoSuchSaga: there is none.
        """
        wanted = version if version is not None else self._highest.get(name, 0)
        plan = self._plans.get((name, wanted))
        if plan is None:
            versions = tuple(known for other, known in sorted(self._plans) if other == name)
            names = () if versions else tuple(self._highest)
            near = tuple(difflib.get_close_matches(name[:200], names, n=3, cutoff=0.5))
            raise NoSuchSaga(name, version, near, versions)
        return plan

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
            SagaUnknown: nothing was begun.
            DefinitionUnknown: this process does not have it.
            DefinitionChanged: it has another one under the same name and version.
        """
        if not state.position:
            raise SagaUnknown(f"there is no saga {state.saga_id!r} in namespace {state.namespace!r}")
        plan = self._plans.get((state.saga, state.version))
        if plan is None:
            known = ", ".join(f"{name} {version}" for name, version in sorted(self._plans)) or "none"
            raise DefinitionUnknown(
                f"saga {state.saga_id!r} runs on {state.saga!r} version {state.version}, which this process "
                f"does not have (it has: {known}); deploy that version beside the new one"
            )
        if plan.fingerprint != state.fingerprint:
            raise definition_changed(state.saga_id, state.fingerprint, plan)
        return plan

    def plan_at_hand(self, state: State) -> Plan | None:
        """Return the definition that an instance was begun on; None when this process does not have it."""
        plan = self._plans.get((state.saga, state.version))
        return plan if plan is not None and plan.fingerprint == state.fingerprint else None
