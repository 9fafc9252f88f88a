"""The inbox: what arrived at one process for an instance that another holds.

Rules: everything here may be done twice, so a session that is lost in the middle is replaced and the question asked
again: rows have their numbers before they are put, and answers are read first and taken away later.
It does not: know what rows mean, or when to look.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.channel import Caller
from amends.adapters.postgres.readers import Readers
from amends.ports.event_store import Handled, StreamKey
from amends.ports.shared_store import InboxRow, shard_of

BLOCK: Final = 100
"""How many numbers are taken at least."""


class PostgresInbox:
    """`Inbox` of one store."""

    def __init__(
        self, sessions: Readers, readers: Readers, *, caller: Caller, token: Callable[[], int]
    ) -> None:
        """Write in `sessions`, read in `readers`; `token` says who sends."""
        self._sessions = sessions
        self._readers = readers
        self._caller = caller
        self._token = token
        self._numbers: list[int] = []

    async def numbers(self, count: int) -> Sequence[int]:
        if len(self._numbers) < count:
            missing = max(count - len(self._numbers), BLOCK)
            rows = await self._sessions.ask(lambda link: link.fetch(statements.TAKE_INBOX_NUMBERS, missing))
            self._numbers += [row[0] for row in rows]
        taken, self._numbers = self._numbers[:count], self._numbers[count:]
        return taken

    async def put(self, rows: Sequence[InboxRow]) -> None:
        token = self._token()
        arguments = (
            [row.number for row in rows],
            [row.key.namespace for row in rows],
            [row.key.saga_id for row in rows],
            [row.kind for row in rows],
            [row.body for row in rows],
            [token if row.is_awaited else None for row in rows],
        )
        await self._sessions.ask(lambda link: link.fetch(statements.PUT_INBOX, *arguments))
        self._caller.inbox(shard_of(row.key) for row in rows)

    async def waiting(
        self, shards: Collection[int], *, in_hand: Collection[int], limit: int
    ) -> Sequence[InboxRow]:
        arguments = ([*shards], [*in_hand], limit)
        rows = await self._readers.ask(lambda link: link.fetch(statements.READ_INBOX, *arguments))
        return [
            InboxRow(number, StreamKey(namespace, saga_id), kind, body, is_awaited)
            for number, namespace, saga_id, kind, body, is_awaited in rows
        ]

    async def settle(self, handled: Sequence[Handled]) -> None:
        arguments = ([row.number for row in handled], [row.answer for row in handled])
        await self._sessions.ask(lambda link: link.fetch(statements.SETTLE_INBOX, *arguments))
        self._caller.answers()

    async def park(self, rows: Sequence[tuple[int, str]]) -> None:
        arguments = ([number for number, _ in rows], [reason.replace("\0", "") for _, reason in rows])
        await self._sessions.ask(lambda link: link.fetch(statements.PARK_INBOX, *arguments))

    async def start_of(self, key: StreamKey) -> int | None:
        arguments = (shard_of(key), key.namespace, key.saga_id)
        number: int | None = await self._readers.ask(
            lambda link: link.fetchval(statements.FIND_START, *arguments)
        )
        return number

    async def why_parked(self, number: int) -> str | None:
        reason: str | None = await self._readers.ask(
            lambda link: link.fetchval(statements.WHY_PARKED, number)
        )
        return reason

    async def answers(self, numbers: Collection[int]) -> Sequence[Handled]:
        asked = [*numbers]
        rows = await self._readers.ask(lambda link: link.fetch(statements.READ_ANSWERS, asked))
        return [Handled(number, body) for number, body in rows]

    async def forget(self, numbers: Collection[int]) -> None:
        asked = [*numbers]
        await self._sessions.ask(lambda link: link.fetch(statements.FORGET_ANSWERS, asked))
