"""docker-compose.yaml, carried out on loopback with the project's own servers: up, a trial, down."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from servers.compose import Loopback, composition

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 240
"""Seconds; alone on a machine it is done within 40."""


def test_the_composition_comes_up_carries_sagas_survives_a_kill_and_goes_down() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "servers.trial"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("orchestrator-1", "orchestrator-2"):
        assert re.search(rf"{name}: order-\d+ completed, COMPLETED", done.stdout)
        assert re.search(rf"{name}: booking-\d+ completed, started by an event", done.stdout)
    assert "orchestrator-1: killed" in done.stdout
    assert "orchestrator-2: took over, all completed" in done.stdout
    assert "redis: away, and only noticed" in done.stdout
    assert "eureka: both orchestrators are registered" in done.stdout
    assert "prometheus: sees both orchestrators" in done.stdout
    assert "down; every exit code is 0" in done.stdout


@pytest.fixture
def here(tmp_path: Path) -> Loopback:
    return Loopback(
        composition=composition(ROOT / "docker-compose.yaml", {"POSTGRES_PASSWORD": "s3cret"}),
        folder=tmp_path,
        programs={"amends": "/bin/amends", "python": "/bin/python"},
    )


def test_names_and_ports_become_loopback(here: Loopback) -> None:
    service = here.composition.services["orchestrator-1"]
    environment = here.environment(service)
    kafka, postgres = here.address("kafka", 9092), here.address("postgres", 5432)
    assert environment["SPRING_KAFKA_BOOTSTRAP_SERVERS"] == kafka
    assert environment["SPRING_DATASOURCE_URL"] == f"jdbc:postgresql://{postgres}/amends"
    assert environment["SPRING_DATASOURCE_PASSWORD"] == "s3cret"
    assert environment["SERVER_PORT"] == str(here.ports["orchestrator-1", 8095])
    assert environment["SERVER_ADDRESS"] == "127.0.0.1"
    assert environment["SPRING_DATA_REDIS_HOST"] == "127.0.0.1"
    assert environment["SPRING_DATA_REDIS_PORT"] == str(here.ports["redis", 6379])
    assert environment["AMENDS_KAFKA_MEMBER"] == "orchestrator-1", "a name that is no address stays"
    assert len(set(here.ports.values())) == len(here.ports)


def test_commands_and_mounts_are_the_compositions(here: Loopback) -> None:
    service = here.composition.services["orchestrator-1"]
    config = here.folder / "orchestrator-1" / "etc" / "amends" / "application.yaml"
    assert here.command(service)[:4] == [
        "/bin/amends",
        "serve",
        "examples.order.saga:ORDER",
        "examples.booking.saga:BOOKING",
    ]
    assert here.command(service)[-1] == str(config)
    here.place(service)
    assert here.url("order-product", 8080) in config.read_text("utf-8")
    assert "order-product:8080" not in config.read_text("utf-8")
    participant = here.composition.services["order"]
    here.place(participant)
    command = here.command(participant)
    assert command[:3] == ["/bin/python", "-m", "examples.order.participants.order_service"]
    assert command[command.index("--port") + 1] == str(here.ports["order", 8080])
    database = Path(command[command.index("--database") + 1])
    assert database.parent.resolve() == (here.folder / "volumes" / "participants").resolve()


def test_a_health_check_is_asked_where_the_service_is(here: Loopback) -> None:
    service = here.composition.services["booking"]
    assert service.check is not None
    assert here.url("booking", 8080) in " ".join(here.command(service, service.check.command))


def test_what_is_needed_comes_first(here: Loopback) -> None:
    order = [each.name for each in here.composition.in_order()]
    assert order.index("postgres") < order.index("orchestrator-1")
    assert order.index("prometheus") < order.index("grafana")
    assert sorted(order) == sorted(here.composition.services)
