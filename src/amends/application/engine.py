"""The engine: brings every trigger to its instance, has what the core decides stored, and only then acts.

Rules
- Persist, then act: commands go out, and callers are answered, when the append is durable.
- Recovery is the same code: an instance that is not in memory is folded from its stream, and what is outstanding is
  sent as if it had just been ordered. What is loaded later has nothing to send: it left memory because everything that
  it had sent was answered, or accepted for a later answer.
- A lost optimistic lock reloads the instance and decides again, alone.
- An instance that only waits leaves memory. How many are live is bounded; who starts more waits, and beyond that bound
  is refused.
- What goes wrong with one instance stays with it: its caller is told, its neighbours go on. One that this process
  cannot run is parked until the next opening, so that no timer asks for it in vain.
It does not: hold business rules, know time beyond its clock, or write by itself.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from amends.application.beginnings import Beginnings
from amends.application.consequences import Consequences, Underway, acknowledge
from amends.application.dispatcher import Dispatcher
from amends.application.doubts import NOTHING, Doubts
from amends.application.entrance import Ended, Entrance
from amends.application.errors import NotRunning, PositionMoved
from amends.application.gate import Protection
from amends.application.handover import Handover
from amends.application.inbox_row import Canonical, accepted
from amends.application.index_row import PARKED, change_with, corrected, is_early, moved
from amends.application.instance import Ask, Instance
from amends.application.lane import Lane
from amends.application.live import Live
from amends.application.loader import Loader
from amends.application.own_index import OwnIndex, SharedIndex, WholeIndex
from amends.application.recovery import Recovery
from amends.application.refusals import DEFECTS, not_loaded, report
from amends.application.registry import Registry
from amends.application.shards import Shards
from amends.application.sharing import Parts, Sharing
from amends.application.timers import Timers
from amends.application.writer import Verdict, Writer
from amends.core.decide import decide
from amends.core.decision import Decision
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Succeeded
from amends.core.state import initial
from amends.core.trigger import Recover, Reply, Tick
from amends.core.upcast import to_body
from amends.ports import (
    Append,
    Clock,
    EventStore,
    IndexChange,
    OpenInstance,
    SetIndex,
    SharedStore,
    StoreFenced,
    StreamKey,
    Transition,
    Transport,
)


class Engine:
    """The native engine of one process; it is opened once."""

    def __init__(
        self,
        *,
        registry: Registry,
        store: EventStore,
        transports: dict[str, Transport],
        clock: Clock,
        canonical: Canonical,
        most_live: int,
        most_waiting: int,
        lane_width: int,
        open_within: timedelta,
        protections: Mapping[str, Protection],
    ) -> None:
        """Join the roles; nothing runs before `open`."""
        self._registry = registry
        self._store = store
        self._clock = clock
        self._loader = Loader(store, registry, open_within=open_within)
        self.availability = self._loader.availability
        self._loading: set[asyncio.Task[None]] = set()
        self._is_opened = False
        self.shards = Shards(is_shared=isinstance(store, SharedStore))
        index = (
            SharedIndex(store, store, self.shards) if isinstance(store, SharedStore) else WholeIndex(store)
        )
        self._dispatcher = self._lanes(transports, (lane_width, most_live), protections, index)
        found = partial(self._answered, ask_with=partial(Ask, is_settled=True))
        self._doubts = Doubts(self._dispatcher, found)
        self._live = Live(
            most_live=most_live, most_waiting=most_waiting, make_room=self._dispatcher.make_room
        )
        self._writer = Writer(store, on_stop=self._fail, availability=self.availability, live=self._live)
        self._writer.in_halves &= not self._dispatcher.posts
        self._handover = Handover(self._live)
        self.timers = Timers(index, clock, due=self._due, on_stop=self._fail, availability=self.availability)
        self.consequences = Consequences(
            self._dispatcher, self.timers, go_on=self._work, not_stored=self._not_stored
        )
        self.recovery = Recovery(
            index,
            self._loader.patience,
            self._live.room,
            is_live=self._live.__contains__,
            bring_in=self._bring_in,
            due=self._due,
            on_stop=self._fail,
        )
        self.entrance = Entrance(
            live=self._live,
            handover=self._handover,
            shards=self.shards,
            loader=self._loader,
            registry=registry,
            check_running=self.check_running,
            bring_in=self._instance,
            submit=self._submit,
        )
        self.sharing = self._shared(store, canonical, most_waiting)

    def _lanes(
        self,
        transports: dict[str, Transport],
        bounds: tuple[int, int],
        protections: Mapping[str, Protection],
        index: OwnIndex,
    ) -> Dispatcher:
        width, most_live = bounds
        return Dispatcher(
            transports,
            width=width,
            most_live=most_live,
            clock=self._clock,
            protections=protections,
            deliver=self._answered,
            set_aside=self._set_aside,
            bring_back=self._bring_back,
            index=index,
            patience=self._loader.patience,
        )

    def _shared(self, store: EventStore, canonical: Canonical, most_waiting: int) -> Sharing | None:
        if not isinstance(store, SharedStore):
            return None
        self.entrance.beginnings = Beginnings(store, self._loader, check_running=self.check_running)
        return Sharing(
            store,
            Parts(self._live, self.shards, self._handover, self.recovery, self.timers, self._writer),
            take=self.entrance.taken,
            registry=self._registry,
            loader=self._loader,
            canonical=canonical,
            most_waiting=most_waiting,
        )

    @property
    def live(self) -> int:
        """Return how many instances are in memory."""
        return len(self._live)

    @property
    def waiting(self) -> int:
        """Return how many callers wait for room."""
        return self._live.room.waiting

    @property
    def recovering(self) -> bool:
        """Tell whether instances with outstanding commands are still being brought into memory."""
        return self.recovery.is_running

    @property
    def dispatcher(self) -> Dispatcher:
        """Return the ways to the participants, for their counts and for people."""
        return self._dispatcher

    @property
    def writer(self) -> Writer:
        """Return the writer, for its counts."""
        return self._writer

    async def open(self) -> None:
        """Open the store, begin to write, and send what is outstanding again, beside new work.

        Raises: what the loader raises when it opens.
        """
        if self._is_opened:
            raise NotRunning("an orchestrator is opened once; make a new one")
        await self._loader.open()
        self._is_opened = True
        self.consequences.stopped = None
        self._writer.start()
        self.timers.start()
        self._dispatcher.start()
        if self.sharing is None:
            self.recovery.begin()
            return
        try:
            await self.sharing.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop acting, write what was decided, let go of the store. What is outstanding goes on at the next open."""
        self.consequences.stopped = self.consequences.stopped or NotRunning("the orchestrator was closed")
        try:
            if self.sharing is not None:
                await self.sharing.stop()
            await self.recovery.stop()
            for task in self._loading:
                task.cancel()
            await asyncio.gather(*self._loading, return_exceptions=True)
            await self.timers.stop()
            await self._doubts.stop()
            await self._writer.stop()
            await self._dispatcher.stop()
        finally:
            self._live.release(self.consequences.stopped)
            await self._loader.close(self.consequences.stopped)

    def _fail(self, error: Exception) -> None:
        """The store cannot be used any more: nobody is acknowledged, nothing is looked at."""
        self.consequences.stopped = error
        self.timers.halt()
        self._live.release(error)

    # --- what comes in ---

    def check_running(self) -> None:
        """Raise what stopped the engine, if it does not run."""
        if self.consequences.stopped is not None:
            raise self.consequences.stopped.with_traceback(None)

    def _instance(self, key: StreamKey) -> Instance:
        """Return the live instance, bringing it into memory if it is not there."""
        self.check_running()
        instance = self._live.get(key)
        if instance is None:
            instance = Instance(key, None, initial(key.namespace, key.saga_id))
            self._live.add(instance)
            self._load(instance, resend=self.recovery.is_running)
        return instance

    def _bring_in(self, key: StreamKey) -> None:
        if self.shards.holds(key):
            self._instance(key)
        else:
            # Its shard went meanwhile: the place is free.
            self._live.room.let_in()

    def _submit(self, instance: Instance, ask: Ask) -> None:
        if self._live.resting:
            self._live.wake(instance)
        if instance.busy or instance.queue or instance.leaving or self.consequences.stopped is not None:
            instance.queue.append(ask)
        else:
            # Nothing else is to be done for it: the usual case needs no queue.
            self._take(instance, ask)
        if not instance.busy:
            self._work(instance)

    # --- decide, store, act ---

    def _work(self, instance: Instance) -> None:
        """Decide what waits for an instance until an append is on its way."""
        if instance.leaving and not instance.busy:
            self._handover.finish(instance)
            return
        while instance.queue and not instance.busy and self.consequences.stopped is None:
            self._take(instance, instance.queue.pop(0))
        if instance.busy:
            return
        if instance.ended and not instance.queue:
            instance.tell()
        self._live.leave(instance)

    def _take(self, instance: Instance, ask: Ask) -> None:
        """Decide one trigger and have what follows stored; when nothing comes of it, whoever sent it is told.

        A start is decided by the definition that it wants.
        """
        try:
            state = instance.state
            plan = ask.wanted or instance.plan or self._registry.plan_of(state)
            if ask.expected is not None:
                _check_position(instance, ask.expected)
            now, trigger, held = self._clock.now(), ask.trigger, NOTHING
            if is_tick := type(trigger) is Tick:
                instance.ticking = False
                held = self._dispatcher.give_up_late(instance, now)
                trigger = Tick(held)
            elif ask.lane is not None:
                trigger = Recover(self._dispatcher.resend(instance, now, ask.lane))
            if ask.waiter is not None:
                ask.before = state
            decision = decide(plan, state, trigger, now)
            if self._doubts.are_possible and (doubted := self._doubts.raised_by(state, decision, ask)):
                held |= doubted
                decision = decide(plan, state, Tick(held) if is_tick else Recover(NOTHING), now)
            if decision.events:
                if not state.position:
                    instance.plan = plan
                    ask.is_new = True
                elif is_tick:
                    self.timers.fired(state.wake_at, now)
                is_due = is_tick or held
                index = moved(decision.state, held) if is_due else change_with(instance, decision)
                self._store_decision(instance, ask, decision, index, now)
                return
            if is_tick and is_early(instance, now):
                # No timer was due although the row said so, and it has not moved meanwhile.
                self._reindex(instance, corrected(state, held))
            acknowledge(instance, ask)
        except DEFECTS as error:
            self._failed(instance, ask, error)

    def _failed(self, instance: Instance, ask: Ask, error: BaseException) -> None:
        """Nothing came of a trigger; whoever sent it is told."""
        report(instance.key.saga_id, ask, error)
        if type(ask.trigger) is Tick and not instance.busy:
            self._reindex(instance, PARKED)

    def _store_decision(
        self, instance: Instance, ask: Ask, decision: Decision, index: IndexChange, now: datetime
    ) -> None:
        transition = Transition(
            key=instance.key,
            position=instance.state.position + 1,
            events=len(decision.events),
            recorded_at=now,
            body=to_body(decision.events),
        )
        instance.busy = True
        instance.asking = ask.waiter
        handled = None
        if ask.number is not None:
            handled = accepted(ask.number, decision.state.position, is_new=ask.is_new)
        append = Append(transition, index, handled)
        self._writer.append(Underway(self.consequences, instance, ask, decision, append))

    def _not_stored(self, instance: Instance, ask: Ask, verdict: Verdict) -> None:
        if verdict is False:
            self._lost(instance, ask)
        elif isinstance(verdict, StoreFenced):
            instance.queue.insert(0, ask)
            self._work(instance)
        elif isinstance(verdict, ValueError):
            self._unstorable(instance, ask, verdict)

    def _unstorable(self, instance: Instance, ask: Ask, error: ValueError) -> None:
        """No store can keep what followed. From a reply that is an attempt that failed, whatever it is otherwise."""
        self._failed(instance, ask, error)
        match ask.trigger:
            case Reply(answer=Succeeded()) as reply:
                unreadable = Failed(f"the reply cannot be stored: {error}"[:200], "unreadable")
                self._submit(instance, Ask(replace(reply, answer=unreadable)))
            case _:
                self._work(instance)

    def _lost(self, instance: Instance, ask: Ask) -> None:
        """Somebody else wrote first: read what is there and decide again."""
        ask.is_new = False
        instance.queue.insert(0, ask)
        instance.row = None
        self._load(instance, resend=True)

    # --- what comes back ---

    def _answered(
        self, command: SendCommand, answer: Answer | Accepted, ask_with: Callable[[Reply], Ask] = Ask
    ) -> None:
        """A transport brought an answer, or a participant that was asked what became of its command."""
        instance = self._live.get((command.namespace, command.saga_id))
        if instance is not None:
            instance.landed(command)
            if type(answer) is not Succeeded and isinstance(answer, Accepted):  # the latter is slow to say no
                self._live.leave(instance)
                return
        elif isinstance(answer, Accepted) or self.consequences.stopped is not None:
            return
        reply = Reply(command.step, command.direction, command.round, command.attempt, answer)
        ask = ask_with(reply)
        if instance is not None:
            self._submit(instance, ask)
        elif self.shards.holds(key := StreamKey(command.namespace, command.saga_id)):
            self._submit(self._instance(key), ask)
        else:
            self._handover.pass_on(key, ask)

    def _set_aside(self, command: SendCommand) -> None:
        """A command that waited in memory does so outside from now on."""
        instance = self._live.get(StreamKey(command.namespace, command.saga_id))
        if instance is not None:
            # At once: its lane may want it back before it has left.
            instance.landed(command)
            # Later: this may be asked for while it is being decided.
            asyncio.get_running_loop().call_soon(self._live.leave, instance)

    def _bring_back(self, key: StreamKey, lane: Lane) -> Ended:
        """Have an instance send what was set aside of it; the future is done when that is so."""
        done: Ended = asyncio.get_running_loop().create_future()
        ask = Ask(Recover(), done, lane=lane)
        if self.shards.holds(key):
            self._submit(self._instance(key), ask)
        else:
            self._handover.pass_on(key, ask)
        return done

    def _due(self, row: OpenInstance) -> bool:
        """A timer may be due; tell whether that is news."""
        if self.consequences.stopped is not None or not self.shards.holds(row.key):
            return False
        instance = self._instance(row.key)
        if instance.ticking:
            return False
        instance.ticking = True
        self._submit(instance, Ask(Tick()))
        return True

    def _reindex(self, instance: Instance, change: SetIndex) -> None:
        """Correct the index row; until that is done the instance holds still, so that no newer row is overwritten."""

        def done() -> None:
            instance.busy = False
            instance.row = change
            self._work(instance)

        instance.busy = True
        self.timers.correct(instance.key, change, done)

    # --- from the store ---

    def _load(self, instance: Instance, *, resend: bool) -> None:
        instance.busy = True
        task = asyncio.create_task(self._loaded(instance, resend=resend))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _loaded(self, instance: Instance, *, resend: bool) -> None:
        """Fold an instance from its stream; send what is outstanding and not on its way; go on."""
        try:
            plan, state = await self._loader.load(instance.key)
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this instance alone
            self._unreadable(instance, error)
            return
        instance.busy = False
        instance.plan, instance.state = plan, state  # nothing, if it was archived meanwhile
        if resend and not (state.final or instance.leaving):  # noqa: SIM102  what is sent is no condition
            # What may not have arrived; an attempt whose time is over gets its full time first, as a fact.
            if self._dispatcher.resend(instance, self._clock.now()):
                instance.queue.insert(0, Ask(Recover()))
        self._work(instance)

    def _unreadable(self, instance: Instance, error: Exception) -> None:
        """This process cannot run the instance: whoever asked is told, and timers do not come for it again."""
        not_loaded(instance.key.saga_id, error)
        instance.busy = instance.ticking = False
        asks = [*instance.queue]
        instance.queue.clear()
        instance.refuse(asks, error)
        if any(type(ask.trigger) is Tick for ask in asks):
            self._reindex(instance, PARKED)
        if instance.leaving and not instance.busy:
            self._handover.finish(instance)
        else:
            self._live.leave(instance)


def _check_position(instance: Instance, expected: int) -> None:
    """Raise PositionMoved if the instance does not stand where it was seen."""
    if expected != instance.state.position:
        raise PositionMoved(instance.key.saga_id, expected, instance.state.position)
