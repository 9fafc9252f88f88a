"""An example as a demo: its cases, through real services, to their end, and the refused ones undone.

    amends demo order                          from the source checkout
    amends demo order --json                   one JSON document, exit code 0 only if all is well
    amends demo order --transport kafka        the same over a broker: topics carry commands and answers

    sys.exit(main(EXAMPLE))                    the whole of examples/NAME/demo.py, besides EXAMPLE

Rules:
- The services and the orchestrator are processes of their own, over databases of their own, in one directory.
- Kill what you like. A service or the orchestrator is started again and goes on; when this process is killed all the
  others end by themselves, and the next run goes on from the same store.
- All is well when every saga ended as its case expects and the services' own databases add up.
- Exit codes: 0 all is well, 1 it is not, 2 it could not run, 130 interrupted (it can go on), 141 nobody reads on.

Does not do: anything that the engine should. It starts sagas, looks on, and counts.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientConnectionError, ClientSession

from amends.adapters.kafka import Address, behind
from examples.running.broker import broker
from examples.running.cases import Case
from examples.running.example import Example, States
from examples.running.fleet import ROOT, DirectoryInUse, Fleet, NotReady
from examples.running.progress import Progress
from examples.running.run_directory import INPUT, CannotUse, RunDirectory
from examples.running.screen import Screen
from examples.running.supervisor import STORE, Supervisor
from examples.running.topics import bindings_of, group_of, topics_of

DIRECTORY = ROOT / ".amends" / "demo"
PATIENCE = 120.0
"""Seconds after which all sagas should long have ended."""
PAUSE = 0.05
GO_ON = "stopped; nothing is lost: the same command goes on with this run, --fresh begins a new one"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    json: bool
    directory: Path
    given: Path | None
    fresh: bool
    keep: bool
    transport: str


def main(example: Example[Any, Any], arguments: Sequence[str] | None = None) -> int:
    """Run the example's demo and return the exit code."""
    options = _parse(example, arguments)
    try:
        code = asyncio.run(_demo(example, options))
        sys.stdout.flush()
    except (CannotUse, NotReady, DirectoryInUse) as error:
        print(f"amends demo {example.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{GO_ON}", file=sys.stderr)
        return 130
    except asyncio.CancelledError:
        print(GO_ON, file=sys.stderr)
        return 143
    except (BrokenPipeError, SystemExit):
        # The latter is how rich says that nobody reads on.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _parse(example: Example[Any, Any], arguments: Sequence[str] | None) -> Options:
    ways = ["http", "kafka"] if example.kafka is not None else ["http"]
    like = example.cases.relative_to(ROOT)
    parser = argparse.ArgumentParser(prog=f"amends demo {example.name}")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--directory", type=Path, help="where the run keeps its files")
    parser.add_argument("--input", type=Path, help=f"{example.noun}s of your own, like {like}")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
    parser.add_argument("--keep", action="store_true", help="put an earlier run's files aside")
    parser.add_argument("--transport", choices=ways, default="http", help="how the services are spoken to")
    found = parser.parse_args(arguments)
    name = example.name if found.transport == "http" else f"{example.name}-{found.transport}"
    return Options(
        json=found.json,
        directory=found.directory or DIRECTORY / name,
        given=found.input,
        fresh=found.fresh,
        keep=found.keep,
        transport=found.transport,
    )


async def _demo(example: Example[Any, Any], options: Options) -> int:
    current = asyncio.current_task()
    if current is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    screen = Screen(json=options.json, noun=example.noun)
    with RunDirectory.held(options.directory, services=example.services) as directory:
        demo = _Demo(example=example, options=options, directory=directory, screen=screen)
        is_new = demo.prepare()
        cases = demo.cases()
        async with AsyncExitStack() as stack:
            way = await _way(example, options, stack, is_new=is_new)
            fleet = Fleet(
                directory=directory.path,
                services=example.services,
                seed=example.seed,
                arguments=way.arguments,
            )
            await stack.enter_async_context(fleet)
            services = Services(fleet, await stack.enter_async_context(ClientSession()))
            if is_new:
                await services.arrange(cases)
                directory.begin()
            return await demo.run(services, Progress(cases), way)


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How the services are spoken to: over a broker, or none."""

    broker: str | None = None
    bindings: Path | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the services and the orchestrator."""
        if self.broker is None:
            return ()
        return ("--kafka", self.broker, "--bindings", str(self.bindings))

    async def caught_up(self, services: Collection[str]) -> None:
        """Wait until the services have taken what was written to them: nobody may be waiting for their answer."""
        if self.broker is None or self.bindings is None:
            return
        bindings = bindings_of(self.bindings)
        for name in services:
            wanted = list(topics_of(bindings, name))
            while await behind(Address((self.broker,)), group_of(name), wanted):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(PAUSE)


async def _way(example: Example[Any, Any], options: Options, stack: AsyncExitStack, *, is_new: bool) -> _Way:
    if options.transport == "http":
        return _Way()
    started = await stack.enter_async_context(broker(options.directory, is_new=is_new))
    return _Way(broker=started, bindings=example.kafka)


@dataclass(frozen=True, kw_only=True)
class _Demo:
    """One run, in its directory."""

    example: Example[Any, Any]
    options: Options
    directory: RunDirectory
    screen: Screen

    def prepare(self) -> bool:
        """Say what is about to happen; return whether it is a new run, for which the directory is then made ready."""
        given = _input(self.example, self.options.given)
        run = None if self.options.fresh else self.directory.interrupted
        if run is None:
            self._make_ready(given)
            return True
        path = self.directory.path
        if self.options.given is not None and (path / INPUT).read_bytes() != given:
            message = f"the run that was interrupted in {path} has another input; --fresh begins a new one"
            raise CannotUse(message)
        began = run.begun_at.astimezone().strftime("%H:%M:%S")
        self.screen.say(
            f"continuing the run that was interrupted (it began at {began}); --fresh begins a new one"
        )
        return False

    def cases(self) -> dict[str, Case[Any]]:
        """The run's own copy of its input, by the ids of the sagas."""
        path = self.directory.path / INPUT
        try:
            way = self.options.transport
            return {self.example.id_of(case): case.on(way) for case in self.example.load(path)}
        except (OSError, ValueError) as error:
            message = f"the run that was interrupted here cannot go on ({error}); --fresh begins a new one"
            raise CannotUse(" ".join(message.split())) from error

    def _make_ready(self, given: bytes) -> None:
        aside = self.directory.empty(keep=self.options.keep)
        if aside is not None:
            self.screen.say(f"the earlier run's files are in {aside}")
        (self.directory.path / INPUT).write_bytes(given)
        services = self.example.services
        self.screen.say(f"{self.example.noun}s go through {len(services)} services: {', '.join(services)}")

    async def run(self, services: "Services", progress: Progress, way: _Way) -> int:
        """Bring the sagas to their end, then look whether all adds up."""
        example = self.example
        async with Supervisor(
            example=example.name,
            directory=self.directory.path,
            participants={name: services.fleet.commands(name) for name in example.services},
            arguments=way.arguments,
            hear=progress.hear,
            say=self.screen.say,
        ) as supervisor:
            for saga_id, case in progress.cases.items():
                for post in example.before(case.given):
                    await services.ask(post.service, post.path, post.body)
                supervisor.start(saga_id, case)
            await _first_of(progress.settled.wait(), self.screen.watch(progress), supervisor.keeping)
        if progress.all_ended:
            await way.caught_up(example.services)
        states = {name: msgspec.json.decode(await services.ask(name, "/state")) for name in example.services}
        states |= await example.witness(self.directory.path / STORE)
        return self._conclude(progress, states)

    def _conclude(self, progress: Progress, states: States) -> int:
        verdict = self.example.check(tuple(progress.cases.values()), states)
        result = progress.result(verdict)
        document = msgspec.json.encode(result)
        self.screen.table(progress)
        self.screen.verdict(progress, verdict, self.example.topics, states)
        self._close(progress, ok=result.ok)
        if progress.all_ended:
            self.directory.end(document)
        if self.options.json:
            print(document.decode())
        return 0 if result.ok else 1

    def _close(self, progress: Progress, *, ok: bool) -> None:
        completed = sum(saga.status == "completed" for saga in progress.sagas.values())
        undone = sum(saga.status == "compensated" for saga in progress.sagas.values())
        all_told = (
            f"{completed} of {len(progress.cases)} {self.example.noun}s completed, {undone} were undone"
        )
        self.screen.say(f"{all_told}. {'All is well.' if ok else 'Not all is well.'}")
        if not progress.all_ended:
            self.screen.say(
                "Some have not ended; the same command goes on with them, --fresh begins a new run."
            )
        self.screen.say(f"Databases and logs: {_short(self.directory.path)}")


def _input(example: Example[Any, Any], given: Path | None) -> bytes:
    """The input's bytes, known to be good."""
    path = given or example.cases
    try:
        ids = [example.id_of(case) for case in example.load(path)]
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CannotUse(message) from error
    except ValueError as error:
        raise CannotUse(" ".join(str(error).split())) from error
    twice = sorted({saga_id for saga_id in ids if ids.count(saga_id) > 1})
    if twice or not ids:
        message = f"{path} has {twice[0]} twice" if twice else f"{path} has no {example.noun}"
        raise CannotUse(message)
    return content


def _short(path: Path) -> str:
    """The path as one would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


async def _first_of(*duties: Awaitable[object]) -> None:
    """Wait until one of them ends, or patience does; raise what it raised; end the others."""
    tasks = {asyncio.ensure_future(duty) for duty in duties}
    try:
        done, _ = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Services:
    """The services, as their customers and the demo's arrangements reach them."""

    fleet: Fleet
    session: ClientSession

    async def arrange(self, cases: Mapping[str, Case[Any]]) -> None:
        """Have the services misbehave as the cases say."""
        for saga_id, case in cases.items():
            for misbehaving in case.misbehave:
                await self.ask(misbehaving.service, "/misbehave", misbehaving.at(saga_id))

    async def ask(self, service: str, path: str, body: msgspec.Struct | None = None) -> bytes:
        """Ask until there is an answer: services crash on purpose, and come back."""
        method = "GET" if body is None else "POST"
        content = None if body is None else msgspec.json.encode(body)
        while True:
            try:
                async with self.session.request(
                    method, f"{self.fleet.url(service)}{path}", data=content
                ) as got:
                    answer = await got.read()
            except ClientConnectionError:
                await self.fleet.up(service)
                await asyncio.sleep(PAUSE)
                continue
            if got.status >= 400:
                message = f"the {service} service answers {got.status} to {path}: {answer.decode()[:200]}"
                raise CannotUse(message)
            return answer
