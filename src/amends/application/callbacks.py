"""Late replies: brings what comes through a door to the orchestrator of its namespace, and says what became of it.

Rules
- The door opens before there is an orchestrator, because the bindings must name its URL. A reply that comes earlier, or
  after the orchestrator was closed, is not recorded: its sender is told to send it again.
It does not: listen (a door does), or record (`late_replies` does).
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from amends.application.errors import DefinitionUnknown, NotRunning, SagaUnknown
from amends.application.late_replies import record_reply
from amends.application.orchestrator import Orchestrator
from amends.ports import CallbackDoor, CallbackReply, Deliver, Verdict


class Callbacks:
    """A door for late replies; `amends.callbacks` makes it.

    Use it as ``async with callbacks(port=8096) as replies``, give `replies.url` to the bindings, and the orchestrator
    to `replies.deliver_to`.
    """

    def __init__(self, door: Callable[[Deliver], CallbackDoor]) -> None:
        """Make the door; nothing is let in before ``async with``."""
        self._door = door(self._deliver)
        self._orchestrators: dict[str, Orchestrator] = {}

    @property
    def url(self) -> str:
        """The `callback_url` for participants on this machine; with port 0 it is known once the door is open."""
        return self._door.url

    def deliver_to(self, amends: Orchestrator) -> None:
        """Bring replies for `amends`' namespace to it from now on."""
        self._orchestrators[amends.namespace] = amends

    async def __aenter__(self) -> Self:
        """Open the door. Raises OSError when the address cannot be had."""
        await self._door.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the door, after what is being answered."""
        await self._door.stop()

    async def _deliver(self, reply: CallbackReply) -> Verdict:
        if not self._orchestrators:
            raise NotRunning("no orchestrator takes replies yet; give one to `deliver_to`")
        amends = self._orchestrators.get(reply.namespace)
        if amends is None:
            return "unknown"
        try:
            return await record_reply(amends.engine.entrance, reply)
        except DefinitionUnknown:
            # It was sent by a process that has the definition: not lost, if it comes again where that one is deployed.
            raise
        except SagaUnknown:
            return "unknown"
