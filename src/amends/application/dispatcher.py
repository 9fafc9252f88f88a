"""The dispatcher: takes durable commands to their participants, each through a lane of its own.

Rules: a lane has a bounded number of workers, so one slow participant never holds up sagas that do not need it (the
bulkhead of *Release It!*). A worker takes one command after the other; handlers that answer at once are served by one
worker without a detour through the event loop. What a transport answers goes back as it is; should it raise, that is an
attempt that failed.
It does not: retry, persist, or look at time. How many commands wait in a lane is bounded by how many instances are
live.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping

from amends.application.bindings import by_saga
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed
from amends.ports import Binding, Described, Transport
from amends.ports.transport import Troubled

log = logging.getLogger("amends.dispatcher")

Deliver = Callable[[SendCommand, Answer | Accepted], None]


class Lane:
    """The way to one participant."""

    def __init__(self, name: str, transport: Transport, *, width: int, deliver: Deliver) -> None:
        """Carry at most `width` commands at a time; `deliver` is told each answer."""
        self.name = name
        self._transport = transport
        self._width = width
        self._deliver = deliver
        self._queue: deque[SendCommand] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: dict[asyncio.Task[None], SendCommand | None] = {}
        self._checking = False
        self._stopping = False
        self._dropped: set[tuple[str, int]] = set()

    @property
    def waiting(self) -> int:
        """Return how many commands are not on their way yet."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Return how many commands are on their way."""
        return sum(command is not None for command in self._workers.values())

    @property
    def binding(self) -> Binding:
        """Return how the participant is bound."""
        if isinstance(self._transport, Described):
            return self._transport.binding
        return Binding(type(self._transport).__name__, "")

    @property
    def trouble(self) -> str:
        """Return what keeps commands from being sent just now, as far as the transport knows; empty when nothing."""
        return self._transport.trouble if isinstance(self._transport, Troubled) else ""

    def send(self, command: SendCommand) -> None:
        """Queue `command`."""
        if self._stopping:
            return
        self._queue.append(command)
        if not self._checking:
            # A worker that wakes does so in the next turn of the loop: what is sent until then is its work as well.
            self._check()

    def _check(self) -> None:
        """Put one more worker to work if something waits.

        Runs again after each suspension of a worker, so as many workers wake as are needed and no more.
        """
        self._checking = False
        if not self._queue:
            return
        while self._idle:
            wake = self._idle.popleft()
            if not wake.done():
                wake.set_result(None)
                self._check_later()
                return
        if len(self._workers) < self._width:
            task = asyncio.create_task(self._work(), name=f"amends-lane-{self.name}")
            self._workers[task] = None
            task.add_done_callback(self._gone)
            self._check_later()

    def _check_later(self) -> None:
        if not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check)

    def _gone(self, task: "asyncio.Task[None]") -> None:
        self._workers.pop(task, None)
        if self._queue:
            self._check_later()

    async def _work(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker runs as a task")
        while True:
            while self._queue:
                command = self._queue.popleft()
                if self._dropped and (command.command_id, command.attempt) in self._dropped:
                    self._dropped.discard((command.command_id, command.attempt))
                    continue
                self._workers[task] = command
                try:
                    answer = await self._transport.send(command)
                except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001  the saga must go on
                    answer = self._raised(command, error, task)
                self._workers[task] = None
                self._deliver(command, answer)
            # A call that would not be cancelled ends here when its lane was stopped meanwhile.
            if self._stopping:
                return
            wake = asyncio.get_running_loop().create_future()
            self._idle.append(wake)
            await wake

    def _raised(self, command: SendCommand, error: BaseException, task: "asyncio.Task[None]") -> Failed:
        """Return what a transport that raises comes to; a worker that is really cancelled ends."""
        if isinstance(error, asyncio.CancelledError) and task.cancelling():
            raise error
        log.warning("transport of %s raised for %s: %r", self.name, command.command_id, error)
        return Failed(f"{type(error).__name__}: {error}"[:200])

    def give_up(self, command_id: str, attempt: int) -> None:
        """Stop waiting for the answer to an attempt: its time is over and its place is needed."""
        for task, command in self._workers.items():
            if command is not None and command.command_id == command_id and command.attempt == attempt:
                task.cancel()
                return
        if any(queued.command_id == command_id and queued.attempt == attempt for queued in self._queue):
            self._dropped.add((command_id, attempt))

    async def stop(self) -> None:
        """Cancel what is on its way; it is outstanding and will be sent again by whoever opens the store next."""
        self._stopping = True
        self._queue.clear()
        workers = list(self._workers)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        try:
            await self._transport.close()
        except Exception:  # the other lanes and the store are still to be closed
            log.exception("transport of %s could not be closed", self.name)


class Dispatcher:
    """All lanes."""

    def __init__(self, transports: Mapping[str, Transport], *, width: int, deliver: Deliver) -> None:
        """Make a lane for every bound participant."""
        self._deliver = deliver
        self._lanes = {
            name: Lane(name, transport, width=width, deliver=deliver)
            for name, transport in transports.items()
        }
        self._own = by_saga(self._lanes)

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Return the lanes by the names of their bindings, for their counts."""
        return self._lanes

    def send(self, command: SendCommand) -> None:
        """Have `command` taken to its participant; one that is not bound is a fault of configuration."""
        lane = self._own.get(command.saga, self._lanes).get(command.participant)
        if lane is not None:
            lane.send(command)
            return
        reason = (
            f"participant {command.participant!r} is not bound; bind it in the orchestrator's participants"
        )
        asyncio.get_running_loop().call_soon(self._deliver, command, Failed(reason, "configuration"))

    def give_up(self, command: SendCommand) -> None:
        """Stop waiting for the answer to an attempt."""
        lane = self._own.get(command.saga, self._lanes).get(command.participant)
        if lane is not None:
            lane.give_up(command.command_id, command.attempt)

    async def stop(self) -> None:
        """Stop all lanes."""
        for lane in self._lanes.values():
            await lane.stop()
