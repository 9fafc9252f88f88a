"""Replies that come when they should not, to a running service: unknown, twice, against each other, after the end."""

import http.client
import json
import uuid
from typing import Any

import pytest

from amends.core.effect import command_id
from tests.delivery.api.serving import PATIENCE, Answer, Serving, until

ACT = {"by": "ada", "reason": "a test"}


def ask_desk(desk: str, path: str, **document: object) -> Answer:
    connection = http.client.HTTPConnection(desk.removeprefix("http://"), timeout=PATIENCE)
    try:
        connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, {}, response.read())
    finally:
        connection.close()


@pytest.fixture
def owed(service: Serving, desk: str) -> str:
    """An errand whose first step was answered with 202."""
    saga_id = f"r-{uuid.uuid4().hex[:12]}"
    document = {"saga": "errand", "id": saga_id, "data": {"name": "tea", "prepare": "later"}}
    assert service.ask("POST", "/v1/sagas", document).status == 201
    until(lambda: saga_id in ask_desk(desk, "/owed").json, "the reply is owed")
    return saga_id


def events(service: Serving, saga_id: str) -> list[str]:
    return [
        event["type"] for event in service.ask("GET", f"/v1/sagas/{saga_id}/events?limit=500").json["events"]
    ]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"saga_id": "none-such", "command_id": command_id("default", "none-such", "prepare", "do", 1)}, 404),
        ({"round": 2, "command_id": "?"}, 422),
        ({"step": "no-such-step"}, 422),
        ({"round": 7}, 422),
        ({"outcome": "perhaps"}, 422),
    ],
)
def test_a_reply_to_no_command_changes_nothing(
    service: Serving, owed: str, changed: dict[str, object], status: int
) -> None:
    before = service.saga(owed)
    found = service.ask("POST", "/v1/callbacks", reply_of(owed) | changed)
    assert found.status == status, found.body
    assert found.headers["content-type"] == "application/problem+json"
    assert service.saga(owed) == before


def reply_of(saga_id: str) -> dict[str, Any]:
    """What the desk owes."""
    return {
        "command_id": command_id("default", saga_id, "prepare", "do", 1),
        "saga_id": saga_id,
        "namespace": "default",
        "step": "prepare",
        "direction": "do",
        "round": 1,
        "outcome": "succeeded",
    }


def test_the_same_reply_twice_counts_once(service: Serving, desk: str, owed: str) -> None:
    assert ask_desk(desk, "/answer", saga_id=owed).json == {"verdict": "recorded"}
    service.reached(owed, lambda saga: saga["status"] == "completed")
    before = events(service, owed)
    again = ask_desk(desk, "/answer", saga_id=owed)
    assert (again.status, again.json) == (200, {"verdict": "duplicate"})
    assert events(service, owed) == before


def test_of_two_replies_that_contradict_the_first_stands_and_the_saga_shows_it(
    service: Serving, desk: str, owed: str
) -> None:
    assert ask_desk(desk, "/answer", saga_id=owed).json == {"verdict": "recorded"}
    service.reached(owed, lambda saga: saga["status"] == "completed")
    other = service.ask("POST", "/v1/callbacks", reply_of(owed) | {"outcome": "refused", "code": "no"})
    assert other.status == 409
    shown = service.saga(owed)
    assert (shown["status"], shown["contradicted"]) == ("completed", ["prepare"])
    assert events(service, owed)[-1] == "ReplyContradicted"


def test_a_success_that_comes_while_the_saga_goes_back_is_undone(
    service: Serving, desk: str, owed: str
) -> None:
    assert service.ask("POST", f"/v1/sagas/{owed}/cancel", ACT).status == 200
    assert ask_desk(desk, "/answer", saga_id=owed).json == {"verdict": "recorded"}
    ended = service.reached(owed, lambda saga: saga["status"] == "compensated")
    assert ended["undone"] == ["prepare"]


def test_a_success_after_a_person_gave_up_is_recorded_and_shown(
    service: Serving, desk: str, owed: str
) -> None:
    given_up = service.ask("POST", f"/v1/sagas/{owed}/abandon", ACT).json
    assert (given_up["status"], given_up["unconfirmed"]) == ("abandoned", ["prepare"])
    assert ask_desk(desk, "/answer", saga_id=owed).json == {"verdict": "recorded"}
    shown = service.saga(owed)
    assert shown["status"] == "abandoned"
    assert shown["steps"][0]["phase"] == "succeeded"
