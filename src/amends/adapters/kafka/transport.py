"""The native Kafka transport: a command is a record on the participant's topic, its answer a record on another.

Rules
- ``PARTICIPANT.commands``, key = saga id, the payload's bytes as they are; who it is about stands in headers, and
  `ce_id` is the command id, the same for every attempt.
- Written durably is accepted: the answer comes through the intake. Until then the command is outstanding, and the
  step's timeout counts, as with a 202 over HTTP.
- A record that is too large for the broker is refused with `payload-too-large`: nothing was sent, and sending it again
  will not help.
It does not: read answers (`intake.py`), retry what was written, or look into payloads.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from amends.adapters.kafka.contract import JSON, command_headers
from amends.adapters.kafka.formats import Formats, trouble_of_formats
from amends.adapters.kafka.lines import TooLarge
from amends.adapters.kafka.sender import KafkaSender
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Fault, Refused
from amends.ports.transport import Binding, Told
from amends.wire.excerpt import excerpt

PAYLOAD_TOO_LARGE = "payload-too-large"
ACCEPTED = Accepted()


class KafkaTransport:
    """One participant that reads its commands from `topic` and answers on `reply_to`."""

    def __init__(
        self,
        sender: KafkaSender,
        topic: str,
        *,
        reply_to: str,
        now: Callable[[], float] = time.time,
        formats: Formats | None = None,
    ) -> None:
        self._sender = sender
        self._formats = formats
        self._topic = topic
        self._reply_to = reply_to
        self._now = now

    @property
    def binding(self) -> Binding:
        """Where commands go."""
        return Binding("kafka", self._topic)

    @property
    def trouble(self) -> str:
        """What keeps commands from being sent just now."""
        return self._sender.trouble_of((self._topic,)) or trouble_of_formats(self._formats)

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Write `command` once; its answer comes through the intake."""
        failed = await written(
            self._sender,
            self._topic,
            command,
            reply_to=self._reply_to,
            now=self._now(),
            formats=self._formats,
        )
        return ACCEPTED if failed is None else failed

    @property
    def posts(self) -> bool:
        """Whether a command's record can be made at once: JSON can."""
        return self._formats is None

    def post(self, command: SendCommand, told: Told) -> Callable[[], None]:
        """Begin to write `command` once; see the port."""
        return posted(
            self._sender,
            self._topic,
            command,
            reply_to=self._reply_to,
            now=self._now(),
            handed_over=ACCEPTED,
            told=told,
        )

    async def close(self) -> None:
        """The sender is closed by whoever made it."""


async def written(
    sender: KafkaSender,
    topic: str,
    command: SendCommand,
    *,
    reply_to: str | None,
    now: float,
    formats: Formats | None = None,
) -> Answer | None:
    """Write one attempt's record; return what it came to instead, if it could not be written."""
    try:
        value, kind = command.payload, JSON
        if formats is not None:
            value, kind = await formats.outgoing(topic, value)
        headers = command_headers(command, reply_to=reply_to, now=now, content_type=kind)
        await sender.publish(topic, key=command.saga_id.encode(), value=value, headers=headers)
    except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
        return _meaning(topic, error)
    return None


def posted(
    sender: KafkaSender,
    topic: str,
    command: SendCommand,
    *,
    reply_to: str | None,
    now: float,
    handed_over: Answer | Accepted,
    told: Told,
) -> Callable[[], None]:
    """`written` for who does not wait: `told` hears what it came to, `handed_over` when the record is durable.

    Return what gives it up.
    """
    hears = partial(_hears, topic, handed_over, told)
    try:
        headers = command_headers(command, reply_to=reply_to, now=now)
        key, value = command.saga_id.encode(), command.payload
        return sender.post(topic, key=key, value=value, headers=headers, told=hears).give_up
    except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
        return asyncio.get_running_loop().call_soon(hears, error).cancel


def _hears(topic: str, handed_over: Answer | Accepted, told: Told, error: BaseException | None) -> None:
    """Tell what became of a command's record."""
    told(handed_over if error is None else _meaning(topic, error))


def _meaning(topic: str, error: BaseException) -> Answer:
    """Return the answer that it comes to when a command cannot be written."""
    if isinstance(error, TooLarge):
        return Refused(PAYLOAD_TOO_LARGE, f"{topic}: {error}")
    fault: Fault = "configuration" if isinstance(error, ValueError) else "transient"
    return Failed(f"the command cannot be written to {topic}: {excerpt(str(error))}", fault)
