"""What a participant is sent, and what a transport refuses to be built from."""

from datetime import timedelta

import pytest

from amends.adapters.http import HttpConnections, HttpTransport
from amends.core.effect import SendCommand
from amends.core.outcome import Failed, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import Request, always, answer_bytes, serving

OK = answer_bytes(200, b"{}")


async def sent(
    what: SendCommand,
    *,
    path: str = "",
    headers: dict[str, str] | None = None,
    callback_url: str | None = None,
) -> Request:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url + path, headers=headers, callback_url=callback_url)
        assert await transport.send(what) == Succeeded(b"{}")
        await transport.close()
        (request,) = server.requests
        return request


async def test_the_command_is_a_post_with_its_headers() -> None:
    payload = b'{"sku" :  "A1"}'
    request = await sent(command(payload=payload, direction="undo", attempt=3), path="/commands/")
    assert request.line == "POST /commands/reserve-stock HTTP/1.1"
    assert request.body == payload
    expected = {
        "content-type": "application/json",
        "idempotency-key": "order-1/reserve-stock[A1]/undo/1",
        "amends-saga-id": "order-1",
        "amends-namespace": "default",
        "amends-step": "reserve-stock[A1]",
        "amends-direction": "undo",
        "amends-round": "1",
        "amends-attempt": "3",
    }
    assert expected.items() <= request.headers.items()
    assert "amends-reply-to" not in request.headers


async def test_reply_to_is_sent_when_replies_can_come_later() -> None:
    request = await sent(command(), callback_url="http://127.0.0.1:8095/v1/callbacks")
    assert request.headers["amends-reply-to"] == "http://127.0.0.1:8095/v1/callbacks"


async def test_the_binding_s_own_headers_go_along() -> None:
    request = await sent(command(), headers={"Authorization": "Bearer x", "X-Shop": "7"})
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["x-shop"] == "7"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a b", "/a%20b"),
        ("../admin", "/..%2Fadmin"),
        ("x?y#z", "/x%3Fy%23z"),
        ("ü", "/%C3%BC"),
        ("50%", "/50%25"),
    ],
)
async def test_a_name_stays_one_path_segment(name: str, path: str) -> None:
    assert (await sent(command(name))).line == f"POST {path} HTTP/1.1"


async def test_a_large_payload_arrives_whole() -> None:
    payload = b'"' + b"x" * 3_000_000 + b'"'
    assert (await sent(command(payload=payload))).body == payload


@pytest.mark.parametrize("saga_id", ["a\r\nX-Evil: 1", "a\0b", "\ud800"])
async def test_an_id_that_cannot_stand_in_a_header_is_never_sent(saga_id: str) -> None:
    async with serving(always(OK)) as server:
        transport = HttpTransport(server.url)
        found = await transport.send(command(saga_id=saga_id))
        await transport.close()
        assert isinstance(found, Failed)
        assert found.fault == "configuration"
        assert server.requests == []


async def test_cookies_are_not_kept() -> None:
    async with serving(always(answer_bytes(200, b"{}", "Set-Cookie: session=1"))) as server:
        transport = HttpTransport(server.url.replace("127.0.0.1", "localhost"))
        await transport.send(command())
        await transport.send(command())
        await transport.close()
        assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    "url",
    [
        "",
        "inventory:8080",
        "ftp://host",
        "http://",
        "http://u:secret@host",
        "http://host/?a=1",
        "http://host/#a",
    ],
)
def test_a_base_url_that_cannot_work_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as refused:
        HttpTransport(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "content-type", "AMENDS-STEP", "Amends-Whatever", "Host"]
)
def test_the_contract_s_headers_cannot_be_overridden(name: str) -> None:
    with pytest.raises(ValueError, match="set by the transport"):
        HttpTransport("http://host", headers={name: "x"})


@pytest.mark.parametrize(
    ("name", "value"), [("X Y", "z"), ("X:", "y"), ("", "y"), ("X", "y\r\nZ: z"), ("X", "\0")]
)
def test_a_header_that_cannot_be_sent_is_refused_at_once(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        HttpTransport("http://host", headers={name: value})


async def test_a_binding_may_say_otherwise_what_is_usual() -> None:
    request = await sent(command(), headers={"user-agent": "shop"})
    assert (request.headers["user-agent"], request.headers["accept-encoding"]) == ("shop", "gzip, deflate")


@pytest.mark.parametrize("path", ["/a b", "/ü", "/a%20b", "/a//b/"])
async def test_the_path_of_a_base_url_is_sent_quoted_once(path: str) -> None:
    line = (await sent(command("x"), path=path)).line
    quoted = {"/a b": "/a%20b", "/ü": "/%C3%BC", "/a//b/": "/a//b"}.get(path, path)
    assert line == f"POST {quoted}/x HTTP/1.1"


async def test_an_id_beyond_ascii_arrives_as_utf_8() -> None:
    request = await sent(command(saga_id="bücher"))
    assert request.headers["amends-saga-id"] == "bücher"


def test_limits_must_make_sense() -> None:
    with pytest.raises(ValueError, match="timeout"):
        HttpTransport("http://host", timeout=timedelta(0))
    with pytest.raises(ValueError, match="max_reply_bytes"):
        HttpTransport("http://host", max_reply_bytes=0)
    with pytest.raises(ValueError, match="callback_url"):
        HttpTransport("http://host", callback_url="nowhere")
    with pytest.raises(ValueError, match="connections"):
        HttpConnections(per_host=0)
