"""What keys must agree on with one another.

Rules: looked at when every value is right by itself. A fault stands where the value comes from that would have to
change, and names every key that has to do with it.
It does not: check values one by one (`kinds.py`).
"""

from collections.abc import Iterator, Mapping

from amends.settings.keys import Path
from amends.settings.kinds import LOOKED_UP, is_loopback
from amends.settings.model import Database, Kafka, Server, Settings
from amends.settings.origin import DEFAULT, Fault, Origin


def disagreements(settings: Settings, origins: Mapping[Path, Origin]) -> Iterator[Fault]:
    """Return what does not fit together."""
    for path, message in _errors(settings):
        yield Fault(origin=origins.get(path, DEFAULT), message=message)
    for path, message in _of_database(settings.database):
        yield Fault(origin=origins.get(path, DEFAULT), message=message, severity="warning")


def _errors(settings: Settings) -> Iterator[tuple[Path, str]]:
    yield from _of_server(settings.server)
    yield from _of_kafka(settings.kafka)
    for name, retry in (("retry", settings.saga.retry), ("undo-retry", settings.saga.undo_retry)):
        if retry.first > retry.cap:
            yield ("saga", name, "first"), f"saga.{name}.first is longer than saga.{name}.cap"
    yield from _of_looked_up(settings)
    if settings.breaker.open_for > settings.breaker.longest:
        yield ("breaker", "open-for"), "breaker.open-for is longer than breaker.longest"


def _of_server(server: Server) -> Iterator[tuple[Path, str]]:
    if not is_loopback(server.host) and not server.api_keys and not server.allow_anonymous_network:
        yield (
            ("server", "host"),
            (
                f"server.host {server.host} is reached from other machines and server.api-keys is empty: give a key, "
                "or say server.allow-anonymous-network: true"
            ),
        )


def _of_looked_up(settings: Settings) -> Iterator[tuple[Path, str]]:
    if settings.eureka.enabled and settings.eureka.default_zone:
        return
    needed = "eureka.enabled: true" if settings.eureka.default_zone else "eureka.default-zone"
    for name, service in settings.microservices.items():
        if service.url.text.startswith(LOOKED_UP):
            yield ("microservices", name, "url"), f"microservices.{name}.url {service.url} needs {needed}"


def _of_kafka(kafka: Kafka) -> Iterator[tuple[Path, str]]:
    if kafka.serialization == "avro" and kafka.schema_registry_url is None:
        yield ("kafka", "serialization"), "kafka.serialization avro needs kafka.schema-registry-url"
    if kafka.security_protocol.startswith("sasl_") and (kafka.username is None or kafka.password is None):
        message = f"kafka.security-protocol {kafka.security_protocol} needs kafka.username and kafka.password"
        yield ("kafka", "security-protocol"), message
    names: dict[str, str] = {}
    for field in kafka.topics.__dataclass_fields__:
        topic: str | None = getattr(kafka.topics, field)
        name = field.replace("_", "-")
        if topic in names:
            yield (
                ("kafka", "topics", name),
                f"kafka.topics.{name} is {topic}, as is kafka.topics.{names[topic]}",
            )
        if topic is not None:
            names.setdefault(topic, name)


def _of_database(database: Database) -> Iterator[tuple[Path, str]]:
    for name, beside, inside in (
        ("username", database.username, database.url.username),
        ("password", database.password, database.url.password),
    ):
        if beside is not None and database.url.kind != "postgresql":
            yield ("database", name), f"database.{name} is not used: database.url is not PostgreSQL"
        elif beside is not None and inside is not None and beside != inside:
            yield ("database", name), f"database.{name} wins over the one in database.url"
    if database.views_url is not None and database.url.kind != "postgresql":
        yield ("database", "views-url"), "database.views-url is not used: database.url is not PostgreSQL"
