"""The service as a process with Avro topics: it runs a saga with services of their own, and says what it lacks."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from amends.adapters.kafka import Address, KafkaSender
from amends.avro import SchemaRegistry, replies_schema, schema_of
from examples.fulfilment import messages
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.kafka.shared_registry import registry_url
from tests.avro.odd_registry import odd_registry
from tests.delivery.api.serving import ROOT, Answer, environment, launch, serving, until

PARTICIPANTS: Final = ("inventory", "payment", "shipping")
SAGAS: Final = "examples.fulfilment.saga:ORDER_FULFILMENT"
SCHEMAS: Final[dict[str, Any]] = {
    "inventory": schema_of(messages.ReserveInventory, messages.ReleaseInventory),
    "payment": schema_of(messages.ProcessPayment, messages.RefundPayment),
    "shipping": schema_of(messages.ShipOrder, messages.CancelShipment),
    "replies": replies_schema(messages.Success),
}
ORDER: Final = {
    "order_id": "o-1",
    "account": "ada",
    "items": [{"sku": "kettle", "quantity": 1}],
    "amount": "39.90",
    "country": "DE",
}


def configured(folder: Path, name: str, lines: Sequence[str], bindings: Sequence[str] = ()) -> Path:
    """Settings, and the file of bindings beside them."""
    topics = [f"  {each}: {{commands: {name}.{each}}}" for each in PARTICIPANTS]
    (folder / "kafka.yaml").write_text("\n".join(["participants:", *topics, *bindings, ""]))
    path = folder / "application.yaml"
    kafka = [
        f"  bootstrap-servers: {broker().address}",
        "  bindings: kafka.yaml",
        f"  consumer-group: {name}",
    ]
    named = ["  topics:", f"    replies: {name}.replies"]
    path.write_text("\n".join(["kafka:", *kafka, *lines, *named, ""]))
    return path


async def register(name: str) -> None:
    registry = SchemaRegistry(registry_url())
    for topic, schema in SCHEMAS.items():
        await registry.register(f"{name}.{topic}-value", schema)
    await registry.close()


@contextmanager
def participants(folder: Path, name: str) -> Iterator[None]:
    module, places = "tests.adapters.kafka.avro_participant", [broker().address, registry_url()]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, each, *places, f"{name}.{each}", str(folder / f"{each}.db")],
            cwd=ROOT,
            env=environment(),
        )
        for each in PARTICIPANTS
    ]
    try:
        yield
    finally:
        for each in running:
            each.terminate()
        assert [each.wait(60) for each in running] == [0, 0, 0]


def test_the_service_runs_a_saga_over_avro_topics(tmp_path: Path) -> None:
    name = new_name()
    lines = ["  serialization: avro", f"  schema-registry-url: {registry_url()}"]
    config = configured(tmp_path, name, lines)
    asyncio.run(register(name))
    with (
        serving(tmp_path, config=config, sagas=[SAGAS]) as service,
        participants(tmp_path, name),
    ):
        body = {"saga": "order-fulfilment", "id": "o-1", "data": ORDER}
        assert service.ask("POST", "/v1/sagas", body).status == 201
        ended = service.reached("o-1", lambda found: found["status"] in {"completed", "compensated"})
        assert ended["status"] == "completed"
        assert service.ask("GET", "/v1/parked").json["parked"] == []


@pytest.mark.parametrize(
    ("lines", "bindings", "told"),
    [
        (
            [],
            ["serialization: {NAME.inventory: avro}"],
            "NAME.inventory carries Avro, which needs a schema registry",
        ),
        (["  serialization: avro"], [], "kafka.serialization avro needs kafka.schema-registry-url"),
        ([], ["serialization: {NAME.other: avro}"], "serialization names NAME.other, which no binding uses"),
    ],
)
def test_the_service_says_what_avro_lacks(
    lines: Sequence[str], bindings: Sequence[str], told: str, tmp_path: Path
) -> None:
    name = new_name()
    config = configured(tmp_path, name, lines, [each.replace("NAME", name) for each in bindings])
    process, log = launch(tmp_path, SAGAS, "--config", str(config), "--port", "0")
    assert process.wait(60) == 2
    assert told.replace("NAME", name) in log.read_text()


async def test_a_replay_that_the_registry_must_answer_says_when_it_does_not(tmp_path: Path) -> None:
    name, number = new_name(), "/schemas/ids/9"
    sender = KafkaSender(Address((broker().address,)))
    async with odd_registry() as odd:
        lines = ["  serialization: avro", f"  schema-registry-url: {odd.url}"]
        config = configured(tmp_path, name, lines)

        def with_the_service() -> None:
            with serving(tmp_path, config=config, sagas=[SAGAS]) as service:
                found = until(lambda: service.ask("GET", "/v1/parked").json["parked"], "it is parked")
                assert found[0]["code"] == "unknown-schema"
                odd.says(number, "not now", 503)
                path = f"/v1/parked/{found[0]['id']}/replay"
                said = {"by": "ada", "reason": "its schema is there"}
                refused = until(lambda: _of(503, service.ask("POST", path, said)), "it is asked again")
                assert refused.code == "unavailable"
                assert refused.headers["retry-after"] == "1"
                assert "the schema registry" in refused.json["detail"]
                assert "503" in str(service.ask("GET", "/ready").json)

        running = asyncio.create_task(asyncio.to_thread(with_the_service))
        value = b"\0\0\0\0\x09\x02"
        await sender.publish(f"{name}.replies", key=b"o-1", value=value, headers=[])
        await running
    await sender.close()


def _of(status: int, answer: Answer) -> Answer | None:
    return answer if answer.status == status else None
