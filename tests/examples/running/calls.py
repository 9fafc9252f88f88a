"""Sends commands to an example's real services as the engine would: the same headers, again when nobody answers.

It is no orchestrator: it remembers nothing, and decides nothing.
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from amends.participant import Direction
from examples.running.cases import Misbehaving
from examples.running.fleet import Fleet
from examples.running.misbehaviour import How

TIMEOUT = 1.0
PATIENCE = 30.0
ATTEMPTS = 4


@dataclass(frozen=True)
class Answer:
    """What the last attempt brought; no status means that nobody answered."""

    status: int | None
    body: bytes


NOBODY = Answer(None, b"")


class Caller:
    """Sends commands to the services of a fleet, again when nobody answers."""

    def __init__(self, fleet: Fleet, client: ClientSession) -> None:
        self.fleet, self.client = fleet, client

    async def send(
        self,
        service: str,
        name: str,
        payload: msgspec.Struct,
        *,
        saga: str,
        step: str,
        undo: bool = False,
    ) -> Answer:
        answer = NOBODY
        for attempt in range(1, ATTEMPTS + 1):
            headers = headers_of(saga, step, "undo" if undo else "do", attempt)
            answer = await self._when_up(service, name, msgspec.json.encode(payload), headers)
            if answer.status is not None and answer.status < 500:
                break
        return answer

    async def _when_up(self, service: str, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        """A service that died is started again by its fleet; what it was asked is asked again."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self._once(service, name, body, headers)
                except ClientError:
                    await self.fleet.up(service)

    async def _once(self, service: str, name: str, body: bytes, headers: dict[str, str]) -> Answer:
        url = f"{self.fleet.commands(service)}/{name}"
        try:
            async with self.client.post(
                url, data=body, headers=headers, timeout=ClientTimeout(total=TIMEOUT)
            ) as got:
                return Answer(got.status, await got.read())
        except TimeoutError:
            return NOBODY

    async def state(self, service: str) -> dict[str, list[dict[str, object]]]:
        async with self.client.get(f"{self.fleet.url(service)}/state") as got:
            return msgspec.json.decode(await got.read(), type=dict[str, list[dict[str, object]]])

    async def misbehave(
        self, service: str, command: str, how: How, *, instance: str, times: int = 1, seconds: float = 0.0
    ) -> None:
        """Have the next commands of this name about this instance go wrong."""
        ordered = Misbehaving(service=service, command=command, how=how, times=times, seconds=seconds)
        answer = await self.post(service, "/misbehave", ordered.at(instance))
        assert answer.status == 204, answer

    async def post(self, service: str, path: str, body: msgspec.Struct) -> Answer:
        async with self.client.post(
            f"{self.fleet.url(service)}{path}", data=msgspec.json.encode(body)
        ) as got:
            return Answer(got.status, await got.read())


def headers_of(saga: str, step: str, direction: Direction, attempt: int = 1) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{saga}/{step}/{direction}/1",
        "Amends-Saga-Id": saga,
        "Amends-Step": quote(step, safe="[]-"),
        "Amends-Direction": direction,
        "Amends-Round": "1",
        "Amends-Attempt": str(attempt),
    }
