"""What is wrong with a request, and what it gets: over a running process, and always as a problem."""

import gzip
import json
import socket
import uuid
from typing import Any, NamedTuple

import pytest

from amends.delivery.api.problem import CODES
from tests.delivery.api.serving import Answer, Serving, answered, rest, until

START = {"saga": "errand", "data": {"name": "tea"}}
ACT = {"by": "ada", "reason": "a test"}
JSON = {"Content-Type": "application/json"}
LONG = "x" * 300


def new() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def assert_problem(found: Answer, status: int, code: str, *says: str) -> None:
    assert (found.status, found.code) == (status, code), found.body
    assert found.headers["content-type"] == "application/problem+json"
    document = found.json
    assert document["status"] == status
    for each in says:
        assert each in found.body.decode(), each
    assert len(document["detail"]) < 600
    assert found.headers["amends-request-id"]
    assert found.headers["x-content-type-options"] == "nosniff"


def data(text: str) -> bytes:
    """A start whose data hold `text`, which may be no JSON."""
    return f'{{"saga": "errand", "data": {text}}}'.encode()


class Body(NamedTuple):
    """A body, and what it gets."""

    about: str
    body: bytes
    status: int
    code: str
    says: str


BODIES = [
    Body("empty", b"", 400, "bad-json", "body is empty"),
    Body("blank", b" \n", 400, "bad-json", "body is empty"),
    Body("truncated", b'{"saga": \n', 400, "bad-json", '"line":2,"column":1'),
    Body("NaN", data('{"name": NaN}'), 400, "bad-json", "NaN is not JSON at /data/name"),
    Body("Infinity", data('{"name": -Infinity}'), 400, "bad-json", "Infinity is not JSON"),
    Body("1e400", data('{"price": 1e400}'), 400, "bad-json", "number out of range at /data/price"),
    Body("5,000 digits", data("9" * 5000), 400, "bad-json", "number out of range"),
    Body("a key twice", b'{"saga": "errand", "saga": "x", "data": 1}', 400, "bad-json", "stands twice"),
    Body(
        "a key twice inside", data('{"name": "a", "name": "b"}'), 400, "bad-json", '\\"name\\" stands twice'
    ),
    Body("65 deep", data("[" * 64 + "]" * 64), 400, "bad-json", "nested deeper than 64"),
    Body("30,000 brackets", b"[" * 30_000, 400, "bad-json", "nested deeper than 64"),
    Body("NUL", data('{"name": "\\u0000"}'), 400, "bad-json", '"pointer":"/data/name"'),
    Body("half a surrogate", data('{"name": "\\ud800"}'), 400, "bad-json", "half a surrogate pair"),
    Body("not UTF-8", data('{"name": "\xff"}').replace(b"\xc3\xbf", b"\xff"), 400, "bad-json", "not UTF-8"),
    Body("a byte order mark", b"\xef\xbb\xbf{}", 400, "bad-json", "byte order mark"),
    Body("UTF-16", '{"saga": "x"}'.encode("utf-16"), 400, "bad-json", "not UTF-8"),
    Body("an array", b"[]", 422, "invalid", "object expected"),
    Body("a text", b'"x"', 422, "invalid", "object expected"),
    Body("null", b"null", 422, "invalid", "object expected"),
    Body("nothing of it", b"{}", 422, "invalid", '"pointer":"/saga","reason":"required"'),
    Body("no data", b'{"saga": "errand"}', 422, "invalid", '"pointer":"/data","reason":"required"'),
    Body("an unknown field", b'{"sgaa": "errand", "data": 1}', 422, "invalid", "did you mean saga?"),
    Body("a number for a name", b'{"saga": 1, "data": 1}', 422, "invalid", '"pointer":"/saga"'),
    Body("a version of 0", b'{"saga": "errand", "data": 1, "version": 0}', 422, "invalid", '"/version"'),
    Body("a version as text", b'{"saga": "errand", "data": 1, "version": "1"}', 422, "invalid", '"/version"'),
    Body(
        "data with an unknown field",
        data('{"nmae": "tea"}'),
        422,
        "invalid",
        '"/data/nmae","reason":"unknown',
    ),
    Body("data without a field", data("{}"), 422, "invalid", '"/data/name","reason":"required"'),
    Body(
        "data of another type", data('{"name": 1}'), 422, "invalid", '"/data/name","reason":"Expected `str`'
    ),
    Body("a float for money", data('{"name": "tea", "price": 0.30000000000000004}'), 422, "invalid", "/data"),
    Body("money as a broken text", data('{"name": "tea", "price": "1,50"}'), 422, "invalid", "price"),
    Body("money with three decimals", data('{"name": "tea", "price": "1.555"}'), 422, "invalid", "decimals"),
    Body("ANSI in an id", json.dumps(START | {"id": "a\x1b[31m"}).encode(), 422, "invalid", "\\\\x1b"),
    Body("RTL in an id", json.dumps(START | {"id": "a\u202eb"}).encode(), 422, "invalid", "saga id"),
    Body("zero width in an id", json.dumps(START | {"id": "a\u200bb"}).encode(), 422, "invalid", "saga id"),
    Body("an emoji in an id", json.dumps(START | {"id": "a🙂"}).encode(), 422, "invalid", "saga id"),
    Body("300 characters of id", json.dumps(START | {"id": LONG}).encode(), 422, "invalid", "saga id"),
    Body("SQL in an id", json.dumps(START | {"id": "'; DROP TABLE x--"}).encode(), 422, "invalid", "saga id"),
    Body("an unknown saga", b'{"saga": "erand", "data": 1}', 404, "definition-unknown", '"near":["errand"]'),
    Body(
        "an unknown version",
        b'{"saga": "errand", "version": 9, "data": 1}',
        404,
        "definition-unknown",
        '"versions":[1,2]',
    ),
]


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.about)
def test_a_body_that_will_not_do(service: Serving, case: Body) -> None:
    found = service.ask("POST", "/v1/sagas", body=case.body, headers=JSON)
    assert_problem(found, case.status, case.code, case.says)
    assert LONG not in found.body.decode()


PARAMETERS = [
    ("limit=0", "?limit"),
    ("limit=-1", "?limit"),
    ("limit=1000000000", "?limit"),
    ("limit=501", "?limit"),
    ("limit=1e2", "?limit"),
    ("limit=%D9%A1", "?limit"),
    ("limit=5&limit=6", "stands twice"),
    ("cursor=forged", "?cursor"),
    ("cursor=" + "A" * 40, "?cursor"),
    ("cursor=", "?cursor"),
    ("sagga=errand", "did you mean saga?"),
    ("(a%2B)%2B%24=1", "unknown parameter"),
    ("status=runing", "?status"),
    ("paused=yes", "?paused"),
    ("order=best", "?order"),
    ("started_from=yesterday", "?started_from"),
    ("started_from=2026-11-21", "with its offset"),
    ("started_from=0001-01-01T00:00:00%2B14:00", "?started_from"),
    ("id_prefix=%00", "?id_prefix"),
    ("id_prefix=%ff", "percent-encoded"),
    ("limit", "name=value"),
    ("version=0", "?version"),
    ("saga=" + LONG, "?saga"),
    ("&".join(["status=running"] * 101), "at most 100"),
]


@pytest.mark.parametrize(("query", "says"), PARAMETERS, ids=lambda text: text[:30])
def test_a_query_that_will_not_do(service: Serving, query: str, says: str) -> None:
    found = service.ask("GET", f"/v1/sagas?{query}")
    assert_problem(found, 422, "invalid", says)
    assert LONG not in found.body.decode()


@pytest.mark.parametrize("wait", ["-1", "61", "1e9", "P-1D", "PT1S", "nan", "inf", "", "0x1", "1,5"])
def test_a_wait_that_will_not_do_begins_nothing(service: Serving, wait: str) -> None:
    saga_id = new()
    found = service.ask("POST", f"/v1/sagas?wait={wait}", START | {"id": saga_id})
    assert_problem(found, 422, "invalid", '"pointer":"?wait"')
    assert service.ask("GET", f"/v1/sagas/{saga_id}").status == 404


def test_a_cursor_with_one_letter_changed_is_refused(service: Serving) -> None:
    prefix = new()
    for number in range(3):
        service.ask("POST", "/v1/sagas", START | {"id": f"{prefix}-{number}"})
    page = service.ask("GET", f"/v1/sagas?id_prefix={prefix}&limit=1&consistent=true").json
    good = page["next"]
    assert service.ask("GET", f"/v1/sagas?id_prefix={prefix}&limit=1&cursor={good}").status == 200
    for place in (0, 20, len(good) - 1):
        forged = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        found = service.ask("GET", f"/v1/sagas?id_prefix={prefix}&limit=1&cursor={forged}")
        assert_problem(found, 422, "invalid", "?cursor")


PATHS = [
    ("/v1/definitions/..%2f..%2fetc%2fpasswd", 404, "definition-unknown"),
    ("/v1/definitions/%2e%2e/1", 404, "definition-unknown"),
    ("/v1/definitions//1", 404, "not-found"),
    ("/v1/definitions/erand", 404, "definition-unknown"),
    ("/v1/definitions/errand/9", 404, "definition-unknown"),
    ("/v1/definitions/errand/x", 404, "definition-unknown"),
    ("/v1/definitions/errand/1/picture", 404, "not-found"),
    ("/v1/sagas/none-such", 404, "saga-unknown"),
    ("/v1/sagas/none-such/events", 404, "saga-unknown"),
    ("/v1/sagas/none-such/feed", 404, "saga-unknown"),
    ("/v1/sagas/%27%20OR%201%3D1", 422, "invalid"),
    ("/v1/sagas/a%1b%5b31m", 422, "invalid"),
    ("/v1/sagas/%ff", 404, "not-found"),
    ("/v1/sagas/" + LONG, 422, "invalid"),
    ("/v1/sagas/", 404, "not-found"),
    ("/", 404, "not-found"),
    ("/favicon.ico", 404, "not-found"),
    ("/" + LONG, 404, "not-found"),
]


@pytest.mark.parametrize(("path", "status", "code"), PATHS, ids=lambda value: str(value)[:40])
def test_a_path_that_leads_nowhere(service: Serving, path: str, status: int, code: str) -> None:
    found = service.ask("GET", path)
    assert_problem(found, status, code)
    assert LONG not in found.body.decode()


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "OPTIONS", "HEAD", "QUERY"])
def test_a_method_that_is_not_there(service: Serving, method: str) -> None:
    found = service.ask(method, "/v1/sagas")
    assert (found.status, found.headers["allow"]) == (405, "GET, POST")
    if method != "HEAD":
        assert_problem(found, 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "media-type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "media-type"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, "media-type"),
        ({**JSON, "Content-Encoding": "snappy"}, 415, "media-type"),
        ({**JSON, "Accept": "application/xml"}, 406, "not-acceptable"),
        ({**JSON, "Accept": "application/json;q=0"}, 406, "not-acceptable"),
        ({**JSON, "Idempotency-Key": ""}, 400, "bad-header"),
        ({**JSON, "Idempotency-Key": "k" * 10_240}, 400, "bad-header"),
        ({**JSON, "Idempotency-Key": "k\xe9"}, 400, "bad-header"),
    ],
)
def test_a_header_that_will_not_do(service: Serving, headers: dict[str, str], status: int, code: str) -> None:
    assert_problem(
        service.ask("POST", "/v1/sagas", body=json.dumps(START).encode(), headers=headers), status, code
    )


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, application/json;q=0.1", "APPLICATION/JSON"]
)
def test_an_accept_that_will_do(service: Serving, accept: str) -> None:
    assert service.ask("GET", "/health", headers={"Accept": accept}).status == 200


def test_an_id_and_a_key_are_one_too_many(service: Serving) -> None:
    found = service.ask("POST", "/v1/sagas", START | {"id": new()}, headers={"Idempotency-Key": "k"})
    assert_problem(found, 422, "invalid", "not both")


@pytest.mark.parametrize("given", ["7", '"x"', '"1", "2"', 'W/"1"', '"-1"', '""'])
def test_an_if_match_that_is_no_position(service: Serving, given: str) -> None:
    saga_id = service.ask("POST", "/v1/sagas", START | {"id": new()}).json["id"]
    found = service.ask("POST", f"/v1/sagas/{saga_id}/pause", ACT, headers={"If-Match": given})
    assert_problem(found, 400, "bad-header", "If-Match")


def ended(service: Serving) -> str:
    found = service.ask("POST", "/v1/sagas?wait=20", START | {"id": new()}).json
    assert found["status"] == "completed"
    return str(found["id"])


class Act(NamedTuple):
    """An act on an instance that has completed, and what it gets."""

    verb: str
    document: dict[str, Any]
    status: int
    code: str
    says: str


ACTS = [
    Act("cancel", ACT, 409, "ended", "is completed"),
    Act("pause", ACT, 409, "ended", "is completed"),
    Act("abandon", ACT, 409, "ended", "is completed"),
    Act("retry", ACT | {"step": "finish"}, 409, "ended", "is completed"),
    Act("signals", {"signal": "approve"}, 409, "ended", "is completed"),
    Act("cancel", {"by": "ada"}, 422, "invalid", '"/reason","reason":"required"'),
    Act("cancel", ACT | {"by": ""}, 422, "invalid", '"/by"'),
    Act("cancel", ACT | {"reasn": "x"}, 422, "invalid", "did you mean reason?"),
    Act("resolve", ACT | {"step": "x", "reply": 1, "refused": "no"}, 422, "invalid", "not both"),
]


@pytest.mark.parametrize("case", ACTS)
def test_an_act_that_will_not_do(service: Serving, case: Act) -> None:
    found = service.ask("POST", f"/v1/sagas/{ended(service)}/{case.verb}", case.document)
    assert_problem(found, case.status, case.code, case.says)


def test_a_step_that_is_not_stuck_is_not_retried(service: Serving) -> None:
    found = service.ask("POST", "/v1/sagas", START | {"saga": "approval", "id": new()}).json
    for step in ("prepare", "no-such-step", LONG):
        refused = service.ask("POST", f"/v1/sagas/{found['id']}/retry", ACT | {"step": step})
        assert_problem(refused, 409, "not-stuck", "not stuck")
        assert "x" * 101 not in refused.body.decode()
    unknown = service.ask("POST", f"/v1/sagas/{found['id']}/signals", {"signal": "aprove"})
    assert_problem(unknown, 422, "invalid", "/signal")
    unfit = service.ask(
        "POST", f"/v1/sagas/{found['id']}/signals", {"signal": "approve", "content": {"wrod": 1}}
    )
    assert_problem(unfit, 422, "invalid", '"pointer":"/content/wrod","reason":"unknown field"')


def test_a_body_is_counted_after_decompression(service: Serving) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    good = service.ask("POST", "/v1/sagas", body=gzip.compress(json.dumps(START).encode()), headers=headers)
    assert good.status == 201
    bomb = service.ask("POST", "/v1/sagas", body=gzip.compress(b" " * 10_000_000), headers=headers)
    assert_problem(bomb, 413, "too-long")
    broken = service.ask("POST", "/v1/sagas", body=b"no gzip", headers=headers)
    assert_problem(broken, 400, "bad-body")


def test_what_is_data_stays_data(service: Serving) -> None:
    name = "<script>alert(1)</script> '; DROP TABLE transitions; --"
    found = service.ask("POST", "/v1/sagas", {"saga": "errand", "id": new(), "data": {"name": name}})
    assert found.json["data"]["name"] == name
    assert found.headers["content-type"] == "application/json"
    assert found.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_refusal_is_logged_once_with_its_id_and_cannot_forge_a_line(service: Serving) -> None:
    before = len(service.lines())
    found = service.ask("GET", "/v1/definitions/x%0d%0a2026-11-21T00:00:00.000Z%20ERROR%20forged%1b[31m")
    identity = found.headers["amends-request-id"]
    lines = service.lines()[before:]
    assert len([line for line in lines if identity in line]) == 1
    assert all(" WARNING " in line for line in lines)
    assert not any("\x1b" in line or line.endswith("forged") for line in lines)


@pytest.mark.parametrize("parent", ["garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 5000])
def test_a_broken_traceparent_is_ignored(service: Serving, parent: str) -> None:
    found = service.ask("GET", "/v1/definitions/none", headers={"traceparent": parent})
    assert found.status == 404
    assert not [
        line for line in service.lines() if found.headers["amends-request-id"] in line and "trace=" in line
    ]


def test_a_good_traceparent_is_in_the_log(service: Serving) -> None:
    trace = uuid.uuid4().hex
    found = service.ask(
        "GET", "/v1/definitions/none", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    (line,) = [line for line in service.lines() if found.headers["amends-request-id"] in line]
    assert f"trace={trace}" in line


# --- what no client library sends ------------------------------------------------------------------------------


HEAD = b"POST /v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = json.dumps(START).encode()

RAW = [
    ("no length", HEAD + b"Connection: close\r\n\r\n", 411, "length-required"),
    ("a negative length", HEAD + b"Content-Length: -1\r\n\r\n" + BODY, 400, "bad-request"),
    ("no number for a length", HEAD + b"Content-Length: x\r\n\r\n" + BODY, 400, "bad-request"),
    ("two lengths", HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY, 400, "bad-request"),
    (
        "a length and chunks",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-request",
    ),
    ("a broken chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400, "bad-request"),
    ("too long by its length", HEAD + b"Content-Length: 999999999\r\n\r\n", 413, "too-long"),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "bad-request"),
    ("another version", b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n", 400, "bad-request"),
    ("a space in a name", b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", 400, "bad-request"),
    ("a folded line", b"GET /health HTTP/1.1\r\nHost: x\r\n y\r\nA: b\r\n\r\n", 400, "bad-request"),
    (
        "a header of 64 KB",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 65_536 + b"\r\n\r\n",
        431,
        "head-too-long",
    ),
    (
        "1,000 headers",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
        431,
        "head-too-long",
    ),
    (
        "two keys",
        HEAD
        + b"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        400,
        "bad-header",
    ),
    ("a head that never ends", b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", 408, "timeout"),
    ("a body that never comes", HEAD + b"Content-Length: 50\r\n\r\n{", 408, "timeout"),
]


def parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(each.lower().split(": ", 1) for each in lines)
    return Answer(int(line.split()[1]), headers, body)


@pytest.mark.parametrize(("about", "sent", "status", "code"), RAW, ids=[case[0] for case in RAW])
def test_bytes_that_will_not_do(service: Serving, about: str, sent: bytes, status: int, code: str) -> None:
    found = parsed(service.raw(sent))
    assert_problem(found, status, code)
    assert found.headers["connection"] == "close"
    assert service.ask("GET", "/health").status == 200


def test_one_byte_now_and_then_does_not_keep_a_request_alive(service: Serving) -> None:
    """The limits of this service are two seconds; the bytes come for longer, if they are let."""
    for head in (b"", HEAD + b"Content-Length: 1000\r\n\r\n"):
        with service.connected() as connection:
            connection.sendall(head or b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
            connection.settimeout(0.2)
            received = b""
            for _ in range(50):
                try:
                    received = connection.recv(1 << 16)
                    break
                except TimeoutError:
                    connection.sendall(b" ")
            assert received.startswith(b"HTTP/1.1 408 ")


def test_what_stands_behind_a_broken_request_is_not_read_as_one(service: Serving) -> None:
    smuggled = b"GET /v1/definitions/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    received = service.raw(sent)
    assert received.count(b"HTTP/1.") == 1
    assert not any("smuggled" in line for line in service.lines())


def test_what_a_length_leaves_over_is_refused(service: Serving) -> None:
    received = service.raw(HEAD + b"Content-Length: 2\r\n\r\n{}" + BODY)
    assert received.count(b" 400 Bad Request\r\n") == 1
    assert b" 201 " not in received


def test_chunks_will_do_and_100_continue_is_answered(service: Serving) -> None:
    with service.connected() as connection:
        connection.sendall(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        )
        assert answered(connection)[0] == 201
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += connection.recv(1)
        assert received == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert answered(connection)[0] == 201


def test_a_client_that_leaves_in_the_middle_costs_nothing(service: Serving) -> None:
    before = len(service.lines())
    for _ in range(20):
        with service.connected() as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        with service.connected() as connection:
            connection.sendall(b"GET /v1/feed?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(10)
        with service.connected() as connection:
            body = json.dumps(START | {"saga": "approval", "id": new()}).encode()
            head = HEAD.replace(b"/v1/sagas", b"/v1/sagas?wait=20")
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert service.ask("GET", "/health").status == 200
    metrics = service.ask("GET", "/metrics").body.decode()
    (connections,) = [line for line in metrics.splitlines() if line.startswith("amends_connections ")]
    assert int(connections.split()[1]) <= 5
    assert len(service.lines()) - before <= 2


def test_a_reader_that_does_not_read_is_let_go(service: Serving) -> None:
    for _ in range(120):
        big = START | {"saga": "approval", "id": new(), "data": {"name": "x" * 60_000}}
        assert service.ask("POST", "/v1/sagas", big).status == 201

    def connections() -> int:
        metrics = service.ask("GET", "/metrics").body.decode()
        (line,) = [line for line in metrics.splitlines() if line.startswith("amends_connections ")]
        return int(line.split()[1])

    with service.connected() as lazy:
        before = connections()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(b"GET /v1/feed?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: connections() < before, "it is let go")
    assert service.ask("GET", "/health").status == 200


def test_the_rest_of_a_refused_body_is_not_read(service: Serving) -> None:
    with service.connected() as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + b" " * 100_000)
        received = rest(connection)
    assert received.startswith(b"HTTP/1.1 413 ")


def test_codes_and_statuses_go_together() -> None:
    assert all(400 <= status < 600 and title for status, title in CODES.values())
