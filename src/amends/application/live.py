"""The instances in memory, and the room that they take.

Rules: one leaves when it only waits. One that only rests, while a caller waits for its end, stays and counts as that
caller, so that what hangs on one participant leaves room for others.
It does not: load, or bring anybody in.
"""

from collections.abc import Callable, Iterator

from amends.application.instance import Instance, refuse
from amends.application.room import Room
from amends.ports import StreamKey


class Live:
    """By key."""

    def __init__(self, *, most_live: int, most_waiting: int, make_room: Callable[[int], None]) -> None:
        """Begin empty; `make_room` is told when somebody is kept waiting."""
        self._instances: dict[tuple[str, str], Instance] = {}
        self.resting: set[StreamKey] = set()
        """Which of them do nothing but wait for a participant."""
        self.get = self._instances.get
        """Return an instance, if it is in memory; a plain (namespace, saga id) finds it as well."""
        self.room = Room(
            self._instances,
            most_live=most_live,
            most_waiting=most_waiting,
            resting=self.resting,
            make_room=make_room,
        )

    def __len__(self) -> int:
        return len(self._instances)

    def __contains__(self, key: StreamKey) -> bool:
        return key in self._instances

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._instances.values())

    def add(self, instance: Instance) -> None:
        """Take an instance in."""
        self._instances[instance.key] = instance

    def remove(self, instance: Instance) -> None:
        """Let an instance go, whatever it does, and let somebody in who waits for room."""
        if self._instances.get(instance.key) is instance:
            del self._instances[instance.key]
            self.resting.discard(instance.key)
        self.room.let_in()

    def wake(self, instance: Instance) -> None:
        """Take notice that an instance has something to do."""
        self.resting.discard(instance.key)

    def leave(self, instance: Instance) -> None:
        """Let an instance that only waits leave memory, and let somebody in who waits for room."""
        if instance.is_at_work():
            return
        if not instance.ended and self._instances.get(instance.key) is instance:
            del self._instances[instance.key]
            self.resting.discard(instance.key)
        elif instance.ended and instance.state.is_outstanding:
            self.resting.add(instance.key)
        else:
            return
        self.room.let_in()

    def release(self, error: Exception) -> None:
        """Tell all who wait that nothing comes of it."""
        for instance in self._instances.values():
            for waiter in instance.waiters():
                refuse(waiter, error)
        self.room.let_all_in()
