"""Work that begins before anybody waits for it: a coroutine whose first step is taken at once, as an eager task does.

Rules: it goes on in the task that awaits it, and only there. So it costs neither a task nor a turn of the loop, and it
is cancelled with that task. What its first step comes to, a result or an error, is what awaiting it comes to.
It does not: go on while nobody awaits it.
"""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Eager(Generic[T]):
    """Await it once."""

    __slots__ = ("_awaited", "_end", "_steps")

    def __init__(self, steps: Coroutine[Any, Any, T]) -> None:
        """Take the first step of `steps`."""
        self._steps = steps
        self._awaited: object = None
        self._end: Exception | None = None
        try:
            self._awaited = steps.send(None)
        except Exception as end:  # noqa: BLE001  raised where it is awaited; a `StopIteration` brings the result
            self._end = end

    def __await__(self) -> Generator[Any, Any, T]:
        """Take the others."""
        awaited = self._awaited
        try:
            if self._end is not None:
                raise self._end
            while True:
                try:
                    sent = yield awaited
                except BaseException as thrown:  # noqa: BLE001  passed on, whatever it is
                    awaited = self._steps.throw(thrown)
                else:
                    awaited = self._steps.send(sent)
        except StopIteration as end:
            result: T = end.value
            return result
