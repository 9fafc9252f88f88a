"""The sender: brings triggers to the process that holds their instance, and tells who waits what became of them.

Rules
- What is sent is durable before anything is waited for; several rows go in one transaction. A row has its number before
  it is put, and its answer stays until it is known to be put; so putting it again after a lost connection puts it once.
- An answer is looked for when somebody calls, and twice a second in any case.
- Many may wait, and no more than a limit: beyond it the caller is refused. What nobody waits for is always sent.
It does not: decide, or know who holds what.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from amends.application.errors import AmendsError, NotRunning, Overloaded
from amends.application.handover import told
from amends.application.inbox_row import read_answer, row_of
from amends.application.instance import Ask, Awaits, Until, refuse
from amends.application.loader import Loader
from amends.application.patience import longer
from amends.application.watch import watched
from amends.ports import InboxRow, SharedStore, StoreFull, StreamKey

log = logging.getLogger("amends.inbox")

T = TypeVar("T")

POLL: Final = 0.5
LARGEST_BATCH: Final = 500


class Sent(NamedTuple):
    """A trigger on its way."""

    key: StreamKey
    ask: Ask


class Sender:
    """One per engine on a shared store."""

    def __init__(self, store: SharedStore, loader: Loader, *, most_waiting: int) -> None:
        """Send through the inbox of `store`; up to `most_waiting` callers may wait."""
        self._store = store
        self._loader = loader
        self._most_waiting = most_waiting
        self._outgoing: list[Sent] = []
        self._awaited: dict[int, Sent] = {}
        self._posting = asyncio.Event()
        self._answered = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: Exception | None = None

    @property
    def waiting(self) -> int:
        """Return how many triggers are on their way, or wait for their answer."""
        return len(self._outgoing) + len(self._awaited)

    def start(self) -> None:
        """Begin to send."""
        self._spawn(self._post())
        self._spawn(self._listen())

    def send(self, key: StreamKey, ask: Ask) -> None:
        """Have `ask` decided where its instance is; its waiter is told as if it had been decided here."""
        if self._stopped is not None:
            refuse(ask.waiter, self._stopped)
        elif ask.waiter is not None and self.waiting >= self._most_waiting:
            text = f"{self.waiting} triggers are on their way to other processes; try again later"
            refuse(ask.waiter, Overloaded(text))
        else:
            self._outgoing.append(Sent(key, ask))
            self._posting.set()

    def watch(self, key: StreamKey, until: Until, waiter: Awaits) -> None:
        """Tell `waiter` when the instance has come to what `until` names."""
        self._spawn(self._watch(key, until, waiter))

    def answers_came(self) -> None:
        """Look for answers soon."""
        self._answered.set()

    async def stop(self) -> None:
        """Send nothing more; who waits is told that the answer will not be seen here."""
        self._stopped = NotRunning(
            "the orchestrator was closed; what was sent to another process goes on there"
        )
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sent in (*self._outgoing, *self._awaited.values()):
            refuse(sent.ask.waiter, self._stopped)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="amends-sender")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self) -> None:
        while True:
            await self._posting.wait()
            self._posting.clear()
            while batch := self._outgoing[:LARGEST_BATCH]:
                try:
                    await self._put(batch)
                except Exception as error:
                    log.exception("%d triggers cannot be sent to other processes", len(batch))
                    for sent in batch:
                        refuse(sent.ask.waiter, AmendsError(f"saga {sent.key.saga_id!r}: {error}"))
                del self._outgoing[: len(batch)]

    async def _put(self, batch: list[Sent]) -> None:
        inbox = self._store.inbox()
        numbers = await self._patiently(partial(inbox.numbers, len(batch)))
        rows = [
            InboxRow(number, sent.key, *row_of(sent.ask), is_awaited=sent.ask.waiter is not None)
            for number, sent in zip(numbers, batch, strict=True)
        ]
        await self._patiently(partial(inbox.put, rows))
        # Not before it is known that they are there: until then an answer is what keeps them from being put again.
        self._awaited.update(
            (number, sent) for number, sent in zip(numbers, batch, strict=True) if sent.ask.waiter is not None
        )
        self._answered.set()

    async def _patiently(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return what the store answers, however long it is away or full."""
        pause = 0.0
        while True:
            try:
                return await self._loader.patience.ask(question)
            except StoreFull:
                pause = longer(pause)
                await asyncio.sleep(pause)

    async def _listen(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL if self._awaited else None):
                    await self._answered.wait()
            self._answered.clear()
            if self._awaited:
                try:
                    await self._take_answers()
                except Exception:
                    log.exception("answers of other processes cannot be read")
                    await asyncio.sleep(POLL)

    async def _take_answers(self) -> None:
        inbox, asked = self._store.inbox(), [*self._awaited]
        answers = await self._loader.patience.ask(lambda: inbox.answers(asked))
        for number, body in answers:
            sent = self._awaited.pop(number, None)
            if sent is not None:
                self._spawn(self._tell(sent, body))
        if answers:
            read = [number for number, _body in answers]
            await self._loader.patience.ask(lambda: inbox.forget(read))

    async def _tell(self, sent: Sent, body: bytes) -> None:
        ask, waiter = sent.ask, sent.ask.waiter
        if waiter is None or waiter.done():
            return
        answer = read_answer(body)
        ask.is_new = answer.is_new
        if answer.error is not None:
            refuse(waiter, answer.error)
        elif ask.until is not None:
            await self._watch(sent.key, ask.until, waiter)
        else:
            await self._tell_state(sent.key, waiter)

    async def _tell_state(self, key: StreamKey, waiter: Awaits) -> None:
        try:
            state = await self._loader.patience.ask(lambda: self._loader.fold(key))
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this caller
            told(waiter, error, None)
        else:
            told(waiter, None, state)

    async def _watch(self, key: StreamKey, until: Until, waiter: Awaits) -> None:
        try:
            state = await watched(self._loader, key, until)
        except asyncio.CancelledError:
            refuse(waiter, self._stopped or NotRunning("the orchestrator was closed"))
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this caller
            told(waiter, error, None)
        else:
            told(waiter, None, state)
