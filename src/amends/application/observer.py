"""The observer: what looks on while the engine works, the tracer and the user's hooks, behind one attribute.

Rules: it is told what is durable, after that is so and before it is acted on. Whatever goes wrong in it is logged, and
nothing else comes of it. Without a tracer and hooks there is none.
It does not: decide.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from amends.application.hooks import Hooks, StepHook
from amends.application.instance import Instance
from amends.application.tracer import Tracer
from amends.core.decide import Decision
from amends.core.effect import SendCommand
from amends.ports import StreamKey

log = logging.getLogger("amends.tracer")


class Observer:
    """Looks on."""

    def __init__(self, tracer: Tracer | None, hooks: Sequence[StepHook]) -> None:
        """Tell `tracer` and `hooks`."""
        self.tracer = tracer
        self._hooks = Hooks(hooks) if hooks else None
        self._has_failed = False

    def sending(self, instance: Instance, command: SendCommand) -> SendCommand:
        """Return `command` as it is to be handed over."""
        try:
            if self.tracer is not None:
                command = self.tracer.sending(instance.key, instance.state.trace, command)
            if self._hooks is not None:
                self._hooks.sending(command)
        except Exception as error:  # noqa: BLE001  who looks on harms nobody
            self._failed(error)
        return command

    def committed(self, instance: Instance, decision: Decision, at: datetime) -> None:
        """Take notice of a decision that is stored; `instance` is still as it was before."""
        try:
            if self.tracer is not None:
                self.tracer.committed(instance.key, instance.state, decision, at)
            if self._hooks is not None:
                self._hooks.committed(instance.state, decision, at, self.trace_id(instance.key))
        except Exception as error:  # noqa: BLE001  who looks on harms nobody
            self._failed(error)

    def trace_id(self, key: StreamKey) -> str:
        """Return the trace id of an instance that is remembered; empty when it is not, or traces are off."""
        saga = None if self.tracer is None else self.tracer.known(key)
        return "" if saga is None else saga.trace.hex()

    def _failed(self, error: Exception) -> None:
        # A defect of ours would be one for each transition: once says it.
        if not self._has_failed:
            self._has_failed = True
            text = "traces and hooks have a defect; sagas go on, and it is not logged again"
            log.error(text, exc_info=error)
