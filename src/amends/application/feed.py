"""The feed: every transition as it becomes durable, to whoever follows.

Rules
- A reader reads the log at its own pace and has one piece of it in memory, never more: a slow one lags, nothing grows
  and nobody waits for it. Readers at the same place share what was read.
- Nothing is left out and nothing comes twice: whoever comes back with the last `sequence` that it saw goes on exactly
  behind it.
It does not: keep readers alive, or know how they are served.
"""

from collections import deque
from datetime import datetime
from typing import Any, Self

import msgspec

from amends.application.errors import AmendsError
from amends.application.follower import Followed, Follower
from amends.application.history import event_views
from amends.ports import EventStore, Transition


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One transition: all events that one trigger caused."""

    sequence: int
    """Its place in the log; what to come back with."""
    namespace: str
    saga_id: str
    position: int
    """Of its last event: where the instance stands after it."""
    time: datetime
    events: tuple[dict[str, Any], ...]
    """Each with `position` and `type` beside its own fields, as plain JSON values."""

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes by name."""
        return msgspec.structs.asdict(self)


class Following:
    """An endless iterator over what a reader wants. Cancelling a wait for the next item loses nothing."""

    def __init__(self, follower: Follower, *, after: int, namespace: str, saga_id: str | None) -> None:
        """Begin behind `after`."""
        self._follower = follower
        self._namespace = namespace
        self._saga_id = saga_id
        self._place = after
        self._piece: deque[Followed] = deque()

    @property
    def place(self) -> int:
        """Up to where the log was looked at: also behind what this reader does not want."""
        return self._place

    @property
    def held(self) -> int:
        """How many transitions are in memory for this reader."""
        return len(self._piece)

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> FeedItem:
        """Wait for the next item."""
        while True:
            while self._piece:
                followed = self._piece.popleft()
                self._place = followed.sequence
                if self._is_wanted(followed):
                    return feed_item(followed)
            self._piece.extend(await self._follower.next_piece(self._place))

    def _is_wanted(self, followed: Followed) -> bool:
        namespace, saga_id = followed.transition.key
        return namespace == self._namespace and self._saga_id in {None, saga_id}


class Feed:
    """What an orchestrator's log says as it grows."""

    def __init__(self, store: EventStore, follower: Follower, *, namespace: str) -> None:
        """Tell of the instances of `namespace`."""
        self._store = store
        self._follower = follower
        self._namespace = namespace

    async def follow(self, *, after: int | None = None, saga_id: str | None = None) -> Following:
        """Follow the log behind `after`, without it from now on; all instances, or one.

        An `after` behind the log's end is of another store: then it begins at the end.
        """
        if after is None or after > await self._store.log_end():
            place = await self._store.settled_end()
        else:
            place = max(after, 0)
        return Following(self._follower, after=place, namespace=self._namespace, saga_id=saga_id)


def feed_item(followed: Followed) -> FeedItem:
    """Return a transition as whoever follows sees it."""
    transition = followed.transition
    return FeedItem(
        sequence=followed.sequence,
        namespace=transition.key.namespace,
        saga_id=transition.key.saga_id,
        position=transition.position + transition.events - 1,
        time=transition.recorded_at,
        events=tuple(_events(transition)),
    )


def _events(transition: Transition) -> list[dict[str, Any]]:
    try:
        shown = [(event.type, event.body) for event in event_views(transition)]
    except AmendsError:
        # Of a newer contract: its readers may know it, and the feed must not end here for ever.
        stored: list[dict[str, Any]] = msgspec.json.decode(transition.body)
        shown = [(event.pop("type", ""), event) for event in stored]
    return [
        {"position": position, "type": kind, **body}
        for position, (kind, body) in enumerate(shown, start=transition.position)
    ]
