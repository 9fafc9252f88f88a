"""The definitions at hand, to be shown; and whether open instances were begun on others of the same name and version.

Rules
- A definition that was changed without a new version is refused at opening as long as an instance that was begun on the
  old one is open: whatever such an instance did next could be wrong. Once all have ended it is accepted.
- The store notes fingerprint and shape of each definition, once for all its instances, before the first is begun. So
  open instances are looked at only when a fingerprint differs.
It does not: see into functions; one whose body changed under the same name has the same fingerprint.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any

import msgspec

from amends.application.errors import DefinitionChanged
from amends.core.event import SagaStarted
from amends.core.plan import Plan
from amends.core.upcast import UnknownEvent, from_body
from amends.definition import Saga
from amends.ports import DefinitionNote, EventStore, ReadsBeginnings, StreamKey, Transition


class DefinitionView(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a saga's definition."""

    name: str
    version: int
    fingerprint: str
    """Changes whenever the definition does, as far as that can be seen from outside its functions."""
    shape: Any
    """Its canonical form as plain JSON values."""
    participants: tuple[str, ...]
    saga: "Saga[Any]"


def definition_view(plan: Plan) -> DefinitionView:
    """Return what `plan` was compiled from."""
    return DefinitionView(
        name=plan.saga.name,
        version=plan.saga.version,
        fingerprint=plan.fingerprint,
        shape=msgspec.json.decode(plan.shape),
        participants=tuple(sorted(plan.participants)),
        saga=plan.saga,
    )


async def open_checked(store: EventStore, plans: Iterable[Plan]) -> None:
    """Open `store`, unless `plans` do not fit what is open there; then it is closed again.

    Raises:
        DefinitionChanged: one was changed without a new version while an instance of it is open.
        StoreError: the store cannot be used.
    """
    await store.open()
    try:
        await check_definitions(store, plans)
    except BaseException:
        await store.close()
        raise


async def check_definitions(store: EventStore, plans: Iterable[Plan]) -> None:
    """Compare `plans` with what open instances were begun on, and note them.

    Raises:
        DefinitionChanged: one was changed without a new version while an instance of it is open.
    """
    given = {(plan.saga.name, plan.saga.version): plan for plan in plans}
    wanted = {key: DefinitionNote(*key, plan.fingerprint, plan.shape) for key, plan in given.items()}
    noted = {(note.name, note.version): note for note in await store.definitions()}
    new = [key for key, note in wanted.items() if noted.get(key) != note]
    changed = {
        key: given[key] for key in new if key in noted and noted[key].fingerprint != given[key].fingerprint
    }
    if changed:
        async for key, started in _open_instances(store, {name for name, _version in changed}):
            plan = changed.get((started.saga, started.version))
            if plan is not None and plan.fingerprint != started.fingerprint:
                raise definition_changed(key.saga_id, started.fingerprint, plan)
    if new:
        await store.note_definitions([wanted[key] for key in new])


def definition_changed(saga_id: str, fingerprint: str, plan: Plan) -> DefinitionChanged:
    """Return the error for an instance that was begun on another definition than `plan`."""
    name, version = plan.saga.name, plan.saga.version
    return DefinitionChanged(
        f"saga {saga_id!r} is open and was begun on {name!r} version {version} with fingerprint {fingerprint}; the "
        f"definition of that version at hand has {plan.fingerprint}: give the changed definition a new version, and "
        f"keep the old one beside it until its instances have ended"
    )


async def _open_instances(
    store: EventStore, names: Collection[str]
) -> AsyncIterator[tuple[StreamKey, SagaStarted]]:
    """Yield how the open instances of these sagas began, and perhaps some others."""
    # A million of others may be open: what does not have a name in it need not be decoded.
    marks = [msgspec.json.encode(name) for name in names]
    after: StreamKey | None = None
    while page := await store.open_instances(after=after):
        after = page[-1].key
        for first in await _beginnings(store, [row.key for row in page]):
            if not any(mark in first.body for mark in marks):
                continue
            try:
                started = from_body(first.body)[0]
            except UnknownEvent:
                # It cannot be run by this version of Amends, which is said when it is loaded.
                continue
            if isinstance(started, SagaStarted):
                yield first.key, started


async def _beginnings(store: EventStore, keys: Sequence[StreamKey]) -> Sequence[Transition]:
    if isinstance(store, ReadsBeginnings):
        return await store.beginnings(keys)
    return [first for key in keys for first in await store.read(key, limit=1)]
