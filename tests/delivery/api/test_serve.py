"""`amends serve` as a process: how it begins, what it refuses, and how it ends."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from amends.definition.shape import fingerprint
from tests.delivery.api import serving as s
from tests.delivery.api.errands import PLAIN
from tests.delivery.api.serving import Serving

ERRAND = {"saga": "errand", "data": {"name": "tea"}}
KEY = "a-key-of-sixteen-characters"


def refused(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """How `amends serve` ends by itself: exit code and what it says."""
    process, log = s.launch(folder, *arguments, env=env)
    try:
        code = process.wait(timeout=s.PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = log.read_text()
    assert "Traceback" not in text
    return code, text


def config(folder: Path, desk: str, *lines: str) -> Path:
    return s.configuration(folder, desk=desk, lines=lines)


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.such.module"], "no.such.module cannot be imported"),
        (["tests.delivery.api.errands:ERAND"], "did you mean tests.delivery.api.errands:ERRAND?"),
        (["tests.delivery.api.desk"], "tests.delivery.api.desk has no saga"),
        (["tests.delivery.api.errands:"], "names no sagas"),
        ([s.SAGAS, "--store", "amends"], "--store: write a file"),
        ([s.SAGAS, "--host", "not a host"], "--host"),
        ([s.SAGAS, "--port", "99999"], "65535"),
        ([s.SAGAS, "--config", "none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_one_line(
    tmp_path: Path, desk: str, arguments: Sequence[str], says: str
) -> None:
    given = [*arguments] if "--config" in arguments else [*arguments, "--config", str(config(tmp_path, desk))]
    code, text = refused(tmp_path, *given)
    assert code == 2
    assert says in text
    assert not (tmp_path / "amends.db").exists()


def test_a_participant_without_a_service_is_refused_by_name_saga_and_key(tmp_path: Path) -> None:
    code, text = refused(tmp_path, s.SAGAS)
    assert code == 2
    assert text == (
        "amends: no service is configured for participant desk (of approval, errand): set microservices.desk.url\n"
    )


def test_the_network_needs_a_key_or_a_word(tmp_path: Path, desk: str) -> None:
    path = str(config(tmp_path, desk))
    code, text = refused(tmp_path, s.SAGAS, "--config", path, "--host", "::", "--port", "0")
    assert code == 2
    assert "server.api-keys" in text
    assert "server.allow-anonymous-network" in text


def test_every_fault_of_the_configuration_is_told_with_its_place(tmp_path: Path, desk: str) -> None:
    path = config(tmp_path, desk, "server:", "  prot: 1", "  max-connections: 0")
    code, text = refused(tmp_path, s.SAGAS, "--config", str(path))
    assert code == 2
    assert "application.yaml:4:3:" in text
    assert "application.yaml:5:" in text
    assert "2 errors, see above" in text


def test_a_port_that_is_taken_is_told(tmp_path: Path, desk: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, text = refused(tmp_path, s.SAGAS, "--config", str(config(tmp_path, desk)), "--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1 port {port}: " in text


def test_a_store_that_another_process_holds_is_refused_with_its_holder(tmp_path: Path, desk: str) -> None:
    path = config(tmp_path, desk)
    with s.serving(tmp_path, config=path) as first:
        code, text = refused(tmp_path, s.SAGAS, "--config", str(path), "--store", "./sagas.db", "--port", "0")
        assert code == 1
        assert str(first.process.pid) in text
        assert first.ask("GET", "/ready").status == 200


def test_a_file_that_is_no_store_and_one_that_is_newer_are_refused(tmp_path: Path, desk: str) -> None:
    path = str(config(tmp_path, desk))
    (tmp_path / "letter.db").write_text("Dear reader, this is no database. " * 100)
    code, text = refused(tmp_path, s.SAGAS, "--config", path, "--store", "./letter.db", "--port", "0")
    assert (code, "letter.db" in text) == (1, True)
    with s.serving(tmp_path, config=Path(path)) as running:
        assert running.stop() == 0
    with sqlite3.connect(tmp_path / "sagas.db") as store:
        store.execute("insert into migration values (9999, 'of the future', '')")
    store.close()
    code, text = refused(tmp_path, s.SAGAS, "--config", path, "--store", "./sagas.db", "--port", "0")
    assert (code, "newer" in text) == (1, True)


def test_a_place_where_no_store_can_be_is_refused(tmp_path: Path, desk: str) -> None:
    path = str(config(tmp_path, desk))
    (tmp_path / "file").touch()
    code, text = refused(tmp_path, s.SAGAS, "--config", path, "--store", "./file/sagas.db", "--port", "0")
    assert (code, "file/sagas.db" in text) == (1, True)


def test_a_changed_definition_is_refused_at_start_and_version_1_ends_on_version_1(
    tmp_path: Path, desk: str
) -> None:
    path = config(tmp_path, desk)
    first, changed = ["tests.delivery.api.errands:APPROVAL"], "tests.delivery.api.altered:CHANGED"
    beside = ["tests.delivery.api.altered:BESIDE"]
    document = {"saga": "approval", "data": {"name": "tea"}}
    with s.serving(tmp_path, config=path, sagas=first) as running:
        assert running.ask("POST", "/v1/sagas", {**document, "id": "old"}).status == 201
        running.reached("old", lambda saga: saga["steps"][0]["phase"] == "succeeded")
        running.stop(signal.SIGKILL)
    code, text = refused(tmp_path, changed, "--config", str(path), "--store", "./sagas.db", "--port", "0")
    assert (code, text.count("\n")) == (2, 1)
    for named in ("'old'", "'approval' version 1", "new version"):
        assert named in text
    with s.serving(tmp_path, config=path, sagas=beside) as running:
        assert running.ask("POST", "/v1/sagas", {**document, "id": "new"}).json["version"] == 2
        for saga_id in ("old", "new"):
            running.reached(saga_id, lambda saga: saga["steps"][0]["phase"] == "succeeded")
            running.ask("POST", f"/v1/sagas/{saga_id}/signals", {"signal": "approve", "content": {}})
            running.reached(saga_id, lambda saga: saga["status"] == "completed")
        assert [running.saga(saga_id)["version"] for saga_id in ("old", "new")] == [1, 2]


# --- how it runs -----------------------------------------------------------------------------------------------


def test_one_line_says_what_is_served_and_where(tmp_path: Path, desk: str) -> None:
    targets = ["tests.delivery.api.errands:APPROVAL"]
    with s.serving(tmp_path, config=config(tmp_path, desk), sagas=targets, store="memory:") as running:
        first = running.lines()[0]
        assert first == f"amends: serving 1 saga on {running.url}, store memory:"
        assert running.ask("POST", "/v1/sagas?wait=1", {**ERRAND, "saga": "approval"}).status == 201
        assert running.stop(signal.SIGINT) == 0
    assert not list(tmp_path.glob("*.db*"))


def test_a_module_stands_for_all_its_sagas(tmp_path: Path, desk: str) -> None:
    with s.serving(tmp_path, config=config(tmp_path, desk), sagas=["tests.delivery.api.errands"]) as running:
        assert len(running.ask("GET", "/v1/definitions").json["definitions"]) == 4


def test_a_step_that_does_not_say_is_tried_as_the_configuration_says(tmp_path: Path, desk: str) -> None:
    lines = ("saga:", "  retry:", "    attempts: 2", "    first: 0s")
    sagas = ["tests.delivery.api.errands:PLAIN"]
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines), sagas=sagas) as running:
        document = {"saga": "plain", "id": "p-1", "data": {"name": "tea", "prepare": "broken"}}
        found = running.ask("POST", "/v1/sagas?wait=20", document)
        assert found.json["status"] == "compensated"
        events = running.ask("GET", "/v1/sagas/p-1/events").json["events"]
        assert [event["type"] for event in events].count("AttemptFailed") == 2
        (shown,) = running.ask("GET", "/v1/definitions").json["definitions"]
        assert shown["fingerprint"] == fingerprint(PLAIN)


def test_what_was_begun_goes_on_after_a_restart_and_a_cursor_still_fits(tmp_path: Path, desk: str) -> None:
    path = config(tmp_path, desk)
    with s.serving(tmp_path, config=path) as first:
        for number in range(3):
            first.ask("POST", "/v1/sagas", {**ERRAND, "saga": "approval", "id": f"a-{number}"})
        page = first.ask("GET", "/v1/sagas?limit=1&consistent=true").json
        first.process.kill()
        first.process.wait()
    with s.serving(tmp_path, config=path) as second:
        rest = second.ask("GET", f"/v1/sagas?limit=1&consistent=true&cursor={page['next']}")
        assert [each["id"] for each in rest.json["sagas"]] == ["a-1"]
        second.reached("a-0", lambda saga: saga["steps"][0]["phase"] == "succeeded")
        second.ask("POST", "/v1/sagas/a-0/signals", {"signal": "approve", "content": {}})
        second.reached("a-0", lambda saga: saga["status"] == "completed")
    with s.serving(tmp_path, config=path, store="./other.db") as other:
        assert other.ask("GET", f"/v1/sagas?limit=1&cursor={page['next']}").status == 422


def test_keys_are_asked_for_everywhere_but_for_health_and_readiness(tmp_path: Path, desk: str) -> None:
    with s.serving(
        tmp_path, config=config(tmp_path, desk, "server:", f"  api-keys: [{KEY}, {KEY}-2]")
    ) as running:
        for path in ("/health", "/ready"):
            assert running.ask("GET", path).status == 200
        for path in ("/v1/sagas", "/metrics", "/openapi.json", "/nothing", "/v1/definitions/none"):
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {KEY}"},
                {"Authorization": f"Bearer {KEY}\xe9"},
                {"X-API-Key": ""},
                {"X-API-Key": KEY, "Authorization": "Bearer wrong"},
            ):
                found = running.ask("GET", path, headers=headers)
                assert (found.status, found.code) == (401, "unauthorized")
                assert found.headers["www-authenticate"] == 'Bearer realm="amends"'
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": f"{KEY}-2"}):
            assert running.ask("GET", "/v1/sagas", headers=headers).status == 200
        document = running.ask("GET", "/openapi.json", headers={"X-API-Key": KEY}).json
        assert "401" in document["paths"]["/v1/sagas"]["get"]["responses"]
        assert "401" not in document["paths"]["/health"]["get"]["responses"]
    assert not any(KEY in line for line in running.lines())


def test_a_brief_service_tells_no_more_than_what_kind_of_problem_it_is(tmp_path: Path, desk: str) -> None:
    with s.serving(tmp_path, config=config(tmp_path, desk, "server:", "  error-detail: brief")) as running:
        found = running.ask("GET", "/v1/sagas/none-such")
        assert set(found.json) == {"type", "title", "status"}
        assert any("none-such" in line for line in running.lines())


def test_logs_are_json_when_asked_for_with_request_and_saga(tmp_path: Path, desk: str) -> None:
    lines = ("log:", "  format: json", "  requests: true")
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines)) as running:
        found = running.ask("GET", "/v1/sagas/none-such%0aX")
        good = running.ask("GET", "/health")
        s.until(lambda: any("/health: 200" in line for line in running.lines()), "the request is logged")
        logged = [json.loads(line) for line in running.lines() if line.startswith("{")]
    (refusal,) = [
        line
        for line in logged
        if line.get("request") == found.headers["amends-request-id"] and line["level"] == "warning"
    ]
    assert refusal["saga"] == "none-such\\nX"
    (request,) = [line for line in logged if line.get("request") == good.headers["amends-request-id"]]
    assert request["message"].startswith("GET /health: 200 in ")


def test_too_much_in_work_is_429_with_the_time_to_come_back(tmp_path: Path, desk: str) -> None:
    lines = ("saga:", "  most-live: 1", "  most-waiting: 0")
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines)) as running:
        refusals: list[s.Answer] = []
        begun = threading.Barrier(12)

        def start() -> None:
            begun.wait()
            for _ in range(5):
                found = running.ask("POST", "/v1/sagas", ERRAND)
                if found.status != 201:
                    refusals.append(found)

        threads = [threading.Thread(target=start) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refusals
        assert {(each.status, each.code) for each in refusals} == {(429, "overloaded")}
        assert all(int(each.headers["retry-after"]) >= 1 for each in refusals)


def test_who_asks_too_often_is_told_to_come_back_and_others_do_not_feel_it(tmp_path: Path, desk: str) -> None:
    lines = ("server:", f"  api-keys: [{KEY}, {KEY}-2]", "  max-request-rate: 2")
    greedy, modest = {"X-API-Key": KEY}, {"X-API-Key": f"{KEY}-2"}
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines)) as running:
        answers = [running.ask("GET", "/v1/sagas/none-such", headers=greedy) for _ in range(50)]
        refused = [answer for answer in answers if answer.status == 429]
        assert {answer.status for answer in answers} == {404, 429}
        assert {(answer.code, answer.headers["retry-after"]) for answer in refused} == {("too-many", "1")}
        found = running.ask("POST", "/v1/sagas?wait=20", ERRAND, headers=modest)
        assert (found.status, found.json["status"]) == (201, "completed")
        for _ in range(30):
            assert running.ask("GET", "/health").status == 200
        told = [line for line in running.lines() if "too-many" in line or "server.max-request-rate" in line]
        assert 1 <= len(told) < len(refused) / 2
        assert KEY not in running.log.read_text()


# --- how it ends -----------------------------------------------------------------------------------------------


def test_going_down_answers_what_is_in_progress_and_ends_streams(tmp_path: Path, desk: str) -> None:
    with s.serving(tmp_path, config=config(tmp_path, desk)) as running, running.connected() as stream:
        stream.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
        s.read_until(stream, b": connected")
        waiting: list[s.Answer] = []
        document = {**ERRAND, "saga": "approval", "id": "a-1"}
        asking = threading.Thread(
            target=lambda: waiting.append(running.ask("POST", "/v1/sagas?wait=60", document))
        )
        asking.start()
        running.reached("a-1", lambda saga: saga.get("status") == "running")
        assert running.stop() == 0
        asking.join()
        assert (waiting[0].status, waiting[0].json["status"]) == (201, "running")
        assert s.rest(stream).endswith(b"0\r\n\r\n")
        assert running.lines()[-1].endswith("stopped")
        assert "Traceback" not in running.log.read_text()


def test_while_going_down_nothing_new_is_let_in_and_a_second_signal_ends_at_once(
    tmp_path: Path, desk: str
) -> None:
    with s.serving(tmp_path, config=config(tmp_path, desk)) as running, running.connected() as slow:
        body = json.dumps(ERRAND).encode()
        head = b"POST /v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        slow.sendall(head % len(body) + body[:5])
        ready = socket.create_connection(("127.0.0.1", running.port))
        with ready:
            ready.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.answered(ready)[0] == 200
            running.process.send_signal(signal.SIGTERM)
            assert s.rest(ready) == b""
        with pytest.raises(ConnectionRefusedError):
            running.ask("GET", "/ready")
        slow.sendall(body[5:])
        status, headers, _ = s.answered(slow)
        assert (status, headers["connection"]) == (201, "close")
        assert running.process.wait(timeout=s.PATIENCE) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_the_process_there_and_then(
    tmp_path: Path, desk: str, number: int, code: int
) -> None:
    lines = ("server:", "  body-timeout: 1h")
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines)) as running, running.connected() as slow:
        slow.sendall(
            b"POST /v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert slow.recv(100)
        running.process.send_signal(number)
        s.until(lambda: any("going down" in line for line in running.lines()), "it goes down")
        assert running.stop(number) == code


def test_what_takes_too_long_while_going_down_is_dropped(tmp_path: Path, desk: str) -> None:
    lines = ("server:", "  body-timeout: 1h", "  shutdown-timeout: 200ms")
    with s.serving(tmp_path, config=config(tmp_path, desk, *lines)) as running, running.connected() as slow:
        slow.sendall(
            b"POST /v1/sagas HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert slow.recv(100)
        assert running.stop() == 0
        assert any("1 requests were not answered in time" in line for line in running.lines())


# --- connections -----------------------------------------------------------------------------------------------


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    """Processor time of a process so far, of its own and the system's on its behalf."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_idle_connections_do_not_keep_healthy_clients_out(tmp_path: Path, desk: str) -> None:
    """64 descriptors, 60 connections that do nothing: every request is answered, quietly and cheaply."""
    with s.serving(tmp_path, config=config(tmp_path, desk), descriptors=64) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
        try:
            assert running.ask("GET", "/health").status == 200
            lines, spent = len(running.lines()), cpu_seconds(running.process)
            for _ in range(20):
                found = running.ask("POST", "/v1/sagas?wait=20", ERRAND)
                assert (found.status, found.json["status"]) == (201, "completed")
            # Nobody asks anything for three seconds: the stream only listens.
            with running.connected(within=3) as stream:
                stream.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
                busy = cpu_seconds(running.process)
                with pytest.raises(TimeoutError):
                    s.read_until(stream, b"what never comes")
            assert cpu_seconds(running.process) - busy <= 0.2 * 3
            assert len(running.lines()) - lines <= 10
            assert spent < cpu_seconds(running.process)
            metrics = running.ask("GET", "/metrics").body.decode()
            (open_now,) = re.findall(r"^amends_connections (\d+)$", metrics, re.MULTILINE)
            assert int(open_now) < 40
        finally:
            for each in idle:
                each.close()
        assert running.stop() == 0
        assert "Errno 24" not in running.log.read_text()


def test_the_one_that_is_idle_longest_makes_room_and_a_busy_one_never(tmp_path: Path, desk: str) -> None:
    with (
        s.serving(tmp_path, config=config(tmp_path, desk, "server:", "  max-connections: 3")) as running,
        running.connected() as stream,
        running.connected() as older,
        running.connected() as newer,
    ):
        stream.sendall(b"GET /v1/feed HTTP/1.1\r\nHost: x\r\n\r\n")
        s.read_until(stream, b": connected")
        for each in (older, newer):
            each.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.answered(each)[0] == 200
        assert running.ask("GET", "/health").status == 200
        assert s.rest(older) == b""
        newer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.answered(newer)[0] == 200
        running.ask("POST", "/v1/sagas", ERRAND)
        s.read_until(stream, b"event: transition")


def test_too_few_descriptors_are_told(tmp_path: Path, desk: str) -> None:
    process, log = s.launch(
        tmp_path, s.SAGAS, "--config", str(config(tmp_path, desk)), "--port", "0", descriptors=30
    )
    assert process.wait(timeout=s.PATIENCE) == 2
    assert "ulimit -n" in log.read_text()


def test_an_idle_connection_is_closed_in_time(tmp_path: Path, desk: str) -> None:
    with (
        s.serving(tmp_path, config=config(tmp_path, desk, "server:", "  idle-timeout: 300ms")) as running,
        running.connected() as connection,
    ):
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.answered(connection)[0] == 200
        assert s.rest(connection) == b""
    assert isinstance(running, Serving)
