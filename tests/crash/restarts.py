"""Restart under load: `python -m tests.crash.restarts [--restarts 20] [--seed N]`.

One service runs all five reference sagas over their real participants. Their cases are started a few at a time, and
between any two portions the service is ended, by SIGKILL and by SIGTERM in turn, and started over the same store.

Rules: whoever starts a saga asks until there is an answer, and then until the saga has ended, as any client does; the
saga id makes that harmless. SIGTERM has to end the service with exit code 0. In the end every saga has come to a good
end, to that of its case unless attempts ran out; nothing that was acknowledged is lost; and the checks of each example
hold over its services' own databases for the ends that there were. The seed is printed and repeats how much is answered
between two ends of the service.
It does not: end anything but the service that it started.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from examples.running.cases import Case, Expected
from examples.running.example import Example, Telling, example_named
from examples.running.fleet import ROOT, Fleet, search_path
from examples.running.main import Services

NAMES: Final = ("order", "offer", "fulfilment", "reservation", "booking")
GOOD_ENDS: Final = frozenset({"completed", "compensated"})
ENDS: Final = GOOD_ENDS | {"abandoned"}
STORE: Final = "sagas.db"
LOG: Final = "service.log"
SERVING: Final = b"amends: serving"
READY_WITHIN: Final = 30.0
ENDED_WITHIN: Final = 240.0
WAIT: Final = 1
"""Seconds for which the service is asked to wait for an end before it answers."""


@dataclass
class Service:
    """The one service, and how often it was ended."""

    directory: Path
    arguments: Sequence[str]
    url: str
    process: asyncio.subprocess.Process | None = None
    log: "asyncio.Task[None] | None" = None
    up: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    portion: asyncio.Condition = field(default_factory=asyncio.Condition)
    restarts: int = 0
    terms: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list[str])

    async def start(self) -> None:
        """Start it and wait until it says that it serves."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "amends.delivery.cli.main", "serve", *self.arguments),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path()},
            stderr=asyncio.subprocess.PIPE,
        )
        self.log = asyncio.create_task(self._keep_log(self.process))
        log = self.directory / LOG
        waiting = asyncio.create_task(self.up.wait())
        await asyncio.wait({waiting, self.log}, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), f"the service does not come up:\n{log.read_text()[-2000:]}"

    async def _keep_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with (self.directory / LOG).open("ab") as log:
            while line := await process.stderr.readline():
                log.write(line)
                if line.startswith(SERVING):
                    self.up.set()

    async def end(self, how: signal.Signals) -> None:
        """End it; SIGTERM must be obeyed in good order."""
        assert self.process is not None
        assert self.log is not None
        self.up.clear()
        self.process.send_signal(how)
        code = await asyncio.wait_for(self.process.wait(), READY_WITHIN)
        await self.log
        if how is signal.SIGKILL:
            self.kills += 1
            return
        self.terms += 1
        if code != 0:
            self.wrong.append(f"SIGTERM number {self.terms} ended with exit code {code}")

    async def restart_often(self, portions: Sequence[int], draw: random.Random) -> None:
        """End and start it once for each portion of cases, when some are answered; SIGKILL and SIGTERM in turn."""
        for number, cases in enumerate(portions):
            for _ in range(draw.randint(1, max(1, cases))):
                await self.answered.acquire()
            await self.end(signal.SIGTERM if number % 2 else signal.SIGKILL)
            async with self.portion:
                self.restarts += 1
                self.portion.notify_all()
            await self.start()
            told = f"{self.terms} SIGTERM, {self.kills} SIGKILL, {len(self.wrong)} wrong"
            print(f"restart {number + 1} of {len(portions)}: {told}", file=sys.stderr)

    async def turn_of(self, portion: int) -> None:
        """Wait until the service was restarted so often."""
        async with self.portion:
            await self.portion.wait_for(lambda: self.restarts >= portion)


@dataclass
class Running:
    """One example: its services, its cases, and what became of them."""

    example: Example[Any, Any]
    services: Services
    cases: Mapping[str, Case[Any]]
    seen: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Client:
    """Whoever starts sagas and looks on."""

    session: ClientSession
    service: Service

    async def ask(self, path: str, body: object) -> tuple[int, Any]:
        """Ask until the service answers; while it is away, wait until it is there again."""
        content = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        while True:
            await self.service.up.wait()
            url = f"{self.service.url}{path}"
            try:
                async with self.session.post(url, data=content, headers=headers) as answer:
                    document = msgspec.json.decode(await answer.read())
            except (ClientError, msgspec.DecodeError):
                await asyncio.sleep(0)
                continue
            self.service.answered.release()
            if answer.status != 503:
                return answer.status, document

    async def see_through(self, running: Running, saga_id: str, *, portion: int) -> None:
        """Start one case's saga when its turn has come, tell it what its case tells it, and wait for its end."""
        example, case = running.example, running.cases[saga_id]
        await self.service.turn_of(portion)
        for post in example.before(case.given):
            await running.services.ask(post.service, post.path, post.body)
        body = {
            "saga": example.saga.name,
            "id": saga_id,
            "data": example.data(case.given),
        }
        untold = [*example.tells(case.given)]
        news = 201
        while True:
            status, document = await self.ask(f"/v1/sagas?wait={WAIT}", body)
            if status not in (200, news):
                self.service.wrong.append(f"{example.name} {saga_id}: {status} {document}")
                return
            # Once it was acknowledged, it is there.
            news = 200
            running.seen[saga_id] = document
            if document["status"] in ENDS:
                return
            for telling in [each for each in untold if each.at == document["business_status"]]:
                await self.tell(saga_id, telling)
                untold.remove(telling)

    async def tell(self, saga_id: str, telling: Telling) -> None:
        """Send a signal; that the saga has ended meanwhile is no fault."""
        body = {"signal": telling.signal, "content": telling.content, "signal_id": telling.signal_id}
        status, document = await self.ask(f"/v1/sagas/{saga_id}/signals", body)
        if status not in (200, 409):
            self.service.wrong.append(f"signal to {saga_id}: {status} {document}")


async def verdicts(running: Sequence[Running], store: Path) -> list[str]:
    """Tell what is wrong in the end: with a saga, or in the services' databases."""
    wrong: list[str] = []
    for each in running:
        example = each.example
        ended: list[Case[Any]] = []
        for saga_id, case in each.cases.items():
            found = as_it_ended(case, each.seen.get(saga_id, {}))
            ended.append(found or case)
            if found is None:
                told = {
                    key: each.seen.get(saga_id, {}).get(key) for key in ("status", "business_status", "cause")
                }
                wrong.append(f"{example.name} {saga_id} ({case.about}): {told}, expected {case.expect}")
        states = {
            name: msgspec.json.decode(await each.services.ask(name, "/state")) for name in example.services
        }
        states |= await example.witness(store)
        explanations = example.check(ended, states).explanations
        wrong += [
            f"{example.name} {check}: {line}" for check, lines in explanations.items() for line in lines
        ]
    return wrong


def as_it_ended(case: Case[Any], document: Mapping[str, Any]) -> Case[Any] | None:
    """Return the case with the end that its saga came to, to hold the databases against; None if it may not end so.

    A case says how it ends when nothing else happens. Here every restart adds a call, so that a service which is silent
    twice may answer after all, and services that crash for one case are away for the others, whose attempts may run
    out. Both ends are good then; what a business no decided stands.
    """
    status, business_status = document.get("status"), document.get("business_status", "")
    expected = case.expect
    if (status, business_status) == (expected.status, expected.business_status):
        return case
    ran_out = status == "compensated" and document["cause"]["code"] == "unknown"
    answered_after_all = status == "completed" and any(each.how != "decline" for each in case.misbehave)
    if status not in GOOD_ENDS or not (ran_out or answered_after_all):
        return None
    return msgspec.structs.replace(case, expect=Expected(status=status, business_status=business_status))


def configuration(directory: Path, running: Sequence[Running], port: int) -> Path:
    """Write the service's configuration: where it listens, its store, and the participants of all examples."""
    lines = [
        f"server:\n  port: {port}",
        f"database:\n  url: sqlite:{directory / STORE}",
        "microservices:",
    ]
    for each in running:
        saga = each.example.saga.name
        lines += [f"  {saga}/{name}: {each.services.fleet.commands(name)}" for name in each.example.services]
    path = directory / "application.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def campaign(directory: Path, *, names: Sequence[str] = NAMES, restarts: int, seed: int) -> Service:
    """Run the whole; what went wrong stands in `wrong` of what is returned."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=60)))
        running = [await _begin(stack, session, directory, name) for name in names]
        port = free_port()
        targets = [f"examples.{each.example.name}.saga:{_variable(each.example)}" for each in running]
        arguments = [*targets, "--config", str(configuration(directory, running, port))]
        service = Service(directory, arguments, f"http://127.0.0.1:{port}")
        await service.start()
        client = Client(session, service)
        try:
            async with asyncio.timeout(ENDED_WITHIN), asyncio.TaskGroup() as group:
                portions = [0] * restarts
                for each in running:
                    for number, saga_id in enumerate(each.cases):
                        portion = number * restarts // len(each.cases)
                        portions[portion] += 1
                        group.create_task(client.see_through(each, saga_id, portion=portion))
                group.create_task(service.restart_often(portions, random.Random(seed)))
        except TimeoutError:
            service.wrong.append(f"not all had ended after {ENDED_WITHIN:g} s")
        await service.end(signal.SIGTERM)
        service.wrong += await verdicts(running, directory / STORE)
        return service


async def _begin(stack: AsyncExitStack, session: ClientSession, directory: Path, name: str) -> Running:
    example = example_named(name)
    fleet = Fleet(directory=directory / name, services=example.services, seed=example.seed)
    services = Services(await stack.enter_async_context(fleet), session)
    cases = {example.id_of(case): case for case in example.load()}
    await services.arrange(cases)
    return Running(example, services, cases)


def _variable(example: Example[Any, Any]) -> str:
    """The name under which the saga stands in its module."""
    module = sys.modules[f"examples.{example.name}.saga"]
    return next(name for name, value in vars(module).items() if value is example.saga)


def main() -> int:
    parser = argparse.ArgumentParser(prog="restarts")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--directory", type=Path, help="where the run's files stay, to be looked at")
    parser.add_argument("--only", choices=NAMES, action="append", help="one of the examples instead of all")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    with TemporaryDirectory(prefix="amends-restarts-") as own:
        directory = options.directory or Path(own)
        names = options.only or NAMES
        service = asyncio.run(campaign(directory, names=names, restarts=options.restarts, seed=options.seed))
    print(f"{service.terms} SIGTERM, {service.kills} SIGKILL, wrong: {len(service.wrong)}")
    print("\n".join(service.wrong))
    return 1 if service.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
