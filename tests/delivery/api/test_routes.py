"""Every route against a running process and its participant."""

import http.client
import json
import re
import uuid
from typing import Any

import pytest

from amends.delivery.api.exposition import METRICS
from tests.delivery.api.serving import Answer, Serving, answered, until


def post(url: str, body: bytes = b"{}") -> Answer:
    """Ask the desk, which is none of the service's."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    try:
        connection.request("POST", f"/{path}", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, {}, response.read())
    finally:
        connection.close()


def new() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def start(service: Serving, saga: str = "errand", *, wait: float = 0, **data: str) -> dict[str, Any]:
    document = {"saga": saga, "id": new(), "data": {"name": "tea", **data}}
    found = service.ask("POST", f"/v1/sagas?wait={wait:g}", document)
    assert found.status == 201, found.body
    shown: dict[str, Any] = found.json
    return shown


def act(
    service: Serving, saga_id: str, verb: str, headers: dict[str, str] | None = None, **more: object
) -> Answer:
    document = {"by": "ada", "reason": "a test", **more}
    return service.ask("POST", f"/v1/sagas/{saga_id}/{verb}", document, headers=headers)


def test_a_start_is_201_with_its_place_and_the_same_again_is_200(service: Serving) -> None:
    document = {"saga": "errand", "version": 1, "id": new(), "data": {"name": "tea", "price": "0.10"}}
    first = service.ask("POST", "/v1/sagas?wait=20", document)
    again = service.ask("POST", "/v1/sagas", document)
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"] == f"/v1/sagas/{document['id']}"
    assert first.json["status"] == "completed"
    assert first.json["data"]["price"] == "0.10"
    assert first.headers["etag"] == f'"{first.json["position"]}"'
    assert again.json == service.ask("GET", first.headers["location"]).json


def test_without_a_version_the_highest_is_begun(service: Serving) -> None:
    assert start(service)["version"] == 2


def test_an_idempotency_key_stands_for_one_instance(service: Serving) -> None:
    document = {"saga": "errand", "data": {"name": "tea"}}
    headers = {"Idempotency-Key": new()}
    first = service.ask("POST", "/v1/sagas", document, headers=headers)
    again = service.ask("POST", "/v1/sagas", document, headers=headers)
    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"]
    other = service.ask("POST", "/v1/sagas", {"saga": "errand", "data": {"name": "cake"}}, headers=headers)
    assert (other.status, other.code) == (409, "conflict")
    assert service.saga(first.json["id"])["data"]["name"] == "tea"


def test_a_wait_ends_when_a_person_is_needed_or_the_time_is_over(service: Serving) -> None:
    assert start(service, wait=20, finish="broken")["stuck"] == ["finish"]
    assert start(service, "approval", wait=0.2)["status"] == "running"


def test_an_instance_is_shown_as_it_stood(service: Serving) -> None:
    saga_id = start(service, wait=20)["id"]
    early = service.ask("GET", f"/v1/sagas/{saga_id}?at=1").json
    assert (early["position"], early["status"]) == (1, "running")
    beyond = service.ask("GET", f"/v1/sagas/{saga_id}?at=1000")
    assert (beyond.status, beyond.code) == (404, "position-unknown")


def test_events_come_page_by_page_without_a_gap(service: Serving) -> None:
    shown = start(service, wait=20)
    path = f"/v1/sagas/{shown['id']}/events"
    positions: list[int] = []
    after: int | None = 0
    while after is not None:
        page = service.ask("GET", f"{path}?limit=2&after={after}").json
        assert len(page["events"]) <= 2
        positions += [event["position"] for event in page["events"]]
        after = page["next"]
    assert positions == list(range(1, shown["position"] + 1))


def test_a_list_is_filtered_and_paged_with_signed_cursors(service: Serving) -> None:
    prefix = new()
    ids = [f"{prefix}-{number}" for number in range(5)]
    for each in ids:
        service.ask("POST", "/v1/sagas?wait=20", {"saga": "errand", "id": each, "data": {"name": "tea"}})
    query = (
        f"saga=errand&version=2&status=completed&status=stuck&paused=false&id_prefix={prefix}&order=oldest"
    )
    seen: list[str] = []
    cursor = ""
    while True:
        page = service.ask("GET", f"/v1/sagas?{query}&limit=2&consistent=true{cursor}").json
        seen += [each["id"] for each in page["sagas"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ids
    started = service.ask("GET", f"/v1/sagas?id_prefix={ids[2]}").json["sagas"][0]["started_at"]
    later = service.ask("GET", f"/v1/sagas?id_prefix={prefix}&started_from={started}").json
    assert [each["id"] for each in later["sagas"]] == ids[:1:-1]
    other = service.ask("GET", f"/v1/sagas?id_prefix={prefix}{cursor}")
    assert (other.status, other.code) == (422, "invalid")


def test_a_signal_lets_an_instance_go_on_and_counts_once(service: Serving) -> None:
    saga_id = start(service, "approval")["id"]
    service.reached(saga_id, lambda saga: saga["steps"][0]["phase"] == "succeeded")
    document = {"signal": "approve", "content": {"word": "yes"}, "signal_id": "1"}
    assert service.ask("POST", f"/v1/sagas/{saga_id}/signals", document).status == 200
    service.reached(saga_id, lambda saga: saga["status"] == "completed")


def test_a_cancelled_instance_is_undone(service: Serving) -> None:
    saga_id = start(service, "approval")["id"]
    service.reached(saga_id, lambda saga: saga["steps"][0]["phase"] == "succeeded")
    assert act(service, saga_id, "cancel").status == 200
    ended = service.reached(saga_id, lambda saga: saga["status"] == "compensated")
    assert ended["undone"] == ["prepare"]
    assert ended["cause"]["code"] == "cancelled"


def test_an_instance_is_paused_and_goes_on(service: Serving) -> None:
    saga_id = start(service, "approval")["id"]
    assert act(service, saga_id, "pause").json["paused"] is True
    assert act(service, saga_id, "resume").json["paused"] is False
    assert act(service, saga_id, "abandon").json["status"] == "abandoned"


@pytest.mark.parametrize(
    ("verb", "more", "status"),
    [
        ("resolve", {"reply": None}, "completed"),
        ("skip", {}, "completed"),
        ("abandon", None, "abandoned"),
    ],
)
def test_a_stuck_step_is_settled(
    service: Serving, verb: str, more: dict[str, object] | None, status: str
) -> None:
    saga_id = start(service, wait=20, finish="broken")["id"]
    given: dict[str, object] = {} if more is None else {"step": "finish", **more}
    assert act(service, saga_id, verb, None, **given).status == 200
    service.reached(saga_id, lambda saga: saga["status"] == status)


def test_a_stale_position_does_nothing_and_a_fresh_one_acts(service: Serving) -> None:
    shown = start(service, wait=20, finish="broken")
    stale = act(service, shown["id"], "skip", {"If-Match": '"1"'}, step="finish")
    assert (stale.status, stale.code) == (412, "position-moved")
    assert (stale.json["expected"], stale.json["actual"]) == (1, shown["position"])
    assert service.saga(shown["id"]) == shown
    fresh = act(service, shown["id"], "skip", {"If-Match": f'"{shown["position"]}"'}, step="finish")
    assert fresh.status == 200


def test_a_mended_step_is_retried(service: Serving, desk: str) -> None:
    saga_id = start(service, wait=20, finish="broken")["id"]
    post(f"{desk}/mend")
    try:
        assert act(service, saga_id, "retry", step="finish").status == 200
        service.reached(saga_id, lambda saga: saga["status"] == "completed")
    finally:
        post(f"{desk}/break")


def test_a_late_reply_comes_through_the_same_server(service: Serving, desk: str) -> None:
    saga_id = start(service, prepare="later")["id"]
    until(lambda: saga_id in post(f"{desk}/owed").json, "the reply is owed")

    def sent(**more: object) -> Answer:
        return post(f"{desk}/answer", json.dumps({"saga_id": saga_id, **more}).encode())

    unknown = sent(command_id="no-such", step="prepare")
    assert unknown.status == 422
    assert sent().json == {"verdict": "recorded"}
    assert sent().json == {"verdict": "duplicate"}
    service.reached(saga_id, lambda saga: saga["status"] == "completed")


def test_definitions_participants_and_diagrams(service: Serving) -> None:
    names = [
        (each["name"], each["version"]) for each in service.ask("GET", "/v1/definitions").json["definitions"]
    ]
    assert names == [("approval", 1), ("errand", 1), ("errand", 2)]
    versions = service.ask("GET", "/v1/definitions/errand").json["definitions"]
    assert [each["version"] for each in versions] == [1, 2]
    assert service.ask("GET", "/v1/definitions/errand/2").json == versions[1]
    diagram = service.ask("GET", "/v1/definitions/errand/2/diagram")
    assert diagram.headers["content-type"] == "text/plain; charset=utf-8"
    assert diagram.body.startswith(b"flowchart TD\n")
    (desk,) = service.ask("GET", "/v1/participants").json["participants"]
    assert (desk["name"], desk["binding"]) == ("desk", "http")
    assert (desk["breaker"], desk["by_hand"], desk["trips"]) == ("closed", False, 0)


def test_a_breaker_is_opened_and_closed_by_hand(service: Serving) -> None:
    said = {"by": "ada", "reason": "the desk is moved"}
    opened = service.ask("POST", "/v1/participants/desk/open", said)
    assert (opened.status, opened.json["breaker"], opened.json["by_hand"]) == (200, "open", True)
    saga_id = "waits-for-the-desk"
    body = {"saga": "errand", "id": saga_id, "data": {"name": "a"}}
    assert service.ask("POST", "/v1/sagas?wait=0.2", body).json["status"] == "running"
    (desk,) = service.ask("GET", "/v1/participants").json["participants"]
    assert (desk["waiting"], desk["held"]["breaker"] >= 1) == (1, True)
    assert 'amends_breaker_open{participant="desk"} 1\n' in service.ask("GET", "/metrics").body.decode()
    closed = service.ask("POST", "/v1/participants/desk/close", said)
    assert (closed.json["breaker"], closed.json["by_hand"]) == ("ramping", False)
    service.reached(saga_id, lambda saga: saga["status"] == "completed")
    unknown = service.ask("POST", "/v1/participants/nobody/open", said)
    assert (unknown.status, unknown.json["type"]) == (404, "urn:amends:problem:participant-unknown")
    assert "there is: desk" in unknown.json["detail"]
    assert service.ask("POST", "/v1/participants/desk/open", {"by": "ada"}).status == 422


def test_health_readiness_and_metrics(service: Serving) -> None:
    assert service.ask("GET", "/health").json == {"status": "up"}
    assert service.ask("GET", "/ready").json == {"status": "ready", "members": 1, "shards": 64}
    start(service, wait=20)

    def counted() -> str | None:
        text = service.ask("GET", "/metrics").body.decode()
        return (
            text
            if re.search(r'^amends_sagas_completed_total{saga="errand"} [1-9]', text, re.MULTILINE)
            else None
        )

    text = until(counted, "a completed errand is counted")
    shown = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert sorted(shown) == sorted(METRICS)
    assert (
        'amends_step_seconds_count{saga="errand",step="prepare",direction="do",outcome="succeeded"}' in text
    )


def events_on(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]


def test_a_feed_goes_on_where_its_reader_left_it(service: Serving) -> None:
    saga_id = start(service, wait=20)["id"]
    path = f"/v1/sagas/{saga_id}/feed"

    def read(after: str, wanted: int) -> list[dict[str, Any]]:
        with service.connected() as connection:
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {after}\r\n\r\n"
            connection.sendall(head.encode())
            received = b""
            while len(events_on(received.split(b"\n"))) < wanted:
                piece = connection.recv(1 << 16)
                assert piece, received
                received += piece
        assert b"content-type: text/event-stream" in received.lower()
        return events_on(received.split(b"\n"))

    every = read("0", 3)
    assert [each["saga_id"] for each in every] == [saga_id] * len(every)
    assert read(str(every[0]["sequence"]), len(every) - 1) == every[1:]


def test_the_feed_of_all_tells_what_happens_from_now_on(service: Serving) -> None:
    with service.connected() as connection:
        connection.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b": connected" not in received:
            received += connection.recv(1 << 16)
        saga_id = start(service)["id"]
        while saga_id.encode() not in received:
            received += connection.recv(1 << 16)
    assert b"event: transition" in received


def test_a_connection_serves_many_requests_also_when_they_come_at_once(service: Serving) -> None:
    with service.connected() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        received = b""
        while received.count(b'{"status":"up"}') < 3:
            received += connection.recv(1 << 16)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(connection)[0] == 200
