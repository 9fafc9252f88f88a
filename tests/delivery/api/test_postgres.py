"""`amends serve` on a real PostgreSQL: the same service; twice on one database just works, lists included."""

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.adapters.postgres import shared_server
from tests.delivery.api import serving as s
from tests.delivery.api.test_serve import refused

ERRAND = {"saga": "errand", "id": "e-1", "data": {"name": "tea"}}


def configured(folder: Path, desk: str) -> tuple[Path, str]:
    """A configuration as teams from Spring have it: the password stands beside the address."""
    server = shared_server.server()
    schema = shared_server.new_schema()
    lines = [
        "database:",
        f"  url: jdbc:postgresql://127.0.0.1:{server.port}/amends?currentSchema={schema}",
        "  username: amends",
        f"  password: {server.password}",
    ]
    return s.configuration(folder, desk=desk, lines=lines), server.password


def test_a_saga_ends_and_is_there_after_a_restart(tmp_path: Path, desk: str) -> None:
    config, password = configured(tmp_path, desk)
    with s.serving(tmp_path, config=config, store=None) as running:
        started = running.ask("POST", "/v1/sagas?wait=20", ERRAND)
        assert (started.status, started.json["status"]) == (201, "completed")
        listed = running.ask("GET", "/v1/sagas?consistent=true&status=completed")
        assert [saga["id"] for saga in listed.json["sagas"]] == ["e-1"]
        assert (
            'amends_sagas{saga="errand",status="completed"} 1' in running.ask("GET", "/metrics").body.decode()
        )
        assert running.stop() == 0
        assert password not in running.log.read_text()
    with s.serving(tmp_path, config=config, store=None) as running:
        assert running.saga("e-1")["status"] == "completed"
        listed = running.ask("GET", "/v1/sagas?consistent=true")
        assert [saga["id"] for saga in listed.json["sagas"]] == ["e-1"]
        assert running.ask("POST", "/v1/sagas", ERRAND).status == 200


@contextmanager
def pair(folder: Path, desk: str) -> Iterator[tuple[s.Serving, s.Serving]]:
    """Two services on one database, each with half of the work."""
    config, _ = configured(folder, desk)
    with (
        s.serving(folder, config=config, store=None) as one,
        s.serving(folder, config=config, store=None) as other,
    ):
        s.until(lambda: has_half(one) and has_half(other), "half of the shards each")
        yield one, other


def has_half(service: s.Serving) -> bool:
    return bool(service.ask("GET", "/ready").json == {"status": "ready", "members": 2, "shards": 32})


def owed(desk: str) -> set[str]:
    """The instances that the desk owes an answer."""
    connection = http.client.HTTPConnection(desk.removeprefix("http://"), timeout=s.PATIENCE)
    try:
        connection.request("POST", "/owed")
        return set(json.load(connection.getresponse()))
    finally:
        connection.close()


def test_either_of_two_takes_starts_signals_cancels_and_looks(tmp_path: Path, desk: str) -> None:
    ids = [f"a-{number}" for number in range(12)]
    acts = {"by": "ann", "reason": "changed my mind"}
    with pair(tmp_path, desk) as (one, other):
        for saga_id in ids:
            started = one.ask(
                "POST", "/v1/sagas", {"saga": "approval", "id": saga_id, "data": {"name": "tea"}}
            )
            assert (started.status, started.json["id"]) == (201, saga_id)
            again = other.ask(
                "POST", "/v1/sagas", {"saga": "approval", "id": saga_id, "data": {"name": "tea"}}
            )
            assert (again.status, again.json["id"]) == (200, saga_id)
        for saga_id in ids[:6]:
            told = other.ask(
                "POST", f"/v1/sagas/{saga_id}/signals", {"signal": "approve", "content": {"word": "yes"}}
            )
            assert told.status == 200, told.body
        for saga_id in ids[6:]:
            assert other.ask("POST", f"/v1/sagas/{saga_id}/cancel", acts).status == 200
        for saga_id in ids:
            for each in (one, other):
                found = each.reached(saga_id, lambda saga: saga["status"] not in {"running", "compensating"})
                assert found["status"] == ("completed" if saga_id in ids[:6] else "compensated")
            refused_act = one.ask("POST", f"/v1/sagas/{saga_id}/cancel", acts)
            assert (refused_act.status, refused_act.code) == (409, "ended")
        metrics = one.ask("GET", "/metrics").body.decode()
        assert "amends_members 2" in metrics
        assert "amends_shards 32" in metrics


def test_a_reply_may_come_to_either_of_two(tmp_path: Path, desk: str) -> None:
    with pair(tmp_path, desk) as (one, other):
        ids = [f"later-{number}" for number in range(8)]
        for saga_id in ids:
            body = {"saga": "errand", "id": saga_id, "data": {"name": "tea", "prepare": "later"}}
            assert one.ask("POST", "/v1/sagas", body).status == 201
        s.until(lambda: set(ids) <= owed(desk), "the commands")
        for number, saga_id in enumerate(ids):
            at = (one, other)[number % 2]
            reply = {
                "command_id": f"{saga_id}/prepare/do/1",
                "saga_id": saga_id,
                "namespace": "default",
                "step": "prepare",
                "direction": "do",
                "round": 1,
                "outcome": "succeeded",
                "reply": None,
            }
            assert at.ask("POST", "/v1/callbacks", reply).status == 200
            assert other.ask("POST", "/v1/callbacks", reply).status == 200, "the same again is harmless"
        for saga_id in ids:
            one.reached(saga_id, lambda saga: saga["status"] == "completed")


def test_what_a_killed_one_had_goes_on_in_the_other(tmp_path: Path, desk: str) -> None:
    with pair(tmp_path, desk) as (one, other):
        ids = [f"k-{number}" for number in range(12)]
        for saga_id in ids:
            one.ask("POST", "/v1/sagas", {"saga": "approval", "id": saga_id, "data": {"name": "tea"}})
        one.process.send_signal(signal.SIGKILL)
        s.until(lambda: other.ask("GET", "/ready").json.get("shards") == 64, "all shards")
        for saga_id in ids:
            told = other.ask("POST", f"/v1/sagas/{saga_id}/signals", {"signal": "approve", "content": {}})
            assert told.status == 200, told.body
            other.reached(saga_id, lambda saga: saga["status"] == "completed")


def ids_listed(service: s.Serving, query: str = "") -> list[str]:
    listed = service.ask("GET", f"/v1/sagas?consistent=true{query}")
    assert listed.status == 200, listed.body
    return [saga["id"] for saga in listed.json["sagas"]]


def test_lists_are_the_same_at_either_of_two_also_when_one_is_killed(tmp_path: Path, desk: str) -> None:
    ids = [f"l-{number}" for number in range(6)]
    with pair(tmp_path, desk) as (one, other):
        # The one that opened first puts the rows; the other answers from them.
        for number, saga_id in enumerate(ids):
            body = {"saga": "approval", "id": saga_id, "data": {"name": "tea"}}
            at, elsewhere = (one, other) if number % 2 else (other, one)
            assert at.ask("POST", "/v1/sagas", body).status == 201
            assert saga_id in ids_listed(elsewhere)
        first = one.ask("GET", "/v1/sagas?limit=2").json
        rest = other.ask("GET", f"/v1/sagas?limit=2&cursor={first['next']}")
        assert rest.status == 200, rest.body
        assert len({saga["id"] for saga in first["sagas"] + rest.json["sagas"]}) == 4
        one.process.send_signal(signal.SIGKILL)
        s.until(lambda: other.ask("GET", "/ready").json.get("shards") == 64, "all shards")
        body = {"saga": "approval", "id": "after", "data": {"name": "tea"}}
        assert other.ask("POST", "/v1/sagas", body).status == 201
        assert sorted(ids_listed(other)) == sorted([*ids, "after"])
        last = other.ask("GET", f"/v1/sagas?limit=2&cursor={rest.json['next']}")
        assert last.status == 200, last.body


def test_a_page_goes_on_after_a_restart(tmp_path: Path, desk: str) -> None:
    config, _ = configured(tmp_path, desk)
    with s.serving(tmp_path, config=config, store=None) as running:
        for number in range(3):
            body = {"saga": "approval", "id": f"p-{number}", "data": {"name": "tea"}}
            assert running.ask("POST", "/v1/sagas", body).status == 201
        assert len(ids_listed(running)) == 3
        first = running.ask("GET", "/v1/sagas?limit=2").json
        assert running.stop() == 0
    with s.serving(tmp_path, config=config, store=None) as running:
        rest = running.ask("GET", f"/v1/sagas?limit=2&cursor={first['next']}")
        assert rest.status == 200, rest.body
        assert [saga["id"] for saga in rest.json["sagas"]] not in (
            [],
            [saga["id"] for saga in first["sagas"]],
        )


def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path: Path, desk: str) -> None:
    lines = ["database:", "  url: postgresql://amends:hushhush@127.0.0.1:1/amends"]
    config = s.configuration(tmp_path, desk=desk, lines=lines)
    code, text = refused(tmp_path, s.SAGAS, "--config", str(config), "--port", "0")
    assert code == 1
    assert "127.0.0.1:1" in text
    assert "hushhush" not in text
