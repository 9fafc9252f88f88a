"""Every setting: its type, default, range, and what it is for.

Rules: values are frozen and typed, with their units gone: durations are timedeltas, sizes are bytes. The page
`docs/configuration.md` is made from this module, and a test holds them equal. A section whose feature is still to come
says so; its values are checked all the same.
It does not: read files or variables (`load.py`), or check keys against one another (`agreement.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from amends.definition.policy import FORWARD, STEP_TIMEOUT, UNDO, Backoff, RetryPolicy
from amends.settings.database_url import DatabaseUrl, database_url
from amends.settings.keys import entries, key, required, section
from amends.settings.kinds import (
    Kind,
    broker,
    choice,
    decimal,
    headers,
    host,
    list_of,
    matching,
    secret,
    service_url,
    switch,
    text,
    url,
    whole,
)
from amends.settings.quantities import duration, size
from amends.settings.secret import Secret, Url
from amends.settings.telemetry import Telemetry

MIB = 1 << 20
NO_HEADERS: Mapping[str, Secret] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    host: str = key(
        "127.0.0.1",
        host(),
        "The address to listen on; `0.0.0.0` and `::` are all of the machine's.",
        spring="server.address",
    )
    port: int = key(8095, whole(1, 65_535), "The port to listen on.", spring="server.port")
    public_url: Url | None = key(
        None, url(), "Where participants reach this service, for replies that come after a 202."
    )
    api_keys: tuple[Secret, ...] = key(
        (),
        list_of(secret(16), name="a list"),
        "Keys that clients may present; with none, no key is asked for.",
    )
    allow_anonymous_network: bool = key(
        False, switch(), "Listen beyond this machine although there is no API key."
    )
    error_detail: Literal["full", "brief"] = key(
        "full",
        choice("full", "brief"),
        "How much an error says: what was wrong and where, or only its kind.",
    )
    max_body_size: int = key(
        MIB, size("1KiB", "64MiB"), "The longest request that is read; a longer one gets 413."
    )
    max_header_size: int = key(
        32 * 1024, size("1KiB", "1MiB"), "The longest head of a request; a longer one gets 431."
    )
    header_timeout: timedelta = key(
        timedelta(seconds=10), duration("100ms", "5m"), "How long a client may take to send its headers."
    )
    body_timeout: timedelta = key(
        timedelta(seconds=10), duration("100ms", "1h"), "How long a client may take to send its body."
    )
    idle_timeout: timedelta = key(
        timedelta(seconds=30),
        duration("100ms", "1h"),
        "How long a connection may stay open without a request.",
    )
    max_connections: int = key(
        1_000,
        whole(1, 1_000_000),
        "How many connections may be open; fewer if the process may not open as many files.",
    )
    max_request_rate: int = key(
        0,
        whole(0, 1_000_000),
        "How many requests a second one client may make, an API key or else an address; beyond that 429. 0: no limit.",
    )
    max_wait: timedelta = key(
        timedelta(seconds=60),
        duration("1s", "1h"),
        "The longest time that a client may ask to wait for an end.",
    )
    shutdown_timeout: timedelta = key(
        timedelta(seconds=30), duration("0s", "10m"), "How long requests in progress may take after SIGTERM."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Eureka:
    enabled: bool = key(
        True,
        switch(),
        "Whether Eureka is used; nothing happens as long as there is no server.",
        spring="eureka.client.enabled",
    )
    default_zone: tuple[Url, ...] = key(
        (),
        list_of(url(), name="a list"),
        "The Eureka servers, such as `http://eureka:8761/eureka/`.",
        spring="eureka.client.service-url.defaultZone",
    )
    app_name: str = key(
        "orchestrator-service",
        matching(
            r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
            name="a name",
            range="of 1 to 100 letters, digits, '.', '_' and '-'",
        ),
        "The name to register under.",
        spring="spring.application.name",
    )
    instance_host: str | None = key(
        None,
        host(),
        "The host to register; without it that of `server.public-url`, of `server.host`, or the machine's name.",
        spring="eureka.instance.hostname",
    )
    instance_id: str | None = key(
        None,
        matching(
            r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}",
            name="an id",
            range="of 1 to 200 letters, digits, '.', '_', ':', '@' and '-'",
        ),
        "What this instance is called in Eureka; without it `HOST:APP-NAME:PORT`.",
        spring="eureka.instance.instance-id",
    )
    prefer_ip_address: bool = key(
        False,
        switch(),
        "Whether others are told the IP address in place of the host's name.",
        spring="eureka.instance.prefer-ip-address",
    )
    register: bool = key(
        True,
        switch(),
        "Whether this service is registered; without, others are looked up only.",
        spring="eureka.client.register-with-eureka",
    )
    renewal_interval: timedelta = key(
        timedelta(seconds=30), duration("1s", "5m"), "The time between two signs of life."
    )
    fetch_interval: timedelta = key(
        timedelta(seconds=30), duration("1s", "5m"), "The time between two looks at who is registered."
    )


def _topic_kind() -> Kind[str]:
    # `.` and `..` are the only forbidden names among these characters.
    return matching(
        r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}",
        name="a topic",
        range="of 1 to 249 letters, digits, '.', '_' and '-'",
    )


def _topic(default: str, doc: str) -> str:
    return key(default, _topic_kind(), doc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Topics:
    order_created: str = _topic("order-created-events", "An order was created: its saga starts.")
    product_reserved: str = _topic("product-reserved-events", "Stock was reserved.")
    product_reservation_failed: str = _topic("product-reservation-failed-events", "Stock was not reserved.")
    payment_processed: str = _topic("payment-processed-events", "A payment was made.")
    payment_failed: str = _topic("payment-failed-events", "A payment was refused.")
    order_approved: str = _topic("order-approved-events", "An order was approved.")
    order_cancelled: str = _topic("order-cancelled-events", "An order was cancelled.")
    coupon_applied: str = _topic("coupon-applied-events", "A discount was applied.")
    split_payment_processed: str = _topic("split-payment-processed-events", "A split payment was made.")
    replies: str = _topic("amends.replies", "The replies of participants that speak Amends' own contract.")
    transitions: str | None = key(
        None,
        _topic_kind(),
        "Where every transition of every saga leaves to, such as `amends.transitions`; without it they do not leave.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Kafka:
    bootstrap_servers: tuple[str, ...] = key(
        (),
        list_of(broker(), name="a list"),
        "The brokers to begin with; with none, Kafka is off.",
        spring="spring.kafka.bootstrap-servers",
    )
    client_id: str = key(
        "amends", text(100), "The name that brokers show for this service.", spring="spring.kafka.client-id"
    )
    consumer_group: str = key(
        "orchestrator-service",
        text(),
        "The consumer group that all instances of this service share.",
        spring="spring.kafka.consumer.group-id",
    )
    serialization: Literal["json", "avro"] = key(
        "json",
        choice("json", "avro"),
        "What topics carry, but those for which the bindings say something else; `avro` needs"
        " `kafka.schema-registry-url`.",
    )
    schema_registry_url: Url | None = key(
        None,
        url(),
        "The schema registry, for topics that carry Avro.",
        spring="spring.kafka.properties.schema.registry.url",
    )
    schema_registry_username: str | None = key(None, text(), "The account at the schema registry.")
    schema_registry_password: Secret | None = key(None, secret(), "The password of that account.")
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = key(
        "plaintext",
        choice("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        "How brokers are spoken to.",
        spring="spring.kafka.security.protocol",
    )
    sasl_mechanism: Literal["plain", "scram-sha-256", "scram-sha-512"] = key(
        "plain", choice("plain", "scram-sha-256", "scram-sha-512"), "How the account proves itself."
    )
    username: str | None = key(None, text(), "The account, for the `sasl_` protocols.")
    password: Secret | None = key(None, secret(), "The account's password.")
    bindings: str | None = key(
        None,
        text(),
        "The file that says which participants are spoken to over topics, and which events start sagas.",
    )
    member: str | None = key(
        None,
        text(100),
        "A name that this process alone has, and has again after a restart: it then goes on without a rebalance.",
    )
    partitions: int = key(
        -1,
        whole(-1, 10_000),
        "Of topics that are not there and are made; -1: as many as the broker thinks right, 0: none is made.",
    )
    topics: Topics = section(Topics, "The names of the topics. No two may be the same.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    url: DatabaseUrl = key(
        DatabaseUrl(kind="sqlite", path="amends.db"),
        database_url(),
        "Where sagas are kept: a file, `sqlite:FILE`, `memory:`, `postgresql://HOST/NAME`, or that behind `jdbc:`.",
        spring="spring.datasource.url",
    )
    username: str | None = key(
        None,
        text(),
        "The account; it wins over the one in the address.",
        spring="spring.datasource.username",
    )
    password: Secret | None = key(
        None,
        secret(),
        "The account's password; it wins over the one in the address.",
        spring="spring.datasource.password",
    )
    pool_size: int = key(
        10, whole(1, 1_000), "How many connections are open at most (PostgreSQL; fewer than 4 will not do)."
    )
    connect_timeout: timedelta = key(
        timedelta(seconds=5), duration("100ms", "5m"), "How long opening a connection may take (PostgreSQL)."
    )
    start_timeout: timedelta = key(
        timedelta(0),
        duration("0s", "1h"),
        "How long a database that is away is waited for at the start; after that the exit code is 1.",
    )
    lease: timedelta = key(
        timedelta(seconds=5),
        duration("1s", "5m"),
        "How long a process may be silent before others take its work over (PostgreSQL).",
    )
    views_url: DatabaseUrl | None = key(
        None,
        database_url(),
        "Where the lists are kept, if not in the database of `database.url` (PostgreSQL); with an account of its own.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Redis:
    host: str | None = key(
        None, host(), "The server; without one Redis is off.", spring="spring.data.redis.host"
    )
    port: int = key(6379, whole(1, 65_535), "The server's port.", spring="spring.data.redis.port")
    username: str | None = key(None, text(), "The account.", spring="spring.data.redis.username")
    password: Secret | None = key(
        None, secret(), "The account's password.", spring="spring.data.redis.password"
    )
    database: int = key(
        0, whole(0, 1_023), "The number of the database.", spring="spring.data.redis.database"
    )
    ssl: bool = key(False, switch(), "Whether to speak TLS.", spring="spring.data.redis.ssl.enabled")
    timeout: timedelta = key(
        timedelta(seconds=1),
        duration("1ms", "1m"),
        "How long an answer is waited for; then Redis is done without.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Microservice:
    url: Url = required(
        service_url(),
        "Where the service is; a command is posted to `{url}/{command}`. `lb://SERVICE/PATH`: to one of its instances "
        "in Eureka.",
    )
    timeout: timedelta = key(timedelta(seconds=30), duration("1ms", "1h"), "How long one call may take.")
    headers: Mapping[str, Secret] = key(NO_HEADERS, headers(), "Headers for every call, such as a key.")
    rate: float | None = key(
        None, decimal(0.01, 1_000_000), "How many calls a second are made to it; without it, no limit."
    )
    width: int | None = key(
        None, whole(1, 10_000), "How many calls are made to it at a time; `saga.lane-width` without it."
    )
    status: bool = key(
        False,
        switch(),
        "Whether it can be asked what became of a command: `GET {url}/{command}` of the contract.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker:
    enabled: bool = key(True, switch(), "Whether breakers open by themselves.")
    failures: int = key(
        5, whole(1, 10_000), "How many different commands must fail, one after the other, for it to open."
    )
    share: float = key(0.8, decimal(0.01, 1), "Or which share of the last calls.")
    over: int = key(50, whole(2, 100_000), "How many last calls that share is taken of.")
    open_for: timedelta = key(
        timedelta(seconds=5),
        duration("1ms", "1h"),
        "How long nothing is sent before a probe; doubled with each probe that fails.",
    )
    longest: timedelta = key(timedelta(minutes=1), duration("1ms", "1d"), "The longest time before a probe.")
    ramp: timedelta = key(
        timedelta(seconds=30),
        duration("0s", "1h"),
        "How long calls are let go slowly after a probe was answered; `0s` lets all go at once.",
    )
    ramp_first: float = key(
        5.0,
        decimal(0.01, 100_000),
        "How many calls a second that begins with; it doubles ten times within `breaker.ramp`.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryBudget:
    do_share: float = key(
        0.2, decimal(0, 100), "How many retries of dos may be sent for each first attempt of one."
    )
    undo_share: float = key(
        1.0, decimal(0, 100), "How many retries of undos may be sent for each first attempt of one."
    )
    least: float = key(
        10.0, decimal(0.01, 100_000), "How many retries a second may be sent besides, of each of the two."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    attempts: int = key(
        FORWARD.attempts, whole(1, 10_000), "How often a command is tried, the first time included."
    )
    first: timedelta = key(FORWARD.first, duration("0s", "3660d"), "The pause after the first attempt.")
    backoff: Backoff = key(FORWARD.backoff, choice("fixed", "linear", "exponential"), "How the pauses grow.")
    cap: timedelta = key(FORWARD.cap, duration("1ms", "3660d"), "The longest pause.")
    jitter: float = key(FORWARD.jitter, decimal(0, 1), "By which share of itself a pause may be shortened.")

    def policy(self) -> RetryPolicy:
        """Return the policy that these values make."""
        return RetryPolicy(
            attempts=self.attempts, first=self.first, backoff=self.backoff, cap=self.cap, jitter=self.jitter
        )


LATER = "Checked now; the service applies it later."


def _undo_retry() -> Retry:
    return Retry(
        attempts=UNDO.attempts, first=UNDO.first, backoff=UNDO.backoff, cap=UNDO.cap, jitter=UNDO.jitter
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaDefaults:
    namespace: str = key(
        "default",
        matching(r"[a-z0-9][a-z0-9-]{0,62}", name="a namespace", range="of 1 to 63 of a-z, 0-9 and '-'"),
        "The first half of every instance's identity.",
    )
    step_timeout: timedelta = key(
        STEP_TIMEOUT,
        duration("1ms", "3660d"),
        "How long an attempt's answer is waited for if the step does not say.",
    )
    coupon_policy: Literal["continue", "fail"] = key(
        "continue",
        choice("continue", "fail"),
        "What a refused coupon means: go on with the original amount, or roll back. " + LATER,
    )
    lane_width: int = key(
        100,
        whole(1, 10_000),
        "How many calls are made to one participant at a time; over Kafka ten times as many commands.",
    )
    most_live: int = key(10_000, whole(1, 10_000_000), "How many instances may be in memory.")
    most_waiting: int = key(
        10_000, whole(0, 10_000_000), "How many starts may wait for room; beyond that they get 429."
    )
    retry: Retry = section(Retry, "How a step is tried that does not say.")
    undo_retry: Retry = section(
        _undo_retry, "How an undo, a pivot and a retriable step are tried that do not say."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    age: timedelta | None = key(
        None,
        duration("1h", "3660d"),
        "How long an instance stays after its end before it is archived; without it all stay for ever.",
    )
    folder: str = key("archive", text(1_000), "Where archived instances go: a folder, made when needed.")
    interval: timedelta = key(
        timedelta(hours=1), duration("1s", "7d"), "The time between two looks for what may go."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    level: Literal["debug", "info", "warning", "error"] = key(
        "info",
        choice("debug", "info", "warning", "error", also={"trace": "debug", "warn": "warning"}),
        "The least important message that is written.",
        spring="logging.level.root",
    )
    format: Literal["text", "json"] = key("text", choice("text", "json"), "One line of text, or of JSON.")
    requests: bool = key(False, switch(), "Whether every request is written, too.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of the service."""

    server: Server = section(Server, "The service's own HTTP server.")
    eureka: Eureka = section(
        Eureka,
        "Eureka: this service in it, and the look-up of `microservices` whose address is `lb://SERVICE`.",
    )
    kafka: Kafka = section(
        Kafka,
        "Kafka as a transport, for the participants that `kafka.bindings` names.",
    )
    database: Database = section(Database, "Where sagas are kept.")
    redis: Redis = section(
        Redis,
        "Where the processes of one namespace share breakers and rates. Nothing depends on it: while it is away each"
        " process keeps its own.",
    )
    microservices: Mapping[str, Microservice] = entries(
        Microservice,
        "The services that execute commands, by the participant's name; `SAGA/NAME` is meant for one saga alone, and"
        " wins. `NAME: URL` is short for `NAME: {url: URL}`.",
    )
    breaker: Breaker = section(
        Breaker, "When a participant that is down is let alone, and how it is called again; for each apart."
    )
    retry_budget: RetryBudget = section(
        RetryBudget, "How much of what is sent to a participant may be retries; for each apart."
    )
    saga: SagaDefaults = section(SagaDefaults, "How sagas run.")
    retention: Retention = section(Retention, "What becomes of instances that have ended.")
    log: Log = section(Log, "What the service writes about itself, to standard error.")
    telemetry: Telemetry = section(Telemetry, 'Traces, for OpenTelemetry; `pip install "amends[telemetry]"`.')
