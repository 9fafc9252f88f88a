"""The service as a process: everything joined, from the first socket to the last connection.

Rules
- The address is taken first, because participants are told where replies go. Then the server answers: `/health` at
  once, `/ready` with 503 until the store is open and what was outstanding goes on.
- SIGTERM or SIGINT: not ready any more, nothing new is let in, what is in progress is answered within its time,
  streams end, the engine closes. A second signal ends the process there and then; nothing that was answered is lost.
It does not: read settings (`amends.settings` does), or choose exit codes beyond those of signals (the verb does).
"""

import asyncio
import dataclasses
import importlib.util
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

from amends import bootstrap
from amends.application.bindings import needed
from amends.application.callbacks import Callbacks
from amends.application.orchestrator import Orchestrator
from amends.application.registry import Registry
from amends.application.service import Service
from amends.bootstrap import Transport
from amends.core.plan import Defaults
from amends.definition import Saga
from amends.delivery.api.call import Answer, Limits
from amends.delivery.api.connections import Limits as ConnectionLimits, bound
from amends.delivery.api.cursor import Cursors, key_beside
from amends.delivery.api.descriptors import Share, share
from amends.delivery.api.protections import protection
from amends.delivery.api.server import Options, Server
from amends.delivery.stores import NotServed, parked, stores
from amends.settings import Settings, SettingsInvalid
from amends.settings.model import Retention
from amends.settings.topics import load_topics

CALLBACKS = "/v1/callbacks"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  nothing is bound to it here
SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


class Unbound(Exception):
    """A step needs a participant that the configuration does not name."""


async def run(sagas: "Sequence[Saga[Any]]", settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve `sagas` until a signal comes; `ready` is told the address once work may come.

    Raises:
        DefinitionError, ValueError: the definitions cannot be used.
        Unbound, NotServed, TooFew: the configuration cannot.
        DefinitionChanged, StoreError, KeyUnusable: the store cannot.
        OSError: the address cannot be had.
    """
    cluster = _cluster(settings)
    bindings = _bindings(sagas, settings, over_topics=cluster.transports if cluster else {})
    going = _signalled()
    async with AsyncExitStack() as stack:
        sockets = await bound(settings.server.host, settings.server.port)
        for each in sockets:
            stack.callback(each.close)
        shares = share(
            connections=settings.server.max_connections,
            participants=len(bindings),
            lane_width=settings.saga.lane_width,
        )
        url = _url(sockets[0])
        joined = _Joined(sagas=sagas, settings=settings, bindings=bindings, cluster=cluster)
        service, callbacks, answer = _service(joined, shares, url)
        server = Server(
            service=service,
            callbacks=answer,
            options=_options(settings, shares),
        )
        server.listen(sockets)
        async with AsyncExitStack() as opened:
            if await _opened_before(going, service, opened):
                callbacks.deliver_to(service.orchestrator)
                # Not before the store is ours: nothing is left beside a file that was refused.
                server.open(Cursors(await _cursor_key(settings, service)))
                ready(url)
                await going.wait()
            _log.info("going down: waiting for what is in progress")
            await server.drain(settings.server.shutdown_timeout.total_seconds())
        _log.info("stopped")


async def _opened_before(going: asyncio.Event, service: Service, stack: AsyncExitStack) -> bool:
    """Open `service`, which may wait for its store; tell whether that was done before a signal came."""
    opening = asyncio.create_task(stack.enter_async_context(service), name="amends-opening")
    signalled = asyncio.create_task(going.wait(), name="amends-signal")
    try:
        await asyncio.wait({opening, signalled}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()
        if not opening.done():
            opening.cancel()
    with suppress(asyncio.CancelledError):
        await opening
    return not opening.cancelled()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Joined:
    """What the service is made of."""

    sagas: "Sequence[Saga[Any]]"
    settings: Settings
    bindings: Sequence[str]
    """The participants that are called over HTTP."""
    cluster: Any
    """The brokers, as `bootstrap.kafka` gives them; None without."""


def _service(joined: _Joined, shares: Share, url: str) -> tuple[Service, Callbacks, Answer]:
    settings, cluster = joined.settings, joined.cluster
    server, saga = settings.server, settings.saga
    public = server.public_url.text.rstrip("/") if server.public_url else url
    callbacks, answer = bootstrap.mounted_callbacks(
        public + CALLBACKS, longest_body=server.max_body_size, body_within=server.body_timeout
    )
    store, read_model = stores(settings.database)
    http = _transports(settings, joined.bindings, callbacks.url, shares.per_participant)
    orchestrator = Orchestrator(
        sagas=joined.sagas,
        store=store,
        participants={**http, **(cluster.transports if cluster else {})},
        namespace=saga.namespace,
        most_live=saga.most_live,
        most_waiting=saga.most_waiting,
        lane_width=min(saga.lane_width, shares.per_participant),
        protection=protection(settings),
        protections={name: protection(settings, settings.microservices[name]) for name in joined.bindings},
        defaults=Defaults(
            timeout=saga.step_timeout, retry=saga.retry.policy(), undo_retry=saga.undo_retry.policy()
        ),
        open_within=settings.database.start_timeout,
    )
    coming = bootstrap.incoming(orchestrator, cluster, parked(settings.database)) if cluster else None
    service = bootstrap.service(
        orchestrator,
        read_model=read_model,
        retained=_retained(settings.retention),
        incoming=coming,
        exchange=_exchange(settings),
    )
    return service, callbacks, answer


def _retained(retention: Retention) -> bootstrap.Retained | None:
    if retention.age is None:
        return None
    archive = bootstrap.folder_archive(retention.folder)
    return bootstrap.Retained(archive, retention.age, retention.interval)


def _exchange(settings: Settings) -> bootstrap.Exchange | None:
    """Return where processes share breakers and rates; None without `redis.host`.

    Raises:
        NotServed: what talks to Redis is not installed.
    """
    redis = settings.redis
    if redis.host is None:
        return None
    if importlib.util.find_spec("redis") is None:
        raise NotServed('redis.host needs redis-py: pip install "amends[redis]"')
    return bootstrap.redis(
        redis.host,
        port=redis.port,
        username=redis.username,
        password=redis.password.reveal() if redis.password else None,
        database=redis.database,
        ssl=redis.ssl,
        timeout=redis.timeout,
        namespace=settings.saga.namespace,
    )


def _cluster(settings: Settings) -> Any:
    """Return the brokers with what is bound to them; None without `kafka.bindings`.

    Raises:
        NotServed: the bindings, or the brokers' settings, cannot be used.
    """
    kafka = settings.kafka
    if kafka.bindings is None:
        return None
    if not kafka.bootstrap_servers:
        raise NotServed("kafka.bindings needs kafka.bootstrap-servers")
    if importlib.util.find_spec("aiokafka") is None:
        raise NotServed('kafka.bindings needs aiokafka: pip install "amends[kafka]"')
    if kafka.serialization != "json":
        raise NotServed("kafka.serialization: avro is still to come")
    names = kafka.topics.__dataclass_fields__
    named = {name.replace("_", "-"): str(getattr(kafka.topics, name)) for name in names}
    try:
        return bootstrap.kafka(
            kafka.bootstrap_servers,
            load_topics(kafka.bindings, named),
            group=kafka.consumer_group,
            client_id=kafka.client_id,
            replies=kafka.topics.replies,
            member=kafka.member,
            partitions=kafka.partitions,
            protocol=kafka.security_protocol.upper(),
            mechanism=kafka.sasl_mechanism.upper(),
            username=kafka.username,
            password=kafka.password.reveal() if kafka.password else None,
        )
    except (SettingsInvalid, ValueError) as error:
        raise NotServed(f"kafka.bindings: {error}") from error


def _bindings(
    sagas: "Sequence[Saga[Any]]", settings: Settings, *, over_topics: Mapping[str, Any]
) -> list[str]:
    """Return the names under `microservices` that some step uses, without those that are spoken to `over_topics`.

    Raises:
        Unbound: a participant has no service.
    """
    used, missing = needed(Registry(sagas).plans, {**settings.microservices, **over_topics})
    if missing:
        told = [f"{name} (of {', '.join(users)})" for name, users in missing.items()]
        keys = ", ".join(f"microservices.{name}.url" for name in missing)
        raise Unbound(f"no service is configured for participant {', '.join(told)}: set {keys}")
    return sorted(used - over_topics.keys())


def _transports(
    settings: Settings, bindings: Sequence[str], callback_url: str, connections: int
) -> Mapping[str, Transport]:
    found: dict[str, Transport] = {}
    for name in bindings:
        bound_to = settings.microservices[name]
        try:
            found[name] = bootstrap.http(
                bound_to.url.text,
                timeout=bound_to.timeout,
                headers={header: value.reveal() for header, value in bound_to.headers.items()},
                callback_url=callback_url,
                connections=connections,
                status=bound_to.status,
            )
        except ValueError as error:
            raise NotServed(f"microservices.{name}: {error}") from error
    return found


def _options(settings: Settings, shares: Share) -> Options:
    server = settings.server
    return Options(
        connections=ConnectionLimits(
            most=shares.clients,
            head=server.max_header_size,
            head_within=server.header_timeout.total_seconds(),
            idle_within=server.idle_timeout.total_seconds(),
        ),
        limits=Limits(
            body=server.max_body_size,
            body_within=server.body_timeout.total_seconds(),
            longest_wait=server.max_wait.total_seconds(),
            write_within=max(server.body_timeout, timedelta(seconds=1)).total_seconds(),
        ),
        keys=[key.reveal() for key in server.api_keys],
        max_request_rate=server.max_request_rate,
        full_errors=server.error_detail == "full",
        log_requests=settings.log.requests,
    )


async def _cursor_key(settings: Settings, service: Service) -> bytes:
    """Return the key that lies beside the rows that several processes share, or beside the file."""
    shared = None if service.queries is None else await service.queries.secret()
    if shared is not None:
        return shared
    url = settings.database.url
    return key_beside(url.path if url.kind == "sqlite" else None)


def _url(listening: socket.socket) -> str:
    address: tuple[Any, ...] = listening.getsockname()
    host, port = ANYWHERE.get(str(address[0]), str(address[0])), int(address[1])
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _signalled() -> asyncio.Event:
    """Return what the first signal sets; a second one ends the process."""
    going = asyncio.Event()
    loop = asyncio.get_running_loop()

    def come(number: int) -> None:
        if going.is_set():
            logging.shutdown()
            os._exit(128 + number)
        going.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, come, number)
    return going
