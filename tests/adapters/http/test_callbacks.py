"""The door for late replies: what it takes, what it refuses, and that a refused request reaches nobody."""

import asyncio
import gzip
import io
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import pytest

from amends.adapters.http.callbacks import CallbackDesk, CallbackListener
from amends.core.effect import command_id
from amends.core.outcome import Failed, Refused, Succeeded
from amends.ports import CallbackReply, Deliver, Verdict

ID = command_id("default", "order-1", "reserve-stock", "do", 1)
GOOD: dict[str, object] = {
    "command_id": ID,
    "saga_id": "order-1",
    "step": "reserve-stock",
    "direction": "do",
    "round": 1,
    "outcome": "succeeded",
    "reply": {"reservation": "R-7"},
}
REFUSAL = {name: value for name, value in GOOD.items() if name != "reply"} | {
    "outcome": "refused",
    "code": "sold-out",
}
JSON = {"Content-Type": "application/json"}


@dataclass
class Desk:
    """Takes replies and gives the verdict it was told to."""

    verdict: Verdict = "recorded"
    taken: list[CallbackReply] = field(default_factory=list[CallbackReply])

    async def deliver(self, reply: CallbackReply) -> Verdict:
        self.taken.append(reply)
        return self.verdict


@asynccontextmanager
async def listening(
    deliver: Deliver, *, body_within: timedelta = timedelta(seconds=10), max_in_flight: int = 1000
) -> AsyncGenerator[CallbackListener]:
    desk = CallbackDesk(deliver=deliver, body_within=body_within, max_in_flight=max_in_flight)
    listener = CallbackListener(desk=desk)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()
        await listener.stop()


async def post(
    listener: CallbackListener,
    body: bytes | dict[str, object],
    *,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str | None = None,
) -> tuple[int, dict[str, object], dict[str, str]]:
    url = listener.url if path is None else listener.url.replace("/v1/callbacks", path)
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    sent = JSON if headers is None else headers
    async with (
        aiohttp.ClientSession(auto_decompress=True, skip_auto_headers=["Content-Type"]) as session,
        session.request(method, url, data=data, headers=sent) as response,
    ):
        document = json.loads(await response.read() or b"{}")
        kind = "application/json" if response.status == 200 else "application/problem+json"
        assert response.content_type == kind
        return response.status, document, dict(response.headers)


async def test_a_success_is_delivered_with_the_reply_s_own_bytes() -> None:
    desk = Desk()
    body = json.dumps(GOOD).replace('{"reservation": "R-7"}', '{"price":  0.10}').encode()
    async with listening(desk.deliver) as listener:
        status, document, _ = await post(listener, body)
    assert (status, document) == (200, {"verdict": "recorded"})
    assert desk.taken == [
        CallbackReply(
            command_id=ID,
            saga_id="order-1",
            namespace="default",
            step="reserve-stock",
            direction="do",
            round=1,
            answer=Succeeded(b'{"price":  0.10}'),
        )
    ]


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"outcome": "succeeded"}, Succeeded(b"null")),
        ({"outcome": "succeeded", "reply": None}, Succeeded(b"null")),
        ({"outcome": "refused", "code": "sold-out"}, Refused("sold-out", "")),
        (
            {"outcome": "refused", "code": "sold-out", "reason": "only 2\r\nleft"},
            Refused("sold-out", "only 2\\r\\nleft"),
        ),
        ({"outcome": "failed", "reason": "crashed"}, Failed("crashed", "transient")),
        ({"outcome": "failed"}, Failed("the participant reported a failure", "transient")),
    ],
)
async def test_each_outcome_becomes_its_answer(changed: dict[str, object], answer: object) -> None:
    desk = Desk()
    plain = {name: value for name, value in GOOD.items() if name != "reply"}
    async with listening(desk.deliver) as listener:
        status, _, _ = await post(listener, plain | changed)
    assert status == 200
    assert [reply.answer for reply in desk.taken] == [answer]


async def test_a_namespace_goes_into_the_identity() -> None:
    desk = Desk()
    identity = {"namespace": "shop", "command_id": command_id("shop", "order-1", "reserve-stock", "do", 1)}
    async with listening(desk.deliver) as listener:
        status, _, _ = await post(listener, GOOD | identity)
    assert status == 200
    assert desk.taken[0].namespace == "shop"


@pytest.mark.parametrize(
    ("verdict", "status"), [("recorded", 200), ("duplicate", 200), ("contradicted", 409), ("unknown", 404)]
)
async def test_the_verdict_is_the_answer(verdict: Verdict, status: int) -> None:
    async with listening(Desk(verdict).deliver) as listener:
        found, document, _ = await post(listener, GOOD)
    assert found == status
    assert document.get("verdict" if status == 200 else "status") == (verdict if status == 200 else status)


async def test_a_reply_that_cannot_be_recorded_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    async def away(reply: CallbackReply) -> Verdict:
        raise ConnectionError("no database")

    async with listening(away) as listener:
        status, document, headers = await post(listener, GOOD)
    assert status == 503
    assert headers["Retry-After"] == "1"
    assert "database" not in str(document)
    assert "no database" in caplog.text


BAD_BODIES = {
    "1 empty": (b"", 400, "body is empty"),
    "2 truncated": (json.dumps(GOOD).encode()[:-1], 400, "line 1, column"),
    "3 NaN": (b'{"reply": NaN}', 400, "NaN"),
    "4 out of range": (b'{"round": 1e400}', 400, "out of range"),
    "5 digits": (b'{"round": %s}' % (b"1" * 5_000), 400, "out of range"),
    "6 duplicate key": (b'{"step": "a", "step": "b"}', 400, '"step" stands twice'),
    "7 too deep": (b"[" * 100_000, 400, "deeper than 64"),
    "8 NUL": (json.dumps(GOOD | {"reply": ["\0"]}).encode(), 400, "NUL"),
    "9 surrogate": (b'{"reply": "\\ud800"}', 400, "surrogate"),
    "10 not UTF-8": (b'{"reply": "\xff"}', 400, "not UTF-8"),
    "11 byte order mark": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 400, "byte order mark"),
    "11 UTF-16": (json.dumps(GOOD).encode("utf-16"), 400, "not UTF-8"),
    "12 array": (b"[]", 422, "object expected"),
    "12 null": (b"null", 422, "object expected"),
    "13 too long": (b" " * ((1 << 20) + 1), 413, "longer than"),
}


@pytest.mark.parametrize(("body", "status", "detail"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_bad_json_is_refused_and_reaches_nobody(
    body: bytes, status: int, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        async with listening(desk.deliver) as listener:
            found, document, _ = await post(listener, body)
    assert found == document["status"] == status
    assert detail in str(document["detail"])
    assert desk.taken == []
    assert len(caplog.records) == 1, "logged once"


async def test_a_pointer_says_where() -> None:
    async with listening(Desk().deliver) as listener:
        _, document, _ = await post(listener, json.dumps(GOOD | {"reply": {"a": ["\0"]}}).encode())
    assert document["errors"] == [{"pointer": "/reply/a/0", "reason": "a string contains the character NUL"}]


@pytest.mark.parametrize(
    ("changed", "pointer", "reason"),
    [
        ({"outcom": "x"}, "/outcom", "did you mean outcome?"),
        ({"x" * 5_000: 1}, "/x", "unknown field"),
        ({"command_id": 7}, "/command_id", "text expected"),
        ({"command_id": "order-2/reserve-stock/do/1"}, "/command_id", "not the id of"),
        ({"direction": "undo"}, "/command_id", "not the id of"),
        ({"saga_id": ""}, "/saga_id", "from 1 to"),
        ({"saga_id": "x" * 1_001}, "/saga_id", "from 1 to"),
        ({"saga_id": "a\x1b[31m"}, "/saga_id", "do not print"),
        ({"saga_id": "a\u202eb"}, "/saga_id", "do not print"),
        ({"direction": "redo"}, "/direction", "one of do, undo"),
        ({"direction": ["do"]}, "/direction", "one of do, undo"),
        ({"round": "1"}, "/round", "whole number"),
        ({"round": True}, "/round", "whole number"),
        ({"round": 1.0}, "/round", "whole number"),
        ({"round": -1}, "/round", "whole number"),
        ({"outcome": "done"}, "/outcome", "one of succeeded"),
        ({"outcome": {}}, "/outcome", "one of succeeded"),
        ({"outcome": "refused", "code": "x"}, "/reply", "only with the outcome succeeded"),
        ({"code": "x"}, "/code", "only with the outcome refused"),
        ({"reason": "x"}, "/reason", "only with the outcome refused or failed"),
    ],
)
async def test_a_field_that_is_wrong_is_named(changed: dict[str, object], pointer: str, reason: str) -> None:
    desk = Desk()
    async with listening(desk.deliver) as listener:
        status, document, _ = await post(listener, GOOD | changed)
    assert status == 422
    errors = document["errors"]
    assert isinstance(errors, list)
    assert any(each["pointer"].startswith(pointer) and reason in each["reason"] for each in errors)
    assert all(len(each["pointer"]) <= 100 for each in errors)
    assert desk.taken == []


async def test_everything_that_is_wrong_is_said_at_once() -> None:
    async with listening(Desk().deliver) as listener:
        _, document, _ = await post(listener, {"outcome": "refused", "round": "x"})
    errors = document["errors"]
    assert isinstance(errors, list)
    assert {each["pointer"] for each in errors} == {
        "/command_id",
        "/saga_id",
        "/step",
        "/direction",
        "/round",
        "/code",
    }


async def test_a_refusal_needs_a_code_that_is_one() -> None:
    async with listening(Desk().deliver) as listener:
        for code in ("", "a\nb", "x" * 101, 7):
            status, _, _ = await post(listener, REFUSAL | {"code": code})
            assert status == 422


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {},
    ],
)
async def test_16_only_json_in_utf_8_is_taken(headers: dict[str, str]) -> None:
    desk = Desk()
    async with listening(desk.deliver) as listener:
        status, _, _ = await post(listener, GOOD, headers=headers)
    assert status == 415
    assert desk.taken == []


async def test_15_a_gzip_bomb_is_413_at_the_decoded_limit() -> None:
    async with listening(Desk().deliver) as listener:
        bomb = gzip.compress(b" " * 50_000_000)
        status, _, _ = await post(listener, bomb, headers=JSON | {"Content-Encoding": "gzip"})
    assert status == 413


async def test_a_gzipped_reply_is_read_and_a_broken_one_is_400() -> None:
    async with listening(Desk().deliver) as listener:
        zipped = JSON | {"Content-Encoding": "gzip"}
        assert (await post(listener, gzip.compress(json.dumps(GOOD).encode()), headers=zipped))[0] == 200
        assert (await post(listener, b"not gzip at all", headers=zipped))[0] == 400


async def test_other_paths_and_methods_are_refused() -> None:
    async with listening(Desk().deliver) as listener:
        assert (await post(listener, GOOD, path="/v1/other"))[0] == 404
        assert (await post(listener, GOOD, path="/v1/callbacks/../callbacks2"))[0] == 404
        status, _, headers = await post(listener, GOOD, method="PUT")
        assert (status, headers["Allow"]) == (405, "POST")


async def raw(listener: CallbackListener, request: bytes, *, end: bool = False) -> bytes:
    """Send these bytes and return all that comes back until the server hangs up."""
    port = int(listener.url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    if end:
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


HEAD = b"POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def test_13_a_body_that_is_announced_too_long_is_refused_before_it_is_sent() -> None:
    async with listening(Desk().deliver) as listener:
        answer = await raw(listener, HEAD + b"Content-Length: 10000000\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"413"


async def test_14_a_missing_content_length_is_an_empty_body() -> None:
    async with listening(Desk().deliver) as listener:
        answer = await raw(listener, HEAD + b"Connection: close\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"400"
    assert b"body is empty" in answer


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1, 2"])
async def test_14_a_content_length_that_is_no_length_is_400(
    length: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    async with listening(desk.deliver) as listener:
        answer = await raw(listener, HEAD + b"Content-Length: " + length + b"\r\n\r\n{}")
    assert answer.split(b" ", 2)[1] == b"400"
    assert desk.taken == []
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
    assert record.getMessage().isprintable()


async def test_14_a_body_shorter_than_announced_reaches_nobody() -> None:
    desk = Desk()
    body = json.dumps(GOOD).encode()
    async with listening(desk.deliver, body_within=timedelta(milliseconds=50)) as listener:
        answer = await raw(listener, HEAD + b"Content-Length: 5000\r\n\r\n" + body)
    assert answer.split(b" ", 2)[1] == b"408"
    assert desk.taken == []


async def test_14_a_body_longer_than_announced_is_cut_at_its_length() -> None:
    desk = Desk()
    body = json.dumps(GOOD).encode()
    async with listening(desk.deliver) as listener:
        answer = await raw(listener, HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) - 5) + body)
    assert answer.split(b" ", 2)[1] == b"400"
    assert desk.taken == []


async def test_a_client_that_asks_before_sending_is_told_to_go_on() -> None:
    desk = Desk()
    body = json.dumps(GOOD).encode()
    async with listening(desk.deliver) as listener:
        port = int(listener.url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert len(desk.taken) == 1


async def test_more_at_once_than_the_limit_are_pushed_back() -> None:
    reached, released = asyncio.Event(), asyncio.Event()

    async def slow(reply: CallbackReply) -> Verdict:
        reached.set()
        await released.wait()
        return "recorded"

    async with listening(slow, max_in_flight=1) as listener:
        first = asyncio.create_task(post(listener, GOOD))
        await reached.wait()
        status, _, headers = await post(listener, GOOD)
        assert (status, headers["Retry-After"]) == (429, "1")
        released.set()
        assert (await first)[0] == 200
        assert (await post(listener, GOOD))[0] == 200


async def test_an_address_in_use_is_an_os_error_and_leaves_nothing() -> None:
    async with listening(Desk().deliver) as listener:
        port = int(listener.url.split(":")[2].split("/")[0])
        second = CallbackListener(desk=CallbackDesk(deliver=Desk().deliver), port=port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        await second.stop()


async def test_a_log_line_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(Desk().deliver) as listener:
        await post(listener, GOOD | {"x\r\n2026 ERROR forged": 1})
    assert all(record.getMessage().isprintable() for record in caplog.records)
