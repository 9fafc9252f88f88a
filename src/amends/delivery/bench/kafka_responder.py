"""The participants of the benchmark over Kafka: a process that answers every command at once, and does nothing else.

Rules: reads commands of the native contract, writes replies of it to where each command says. On a topic that ends in
``.declined`` `process-payment` is a business no. It has no barrier, no database and commits no offsets: what is
measured is the way there. Says ``ready`` when it reads, and ends when its standard input closes.
It does not: measure.

    python -m amends.delivery.bench.kafka_responder SERVERS TOPIC...
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from amends.delivery.bench.kafka_driver import Producer, Record, consumer, producer
from amends.delivery.bench.responder import REPLIES

NO: Final = b'{"code":"declined","reason":"insufficient funds"}'
_FIXED: Final = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"amends.reply"),
    ("ce_source", b"/participants/bench"),
    ("content-type", b"application/json"),
)
_COPIED: Final = (
    "ce_subject",
    "ce_amendsnamespace",
    "ce_amendsstep",
    "ce_amendsdirection",
    "ce_amendsround",
    "ce_amendsattempt",
)


async def answer(writer: Producer, record: Record) -> None:
    """Say yes, or no."""
    told = dict(record.headers)
    name = told["ce_amendscommand"].decode()
    is_no = name == "process-payment" and record.topic.endswith(".declined")
    value = NO if is_no else REPLIES.get(name, b"null")
    headers = [
        *_FIXED,
        ("ce_id", told["ce_id"] + b"/" + told["ce_amendsattempt"]),
        ("ce_amendscommandid", told["ce_id"]),
        ("ce_amendsoutcome", b"refused" if is_no else b"succeeded"),
        *((copied, told[copied]) for copied in _COPIED),
    ]
    await writer.send(told["ce_amendsreplyto"].decode(), value, record.key, headers=headers)


async def respond(servers: Sequence[str], topics: Sequence[str]) -> None:
    """Answer until cancelled."""
    reader, writer = consumer(servers, *topics), producer(servers)
    await reader.start()
    await writer.start()
    try:
        print("ready", flush=True)
        while True:
            found = await reader.getmany(timeout_ms=1000)
            for records in found.values():
                for record in records:
                    await answer(writer, record)
    finally:
        await reader.stop()
        await writer.stop()


async def until_input_ends(servers: Sequence[str], topics: Sequence[str]) -> None:
    """Answer until standard input closes."""
    answering = asyncio.create_task(respond(servers, topics))
    reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait({answering, reading}, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering


if __name__ == "__main__":
    asyncio.run(until_input_ends(sys.argv[1].split(","), sys.argv[2:]))
