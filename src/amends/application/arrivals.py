"""Arrivals: what comes in as records is brought to the instances that they are for, and parked when it is for nobody.

Rules
- Nothing is let go of before it is durable: a reply in its stream, a start in its, all else among the parked. What
  passes by itself (the store is away, there is no room) is raised, so that the record comes again; nothing else is, so
  no record blocks those behind it.
- A record for an instance that is not there *yet* waits among the parked, up to a time and a number, and is brought as
  soon as the log shows that the instance began. After that time a person decides.
- The parked store knows what waits; what this process remembers is refreshed from it, so that what another process put
  there, and did not live to bring, is brought by those that are left.
- A parked record can be replayed: it is read again, by the rules of now, and goes the same way as when it came.
It does not: consume, read records (an adapter's function does), or decide what a reply leads to.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from msgspec.structs import replace

from amends.application.entry_spans import ListenerSpan
from amends.application.errors import (
    ActRefused,
    DefinitionUnknown,
    NoSuchSaga,
    NotEncodable,
    NotRunning,
    Overloaded,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
)
from amends.application.follower import Followed, Listener
from amends.application.late_replies import record_event, record_reply, record_soon
from amends.application.orchestrator import Orchestrator
from amends.application.parking import Parking
from amends.ports import Clock, StoreError, StreamKey, Verdict
from amends.ports.intake import (
    CannotReadYet,
    Content,
    EventCame,
    Foreign,
    Outcome,
    OwnMessage,
    Read,
    Record,
    ReplyCame,
    StartCame,
    Unpack,
    Unreadable,
)
from amends.ports.parked import Parked, ParkedStore, parked_id
from amends.wire.excerpt import excerpt

__all__ = ["Arrivals", "CannotReadYet", "NotParked", "Parked"]

log = logging.getLogger("amends.arrivals")

T = TypeVar("T")

PASSING: Final = (StoreError, NotRunning, Overloaded, CannotReadYet)
"""What passes by itself, or ends with this process: the record comes again."""
WAITS: Final = timedelta(hours=1)
MOST_WAITING: Final = 10_000
NO_SAGA: Final = "no-saga"
DEFECT: Final = "defect"
LOOK: Final = 5.0
"""Seconds between two looks at what waits."""
PAGE: Final = 500


class NotParked(Exception):
    """There is no such record, or it is settled already."""


class _Nobody(Exception):
    """A record is for nobody, and why."""

    def __init__(self, code: str, reason: str, *, saga_id: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.saga_id = saga_id


class Arrivals:
    """Takes records for one orchestrator; `beginnings` follows the log, to know which instances have begun."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        read: Read,
        parked: ParkedStore,
        clock: Clock,
        waits: timedelta = WAITS,
        most_waiting: int = MOST_WAITING,
        unpack: Unpack | None = None,
    ) -> None:
        """Read records with `read`, after `unpack`; one for an instance that is not there waits for `waits`."""
        self._unpack = unpack
        self._orchestrator = orchestrator
        self._entrance = orchestrator.engine.entrance
        self._namespace = orchestrator.namespace
        self._is_simple = unpack is None and orchestrator.tracer is None
        """Whether a reply that is for an instance here needs nothing else."""
        self._read = read
        self._parked = parked
        self._parking = Parking(parked)
        self._clock = clock
        self._waits = waits
        self._most_waiting = most_waiting
        self._waiting: dict[str, set[str]] = {}
        self._begun: set[str] = set()
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()
        self._watch: asyncio.Task[None] | None = None
        self._beginnings = _Beginnings(self)

    @property
    def parked(self) -> ParkedStore:
        """What was parked."""
        return self._parked

    @property
    def outcomes(self) -> Mapping[tuple[str, Outcome], int]:
        """How many records came to what, by topic and outcome, since this process began."""
        return self._outcomes

    async def open(self) -> None:
        """Open the parked records and find those that wait."""
        await self._parked.open()
        async for each in self._all_waiting():
            self._waiting.setdefault(each.saga_id, set()).add(each.id)
        self._watch = asyncio.create_task(self._watch_time(), name="amends-arrivals")

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await self._parking.close()
        await self._parked.close()

    async def take(self, record: Record) -> Outcome:
        """Bring a record to whom it is for, or park it; return what became of it.

        Raises:
            StoreError, NotRunning, Overloaded, CannotReadYet: nothing became of it yet; it is to come again.
        """
        tracer = self._orchestrator.tracer
        if tracer is None:
            outcome, _saga_id = await self._taken(record)
        else:
            with ListenerSpan(tracer, record) as span:
                outcome, saga_id = await self._taken(record)
                span.came_to(outcome, StreamKey(self._namespace, saga_id) if saga_id else None)
        self._outcomes[record.topic, outcome] += 1
        return outcome

    def take_soon(self, record: Record, told: Callable[[Outcome | None], None]) -> bool:
        """Bring a reply to an instance of this process, which nearly all are, and call back when it is durable.

        False: it is not that simple, use `take`. `told` hears None when nothing became of it: use `take` as well.
        """
        if not self._is_simple:
            return False
        try:
            content = self._read(record)
        except Exception:  # noqa: BLE001  `take` parks it
            return False
        if type(content) is not ReplyCame or content.reply.namespace != self._namespace:
            return False
        heard = partial(self._heard, record.topic, told)
        return record_soon(self._entrance, content.reply, heard)

    def _heard(self, topic: str, told: Callable[[Outcome | None], None], verdict: Verdict | None) -> None:
        if verdict is None or verdict == "unknown":
            told(None)
        else:
            self._outcomes[topic, verdict] += 1
            told(verdict)

    async def _taken(self, record: Record) -> tuple[Outcome, str]:
        """Return what became of a record, and the instance that it is for."""
        saga_id = ""
        try:
            content = await _blamed(self._content(record))
            saga_id = _about(content)
            return await _blamed(self._bring(content)), saga_id
        except _Nobody as nobody:
            return await self._park(record, nobody), saga_id

    async def _brought(self, record: Record) -> Outcome:
        return await self._bring(await self._content(record))

    async def _content(self, record: Record) -> Content:
        if self._unpack is None:
            return self._read(record)
        unpacked = await self._unpack(record)
        return unpacked if isinstance(unpacked, Unreadable) else self._read(unpacked)

    async def _bring(self, content: Content) -> Outcome:
        match content:
            case OwnMessage():
                return "own"
            case Foreign():
                return "foreign"
            case Unreadable(code, reason, saga_id):
                raise _Nobody(code, reason, saga_id=saga_id)
            case ReplyCame(reply):
                if reply.namespace != self._namespace:
                    raise _Nobody("namespace", f"this service does not serve {reply.namespace[:100]!r}")
                return await self._answer(content, reply.saga_id)
            case EventCame():
                return await self._answer(content, content.saga_id)
            case StartCame():
                return await self._start(content)

    async def _answer(self, content: ReplyCame | EventCame, saga_id: str) -> Outcome:
        entrance, namespace = self._entrance, self._namespace
        try:
            if isinstance(content, ReplyCame):
                verdict = await record_reply(entrance, content.reply)
            else:
                verdict = await record_event(entrance, namespace, content)
        except DefinitionUnknown as error:
            raise _Nobody("no-definition", str(error), saga_id=saga_id) from error
        except SagaUnknown as error:
            raise _Nobody(NO_SAGA, f"there is no saga {saga_id!r} yet", saga_id=saga_id) from error
        except ActRefused as error:
            raise _Nobody(error.code, str(error), saga_id=saga_id) from error
        if verdict == "unknown":
            raise _Nobody(
                "unknown-command", f"saga {saga_id!r} has issued nothing that this answers", saga_id=saga_id
            )
        return verdict

    async def _start(self, start: StartCame) -> Outcome:
        try:
            begun = await self._orchestrator.begin(start.saga, start.data, saga_id=start.saga_id)
        except SagaConflict as error:
            raise _Nobody("conflict", str(error), saga_id=start.saga_id) from error
        except (ActRefused, SagaIdInvalid, NotEncodable, NoSuchSaga) as error:
            raise _Nobody("bad-start", str(error)[:200], saga_id=start.saga_id) from error
        return "recorded" if begun.is_new else "duplicate"

    # --- parking ---

    async def _park(self, record: Record, nobody: _Nobody) -> Outcome:
        made = self._made(record, nobody)
        try:
            is_new = await self._parking.put(made)
        except ValueError as error:
            # Its bytes can be kept; what was read of them cannot, and must not block the records behind it.
            why = f"{made.reason}; kept without what it says, for {error}"
            made = replace(made, saga_id="", reason=excerpt(why, limit=200), state="parked", until=None)
            is_new = await self._parking.put(made)
        if not is_new:
            return "duplicate"
        if made.state == "parked":
            self._parking.parked(made, defect=nobody if made.code == DEFECT else None)
            return "parked"
        self._waiting.setdefault(nobody.saga_id, set()).add(made.id)
        # It may have begun after it was looked for, and before anybody knew that something waits for it.
        return "recorded" if await self._is_there(nobody.saga_id) else "waiting"

    def _made(self, record: Record, nobody: _Nobody) -> Parked:
        waits = nobody.code == NO_SAGA and len(self._waiting) < self._most_waiting
        now = self._clock.now()
        return Parked(
            id=parked_id(record),
            record=record,
            namespace=self._namespace,
            saga_id=nobody.saga_id,
            code=nobody.code,
            reason=str(nobody),
            state="waiting" if waits else "parked",
            parked_at=now,
            until=now + self._waits if waits else None,
        )

    async def _is_there(self, saga_id: str) -> bool:
        try:
            await self._orchestrator.get(saga_id)
        except SagaUnknown:
            return False
        return await self._bring_waiting(saga_id)

    @property
    def beginnings(self) -> Listener:
        """What tells which instances have begun."""
        return self._beginnings

    async def look(self) -> None:
        """Bring what waits to those instances that are there by now."""
        for saga_id in list(self._waiting):
            await self._is_there(saga_id)

    async def began(self, piece: Sequence[Followed]) -> None:
        """Bring what waited to those instances that have begun."""
        if not self._waiting:
            return
        for followed in piece:
            key = followed.transition.key
            began = followed.transition.position == 1 and key.namespace == self._namespace
            if began and key.saga_id in self._waiting:
                await self._bring_waiting(key.saga_id)

    async def _bring_waiting(self, saga_id: str) -> bool:
        """Bring what waits to an instance that is there; tell whether that was done."""
        waiting = self._waiting.pop(saga_id, set())
        try:
            for each in sorted(waiting):
                found = await self._parked.get(each)
                if found is not None and found.state == "waiting":
                    await self._again(found, by="amends", note="the instance began")
        except PASSING as passing:
            self._waiting.setdefault(saga_id, set()).update(waiting)
            if not isinstance(passing, CannotReadYet):
                raise
            # Nobody behind it waits for that: it is tried again beside.
            self._begun.add(saga_id)
            return False
        return True

    async def _again(self, found: Parked, *, by: str, note: str) -> Outcome:
        """Read a parked record once more, and settle it by what it comes to now."""
        now = self._clock.now()
        try:
            outcome = await _blamed(self._brought(found.record))
        except _Nobody as nobody:
            if nobody.code == DEFECT:
                log.exception("a record of %s cannot be taken", found.record.topic)
            if found.state == "waiting" or nobody.code != found.code:
                await self._parked.settle(
                    found.id, "parked", by=by, note=f"{note}; {nobody}", at=now, code=nobody.code
                )
            return "parked"
        # Another process may have brought it at the same moment: it counts once.
        if await self._parked.settle(found.id, "replayed", by=by, note=note, at=now):
            self._outcomes[found.record.topic, outcome] += 1
        return outcome

    # --- what people do ---

    async def replay(self, wanted: str, *, by: str, reason: str) -> Outcome:
        """Take a parked record as if it came now; it stays parked when it is still for nobody.

        Raises:
            NotParked: there is none of this id that is not settled.
            CannotReadYet: it cannot be read now; it stays parked.
        """
        return await self._again(await self._open_one(wanted), by=by, note=reason)

    async def discard(self, wanted: str, *, by: str, reason: str) -> None:
        """Note that nothing is to become of a parked record.

        Raises:
            NotParked: there is none of this id that is not settled.
        """
        found = await self._open_one(wanted)
        await self._parked.settle(found.id, "discarded", by=by, note=reason, at=self._clock.now())
        self._forget({found.id})

    async def _open_one(self, wanted: str) -> Parked:
        found = await self._parked.get(wanted)
        if found is None:
            raise NotParked(f"no record {wanted[:100]!r} is parked")
        if found.state not in {"waiting", "parked"}:
            raise NotParked(f"the record was {found.state} by {found.by}: {found.note}")
        return found

    # --- time ---

    async def refresh(self) -> int:
        """Hold what is remembered against the parked store; return how many have waited for too long.

        Those go to a person. What this process did not know of, another one put there: it is looked whether its
        instance is there by now, and waited for otherwise.

        Raises:
            StoreError, NotRunning, Overloaded: not all was looked at; the next time does it.
        """
        now, expired = self._clock.now(), 0
        before, found = {each for ids in self._waiting.values() for each in ids}, set[str]()
        news: dict[str, None] = {}
        async for each in self._all_waiting():
            if each.until is None or each.until <= now:
                note = "no instance of this id began in time"
                expired += await self._parked.settle(each.id, "parked", by="amends", note=note, at=now)
                continue
            found.add(each.id)
            if each.id not in before:
                self._waiting.setdefault(each.saga_id, set()).add(each.id)
                news[each.saga_id] = None
        self._forget(before - found)
        for saga_id in news:
            await self._is_there(saga_id)
        return expired

    async def _all_waiting(self) -> AsyncIterator[Parked]:
        after = 0
        namespace = self._namespace
        while page := await self._parked.find(
            states=("waiting",), namespace=namespace, after=after, limit=PAGE
        ):
            for each in page:
                yield each
            after = page[-1].number

    def _forget(self, settled: Collection[str]) -> None:
        """Let go of what does not wait any more, whoever settled it."""
        if not settled:
            return
        left = {saga_id: ids.difference(settled) for saga_id, ids in self._waiting.items()}
        self._waiting = {saga_id: ids for saga_id, ids in left.items() if ids}

    async def _watch_time(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._parking.look()
            with suppress(*PASSING):
                await self._bring_begun()
            with suppress(*PASSING):
                await self.refresh()

    async def _bring_begun(self) -> None:
        """Bring what could not be brought when its instance began."""
        begun, self._begun = self._begun, set()
        for saga_id in begun:
            await self._bring_waiting(saga_id)


def _about(content: Content) -> str:
    """Return the id of the instance that a record is for, or seems to be about; empty when it names none."""
    match content:
        case ReplyCame(reply):
            return reply.saga_id
        case EventCame() | StartCame() | Unreadable():
            return content.saga_id
        case OwnMessage() | Foreign():
            return ""


async def _blamed(doing: Awaitable[T]) -> T:
    """Return what comes of it. What neither passes nor says itself that it is for nobody is a defect of this service:
    whatever it is, it must not block the records behind it.
    """
    try:
        return await doing
    except (*PASSING, _Nobody):
        raise
    except Exception as error:
        raise _Nobody(DEFECT, f"{type(error).__name__}: {error}"[:200]) from error


class _Beginnings:
    """Follows the log, for what waits."""

    name = "arrivals"

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def begin(self, end: int) -> int:
        """Follow from now on; what began before is found by looking."""
        await self._arrivals.look()
        return end

    async def take(self, piece: Sequence[Followed]) -> None:
        """Have brought what waited."""
        await self._arrivals.began(piece)
