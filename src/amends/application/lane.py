"""The lane: the way to one participant, with a gate before it.

Rules
- A bounded number of workers, so one slow participant never holds up sagas that do not need it (the bulkhead of
  *Release It!*). A worker takes one command after the other; handlers that answer at once are served by one worker
  without a detour through the event loop. What a transport answers goes back as it is; should it raise, that is an
  attempt that failed.
- A transport that can is handed what may go without a worker, all in the same turn of the loop: so it can carry them
  together. What nothing keeps is handed over at once, and never queued.
- What may not go yet waits: in the queue as long as it soon may, else it is set aside (`backlog.py`), so that its
  instance can leave memory. It comes back when the gate lets it (`releases.py`).
- An attempt that was not sent uses up nothing: whoever asks is told that its time stands still.
It does not: retry, persist, or look at time (the gate does).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from amends.application.backlog import Backlog
from amends.application.breakers import NOW, Permit
from amends.application.gate import Gate, Kind, Obstacle, kind_of
from amends.application.lane_queue import LaneQueue
from amends.application.observer import Observer
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed
from amends.ports import Binding, Described, StreamKey, Transport
from amends.ports.transport import Posts, Told, Troubled

log = logging.getLogger("amends.dispatcher")

AHEAD: Final = timedelta(seconds=2)
"""Commands are brought back for so long ahead, as far as the gate's pace is known."""
SILENT: Final = Failed("no answer in time", "timeout")


Post: TypeAlias = Callable[[SendCommand, Told], Callable[[], None]]
"""Begins to deliver a command that nobody waits for, and returns what gives it up."""


class Ways(NamedTuple):
    """Who is told what of a lane."""

    deliver: Callable[[SendCommand, Answer | Accepted], None]
    """Each answer."""
    set_aside: Callable[[SendCommand], None]
    """A command that was queued, and is not any more."""
    news: Callable[[], None]
    """When the lane may send again has changed."""


class Worker:
    """Who takes one command after the other."""

    __slots__ = ("command", "permit")

    def __init__(self) -> None:
        self.command: SendCommand | None = None
        """What it has on its way."""
        self.permit: Permit = 0
        """Of that command."""


class Posted:
    """What is on its way without a worker."""

    __slots__ = ("command", "give_up", "permit")

    def __init__(self, command: SendCommand, permit: Permit) -> None:
        self.command = command
        self.permit = permit
        self.give_up: Callable[[], None] = _nothing


class Lane:
    """The way to one participant."""

    def __init__(
        self, name: str, transport: Transport, *, width: int, most_posted: int, gate: Gate, ways: Ways
    ) -> None:
        """Carry at most `width` commands at a time; `most_posted` where the transport takes them without workers."""
        self.name = name
        self.observers: tuple[Observer, ...] = ()
        """Told of each command before it is queued here."""
        self.gate = gate
        self._breaker = gate.breaker
        self.backlog = Backlog()
        self.returning: set[StreamKey] = set()
        """The instances that are being brought back for this lane."""
        self._transport = transport
        self._context = copy_context()
        self._width = width
        self._most_posted = most_posted
        self._ways = ways
        self._deliver = ways.deliver
        self._queue = LaneQueue()
        self._blocked: dict[Kind, Obstacle] = {}
        """What is in the way of those that are queued, or was when the first of them came."""
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: dict[asyncio.Task[None], Worker] = {}
        self._post = transport.post if isinstance(transport, Posts) and transport.posts else None
        self._posted: set[Posted] = set()
        self._checking = False
        """Somebody is about to look what may go: a worker that wakes, or `_check`."""
        self._stopping = False

    @property
    def queued(self) -> int:
        """Return how many commands are in memory and not on their way yet."""
        return self._queue.length

    @property
    def waiting(self) -> int:
        """Return how many commands are not on their way yet, about."""
        return self._queue.length + self.backlog.size

    @property
    def in_flight(self) -> int:
        """Return how many commands are on their way."""
        return len(self._posted) + sum(worker.command is not None for worker in self._workers.values())

    @property
    def transport(self) -> Transport:
        """Return what talks to the participant."""
        return self._transport

    @property
    def posts(self) -> bool:
        """Tell whether commands go without workers."""
        return self._post is not None

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

    # --- what is to go ---

    def send(self, command: SendCommand) -> bool:
        """Queue `command`; return False when it was set aside instead."""
        if self._stopping:
            return True
        if self._post is not None and self._passes(command):
            self.gate.firsts["do"] += 1
            self._hand_over(self._post, command)
            return True
        if (self.backlog.size or not self._breaker.is_closed) and self._must_wait_outside():
            self._remember(command)
            return False
        self._queue.add(command)
        if self._blocked and (obstacle := self._blocked.get(kind_of(command))) is not None:
            self.gate.held[obstacle] += 1
        if not self._checking:
            # A worker that wakes does so in the next turn of the loop: what is sent until then is its work as well.
            self._check()
        return True

    def _passes(self, command: SendCommand) -> bool:
        """Tell whether a command is of the usual kind, and nothing waits, or is to be waited for, before it may go."""
        return (
            not (self._queue.length or self.backlog.size or self._blocked or self.gate.is_limited)
            and self._breaker.is_closed
            and len(self._posted) < self._most_posted
            and command.attempt == 1
            and command.direction == "do"
        )

    def _must_wait_outside(self) -> bool:
        """Tell whether a command that comes now is set aside."""
        if not self._breaker.is_closed and self.gate.is_shut(self._queue.length):
            self.gate.held["breaker"] += 1
            return True
        # Behind those who wait outside nobody is let in before them, beyond what keeps the workers busy.
        return self.backlog.size > 0 and self._queue.length >= self._width

    def _remember(self, command: SendCommand) -> None:
        self.backlog.add(StreamKey(command.namespace, command.saga_id), command.direction)
        self._ways.news()

    def _put_aside(self, number: int) -> None:
        for command in self._queue.take_last(number):
            self._remember(command)
            self._ways.set_aside(command)

    def open_by_hand(self) -> None:
        """Let nothing go until somebody closes the breaker."""
        self.gate.open_by_hand()
        self._put_aside(self._queue.length)

    def close_by_hand(self) -> None:
        """Let commands go again."""
        self.gate.close_by_hand()
        self._ways.news()

    def turned(self) -> None:
        """Take notice that the gate was turned, or something granted, elsewhere."""
        if self.gate.stage == "open":
            self._put_aside(self._queue.length)
        self._ways.news()
        self.check()

    def shrink(self, most: int) -> None:
        """Keep no more than `most` commands in memory besides those on their way: others need the room."""
        self._put_aside(self._queue.length - most)

    # --- workers ---

    def check(self) -> None:
        """Look whether something may go now that could not before."""
        if not self._stopping:
            self._check_later()

    def _check(self) -> None:
        """Put one more worker to work if something waits and may go.

        A worker that leaves something behind has this run again once it is suspended, so as many workers wake as are
        needed and no more.
        """
        self._checking = False
        if self._post is not None:
            self._post_all(self._post)
            return
        if not (self._queue.length and self._may_some_go()):
            return
        while self._idle:
            wake = self._idle.popleft()
            if not wake.done():
                wake.set_result(None)
                self._checking = True
                return
        if len(self._workers) < self._width:
            # Not in the context of whoever happened to send: what is current there is nothing of the next command.
            context, worker = self._context.copy(), Worker()
            task = asyncio.create_task(self._work(worker), name=f"amends-lane-{self.name}", context=context)
            self._workers[task] = worker
            task.add_done_callback(self._gone)
            self._checking = True

    def _check_later(self) -> None:
        if not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check)

    def _gone(self, task: "asyncio.Task[None]") -> None:
        self._workers.pop(task, None)
        # It may have been about to look, and ended before it could.
        self._checking = False
        if self._queue.length:
            self._check_later()

    def _may_some_go(self) -> bool:
        """Tell whether any of those that are queued may go."""
        if self._queue.first_dos and self.gate.is_free:
            return True
        if any(map(self._may_go, self._queue.kinds())):
            return True
        self._ways.news()
        return False

    def _may_go(self, kind: Kind) -> bool:
        obstacle = self.gate.obstacle(kind)
        if obstacle is None:
            return True
        if kind not in self._blocked:
            self._blocked[kind] = obstacle[0]
            self.gate.held[obstacle[0]] += self._queue.count(kind)
        return False

    def _begin(self, command: SendCommand) -> None:
        kind = kind_of(command)
        if self._blocked and not self._queue.count(kind):
            self._blocked.pop(kind, None)
        self.gate.begin(kind)

    def _next(self) -> SendCommand | None:
        """Return the next command that may go, and let it go; its permit is what the breaker gives now."""
        queue, dos = self._queue, self._queue.first_dos
        if not queue.length:
            return None
        # As `gate.is_free` says, without the call.
        if self._breaker.is_closed and not (self.gate.is_limited or self._blocked):  # noqa: SIM102
            if len(dos) == queue.length:
                self.gate.firsts["do"] += 1
                return queue.take_from(dos)
        command = queue.take(self._may_go)
        if command is not None:
            self._begin(command)
        return command

    async def _work(self, worker: Worker) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker runs as a task")
        while True:
            self._checking = False
            while (command := self._next()) is not None:
                worker.command, worker.permit = command, self._breaker.epoch
                if self._queue.length and not self._checking:
                    self._check_later()
                if self.backlog.size and self._queue.length < self._width:
                    self._ways.news()
                try:
                    answer = await self._transport.send(command)
                except (Exception, SystemExit, asyncio.CancelledError) as error:
                    if isinstance(error, asyncio.CancelledError) and task.cancelling():
                        raise
                    answer = self._raised(command, error)
                worker.command = None
                self._came(command, worker.permit, answer)
            # A call that would not be cancelled ends here when its lane was stopped meanwhile.
            if self._stopping:
                return
            if self.backlog.size or self._queue.length:
                self._ways.news()
            wake = asyncio.get_running_loop().create_future()
            self._idle.append(wake)
            await wake

    def _came(self, command: SendCommand, permit: Permit, answer: Answer | Accepted) -> None:
        """Take notice of what a call came to, and pass it on."""
        if type(answer) is Failed or not self._breaker.is_calm:
            self._settle(permit, command, answer)
        self._deliver(command, answer)

    def _raised(self, command: SendCommand, error: BaseException) -> Failed:
        """Return what a transport that raises comes to."""
        told = {"saga": command.saga_id}
        log.warning("transport of %s raised for %s: %r", self.name, command.command_id, error, extra=told)
        return Failed(f"{type(error).__name__}: {error}"[:200])

    def _settle(self, permit: Permit, command: SendCommand, answer: Answer | Accepted) -> None:
        """Tell the gate what a call came to; when that opened it, memory is for others."""
        closed = self._breaker.is_closed
        if self.gate.settle(permit, command.command_id, answer):
            self._opened(answer)
        elif not closed and not self._breaker.probing:
            self._ways.news()

    def _opened(self, answer: Answer | Accepted) -> None:
        reason = answer.reason if isinstance(answer, Failed) else ""
        log.warning("participant %s is not called for a while: %s", self.name, reason)
        self._put_aside(self._queue.length)
        self._ways.news()

    # --- without workers ---

    def _post_all(self, post: Post) -> None:
        """Hand over all that may go."""
        while self._queue.length and len(self._posted) < self._most_posted:
            command = self._next()
            if command is None:
                self._ways.news()
                break
            self._hand_over(post, command)
        if self.backlog.size and self._queue.length < self._width:
            self._ways.news()

    def _hand_over(self, post: Post, command: SendCommand) -> None:
        """Hand over a command that was let go."""
        posted = Posted(command, self._breaker.epoch)
        self._posted.add(posted)
        try:
            posted.give_up = post(command, partial(self._heard, posted))
        except Exception as error:  # noqa: BLE001  the saga must go on
            failed = self._raised(command, error)
            asyncio.get_running_loop().call_soon(self._heard, posted, failed)

    def _heard(self, posted: Posted, answer: Answer | Accepted) -> None:
        if posted not in self._posted:
            return
        self._posted.discard(posted)
        # What gives it up leads back to it: such a cycle would stay in memory until it is searched for.
        posted.give_up = _nothing
        self._came(posted.command, posted.permit, answer)
        # In the next turn: others that were on their way with it are heard of first.
        if self._queue.length or self.backlog.size:
            self.check()

    # --- what stands still ---

    def give_up(self, command: SendCommand) -> bool:
        """Stop waiting for the answer to an attempt whose time is over; its place is needed.

        Return False when the attempt was not sent: it waits, and its time stands still.
        """
        for task, worker in self._workers.items():
            if worker.command is not None and _same(worker.command, command):
                worker.command = None
                task.cancel()
                self._settle(worker.permit, command, SILENT)
                return True
        for posted in self._posted:
            if _same(posted.command, command):
                self._posted.discard(posted)
                posted.give_up()
                self._settle(posted.permit, command, SILENT)
                return True
        if self._queue.remove(command):
            self._remember(command)
            return False
        return not self._is_aside(command)

    def _is_aside(self, command: SendCommand) -> bool:
        """Tell whether an attempt that is not on its way may have been set aside.

        One that was accepted for a later answer counts as well while its participant is away: it is asked again.
        """
        key = StreamKey(command.namespace, command.saga_id)
        if self.gate.stage in ("open", "half-open"):
            self.backlog.add(key, command.direction)
        return key in self.backlog or key in self.returning or self.backlog.has_more

    # --- what comes back ---

    def wanted(self) -> int:
        """Return how many instances may come back now: enough to keep the workers busy, no more than the gate lets."""
        if (
            self._stopping
            or not self.backlog.size
            or self.gate.is_shut(self._queue.length + len(self.returning))
        ):
            return 0
        if not self.gate.breaker.is_closed and self.gate.stage == "half-open":
            return 1
        # No more than `send` lets in besides a backlog: who came back must not be sent away again.
        room = self._width
        pace = self.gate.pace
        if pace is not None:
            room = min(room, int(pace * AHEAD.total_seconds()) + 1)
        return max(0, room - self._queue.length - len(self.returning))

    def pause(self) -> timedelta | None:
        """Return how long it takes until this lane must be looked at again; None: not before news come."""
        if self._stopping or not (self._queue.length or self.backlog.size):
            return None
        kinds = self._queue.kinds() or ["do"]
        waits = [obstacle[1] for kind in kinds if (obstacle := self.gate.obstacle(kind)) is not None]
        return min(waits) if waits else NOW if self.wanted() else None

    async def stop(self) -> None:
        """Cancel what is on its way; it is outstanding and will be sent again by whoever opens the store next."""
        self._stopping = True
        self._queue = LaneQueue()
        workers = list(self._workers)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for posted in self._posted:
            posted.give_up()
        self._posted.clear()
        try:
            await self._transport.close()
        except Exception:  # the other lanes and the store are still to be closed
            log.exception("transport of %s could not be closed", self.name)


def _same(one: SendCommand, other: SendCommand) -> bool:
    return one.command_id == other.command_id and one.attempt == other.attempt


def _nothing() -> None:
    """Nothing is to be given up."""
