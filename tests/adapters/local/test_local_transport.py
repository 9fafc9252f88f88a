"""Handlers in this process: what they may take, return and raise, and what that means to a saga."""

import asyncio
import functools
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import pydantic
import pytest

from amends.adapters.local import LocalTransport, Refuse
from amends.adapters.local.handlers import Handler
from amends.core.effect import SendCommand
from amends.core.outcome import Answer, Failed, Refused, Succeeded
from amends.testing.transport_suite import command

SENT = command()


class Reserve(msgspec.Struct):
    sku: str
    count: int = 1


@dataclass
class ReserveData:
    sku: str
    count: int = 1


class ReserveModel(pydantic.BaseModel):
    sku: str
    count: int = 1


class Reserved(msgspec.Struct):
    place: str


class ReservedModel(pydantic.BaseModel):
    place: str


async def call(handler: Handler, payload: bytes = b'{"sku":"A1"}') -> Answer:
    return await LocalTransport({"reserve-stock": handler}).send(command(payload=payload))


async def by_struct(payload: Reserve) -> Reserved:
    return Reserved(f"{payload.sku}x{payload.count}")


async def by_dataclass(payload: ReserveData) -> dict[str, str]:
    return {"place": f"{payload.sku}x{payload.count}"}


async def by_model(payload: ReserveModel) -> ReservedModel:
    return ReservedModel(place=f"{payload.sku}x{payload.count}")


async def by_dict(payload: dict[str, Any]) -> Reserved:
    return Reserved(f"{payload['sku']}x{payload.get('count', 1)}")


async def by_nothing(payload) -> Reserved:  # type: ignore[no-untyped-def]  # noqa: ANN001
    return Reserved(f"{payload['sku']}x1")


async def by_name(payload: "Reserve") -> "Reserved":
    return await by_struct(payload)


def inline(payload: Reserve) -> Reserved:
    return Reserved(f"{payload.sku}x{payload.count}")


def wrapped(payload: Reserve) -> object:
    return by_struct(payload)


async def with_command(payload: Reserve, sent: SendCommand) -> Reserved:
    assert sent.command_id.startswith("order-1/")
    return await by_struct(payload)


async def with_optional_command(payload: Reserve, sent: SendCommand | None = None) -> Reserved:
    assert sent is None
    return await by_struct(payload)


async def with_defaulted_command(payload: Reserve, sent: SendCommand = SENT) -> Reserved:
    assert sent.attempt == 1
    return await by_struct(payload)


async def with_a_default_of_its_own(payload: Reserve, suffix: str = "x1") -> Reserved:
    return Reserved(payload.sku + suffix)


async def with_a_database(database: str, payload: Reserve) -> Reserved:
    assert database == "db"
    return await by_struct(payload)


class Warehouse:
    async def reserve(self, payload: Reserve) -> Reserved:
        return await by_struct(payload)

    async def __call__(self, payload: Reserve, sent: SendCommand) -> Reserved:
        assert sent.round == 1
        return await by_struct(payload)


@pytest.mark.parametrize(
    "handler",
    [
        by_struct,
        by_dataclass,
        by_model,
        by_dict,
        by_nothing,
        by_name,
        inline,
        wrapped,
        with_command,
        with_optional_command,
        with_defaulted_command,
        with_a_default_of_its_own,
        functools.partial(with_a_database, "db"),
        Warehouse().reserve,
        Warehouse(),
    ],
)
async def test_ordinary_functions_are_handlers(handler: Handler) -> None:
    assert await call(handler) == Succeeded(b'{"place":"A1x1"}')


async def test_the_payload_s_bytes_can_be_had_as_they_are() -> None:
    async def raw(payload: msgspec.Raw) -> msgspec.Raw:
        return payload

    assert await call(raw, b'{"price":  0.10}') == Succeeded(b'{"price":  0.10}')


async def test_a_model_inside_a_reply_is_encoded_too() -> None:
    async def reserve(payload: Reserve) -> dict[str, object]:
        return {"places": [ReservedModel(place="A")]}

    assert await call(reserve) == Succeeded(b'{"places":[{"place":"A"}]}')


async def test_no_reply_is_null() -> None:
    async def reserve(payload: Reserve) -> None:
        return None

    assert await call(reserve) == Succeeded(b"null")


async def test_a_no_is_raised() -> None:
    async def reserve(payload: Reserve) -> NoReturn:
        raise Refuse("out-of-stock", "only 2 left")

    def plain(payload: Reserve) -> NoReturn:
        raise Refuse("out-of-stock")

    assert await call(reserve) == Refused("out-of-stock", "only 2 left")
    assert await call(plain) == Refused("out-of-stock", "")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("database away"), "RuntimeError: database away"),
        (RuntimeError(), "RuntimeError"),
        (TimeoutError("slow"), "TimeoutError: slow"),
        (msgspec.ValidationError("inside"), "ValidationError: inside"),
        (RuntimeError("a\r\nforged \x1b[31m"), "RuntimeError: a\\r\\nforged \\x1b[31m"),
        (Mute(), "Mute"),
        (MemoryError(), "MemoryError"),
        (StopIteration(3), "StopIteration: 3"),
    ],
)
async def test_any_other_exception_is_transient(error: Exception, reason: str) -> None:
    def reserve(payload: Reserve) -> NoReturn:
        raise error

    assert await call(reserve) == Failed(reason, "transient")


async def test_the_text_of_an_exception_is_cut() -> None:
    async def reserve(payload: Reserve) -> NoReturn:
        raise RuntimeError("x" * 10_000)

    found = await call(reserve)
    assert isinstance(found, Failed)
    assert len(found.reason) == 200


@pytest.mark.parametrize("handler", [by_struct, by_dataclass, by_model, by_dict])
@pytest.mark.parametrize("payload", [b"[]", b"{", b"", b'"\xff"', b"\xff", b"[" * 100_000])
async def test_a_payload_that_does_not_fit_is_configuration(handler: Handler, payload: bytes) -> None:
    found = await call(handler, payload)
    assert isinstance(found, Failed)
    assert found.fault == "configuration"
    assert "does not fit reserve-stock" in found.reason


@pytest.mark.parametrize("reply", [object(), {1, "a"} - {1, "a"} | {object()}, "\ud800", {("a", "b"): 1}])
async def test_a_reply_that_is_no_json_is_unreadable(reply: object) -> None:
    async def reserve(payload: Reserve) -> object:
        return reply

    found = await call(reserve)
    assert isinstance(found, Failed)
    assert found.fault == "unreadable"


async def test_an_unknown_command_names_its_neighbours() -> None:
    transport = LocalTransport({"reserve-stock": by_struct, "release-stock": by_struct, "ship": by_struct})
    found = await transport.send(command("reserve-stok"))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"
    assert "did you mean reserve-stock or release-stock?" in found.reason
    hostile = await transport.send(command("\r\n" * 10_000))
    assert isinstance(hostile, Failed)
    assert hostile.reason.isprintable()
    assert len(hostile.reason) <= 200


async def test_the_engine_s_cancellation_is_raised() -> None:
    reached = asyncio.Event()

    async def reserve(payload: Reserve) -> None:
        reached.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(call(reserve))
    await reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_handler_that_cancels_something_of_its_own_does_not_end_the_engine() -> None:
    async def reserve(payload: Reserve) -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        inner.cancel()
        await inner

    assert await call(reserve) == Failed("the handler was cancelled from within", "transient")


async def no_parameters() -> None: ...


async def three(payload: Reserve, sent: SendCommand, more: str) -> None: ...


async def keyword_only(payload: Reserve, *, database: str) -> None: ...


async def not_there(payload: "Missing") -> None: ...  # type: ignore[name-defined]  # pyright: ignore[reportUndefinedVariable]  # noqa: F821


async def not_json(
    payload: type[Reserve] | dict[tuple[int, int], Reserve] | ReserveData | Reserved,
) -> None: ...


@pytest.mark.parametrize(
    "handler", [no_parameters, three, keyword_only, not_there, not_json, None, "reserve"]
)
def test_what_can_never_be_called_is_said_at_construction(handler: Any) -> None:
    with pytest.raises(TypeError, match="reserve-stock"):
        LocalTransport({"reserve-stock": handler})
