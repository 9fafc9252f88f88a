"""A participant over the shared broker that does what a test says, and a transport that waits for its answers.

Rules: both ends have topics and groups of their own. The transport of the suite is the Kafka transport and the intake
together: it gives what comes through the intake as the answer to what was sent.
It does not: keep a barrier.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import msgspec

from amends.adapters.kafka import Address, KafkaIntake, KafkaSender, KafkaTransport, make_topics
from amends.adapters.kafka.replies import read_reply
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports.intake import Outcome, Record, ReplyCame
from amends.ports.transport import Transport
from amends.testing.transport_suite import Done, No, Participant, Received, Says, Trouble
from tests.adapters.kafka.shared_broker import broker, new_name

SESSION = 6.0
COPIED = (
    *("ce_subject", "ce_amendsnamespace", "ce_amendsstep", "ce_amendsdirection", "ce_amendsround"),
    *("ce_amendsattempt", "ce_amendscommand"),
)


def address() -> Address:
    """Return the shared broker's."""
    return Address((broker().address,))


class Answering:
    """The Kafka transport, whose `send` waits for the answer that comes through the intake."""

    def __init__(self, transport: KafkaTransport) -> None:
        self._transport = transport
        self._waiting: dict[tuple[str, int, str], asyncio.Future[Answer]] = {}

    async def take(self, record: Record) -> Outcome:
        content = read_reply(record)
        assert isinstance(content, ReplyCame), content
        # The suite gives two commands the same id, which a saga never does: the name tells them apart.
        name = dict(record.headers)["ce_amendscommand"].decode()
        waiting = self._waiting.get((content.reply.command_id, content.reply.attempt, name))
        if waiting is None or waiting.done():
            return "duplicate"
        waiting.set_result(content.reply.answer)
        return "recorded"

    async def send(self, command: SendCommand) -> Answer | Accepted:
        key = command.command_id, command.attempt, command.name
        self._waiting[key] = asyncio.get_running_loop().create_future()
        answer = await self._transport.send(command)
        return await self._waiting[key] if isinstance(answer, Accepted) else answer

    async def close(self) -> None:
        await self._transport.close()


def reply_headers(record: Record, outcome: str) -> list[tuple[str, bytes]]:
    """Return the headers of a reply to the command in `record`."""
    told = dict(record.headers)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"amends.reply"),
        ("ce_source", b"/participants/inventory"),
        ("ce_id", told["ce_id"] + b"/" + told["ce_amendsattempt"]),
        ("ce_amendscommandid", told["ce_id"]),
        *((name, told[name]) for name in COPIED),
        ("ce_amendsoutcome", outcome.encode()),
        ("content-type", b"application/json"),
    ]


async def _answer(record: Record, participants: Mapping[str, Participant], sender: KafkaSender) -> None:
    outcome, value = _said(await _says(record, participants))
    topic = dict(record.headers)["ce_amendsreplyto"].decode()
    await sender.publish(topic, key=record.key, value=value, headers=reply_headers(record, outcome))


async def _says(record: Record, participants: Mapping[str, Participant]) -> Says | None:
    told = {name: value.decode() for name, value in record.headers}
    participant = participants.get(told["ce_amendscommand"])
    if participant is None:
        return None
    return await participant(
        Received(
            told["ce_amendsnamespace"],
            told["ce_subject"],
            told["ce_amendsstep"],
            told["ce_amendsdirection"],
            int(told["ce_amendsround"]),
            int(told["ce_amendsattempt"]),
            told["ce_id"],
            told["ce_amendscommand"],
            record.value or b"",
        )
    )


def _said(says: Says | None) -> tuple[str, bytes]:
    match says:
        case None:
            return "failed", b'{"reason":"no such command","fault":"configuration"}'
        case Done(reply):
            return "succeeded", reply
        case No(code, reason):
            return "refused", json({"code": code, "reason": reason})
        case Trouble(text):
            return "failed", json({"reason": text})


@asynccontextmanager
async def kafka(participants: Mapping[str, Participant]) -> AsyncGenerator[Transport]:
    name = new_name()
    commands, replies = f"{name}.commands", f"{name}.replies"
    await make_topics(address(), [commands, replies], partitions=3, replicas=1)
    ours, theirs = KafkaSender(address()), KafkaSender(address())
    answering = Answering(KafkaTransport(ours, commands, reply_to=replies))
    going: set[asyncio.Task[None]] = set()

    async def serve(record: Record) -> Outcome:
        # Handlers of different sagas go side by side, as in a service that does not wait for one to take the next.
        going.add(asyncio.create_task(_answer(record, participants, theirs)))
        return "recorded"

    service = KafkaIntake(address(), [commands], group=f"{name}-service", session=SESSION)
    intake = KafkaIntake(address(), [replies], group=f"{name}-amends", session=SESSION)
    await service.start(serve)
    await intake.start(answering.take)
    try:
        yield answering
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await service.stop()
        await intake.stop()
        await ours.close()
        await theirs.close()


def json(document: object) -> bytes:
    """Return `document` as JSON."""
    return msgspec.json.encode(document)
