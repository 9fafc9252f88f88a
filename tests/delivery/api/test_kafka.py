"""`amends serve` over a real broker: events start sagas, topics carry commands, what is for nobody is parked."""

import asyncio
import functools
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from amends.adapters.kafka import Address, KafkaSender, make_topics
from amends.adapters.sqlite import SqliteStoreReader
from tests.adapters.kafka.relayed import heard, log_of
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.kafka.world import reply_headers
from tests.delivery.api import serving as s
from tests.delivery.cli.asking import MAIN

BINDINGS = """\
participants:
  desk: {commands: NAME.desk}
starts:
  NAME.wanted: {saga: errand, saga-id: id}
"""


def configured(folder: Path, name: str) -> Path:
    bindings = folder / "topics.yaml"
    bindings.write_text(BINDINGS.replace("NAME", name), "utf-8")
    lines = [
        "kafka:",
        f"  bootstrap-servers: [{broker().address}]",
        f"  bindings: {bindings}",
        f"  consumer-group: {name}",
        f"  topics: {{replies: {name}.replies}}",
    ]
    config = folder / "application.yaml"
    config.write_text("\n".join(lines) + "\n", "utf-8")
    return config


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def write(topic: str, key: str, value: object, headers: dict[str, bytes]) -> None:
    sender = KafkaSender(Address((broker().address,)))
    await make_topics(sender.address, [topic], partitions=1, replicas=1)
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    await sender.publish(topic, key=key.encode(), value=body, headers=[*headers.items()])
    await sender.close()


def test_an_event_starts_a_saga_and_replies_end_it(tmp_path: Path) -> None:
    name = new_name()
    config = configured(tmp_path, name)
    with s.serving(tmp_path, config=config, store="amends.db") as running:
        (desk,) = running.ask("GET", "/v1/participants").json["participants"]
        assert (desk["binding"], desk["address"]) == ("kafka", f"{name}.desk")
        started = running.ask("POST", "/v1/sagas", {"saga": "errand", "id": "e-1", "data": {"name": "tea"}})
        assert started.json["status"] == "running"
        for step in ("prepare", "finish"):
            s.until(functools.partial(begun, running, step), f"{step} begins")
            run(write(f"{name}.replies", "e-1", None, reply_headers("e-1", step)))
        s.until(lambda: running.saga("e-1")["status"] == "completed", "the end")
        # An event that is no start is parked, explained, and put away.
        run(write(f"{name}.wanted", "x", {"id": "x", "name": 7}, {}))
        listed = s.until(lambda: running.ask("GET", "/v1/parked").json["parked"], "parked")
        parked = running.ask("GET", f"/v1/parked/{listed[0]['id']}").json
        assert (parked["code"], parked["topic"], parked["text"]) == (
            "bad-start",
            f"{name}.wanted",
            '{"id":"x","name":7}',
        )
        said = {"by": "kim", "reason": "still wrong"}
        shown = amends(running, "parked", "--state", "parked")
        assert (shown.count("bad-start"), shown.count(parked["id"])) == (1, 1)
        assert "text:         {" in amends(running, "parked", parked["id"])
        told = amends(running, "replay", parked["id"], "--reason", "try", "--by", "lee")
        assert told.split() == [parked["id"], "parked", "bad-start"]
        again = running.ask("POST", f"/v1/parked/{parked['id']}/replay", said)
        assert (again.status, again.json["state"]) == (200, "parked")
        gone = running.ask("POST", f"/v1/parked/{parked['id']}/discard", said)
        assert (gone.json["state"], gone.json["by"]) == ("discarded", "kim")
        twice = running.ask("POST", f"/v1/parked/{parked['id']}/discard", said)
        assert (twice.status, twice.code) == (409, "not-parked")
        run(write(f"{name}.wanted", "y", {"id": "y", "name": 8}, {}))
        (other,) = s.until(lambda: running.ask("GET", "/v1/parked?state=parked").json["parked"], "another")
        assert "discarded" in amends(running, "discard", other["id"], "--reason", "as well", "--by", "kim")
        metrics = running.ask("GET", "/metrics").body.decode()
        assert f'amends_messages_total{{topic="{name}.replies",outcome="recorded"}} 2' in metrics
        assert 'amends_parked{state="discarded"} 2' in metrics
        shown = f'amends_messages_lag{{topic="{name}.replies",partition="0"}} 0'
        s.until(lambda: shown in running.ask("GET", "/metrics").body.decode(), "the lag is shown")
        assert "troubles" not in running.ask("GET", "/ready").json


def amends(running: s.Serving, *arguments: str) -> str:
    done = subprocess.run(
        [*MAIN, *arguments, "--url", running.url],
        env=s.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def begun(running: s.Serving, step: str) -> bool:
    return any(each["path"] == step for each in running.saga("e-1")["steps"])


def test_without_topics_there_is_nothing_parked(tmp_path: Path, desk: str) -> None:
    with s.serving(tmp_path, config=s.configuration(tmp_path, desk=desk)) as running:
        assert running.ask("GET", "/v1/parked").status == 404


def test_transitions_leave_to_a_topic_and_no_binding_is_needed(tmp_path: Path, desk: str) -> None:
    topic = new_name()
    lines = ["kafka:", f"  bootstrap-servers: [{broker().address}]", f"  topics: {{transitions: {topic}}}"]
    config = s.configuration(tmp_path, desk=desk, lines=lines)
    with s.serving(tmp_path, config=config, store="amends.db") as running:
        for saga_id in ("e-1", "e-2"):
            wanted = {"saga": "errand", "id": saga_id, "data": {"name": "tea"}}
            assert running.ask("POST", "/v1/sagas", wanted).status == 201
            running.reached(saga_id, lambda saga: saga["status"] == "completed")
        assert 'amends_log_lag{listener="relay"}' in running.ask("GET", "/metrics").body.decode()
        assert running.ask("GET", "/v1/parked").status == 404
        run(all_left(tmp_path / "amends.db", topic))
        assert "troubles" not in running.ask("GET", "/ready").json
        assert running.stop() == 0
    # Nobody runs there: what has left may go, and what a topic was never told may not.
    elsewhere = config.read_text().replace(topic, "never-told")
    (tmp_path / "elsewhere.yaml").write_text(elsewhere)
    told = [archived(tmp_path, name) for name in ("elsewhere.yaml", config.name)]
    # The newest transition stays, with its instance.
    assert told == ["archived 0 sagas", "archived 1 sagas"]


async def all_left(store: Path, topic: str) -> None:
    async with heard(Address((broker().address,)), topic) as listening:
        await listening.whole(await log_of(SqliteStoreReader(store)))


def archived(folder: Path, config: str) -> str:
    done = subprocess.run(
        [*MAIN, "archive", "--age", "1ms", "--config", config, "--store", "amends.db"],
        env=s.environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition(",")[0]


def test_a_topic_that_means_something_else_is_refused(tmp_path: Path) -> None:
    name = new_name()
    config = configured(tmp_path, name)
    config.write_text(
        config.read_text().replace(f"{name}.replies", f"{name}.replies, transitions: {name}.desk")
    )
    process, log = s.launch(tmp_path, s.SAGAS, "--config", str(config), "--store", "amends.db", "--port", "0")
    assert process.wait(timeout=s.PATIENCE) == 2
    assert f"kafka.topics.transitions: the topic {name}.desk cannot carry transitions" in log.read_text()


def test_a_broker_that_is_away_is_shown_and_nothing_else_stops(tmp_path: Path) -> None:
    config = configured(tmp_path, new_name())
    text = config.read_text().replace(broker().address, "127.0.0.1:1")
    config.write_text(text)
    with s.serving(tmp_path, config=config, store="amends.db") as running:
        started = running.ask("POST", "/v1/sagas", {"saga": "errand", "id": "e-1", "data": {"name": "tea"}})
        assert started.status == 201
        troubles = s.until(lambda: running.ask("GET", "/ready").json.get("troubles"), "trouble is shown")
        assert set(troubles) <= {"desk", "intake"}
        assert 'amends_trouble{way="' in running.ask("GET", "/metrics").body.decode()
        assert running.stop() == 0
