"""Which binding serves a participant: names in code, and their places in configuration.

Rules: a binding is named `PARTICIPANT`, or `SAGA/PARTICIPANT` for one saga alone, which wins. So two sagas may mean two
services by the same name; a saga's sub-sagas are bound as the saga itself.
It does not: hold transports.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from amends.core.plan import Plan

T = TypeVar("T")


def binding_of(saga: str, participant: str, bound: Collection[str]) -> str | None:
    """Return the name of the binding that serves `participant` for `saga`; None when there is none."""
    own = f"{saga}/{participant}"
    return own if own in bound else participant if participant in bound else None


def needed(
    plans: Iterable[Plan], bound: Collection[str]
) -> tuple[frozenset[str], Mapping[str, tuple[str, ...]]]:
    """Return the bindings that some step uses, and the participants without one, each with the sagas that need it."""
    used: set[str] = set()
    missing: dict[str, set[str]] = {}
    for plan in plans:
        for participant in plan.participants:
            name = binding_of(plan.saga.name, participant, bound)
            if name is None:
                missing.setdefault(participant, set()).add(plan.saga.name)
            else:
                used.add(name)
    return frozenset(used), {name: tuple(sorted(missing[name])) for name in sorted(missing)}


def by_saga(bound: Mapping[str, T]) -> Mapping[str, Mapping[str, T]]:
    """Return what serves each saga that has bindings of its own, by participant; the others are served by `bound`."""
    own = [(*name.rpartition("/")[::2], each) for name, each in bound.items() if "/" in name]
    found: dict[str, dict[str, T]] = {saga: dict(bound) for saga, _participant, _each in own}
    for saga, participant, each in own:
        found[saga][participant] = each
    return found
