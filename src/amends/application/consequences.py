"""What a decision leads to: once the store has answered its append, and not before, act on it.

Rules
- Persist, then act: commands go out, and callers are answered, when the append is durable.
- What was not stored leads to nothing here; the engine decides it again, or tells its caller.
- Nothing is sent any more once the engine stopped, or when another process goes on with the instance; callers are
  answered all the same, for it is durable.
It does not: decide, or store.
"""

from collections.abc import Callable

import msgspec

from amends.application.dispatcher import Dispatcher
from amends.application.errors import NotRunning
from amends.application.index_row import KEEP
from amends.application.instance import Ask, Instance
from amends.application.observer import Witness
from amends.application.timers import Timers
from amends.application.writer import Verdict
from amends.core.decision import Decision
from amends.ports import Append, SetIndex


class Consequences:
    """One per engine."""

    __slots__ = ("dispatcher", "go_on", "not_stored", "stopped", "timers", "witnesses")

    def __init__(
        self,
        dispatcher: Dispatcher,
        timers: Timers,
        *,
        go_on: Callable[[Instance], None],
        not_stored: Callable[[Instance, Ask, Verdict], None],
    ) -> None:
        """Send through `dispatcher`; `go_on` decides what waits, `not_stored` is told what came of the others."""
        not_open = "the orchestrator is not open; use `async with Orchestrator(...)`"
        self.stopped: Exception | None = NotRunning(not_open)
        """Why the engine does not run, if it does not."""
        self.dispatcher = dispatcher
        self.timers = timers
        self.go_on = go_on
        self.not_stored = not_stored
        self.witnesses: tuple[Witness, ...] = ()
        """Those who are told of each decision that is stored."""


class Underway(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A decision whose append is on its way."""

    consequences: Consequences
    instance: Instance
    ask: Ask
    decision: Decision
    append: Append

    def settled(self, verdict: Verdict) -> None:
        """The store has answered. If the facts are durable: now, and not before, act on them."""
        consequences, instance, ask = self.consequences, self.instance, self.ask
        instance.busy = False
        instance.asking = None
        if verdict is not True:
            consequences.not_stored(instance, ask, verdict)
            return
        decision, index = self.decision, self.append.index
        if consequences.witnesses:
            for witness in consequences.witnesses:
                witness.committed(instance, decision, self.append.transition.recorded_at)
        state = instance.state = decision.state
        if type(index) is SetIndex:
            instance.row = index
            consequences.timers.note(index.wake_at)
        elif index is not KEEP:
            instance.row = None
        if consequences.stopped is None and not instance.leaving:
            for command in decision.commands:
                consequences.dispatcher.send(instance, command)
        if ask.waiter is not None:
            ask.is_stored = True
            acknowledge(instance, ask)
        elif state.final or (instance.ended and state.stuck):
            acknowledge(instance, ask)
        if instance.queue or instance.leaving or not instance.in_flight:
            consequences.go_on(instance)


def acknowledge(instance: Instance, ask: Ask) -> None:
    """Tell who waits for what has come of `ask`, and those who wait for what the instance is now."""
    state, waiter = instance.state, ask.waiter
    if waiter is not None and not waiter.done():
        if ask.until is not None:
            instance.ended[waiter] = ask.until
        else:
            waiter.set_result(state)
    if state.final:
        # After the end nobody waits for an answer any more; a late one is still taken when it comes.
        instance.in_flight.clear()
    if instance.ended and (state.final or state.stuck):
        instance.tell()
