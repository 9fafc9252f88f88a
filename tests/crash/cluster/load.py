"""Whoever starts sagas while things break, and what they know: which starts were acknowledged, how each saga ended.

    load = Load(world, ways); await load.run(runs)        each run is one saga of one way, to its end

Rules
- A client asks one process after the other until there is an answer; the saga id makes that harmless.
- What was acknowledged once must be known ever after: a second 201 for one id is a start that was lost.
- The participants are real processes with databases of their own; they outlive the orchestrators.
It does not: break anything, or judge the books (`books`).
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from examples.running.cases import Case
from examples.running.example import Example, example_named
from examples.running.fleet import Fleet
from examples.running.main import Services
from tests.crash.cluster.services import Cluster, pause
from tests.crash.cluster.ways import SEEDS, WAYS
from tests.crash.restarts import ENDS

WAIT = 1
"""Seconds for which a process is asked to wait for an end before it answers."""
ANSWERED_WITHIN = 15.0
"""Seconds after which a client asks another process: one that was stopped never answers."""
AGAIN = 0.1
INTERNAL = 500
MOST_BROKEN = 20
"""Answers that something broke in a service which are counted before the campaign gives up."""


@dataclass(frozen=True)
class Run:
    """One saga."""

    example: Example[Any, Any]
    way: str
    saga_id: str
    case: Case[Any]


@dataclass
class World:
    """The services of the examples, and every saga that went through them."""

    directory: Path
    names: Sequence[str] = tuple(WAYS)
    answered_within: float = ANSWERED_WITHIN
    examples: dict[str, Example[Any, Any]] = field(default_factory=dict[str, Example[Any, Any]])
    services: dict[str, Services] = field(default_factory=dict[str, Services])
    runs: list[Run] = field(default_factory=list[Run])
    seen: dict[str, Any] = field(default_factory=dict[str, Any])
    """The last document of each saga that was acknowledged."""
    wrong: list[str] = field(default_factory=list[str])
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        session = await self._stack.enter_async_context(
            ClientSession(timeout=ClientTimeout(total=self.answered_within))
        )
        for name in self.names:
            self.examples[name] = example = example_named(name)
            folder = self.directory / name
            folder.mkdir(parents=True)
            seed = folder / "seed.json"
            seed.write_bytes(msgspec.json.encode(SEEDS[name]))
            fleet = Fleet(directory=folder, services=example.services, seed=seed)
            self.services[name] = Services(await self._stack.enter_async_context(fleet), session)
        self.session = session
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def participants(self) -> Mapping[str, str]:
        """The URL of each service by its name under `microservices`."""
        return {
            f"{example.saga.name}/{service}": self.services[name].fleet.commands(service)
            for name, example in self.examples.items()
            for service in example.services
        }

    @property
    def targets(self) -> Sequence[str]:
        """What `amends serve` is given."""
        return [f"examples.{name}.saga:{_variable(example)}" for name, example in self.examples.items()]

    def make(self, name: str, way: str) -> Run:
        """Make a saga that nobody knows yet."""
        number = len(self.runs) + 1
        saga_id = f"{name}-{way}-{number:06}"
        run = Run(self.examples[name], way, saga_id, WAYS[name][way](saga_id, number))
        self.runs.append(run)
        return run

    def all_ways(self) -> "itertools.cycle[tuple[str, str]]":
        """Return every way of every example, in turn, for ever; a different example each time."""
        ways = [(name, way) for name in self.names for way in WAYS[name]]
        half = [*ways[::2], *ways[1::2]]
        return itertools.cycle(half)


@dataclass
class Client:
    """Whoever starts sagas at the processes of a cluster and looks on."""

    world: World
    cluster: Cluster
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)
    _broke: int = 0

    async def see_through(self, run: Run) -> None:
        """Start a saga and ask until it has ended."""
        await self.arrange(run)
        # Without waiting, so that there is an acknowledgement to be lost.
        await self.ask_for(run, wait=0)
        while (await self.ask_for(run))["status"] not in ENDS:
            pass

    async def arrange(self, run: Run) -> None:
        """Make what has to exist before the saga."""
        for post in run.example.before(run.case.given):
            await self.world.services[run.example.name].ask(post.service, post.path, post.body)

    async def ask_for(self, run: Run, *, wait: int = WAIT) -> Any:
        """Start it, or ask for it, once; return the document of the first process that answers."""
        body = msgspec.json.encode(
            {"saga": run.example.saga.name, "id": run.saga_id, "data": run.example.data(run.case.given)}
        )
        while True:
            status, document = await self._post(f"/v1/sagas?wait={wait}", body)
            if status in (200, 201):
                if status == 201 and run.saga_id in self.world.seen:
                    self.world.wrong.append(f"{run.saga_id}: an acknowledged start was lost")
                self.world.seen[run.saga_id] = document
                return document
            if status == 404:
                # It was acknowledged, by the process that has it, and is not there.
                self.world.wrong.append(f"{run.saga_id}: an acknowledged start was lost")
            elif status == INTERNAL and self._broke < MOST_BROKEN:
                # A fault that is counted, so that those beside it are found as well.
                self._broke += 1
                self.world.wrong.append(f"{run.saga_id}: something broke in the service: {document}")
            elif status not in (429, 503):
                raise AssertionError(f"{run.saga_id}: {status} {document}")
            await pause(AGAIN)

    async def _post(self, path: str, body: bytes) -> tuple[int, Any]:
        members = self.cluster.members
        while True:
            await self.cluster.any_up()
            member = members[next(self._turn) % len(members)]
            if not member.up.is_set():
                continue
            try:
                async with self.world.session.post(
                    f"{member.url}{path}", data=body, headers={"Content-Type": "application/json"}
                ) as answer:
                    return answer.status, msgspec.json.decode(await answer.read())
            except (ClientError, TimeoutError, msgspec.DecodeError):
                await pause(AGAIN)


@dataclass
class Load:
    """Many sagas at once, for as long as they are wanted."""

    client: Client
    abreast: int
    tell: Callable[[], None] = lambda: None
    started: int = 0
    ended: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list["asyncio.Task[None]"])

    def begin(self) -> None:
        """Have so many sagas under way until `finish`."""
        ways = self.client.world.all_ways()
        self._tasks = [asyncio.create_task(self._go_on(ways)) for _ in range(self.abreast)]

    async def until_ended(self, number: int) -> None:
        """Wait until so many more sagas have ended than now."""
        wanted = self.ended + number
        async with self._news:
            await self._news.wait_for(lambda: self.ended >= wanted or self._broken())
        self._raise_what_broke()

    async def finish(self, within: float) -> None:
        """Begin no more, and wait for the ends of those that began."""
        self._over.set()
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*self._tasks)
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.client.world.wrong.append(f"not all sagas had ended {within:g} s after the last was begun")

    async def _go_on(self, ways: "itertools.cycle[tuple[str, str]]") -> None:
        while not self._over.is_set():
            self.started += 1
            await self.client.see_through(self.client.world.make(*next(ways)))
            async with self._news:
                self.ended += 1
                self._news.notify_all()
            self.tell()

    def _broken(self) -> bool:
        return any(task.done() for task in self._tasks)

    def _raise_what_broke(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()


def _variable(example: Example[Any, Any]) -> str:
    """The name under which the saga stands in its module."""
    module = __import__(f"examples.{example.name}.saga", fromlist=["saga"])
    return next(name for name, value in vars(module).items() if value is example.saga)
