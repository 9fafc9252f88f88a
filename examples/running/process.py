"""A service of an example as a process: its command line, its database, its routes, its end.

    python -m examples.order.participants.product_service --port 0 --database product.db --seed seed.json

Rules:
- It prints one line, `ready http://127.0.0.1:PORT`, when it listens; SIGTERM or SIGINT ends it with exit code 0.
- With `--with-parent` it ends when its standard input closes, so that it never outlives the one who started it.
- The seed is taken when the database is new, in the transaction that makes the tables.
- Besides its commands each service has `GET /state` and `POST /misbehave`, and what its `routes` add.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler as NextHandler, Middleware

from amends.participant import Database, strict_json
from amends.participant.database import SqliteHandler
from amends.participant.http import participant_application, problem
from amends.participant.sqlite_ledger import create_ledger, write_transaction
from examples.running import misbehaviour
from examples.running.seed import load_seed
from examples.running.topics import TopicService, bindings_of

S = TypeVar("S")
T = TypeVar("T")
Routes = Callable[[web.Application, Database], None]


def _no_routes(application: web.Application, database: Database) -> None:
    """Most services have commands only."""


@dataclass(frozen=True, kw_only=True)
class Service(Generic[S]):
    """What makes a service: tables, seed, commands with the code of a declined one, state.

    `key` is the field of every payload that holds the business key, by its name on the wire. `seed` is the type of the
    seed file; without a file it is made of its defaults.
    """

    name: str
    key: str
    schema: str
    seed: type[S]
    plant: Callable[[sqlite3.Connection, S], None]
    handlers: Mapping[str, SqliteHandler]
    declined: Mapping[str, str]
    state: Callable[[sqlite3.Connection], Mapping[str, object]]
    routes: Routes = field(default=_no_routes)
    creates: str = ""
    """The path that makes what sagas are started for; over Kafka an event says so."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The command line."""

    port: int
    host: str
    database: Path
    seed: Path | None
    with_parent: bool
    kafka: str | None = None
    bindings: Path | None = None
    participant: str = ""


def run(service: Service[Any], arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; the exit code."""
    parsed = _parse(service, sys.argv[1:] if arguments is None else arguments)
    try:
        seed = _seed(service, parsed.seed)
        database = Database(
            path=parsed.database, prepare=lambda connection: prepare(connection, service, seed)
        )
    except (ValueError, sqlite3.Error) as error:
        print(f"{service.name}: {error} (database {parsed.database})", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_serve(service, database, parsed))
    finally:
        database.close()


def _seed(service: Service[S], path: Path | None) -> S:
    return msgspec.convert({}, service.seed) if path is None else load_seed(path, service.seed)


def _parse(service: Service[Any], arguments: Sequence[str]) -> Arguments:
    parser = argparse.ArgumentParser(prog=service.name.replace("-", "_"))
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free one")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 is everywhere")
    parser.add_argument(
        "--database", type=Path, required=True, help="its SQLite file, made when it is missing"
    )
    parser.add_argument("--seed", type=Path, help="JSON with what a new database begins with")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="the broker from which commands come as well")
    parser.add_argument("--bindings", type=Path, help="the file that says on which topics")
    parser.add_argument("--participant", default="", help="the name of this service there")
    return Arguments(**vars(parser.parse_args(arguments)))


def prepare(connection: sqlite3.Connection, service: Service[S], seed: S) -> None:
    """Make the tables; in a new database, plant the seed as well."""
    create_ledger(connection)
    connection.executescript(misbehaviour.SCHEMA)
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(service.schema)
        with write_transaction(connection):
            service.plant(connection, seed)
            connection.execute("PRAGMA user_version = 1")


def application_of(service: Service[Any], database: Database) -> web.Application:
    """The service's commands, its state, its misbehaviour and its own routes."""
    handlers = misbehaviour.declining(service.handlers, codes=service.declined)
    application = participant_application(handlers=handlers, database=database)
    application.middlewares.append(misbehaviour.misbehaving(database, key=service.key))

    async def state(_: web.Request) -> web.Response:
        return json_response(await database.run(service.state))

    async def misbehave(request: web.Request) -> web.Response:
        try:
            ordered = await read_json(request, misbehaviour.Misbehave)
        except ValueError as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        if ordered.command not in handlers:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{service.name} has {', '.join(handlers)}")
        await database.run(lambda connection: misbehaviour.order_misbehaviour(connection, ordered))
        return web.Response(status=HTTPStatus.NO_CONTENT)

    application.router.add_get("/state", state)
    application.router.add_post("/misbehave", misbehave)
    service.routes(application, database)
    return application


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The request's body as a message; ValueError says what is wrong with it."""
    return msgspec.convert(strict_json.parse(await request.read()), kind)


def json_response(value: object, *, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """The value as JSON, as msgspec writes it (a Decimal becomes a string)."""
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", status=status)


async def _serve(service: Service[Any], database: Database, arguments: Arguments) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if arguments.with_parent:
        loop.add_reader(sys.stdin.fileno(), lambda: _on_input(ended))
    application = application_of(service, database)
    topics = _topic_service(service, database, arguments)
    if topics is not None:
        application.middlewares.append(_announcing(topics, service.creates))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        if topics is not None:
            await topics.start()
        await web.TCPSite(runner, arguments.host, arguments.port).start()
        print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await ended.wait()
    except OSError as error:
        print(f"{service.name}: cannot listen on port {arguments.port}: {error}", file=sys.stderr)
        return 2
    finally:
        await runner.cleanup()
        if topics is not None:
            await topics.stop()
    return 0


def _topic_service(service: Service[Any], database: Database, arguments: Arguments) -> "TopicService | None":
    """The same commands from topics, if there is a broker."""
    if arguments.kafka is None or arguments.bindings is None:
        return None
    return TopicService(
        name=arguments.participant,
        key=service.key,
        broker=arguments.kafka,
        bindings=bindings_of(arguments.bindings),
        handlers=misbehaviour.declining(service.handlers, codes=service.declined),
        database=database,
    )


def _announcing(topics: TopicService, path: str) -> Middleware:
    """Say what came to be on the topic that starts sagas, before its maker is answered: who is not, asks again."""

    @web.middleware
    async def middleware(request: web.Request, handler: NextHandler) -> web.StreamResponse:
        response = await handler(request)
        if request.method == "POST" and request.path == path and response.status < HTTPStatus.BAD_REQUEST:
            (start,) = topics.bindings.starts
            event = msgspec.json.decode(await request.read(), type=dict[str, object])
            await topics.publish(start, str(event[start.saga_id]), event)
        return response

    return middleware


def _on_input(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()
