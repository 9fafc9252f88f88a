"""One service for every door: two reference sagas with their own services, and errands at a desk that gets stuck.

Rules: all of it real processes. What an exercise needs is brought about through the doors themselves.
"""

import asyncio
import http.client
import json
import threading
import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from examples.running.example import Example, example_named
from examples.running.fleet import Fleet
from tests.delivery.api import serving as s

EXAMPLES = ("fulfilment", "offer")
TARGETS = ("examples.fulfilment.saga:ORDER_FULFILMENT", "examples.offer.saga:OFFER", s.SAGAS)


@dataclass
class World:
    """The service, the desk, and where the services of the examples are."""

    service: s.Serving
    desk: str
    examples: dict[str, Example[Any, Any]]
    dear_offers: Iterator[Any] = field(init=False)
    """Cases that wait for an approval."""

    def __post_init__(self) -> None:
        example = self.examples["offer"]
        self.dear_offers = (case for case in example.load() if list(example.tells(case.given)))

    def fulfilled(self) -> str:
        """An order that was fulfilled, over its three services."""
        example = self.examples["fulfilment"]
        case = example.load()[0]
        saga_id = new("f")
        data = plain(example.data(case.given)) | {"order_id": saga_id}
        found = self.service.ask(
            "POST", "/v1/sagas?wait=20", {"saga": example.saga.name, "id": saga_id, "data": data}
        )
        assert (found.status, found.json["status"]) == (201, "completed"), found.body
        return saga_id

    def waiting(self) -> str:
        """An acceptance that waits for its sponsor, of an offer that nobody else takes."""
        example = self.examples["offer"]
        case = next(self.dear_offers)
        saga_id = example.id_of(case)
        document = {"saga": example.saga.name, "id": saga_id, "data": plain(example.data(case.given))}
        found = self.service.ask("POST", "/v1/sagas", document)
        assert found.status == 201, found.body
        self.service.reached(saga_id, lambda saga: saga["business_status"] == "WAITING_APPROVAL")
        return saga_id

    def stuck(self) -> str:
        """An errand that waits for a person at its last step."""
        found = self.errand(finish="broken")
        assert found["stuck"] == ["finish"], found
        return str(found["id"])

    def errand(self, saga: str = "errand", *, wait: int = 20, **how: str) -> dict[str, Any]:
        saga_id = new("e")
        document = {"saga": saga, "id": saga_id, "data": {"name": saga_id, **how}}
        found = self.service.ask("POST", f"/v1/sagas?wait={wait}", document)
        assert found.status == 201, found.body
        shown: dict[str, Any] = found.json
        return shown

    def ask_desk(self, path: str, document: object = None) -> s.Answer:
        """Ask the desk itself, as its service would."""
        connection = http.client.HTTPConnection(self.desk.removeprefix("http://"), timeout=s.PATIENCE)
        try:
            connection.request("POST", path, json.dumps(document or {}), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return s.Answer(response.status, {}, response.read())
        finally:
            connection.close()


def plain(value: object) -> dict[str, Any]:
    """A saga's data as JSON values."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found


def new(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@contextmanager
def fleet(folder: Path, example: Example[Any, Any]) -> Iterator[Fleet]:
    """An example's services, looked after by a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"fleet-{example.name}")
    thread.start()

    async def started() -> Fleet:
        made = Fleet(directory=folder, services=example.services, seed=example.seed)
        await made.start()
        return made

    try:
        running = asyncio.run_coroutine_threadsafe(started(), loop).result(timeout=60)
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(running.stop(), loop).result(timeout=60)
            asyncio.run_coroutine_threadsafe(_let_go(), loop).result(timeout=60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _let_go() -> None:
    """Let the loop see that the pipes of ended processes are closed: it must not be gone before them."""
    for _ in range(50):
        await asyncio.sleep(0)


@contextmanager
def world(folder: Path) -> Generator[World]:
    """Everything, running."""
    examples = {name: example_named(name) for name in EXAMPLES}
    with ExitStack() as stack:
        desk = stack.enter_context(s.desk())
        lines: list[str] = []
        for name, example in examples.items():
            services = stack.enter_context(fleet(folder / name, example))
            lines += [f"  {example.saga.name}/{each}: {services.commands(each)}" for each in example.services]
        config = s.configuration(folder, desk=desk, lines=lines)
        service = stack.enter_context(s.serving(folder, config=config, sagas=TARGETS))
        yield World(service, desk, examples)
