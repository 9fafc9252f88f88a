"""Every route does its work once, against a running service with real participants.

Rules: each route of the table has its exercise here, by method and path; a route without one is a failing test. An
exercise is a good answer: no status but one of the route's own good ones will do.
"""

from collections.abc import Callable, Iterator

import pytest

from amends.delivery.api.routes import Route, table
from tests.delivery import world as w
from tests.delivery.api import serving as s

ACT = {"by": "ada", "reason": "an exercise"}
KAFKA = "tests/delivery/api/test_kafka.py"
ELSEWHERE = {
    "GET /v1/parked": (KAFKA, '"GET", "/v1/parked"'),
    "GET /v1/parked/{id}": (KAFKA, '"GET", f"/v1/parked/{'),
    "POST /v1/parked/{id}/replay": (KAFKA, "/replay"),
    "POST /v1/parked/{id}/discard": (KAFKA, "/discard"),
}
"""Routes that need a broker: where they do their work, and what shows it."""
Exercise = Callable[[w.World], s.Answer]
EXERCISES: dict[str, Exercise] = {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[w.World]:
    with w.world(tmp_path_factory.mktemp("routes")) as running:
        yield running


def exercise(route: str) -> Callable[[Exercise], Exercise]:
    def noted(made: Exercise) -> Exercise:
        EXERCISES[route] = made
        return made

    return noted


HERE = [route for route in table(longest_wait=60) if f"{route.method} {route.path}" not in ELSEWHERE]


@pytest.mark.parametrize("route", HERE, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_does_its_work(world: w.World, route: Route) -> None:
    made = EXERCISES[f"{route.method} {route.path}"]
    found = made(world)
    assert found.status in route.good, found.body
    assert found.headers["content-type"].partition(";")[0] == route.content_type.partition(";")[0]


def test_no_exercise_is_of_a_route_that_is_gone() -> None:
    routes = {f"{route.method} {route.path}" for route in table(longest_wait=60)}
    assert EXERCISES.keys() | ELSEWHERE.keys() == routes
    assert not EXERCISES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize("route", ELSEWHERE)
def test_a_route_is_exercised_where_it_is_said(route: str) -> None:
    module, shown = ELSEWHERE[route]
    assert shown in (s.ROOT / module).read_text()


# --- instances -------------------------------------------------------------------------------------------------


@exercise("POST /v1/sagas")
def start(world: w.World) -> s.Answer:
    saga_id = world.fulfilled()
    found = world.service.ask("GET", f"/v1/sagas/{saga_id}").json
    return world.service.ask(
        "POST", "/v1/sagas", {"saga": found["saga"], "id": saga_id, "data": found["data"]}
    )


@exercise("GET /v1/sagas")
def find(world: w.World) -> s.Answer:
    saga_id = world.fulfilled()
    found = world.service.ask("GET", f"/v1/sagas?id_prefix={saga_id}&status=completed&consistent=true")
    assert [saga["business_status"] for saga in found.json["sagas"]] == ["FULFILLED"]
    return found


@exercise("GET /v1/sagas/{id}")
def get(world: w.World) -> s.Answer:
    found = world.service.ask("GET", f"/v1/sagas/{world.fulfilled()}")
    assert [(step["path"], step["phase"], step["attempts"]) for step in found.json["steps"]] == [
        ("reserve-inventory", "succeeded", 1),
        ("process-payment", "succeeded", 1),
        ("ship-order", "succeeded", 1),
    ]
    return found


@exercise("GET /v1/sagas/{id}/events")
def events(world: w.World) -> s.Answer:
    found = world.service.ask("GET", f"/v1/sagas/{world.fulfilled()}/events")
    types = [event["type"] for event in found.json["events"]]
    assert (types[0], types[-1], types.count("ReplyRecorded")) == ("SagaStarted", "SagaCompleted", 3)
    return found


@exercise("GET /v1/sagas/{id}/feed")
def saga_feed(world: w.World) -> s.Answer:
    return followed(world, f"/v1/sagas/{world.fulfilled()}/feed?after=0", b"SagaCompleted")


@exercise("GET /v1/feed")
def feed(world: w.World) -> s.Answer:
    world.fulfilled()
    return followed(world, "/v1/feed?after=0", b"SagaCompleted")


def followed(world: w.World, path: str, wanted: bytes) -> s.Answer:
    """What a feed that does not end says until `wanted` comes."""
    with world.service.connected() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = s.read_until(connection, wanted).partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    return s.Answer(int(line.split()[1]), headers, body)


# --- steering --------------------------------------------------------------------------------------------------


def act(world: w.World, saga_id: str, verb: str, **more: object) -> s.Answer:
    return world.service.ask("POST", f"/v1/sagas/{saga_id}/{verb}", {**ACT, **more})


@exercise("POST /v1/sagas/{id}/signals")
def signal(world: w.World) -> s.Answer:
    saga_id = world.waiting()
    content = {"by": "ann", "approved": True}
    found = world.service.ask(
        "POST", f"/v1/sagas/{saga_id}/signals", {"signal": "approval", "content": content}
    )
    world.service.reached(saga_id, lambda saga: saga["business_status"] != "WAITING_APPROVAL")
    return found


@exercise("POST /v1/sagas/{id}/cancel")
def cancel(world: w.World) -> s.Answer:
    saga_id = world.waiting()
    found = act(world, saga_id, "cancel")
    ended = world.service.reached(saga_id, lambda saga: saga["status"] == "compensated")
    assert {"register-attendee", "validate-offer"} <= set(ended["undone"])
    return found


@exercise("POST /v1/sagas/{id}/pause")
def pause(world: w.World) -> s.Answer:
    found = act(world, world.errand("approval", wait=0)["id"], "pause")
    assert found.json["paused"]
    return found


@exercise("POST /v1/sagas/{id}/resume")
def resume(world: w.World) -> s.Answer:
    saga_id = pause(world).json["id"]
    found = act(world, saga_id, "resume")
    assert not found.json["paused"]
    return found


@exercise("POST /v1/sagas/{id}/abandon")
def abandon(world: w.World) -> s.Answer:
    found = act(world, world.waiting(), "abandon")
    assert found.json["status"] == "abandoned"
    return found


@exercise("POST /v1/sagas/{id}/retry")
def retry(world: w.World) -> s.Answer:
    saga_id = world.stuck()
    world.ask_desk("/mend")
    try:
        found = act(world, saga_id, "retry", step="finish")
        world.service.reached(saga_id, lambda saga: saga["status"] == "completed")
    finally:
        world.ask_desk("/break")
    return found


@exercise("POST /v1/sagas/{id}/skip")
def skip(world: w.World) -> s.Answer:
    found = act(world, world.stuck(), "skip", step="finish")
    assert (found.json["status"], found.json["unconfirmed"]) == ("completed", ["finish"])
    return found


@exercise("POST /v1/sagas/{id}/resolve")
def resolve(world: w.World) -> s.Answer:
    found = act(world, world.stuck(), "resolve", step="finish", reply=None)
    assert (found.json["status"], found.json["unconfirmed"]) == ("completed", [])
    return found


@exercise("POST /v1/callbacks")
def callback(world: w.World) -> s.Answer:
    """The desk answers 202, and sends the reply itself; the service says what it made of it."""
    saga_id = w.new("e")
    document = {"saga": "errand", "id": saga_id, "data": {"name": "tea", "finish": "later"}}
    assert world.service.ask("POST", "/v1/sagas", document).status == 201
    s.until(lambda: saga_id in world.ask_desk("/owed").json, "the reply is owed")
    found = world.ask_desk("/answer", {"saga_id": saga_id})
    assert found.json == {"verdict": "recorded"}
    world.service.reached(saga_id, lambda saga: saga["status"] == "completed")
    return s.Answer(found.status, {"content-type": "application/json"}, found.body)


# --- what there is ---------------------------------------------------------------------------------------------


@exercise("GET /v1/definitions")
def definitions(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/v1/definitions")
    names = {each["name"] for each in found.json["definitions"]}
    assert names == {"order-fulfilment", "offer-acceptance", "errand", "approval"}
    return found


@exercise("GET /v1/definitions/{name}")
def versions(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/v1/definitions/errand")
    assert [each["version"] for each in found.json["definitions"]] == [1, 2]
    return found


@exercise("GET /v1/definitions/{name}/{version}")
def definition(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/v1/definitions/order-fulfilment/1")
    assert found.json["participants"] == ["inventory", "payment", "shipping"]
    return found


@exercise("GET /v1/definitions/{name}/{version}/diagram")
def diagram(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/v1/definitions/order-fulfilment/1/diagram")
    assert b"process-payment" in found.body
    return found


@exercise("POST /v1/participants/{name}/open")
def open_breaker(world: w.World) -> s.Answer:
    opened = world.service.ask("POST", "/v1/participants/desk/open", ACT)
    assert opened.json["breaker"] == "open"
    world.service.ask("POST", "/v1/participants/desk/close", ACT)
    return opened


@exercise("POST /v1/participants/{name}/close")
def close_breaker(world: w.World) -> s.Answer:
    world.service.ask("POST", "/v1/participants/desk/open", ACT)
    closed = world.service.ask("POST", "/v1/participants/desk/close", ACT)
    assert not closed.json["by_hand"]
    return closed


@exercise("GET /v1/participants")
def participants(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/v1/participants")
    assert {"desk", "order-fulfilment/payment", "offer-acceptance/offers"} <= {
        each["name"] for each in found.json["participants"]
    }
    return found


@exercise("GET /health")
def health(world: w.World) -> s.Answer:
    return world.service.ask("GET", "/health")


@exercise("GET /ready")
def ready(world: w.World) -> s.Answer:
    return world.service.ask("GET", "/ready")


@exercise("GET /metrics")
def metrics(world: w.World) -> s.Answer:
    world.fulfilled()
    found = world.service.ask("GET", "/metrics")
    assert b'amends_sagas_started_total{saga="order-fulfilment"}' in found.body
    return found


@exercise("GET /openapi.json")
def openapi(world: w.World) -> s.Answer:
    found = world.service.ask("GET", "/openapi.json")
    assert found.json["openapi"].startswith("3.1")
    return found
