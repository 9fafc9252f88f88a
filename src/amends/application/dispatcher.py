"""The dispatcher: takes durable commands to their participants, each through a lane of its own.

Rules: what each binding serves is known at opening; a command whose participant has no binding is a fault of
configuration, and answered as one.
It does not: retry, persist, or look at time.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from amends.application.bindings import by_saga
from amends.application.gate import STANDARD, Gate, Protection
from amends.application.instance import Instance
from amends.application.lane import Lane, Ways
from amends.application.observer import Observer
from amends.application.own_index import OwnIndex
from amends.application.patience import Patience
from amends.application.releases import BringBack, Releases
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed
from amends.ports import Clock, Transport

Deliver = Callable[[SendCommand, Answer | Accepted], None]
POSTED: Final = 10
"""How many times as many commands are on their way at a time where they are posted."""


class Dispatcher:
    """All lanes, and who brings back what they set aside."""

    def __init__(
        self,
        transports: Mapping[str, Transport],
        *,
        width: int,
        most_live: int,
        clock: Clock,
        protections: Mapping[str, Protection],
        deliver: Deliver,
        set_aside: Callable[[SendCommand], None],
        bring_back: BringBack,
        index: OwnIndex,
        patience: Patience,
    ) -> None:
        """Make a lane for every bound participant, protected as `protections` say, by the names of bindings.

        What is posted takes no worker and no connection: more of it may be on its way, as long as the instances that it
        keeps in memory leave room for others.
        """
        self._deliver = deliver
        self._lanes: dict[str, Lane] = {}
        self.releases = Releases(self._lanes, index, patience, bring_back)
        ways = Ways(deliver=deliver, set_aside=set_aside, news=self.releases.note)
        most_posted = max(width, min(POSTED * width, most_live // (len(transports) + 1)))
        for name, transport in transports.items():
            protection = protections.get(name, protections.get("", STANDARD))
            self._lanes[name] = Lane(
                name,
                transport,
                width=min(width, protection.width or width),
                most_posted=protection.width or most_posted,
                gate=Gate(protection, clock),
                ways=ways,
            )
        self._own = by_saga(self._lanes)

    def observe(self, observers: tuple[Observer, ...], *, is_local: bool) -> None:
        """Have `observers` told of what is sent; of what is sent in this process only if `is_local`."""
        for lane in self._lanes.values():
            if is_local or lane.binding.kind != "local":
                lane.observers = observers

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Return the lanes by the names of their bindings, for their counts."""
        return self._lanes

    @property
    def posts(self) -> bool:
        """Tell whether all commands go without workers: then what was sent together is answered together, later."""
        return bool(self._lanes) and all(lane.posts for lane in self._lanes.values())

    def lane_of(self, command: SendCommand) -> Lane | None:
        """Return the lane that serves `command`."""
        return self._own.get(command.saga, self._lanes).get(command.participant)

    def send(self, instance: Instance, command: SendCommand) -> None:
        """Have a command of `instance` taken to its participant.

        It is in flight until it is answered, unless it was set aside. No binding is a fault of configuration.
        """
        lane = self._own.get(command.saga, self._lanes).get(command.participant)
        if lane is None:
            self._unbound(command)
        elif lane.observers:
            for observer in lane.observers:
                command = observer.sending(instance, command)
        if lane is None or lane.send(command):
            instance.in_flight[command.command_id] = command.attempt

    def resend(self, instance: Instance, now: datetime, lane: Lane | None = None) -> frozenset[str]:
        """Send what is outstanding and not in flight, in one lane or all; return the steps whose time is over."""
        overdue: set[str] = set()
        for command in instance.not_sent():
            if lane is None or self.lane_of(command) is lane:
                if command.due is not None and command.due <= now:
                    overdue.add(command.step)
                else:
                    self.send(instance, command)
        return frozenset(overdue)

    def _unbound(self, command: SendCommand) -> None:
        reason = (
            f"participant {command.participant!r} is not bound; bind it in the orchestrator's participants"
        )
        asyncio.get_running_loop().call_soon(self._deliver, command, Failed(reason, "configuration"))

    def give_up_late(self, instance: Instance, now: datetime) -> frozenset[str]:
        """Free the lanes of an instance's calls whose time is over.

        Return the steps whose command was not sent: their time stands still.
        """
        held: list[str] = []
        for command in instance.state.outstanding():
            if command.due is not None and command.due <= now:
                instance.landed(command)
                lane = self.lane_of(command)
                if lane is not None and not lane.give_up(command):
                    held.append(command.step)
        return frozenset(held)

    def make_room(self, most_live: int) -> None:
        """Let no lane keep more than its share of the instances in memory waiting: others cannot start."""
        if len(self._lanes) > 1:
            for lane in self._lanes.values():
                lane.shrink(most_live // (len(self._lanes) + 1))

    def start(self) -> None:
        """Begin to bring back what is set aside."""
        self.releases.start()

    async def stop(self) -> None:
        """Stop all lanes."""
        await self.releases.stop()
        for lane in self._lanes.values():
            await lane.stop()
