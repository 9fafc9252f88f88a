"""Two of the examples' sagas with Avro on every topic: native with services as processes, and in event style."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import pytest

from amends import Orchestrator, bootstrap, memory
from amends.adapters.kafka import Address, KafkaIntake, KafkaSender, make_topics
from amends.avro import AvroCodec, SchemaRegistry, replies_schema, schema_of
from amends.bootstrap import Service
from amends.ports.intake import Outcome, Record
from amends.settings import Settings
from amends.settings.topics import load_topics
from amends.wire.topics import Registry, TopicBindings
from examples.booking import messages as booking
from examples.booking.saga import BOOKING
from examples.fulfilment import messages as fulfilment
from examples.fulfilment.demo import EXAMPLE as FULFILMENT
from examples.fulfilment.saga import ORDER_FULFILMENT
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.kafka.shared_registry import registry_url
from tests.adapters.kafka.world import SESSION

ROOT: Final = Path(__file__).parents[3]
SERVICES: Final = ("inventory", "payment", "shipping")
NAMESPACE: Final = "com.shop"


@asynccontextmanager
async def registered(schemas: Mapping[str, Any]) -> AsyncGenerator[SchemaRegistry]:
    registry = SchemaRegistry(registry_url())
    for topic, schema in schemas.items():
        await registry.register(f"{topic}-value", schema)
    try:
        yield registry
    finally:
        await registry.close()


class Seen:
    """Every value on some topics, so that a test can tell that each of them is Avro."""

    def __init__(self, topics: Iterable[str]) -> None:
        address = Address((broker().address,))
        self._intake = KafkaIntake(address, topics, group=new_name(), session=SESSION)
        self.by_topic: dict[str, list[bytes]] = {}

    async def take(self, record: Record) -> Outcome:
        assert record.value is not None
        self.by_topic.setdefault(record.topic, []).append(record.value)
        return "recorded"

    async def __aenter__(self) -> Self:
        await self._intake.start(self.take)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._intake.stop()


# --- native, with the kit ---


@pytest.fixture
def name() -> str:
    return new_name()


def fulfilment_schemas(name: str) -> Mapping[str, Any]:
    of: dict[str, tuple[Any, Any]] = {
        "inventory": (fulfilment.ReserveInventory, fulfilment.ReleaseInventory),
        "payment": (fulfilment.ProcessPayment, fulfilment.RefundPayment),
        "shipping": (fulfilment.ShipOrder, fulfilment.CancelShipment),
    }
    commands = {f"{name}.{each}": schema_of(*types, namespace=NAMESPACE) for each, types in of.items()}
    return {**commands, f"{name}.replies": replies_schema(fulfilment.Success, namespace=NAMESPACE)}


@asynccontextmanager
async def services(name: str, folder: Path) -> AsyncGenerator[None]:
    """The example's services as processes; they end as services do."""
    module = "tests.adapters.kafka.avro_participant"
    places = [broker().address, registry_url()]
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, each, *places, f"{name}.{each}", str(folder / f"{each}.db")),
            cwd=ROOT,
        )
        for each in SERVICES
    ]
    try:
        yield
    finally:
        for each in running:
            each.terminate()
        codes = [await asyncio.wait_for(each.wait(), 60) for each in running]
        assert codes == [0, 0, 0]


async def test_fulfilment_goes_with_avro_to_services_of_their_own(name: str, tmp_path: Path) -> None:
    bindings = TopicBindings(native={each: f"{name}.{each}" for each in SERVICES})
    cluster = bootstrap.kafka(
        [broker().address],
        bindings,
        group=f"{name}-amends",
        replies=f"{name}.replies",
        serialization="avro",
        registry=Registry(registry_url()),
    )
    amends = Orchestrator(sagas=[ORDER_FULFILMENT], store=memory(), participants=cluster.transports)
    incoming = bootstrap.incoming(amends, cluster, bootstrap.memory_parked())
    # Those that go wrong on order do so over HTTP only.
    cases = [each for each in FULFILMENT.load() if not each.misbehave][:8]
    await make_topics(Address((broker().address,)), cluster.topics, partitions=3, replicas=1)
    async with (
        registered(fulfilment_schemas(name)),
        services(name, tmp_path),
        Seen(cluster.topics) as seen,
        Service(amends, incoming=incoming),
    ):
        for case in cases:
            await amends.start(ORDER_FULFILMENT, case.given, saga_id=case.given.order_id)
        async with asyncio.timeout(150):
            views = {each.given.order_id: await amends.wait(each.given.order_id) for each in cases}
        ended = {saga_id: (view.status, view.business_status) for saga_id, view in views.items()}
        wanted = {each.given.order_id: (each.expect.status, each.expect.business_status) for each in cases}
        assert ended == wanted
        assert {status for status, _ in ended.values()} == {"completed", "compensated"}
        assert await incoming.arrivals.parked.find() == []
        values = [value for each in seen.by_topic.values() for value in each]
        assert set(seen.by_topic) == set(cluster.topics)
        assert {value[:1] for value in values} == {b"\0"}


# --- event style ---


class Booked(msgspec.Struct, frozen=True, rename="camel"):
    booking_id: str
    product_id: str
    reservation_id: str
    price: Decimal


class NotBooked(msgspec.Struct, frozen=True, rename="camel"):
    booking_id: str
    product_id: str
    code: str
    reason: str = ""


class Paid(msgspec.Struct, frozen=True, rename="camel"):
    booking_id: str
    payment_id: str


class NotPaid(msgspec.Struct, frozen=True, rename="camel"):
    booking_id: str
    code: str


BOOKING_SCHEMAS: Final[Mapping[str, Any]] = {
    "booking.created": booking.BookingCreated,
    "product.reserved": Booked,
    "product.reservation_failed": NotBooked,
    "payment.completed": Paid,
    "payment.failed": NotPaid,
    "saga.request_stock": booking.RequestStock,
    "saga.release_stock": booking.ReleaseStock,
    "saga.request_payment": booking.RequestPayment,
    "saga.refund_payment": booking.RefundPayment,
    "saga.confirm_booking": booking.ConfirmBooking,
    "saga.cancel_booking": booking.CancelBooking,
}


def booking_bindings(name: str, folder: Path) -> TopicBindings:
    """The example's own, with topics that are this test's alone."""
    text = (ROOT / "examples/booking/kafka.yaml").read_text("utf-8")
    text = re.sub(r"\b(saga|product|payment|booking)\.(?=[a-z_]+\b)", rf"{name}.\1.", text)
    file = folder / "kafka.yaml"
    file.write_text(text, "utf-8")
    topics = Settings().kafka.topics
    return load_topics(str(file), {each: str(getattr(topics, each)) for each in topics.__dataclass_fields__})


class BookingServices:
    """Products and payments, in the events of the contract."""

    def __init__(self, name: str, registry: SchemaRegistry) -> None:
        address = Address((broker().address,))
        self.name, self.codec = name, AvroCodec(registry)
        self.sender = KafkaSender(address)
        self.told: dict[str, list[Mapping[str, Any]]] = {}
        topics = [f"{name}.{each}" for each in BOOKING_SCHEMAS if each.startswith("saga.")]
        self.intake = KafkaIntake(address, topics, group=f"{name}-services", session=SESSION)
        self.cancelled = asyncio.Event()

    async def say(self, topic: str, event: msgspec.Struct, key: str) -> None:
        wire = f"{self.name}.{topic}"
        value = await self.codec.encode(wire, msgspec.json.encode(event))
        await self.sender.publish(wire, key=key.encode(), value=value, headers=[])

    async def take(self, record: Record) -> Outcome:
        told = msgspec.json.decode(await self.codec.decode(record.value or b""))
        topic, booked = record.topic.removeprefix(f"{self.name}."), told["bookingId"]
        self.told.setdefault(topic, []).append(told)
        match topic:
            case "saga.request_stock" if told["productId"] == "nothing":
                await self.say(
                    "product.reservation_failed", NotBooked(booked, "nothing", "out-of-stock"), booked
                )
            case "saga.request_stock":
                event = Booked(booked, told["productId"], "R-1", Decimal("19.90"))
                await self.say("product.reserved", event, booked)
            case "saga.request_payment":
                await self.say("payment.completed", Paid(booked, "P-1"), booked)
            case "saga.cancel_booking":
                self.cancelled.set()
            case _:
                pass
        return "recorded"

    async def __aenter__(self) -> Self:
        await self.intake.start(self.take)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.intake.stop()
        await self.sender.close()


def booked(booking_id: str, *products: str) -> booking.BookingCreated:
    wanted = tuple(booking.BookedProduct(product_id=each, quantity=1) for each in products)
    return booking.BookingCreated(booking_id=booking_id, customer="Ada", account="ada", products=wanted)


async def test_booking_goes_with_avro_on_the_topics_of_its_contract(name: str, tmp_path: Path) -> None:
    bindings = booking_bindings(name, tmp_path)
    assert bindings.incoming() | bindings.outgoing() == {f"{name}.{each}" for each in BOOKING_SCHEMAS}
    cluster = bootstrap.kafka(
        [broker().address],
        bindings,
        group=f"{name}-amends",
        replies=f"{name}.replies",
        serialization="avro",
        registry=Registry(registry_url()),
    )
    amends = Orchestrator(sagas=[BOOKING], store=memory(), participants=cluster.transports)
    incoming = bootstrap.incoming(amends, cluster, bootstrap.memory_parked())
    await make_topics(Address((broker().address,)), cluster.topics, partitions=3, replicas=1)
    schemas = {
        f"{name}.{topic}": schema_of(kind, namespace=NAMESPACE) for topic, kind in BOOKING_SCHEMAS.items()
    }
    async with (
        registered(schemas) as registry,
        Service(amends, incoming=incoming) as service,
        BookingServices(name, registry) as told,
    ):
        await told.say("booking.created", booked("b-1", "p-1", "p-2"), "b-1")
        await told.say("booking.created", booked("b-2", "p-1", "nothing"), "b-2")
        async with asyncio.timeout(150):
            await told.cancelled.wait()
            views = [await amends.wait(each) for each in ("b-1", "b-2")]
        assert [view.business_status for view in views] == ["COMPLETED", "CANCELLED"]
        assert told.told["saga.request_payment"] == [{"bookingId": "b-1", "account": "ada", "total": "39.80"}]
        assert told.told["saga.cancel_booking"] == [{"bookingId": "b-2", "reason": "out-of-stock"}]
        assert await incoming.arrivals.parked.find() == []
        assert service.troubles == {}
