"""The demo: real orders, through four real services, to their end, and the declined ones undone.

    amends demo order                          from the source checkout; or make demo
    amends demo order --json                   one JSON document, exit code 0 only if all is well

Rules:
- The four services and the orchestrator are processes of their own, over databases of their own, in one directory.
- Kill what you like. A service or the orchestrator is started again and goes on; when this process is killed all the
  others end by themselves, and the next run goes on from the same store.
- All is well when every saga ended as its case expects and the services' own databases add up.
- Exit codes: 0 all is well, 1 it is not, 2 it could not run, 130 interrupted (it can go on), 141 nobody reads on.

Does not do: anything that the engine should. It places orders, looks on, and counts.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import ClientConnectionError, ClientSession

from examples.order.cases import ORDERS, SEED, SERVICES, Case, ServiceName, load_cases
from examples.order.checks import check
from examples.order.fleet import ROOT, DirectoryInUse, Fleet, NotReady
from examples.order.progress import Progress
from examples.order.run_directory import INPUT, CannotUse, RunDirectory
from examples.order.screen import Screen, sentences_of
from examples.order.supervisor import Supervisor

DIRECTORY = ROOT / ".amends" / "demo" / "order"
PATIENCE = 120.0
"""Seconds after which the orders should long have ended."""
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    options = _parse(arguments)
    try:
        code = asyncio.run(_demo(options))
        sys.stdout.flush()
    except (CannotUse, NotReady, DirectoryInUse) as error:
        print(f"amends demo order: {error}", file=sys.stderr)
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


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="amends demo order")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the run keeps its files")
    parser.add_argument("--input", type=Path, help="orders of your own, like examples/order/orders.jsonl")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
    parser.add_argument("--keep", action="store_true", help="put an earlier run's files aside")
    found = parser.parse_args(arguments)
    return Options(
        json=found.json, directory=found.directory, given=found.input, fresh=found.fresh, keep=found.keep
    )


async def _demo(options: Options) -> int:
    current = asyncio.current_task()
    if current is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    screen = Screen(json=options.json)
    with RunDirectory.held(options.directory) as directory:
        is_new = _prepare(options, directory, screen)
        cases = load_cases(directory.path / INPUT)
        async with Fleet(directory=directory.path, seed=SEED) as fleet, ClientSession() as session:
            services = Services(fleet, session)
            if is_new:
                await services.arrange(cases)
                directory.begin()
            return await _run(options, directory, services, Progress(cases), screen)


def _prepare(options: Options, directory: RunDirectory, screen: Screen) -> bool:
    """Say what is about to happen; return whether it is a new run, for which the directory is then made ready."""
    given = _input(options.given)
    run = None if options.fresh else directory.interrupted
    if run is None:
        aside = directory.empty(keep=options.keep)
        if aside is not None:
            screen.say(f"the earlier run's files are in {aside}")
        (directory.path / INPUT).write_bytes(given)
        screen.say("orders go through four services: order, product, promotion, payment")
        return True
    if options.given is not None and (directory.path / INPUT).read_bytes() != given:
        message = (
            f"the run that was interrupted in {directory.path} has another input; --fresh begins a new one"
        )
        raise CannotUse(message)
    began = run.begun_at.astimezone().strftime("%H:%M:%S")
    screen.say(f"continuing the run that was interrupted (it began at {began}); --fresh begins a new one")
    return False


def _input(given: Path | None) -> bytes:
    """The input's bytes, known to be good."""
    path = given or ORDERS
    try:
        orders = [case.order.order_id for case in load_cases(path)]
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CannotUse(message) from error
    except ValueError as error:
        raise CannotUse(" ".join(str(error).split())) from error
    twice = sorted({order_id for order_id in orders if orders.count(order_id) > 1})
    if twice or not orders:
        message = f"{path} has {twice[0]} twice" if twice else f"{path} has no order"
        raise CannotUse(message)
    return content


async def _run(
    options: Options, directory: RunDirectory, services: "Services", progress: Progress, screen: Screen
) -> int:
    """Bring the orders to their end, then look whether all adds up."""
    participants: dict[str, str] = {service: services.fleet.commands(service) for service in SERVICES}
    async with Supervisor(
        directory=directory.path, participants=participants, hear=progress.hear, say=screen.say
    ) as supervisor:
        for case in progress.cases:
            await services.ask("order", "/orders", case.order)
            supervisor.start(case.order)
        await _first_of(progress.settled.wait(), screen.watch(progress), supervisor.keeping)
    states: dict[ServiceName, object] = {}
    for service in SERVICES:
        states[service] = msgspec.json.decode(await services.ask(service, "/state"))
    verdict = check(progress.cases, states)
    result = progress.result(verdict)
    document = msgspec.json.encode(result)
    screen.table(progress)
    screen.verdict(progress, verdict, figures=sentences_of(states["product"], states["payment"]))
    _close(directory, progress, screen, ok=result.ok)
    if progress.all_ended:
        directory.end(document)
    if options.json:
        print(document.decode())
    return 0 if result.ok else 1


def _close(directory: RunDirectory, progress: Progress, screen: Screen, *, ok: bool) -> None:
    completed = sum(saga.status == "completed" for saga in progress.sagas.values())
    undone = sum(saga.status == "compensated" for saga in progress.sagas.values())
    all_told = f"{completed} of {len(progress.cases)} orders completed, {undone} were undone"
    screen.say(f"{all_told}. {'All is well.' if ok else 'Not all is well.'}")
    if not progress.all_ended:
        screen.say("Some have not ended; the same command goes on with them, --fresh begins a new run.")
    screen.say(f"Databases and logs: {_short(directory.path)}")


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
    """The four services, as their customers and the demo's arrangements reach them."""

    fleet: Fleet
    session: ClientSession

    async def arrange(self, cases: Sequence[Case]) -> None:
        """Have the services misbehave as the cases say."""
        for case in cases:
            for misbehaving in case.misbehave:
                order = misbehaving.for_order(case.order.order_id)
                await self.ask(misbehaving.service, "/misbehave", order)

    async def ask(self, service: ServiceName, path: str, body: msgspec.Struct | None = None) -> bytes:
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


if __name__ == "__main__":
    sys.exit(main())
