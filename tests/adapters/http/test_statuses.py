"""The status table of the HTTP contract, for do and for undo, over a real socket."""

import msgspec
import pytest

from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Failed, Refused, Succeeded
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import answer_bytes, answer_to

PROBLEM = "application/problem+json"
DO, UNDO = command(), command(direction="undo")


def problem(**members: object) -> bytes:
    return msgspec.json.encode(members)


@pytest.mark.parametrize("status", [200, 201, 203, 205, 206, 207, 226, 299])
@pytest.mark.parametrize("sent", [DO, UNDO], ids=["do", "undo"])
async def test_2xx_succeeds_with_the_body_as_reply(status: int, sent: SendCommand) -> None:
    assert await answer_to(sent, answer_bytes(status, b'{"a": 1}')) == Succeeded(b'{"a": 1}')


@pytest.mark.parametrize("sent", [DO, UNDO], ids=["do", "undo"])
async def test_204_succeeds_with_null(sent: SendCommand) -> None:
    bare = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert await answer_to(sent, bare) == Succeeded(b"null")


@pytest.mark.parametrize("sent", [DO, UNDO], ids=["do", "undo"])
@pytest.mark.parametrize("body", [b"", b"<p>later</p>"], ids=["empty", "html"])
async def test_202_is_accepted_when_the_reply_can_come_later(sent: SendCommand, body: bytes) -> None:
    data = answer_bytes(202, body, content_type="text/html")
    assert await answer_to(sent, data, callback_url="http://127.0.0.1:1/v1/callbacks") == Accepted()


async def test_202_without_a_callback_url_says_what_is_missing() -> None:
    found = await answer_to(DO, answer_bytes(202))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"
    assert "callback_url" in found.reason


@pytest.mark.parametrize("status", [402, 409, 410, 412, 422])
async def test_a_business_no_without_a_body_has_the_status_as_code(status: int) -> None:
    found = await answer_to(DO, answer_bytes(status, content_type=None))
    assert isinstance(found, Refused)
    assert found.code == f"http-{status}"
    assert f"HTTP {status}" in found.reason


@pytest.mark.parametrize("status", [402, 403, 404, 409, 410, 412, 422])
async def test_a_problem_document_gives_code_and_reason(status: int) -> None:
    body = problem(code="out-of-stock", detail="only 2 left", title="No stock")
    assert await answer_to(DO, answer_bytes(status, body, content_type=PROBLEM)) == Refused(
        "out-of-stock", "only 2 left"
    )


@pytest.mark.parametrize("status", [402, 403, 409, 412, 422])
async def test_an_undo_can_be_refused_as_well(status: int) -> None:
    body = problem(code="too-late", title="It has left the house")
    found = await answer_to(UNDO, answer_bytes(status, body, content_type=f"{PROBLEM}; charset=utf-8"))
    assert found == Refused("too-late", "It has left the house")


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("body", [b"", problem(code="gone"), b"<html>", b"x" * 2_000_000])
async def test_to_an_undo_404_and_410_confirm(status: int, body: bytes) -> None:
    assert await answer_to(UNDO, answer_bytes(status, body, content_type=PROBLEM)) == Succeeded(b"null")


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"<html>nginx</html>", "text/html"),
        (problem(code="out-of-stock"), "application/json"),
        (problem(code="out-of-stock"), "text/html"),
        (problem(detail="no code"), PROBLEM),
        (problem(code=404), PROBLEM),
        (problem(code=""), PROBLEM),
        (problem(code="x" * 101), PROBLEM),
        (problem(code="a\r\nb"), PROBLEM),
        (b"[]", PROBLEM),
        (b"{", PROBLEM),
    ],
)
async def test_403_and_404_without_a_code_are_no_business_no(
    status: int, body: bytes, content_type: str | None
) -> None:
    found = await answer_to(DO, answer_bytes(status, body, content_type=content_type))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"


async def test_a_bare_403_to_an_undo_is_no_confirmation() -> None:
    found = await answer_to(UNDO, answer_bytes(403))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599])
@pytest.mark.parametrize("sent", [DO, UNDO], ids=["do", "undo"])
async def test_what_passes_by_itself_is_transient(status: int, sent: SendCommand) -> None:
    body = problem(code="out-of-stock", detail="pool exhausted")
    found = await answer_to(sent, answer_bytes(status, body, "Retry-After: 7", content_type=PROBLEM))
    assert isinstance(found, Failed)
    assert found.fault == "transient"
    assert found.retry_after is not None
    assert found.retry_after.total_seconds() == 7
    assert "pool exhausted" in found.reason


@pytest.mark.parametrize(
    "status", [300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 405, 406, 407, 411, 413, 414, 415, 416, 417]
)
@pytest.mark.parametrize("sent", [DO, UNDO], ids=["do", "undo"])
async def test_everything_else_is_a_fault_of_configuration(status: int, sent: SendCommand) -> None:
    body = b"" if status == 304 else problem(code="out-of-stock")
    found = await answer_to(sent, answer_bytes(status, body, content_type=PROBLEM))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"
    assert f"HTTP {status}" in found.reason


@pytest.mark.parametrize("status", [418, 421, 423, 424, 426, 428, 431, 451, 499, 600, 999])
async def test_statuses_that_no_table_names_are_configuration(status: int) -> None:
    found = await answer_to(DO, answer_bytes(status))
    assert isinstance(found, Failed)
    assert found.fault == "configuration"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (problem(code="declined"), "application/json", "declined"),
        (problem(code="declined"), None, "declined"),
        (problem(code="declined"), "text/html", "http-409"),
        (problem(code=17), PROBLEM, "http-409"),
        (problem(code="x" * 100), PROBLEM, "x" * 100),
        (problem(code="x" * 101), PROBLEM, "http-409"),
        (problem(code="a\x1b[31m"), PROBLEM, "http-409"),
        (b'{"code": NaN}', PROBLEM, "http-409"),
        (b'"declined"', PROBLEM, "http-409"),
        (b"\xff", PROBLEM, "http-409"),
        (b"{" * 5_000, PROBLEM, "http-409"),
        (b'{"code": "deep", "more": ' + b"[" * 100_000, PROBLEM, "http-409"),
        (b"x" * 2_000_000, PROBLEM, "http-409"),
    ],
)
async def test_a_no_stays_a_no_whatever_its_body_is(body: bytes, content_type: str | None, code: str) -> None:
    found = await answer_to(DO, answer_bytes(409, body, content_type=content_type))
    assert isinstance(found, Refused)
    assert found.code == code


async def test_a_redirect_is_shown_and_not_followed() -> None:
    found = await answer_to(DO, answer_bytes(307, b"", "Location: http://127.0.0.1:1/elsewhere"))
    assert isinstance(found, Failed)
    assert "/elsewhere" in found.reason


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (503, problem(detail="d" * 5_000), PROBLEM),
        (503, problem(title="\u202eevil\r\n" * 500), PROBLEM),
        (500, b"t" * 5_000, "text/plain"),
        (500, b"\x00\xff\x1b" * 500, "text/plain"),
        (409, problem(code="c", detail="d" * 5_000), PROBLEM),
        (200, b"x", "text/" + "h" * 5_000),
        (200, b'{"' + b"k" * 5_000 + b'": [1e999]}', "application/json"),
    ],
)
async def test_never_more_than_100_characters_of_foreign_text(
    status: int, body: bytes, content_type: str
) -> None:
    found = await answer_to(DO, answer_bytes(status, body, content_type=content_type))
    assert isinstance(found, Refused | Failed)
    assert found.reason.isprintable()
    for letter in "dthk":
        assert found.reason.count(letter) <= 110
    assert len(found.reason) <= 170
