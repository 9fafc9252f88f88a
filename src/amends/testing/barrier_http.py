"""A participant over HTTP as the barrier's suite wants it, whatever language it is written in.

    async with ClientSession() as client:
        await scenario(Examined(deliver=over_http(client, "http://127.0.0.1:8101/commands"), …))

Rules: the statuses are read as the orchestrator reads them. A 400 is taken for a command id that was reused: the suite
sends nothing else that could not be read. What is no answer raises NoAnswer.
It does not: retry, wait for callbacks.
"""

from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import ClientSession

from amends.participant.barrier import Answer, CommandIdReused
from amends.participant.message import Command
from amends.testing.barrier_suite import Deliver

REFUSED: Final = frozenset({402, 409, 410, 412, 422})
NOTHING_TO_UNDO: Final = frozenset({404, 410})


class NoAnswer(Exception):
    """The participant said neither yes nor no."""


def over_http(client: ClientSession, base_url: str) -> Deliver:
    """Deliver commands by POST to `{base_url}/{command name}`."""

    async def deliver(command: Command) -> Answer:
        url = f"{base_url}/{quote(command.name, safe='')}"
        body = msgspec.json.encode(command.payload)
        async with client.post(url, data=body, headers=headers_of(command)) as response:
            return _answer(command, response.status, await response.read())

    return deliver


def headers_of(command: Command) -> dict[str, str]:
    """The contract's headers for this command."""
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": command.command_id,
        "Amends-Namespace": command.namespace,
        "Amends-Saga-Id": command.saga_id,
        "Amends-Step": quote(command.step, safe="/[]"),
        "Amends-Direction": command.direction,
        "Amends-Round": str(command.round),
        "Amends-Attempt": str(command.attempt),
    }


def _answer(command: Command, status: int, body: bytes) -> Answer:
    if command.direction == "undo" and status in NOTHING_TO_UNDO:
        return Answer(outcome="succeeded", body=b"null")
    if 200 <= status < 300 and status != 202:  # noqa: PLR2004 - the statuses of the contract
        return Answer(outcome="succeeded", body=body)
    if status in REFUSED:
        return Answer(outcome="refused", body=body)
    said = f"{command.command_id} was answered with {status}: {body[:200]!r}"
    if status == 400:  # noqa: PLR2004
        raise CommandIdReused(said)
    raise NoAnswer(said)
