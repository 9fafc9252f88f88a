"""The entrance: where callers come in, with triggers, questions, and the wish to wait.

Rules
- A trigger is decided here when this process holds the instance, and sent to the one that does otherwise; the caller
  cannot tell.
- How many instances are live is bounded; who starts more waits, and beyond that bound is refused.
- Looking works anywhere: what is not in memory is folded from its stream.
It does not: decide, or store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from amends.application.beginnings import Beginnings
from amends.application.errors import SagaUnknown
from amends.application.handover import Handover
from amends.application.history import unknown
from amends.application.instance import Ask, Instance, Until, reached
from amends.application.live import Live
from amends.application.loader import Loader
from amends.application.registry import Registry
from amends.application.shards import Shards
from amends.application.watch import watched
from amends.core.plan import Plan
from amends.core.state import State, initial
from amends.core.trigger import Trigger
from amends.ports import StreamKey

Ended: TypeAlias = "asyncio.Future[State]"


class Entrance:
    """One per engine."""

    def __init__(
        self,
        *,
        live: Live,
        handover: Handover,
        shards: Shards,
        loader: Loader,
        registry: Registry,
        check_running: Callable[[], None],
        bring_in: Callable[[StreamKey], Instance],
        submit: Callable[[Instance, Ask], None],
    ) -> None:
        """Lead to the instances in `live`, and to those that `bring_in` takes there."""
        self._live = live
        self._room = live.room
        self._handover = handover
        self._shards = shards
        self._loader = loader
        self._registry = registry
        self._check_running = check_running
        self._bring_in = bring_in
        self._submit = submit
        self.beginnings: Beginnings | None = None
        """Where a start may still wait, on a shared store."""

    async def start(self, key: StreamKey, ask: Ask) -> State:
        """Start an instance as `ask` says, or find it running with the same data; wait for what its `until` names.

        Raises:
            SagaConflict: the id stands for something else.
            Overloaded: too many are in work and too many wait.
        """
        self._check_running()
        is_held = self._shards.holds(key)
        if is_held and not self._room.is_open() and key not in self._live:
            await self._room.enter(patient=ask.number is not None)
            self._check_running()
            is_held = self._shards.holds(key)
        waiter: Ended = asyncio.Future()
        ask.waiter = waiter
        if not is_held:
            self._room.let_in()
            self._handover.pass_on(key, ask)
            return await waiter
        instance = self._live.get(key)
        if instance is None:
            instance = Instance(key, None, initial(key.namespace, key.saga_id))
            self._live.add(instance)
        self._submit(instance, ask)
        try:
            return await waiter
        finally:
            if instance.ended:
                self._waits_no_more(instance, waiter)

    async def act(self, key: StreamKey, trigger: Trigger, expected: int | None = None) -> State:
        """Bring `trigger` to its instance and return the state once what follows is durable.

        Raises:
            ActRefused: the rules forbid it.
            SagaUnknown: there is no such instance.
            PositionMoved: it is not at the position that was `expected`.
        """
        return await self._bring(key, Ask(trigger, expected=expected))

    def submit(self, key: StreamKey, ask: Ask) -> bool:
        """Have `ask` decided and its waiter told; False, and nothing, when that cannot be done in this process now."""
        if not self._shards.holds(key):
            return False
        try:
            instance = self._bring_in(key)
        except Exception:  # noqa: BLE001  whatever stopped the engine, who asks the other way is told
            return False
        self._submit(instance, ask)
        return True

    async def compare(self, key: StreamKey, trigger: Trigger) -> tuple[State, State]:
        """As `act`; return also what the instance was: when it was decided, or when it was sent to its holder.

        Raises:
            SagaUnknown: there is no such instance, or this process, which asks another, does not have its definition.
        """
        ask = Ask(trigger)
        if not self._shards.holds(key):
            _plan, ask.before = await self.state(key)
        after = await self._bring(key, ask)
        return ask.before or after, after

    def taken(self, key: StreamKey, ask: Ask) -> Awaitable[State]:
        """Decide what came out of the inbox."""
        return self.start(key, ask) if ask.wanted is not None else self._bring(key, ask)

    async def state(self, key: StreamKey) -> tuple[Plan, State]:
        """Return an instance as it stands, with its definition.

        Raises:
            SagaUnknown: there is no such instance, or this process does not have its definition.
        """
        state = await self.look(key)
        return self._registry.plan_of(state), state

    def plan(self, state: State) -> Plan:
        """Return the definition that an instance runs on. Raises DefinitionUnknown: this process does not have it."""
        return self._registry.plan_of(state)

    async def look(self, key: StreamKey) -> State:
        """Return an instance as it stands, whether or not its definition is at hand.

        Raises:
            SagaUnknown: there is no such instance.
        """
        self._check_running()
        live = self._live.get(key)
        state = live.state if live is not None and live.state.position else await self._loader.fold(key)
        if not state.position:
            raise unknown(key)
        return state

    async def wait(self, key: StreamKey, until: Until) -> State:
        """Return the state at the instance's end, or what else `until` names. A start in the inbox is waited for.

        Raises:
            SagaUnknown: there is no such instance.
        """
        state = await self._look_or_wait(key)
        if reached(state, until):
            return state
        if not self._shards.holds(key):
            return await watched(self._loader, key, until)
        instance = self._bring_in(key)
        if reached(instance.state, until):
            return instance.state
        ended: Ended = asyncio.get_running_loop().create_future()
        instance.ended[ended] = until
        try:
            return await ended
        finally:
            self._waits_no_more(instance, ended)

    async def _look_or_wait(self, key: StreamKey) -> State:
        """Return an instance as it stands, once it has begun."""
        try:
            return await self.look(key)
        except SagaUnknown:
            if self.beginnings is None:
                raise
        return await self.beginnings.begun(key)

    async def _bring(self, key: StreamKey, ask: Ask) -> State:
        self._check_running()
        waiter: Ended = asyncio.get_running_loop().create_future()
        ask.waiter = waiter
        if self._shards.holds(key):
            self._submit(self._bring_in(key), ask)
        else:
            self._handover.pass_on(key, ask)
        return await waiter

    def _waits_no_more(self, instance: Instance, ended: Ended) -> None:
        if instance.ended.pop(ended, None) is not None:
            # Nobody told it: it gave up, and the instance may have stayed for its sake alone.
            self._live.leave(instance)
