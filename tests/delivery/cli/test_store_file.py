"""A store file without its service, and beside it: what a person does to the file is done by whoever opens it next."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.delivery.api import serving as s
from tests.delivery.cli.asking import Place, at_file, at_url

TARGETS = tuple(f"tests.delivery.api.errands:{name}" for name in ("ERRAND", "ERRAND_2", "APPROVAL"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "sagas.db"


@contextmanager
def served(store: Path, desk: str) -> Iterator[s.Serving]:
    config = s.configuration(store.parent, desk=desk)
    with s.serving(store.parent, config=config, store=str(store)) as running:
        yield running
        assert running.stop() == 0


def start(place: Place, saga_id: str, **data: str) -> None:
    place.act("start", "errand", "--data", json.dumps({"name": saga_id, **data}), "--id", saga_id).well()


def status(place: Place, saga_id: str) -> str:
    found: str = place.ask("show", saga_id, "--json").json["status"]
    return found


def settled(place: Place, saga_id: str) -> str:
    """How an instance of a service stands once there is something to say."""
    return s.until(lambda: status(place, saga_id) if status(place, saga_id) != "running" else None, saga_id)


def test_what_was_begun_on_a_file_runs_when_a_service_opens_it(store: Path, desk: str) -> None:
    file = at_file(store, *TARGETS)
    start(file, "e-1")
    start(file, "e-2")
    file.act("cancel", "e-2", "--reason", "never mind").well()
    events = file.ask("events", "e-1", "--json").json["events"]
    assert [event["type"] for event in events] == ["SagaStarted", "CommandIssued"]
    with served(store, desk) as running:
        place = at_url(running.url)
        assert settled(place, "e-1") == "completed"
        assert s.until(lambda: status(place, "e-2") == "compensated", "e-2")


def test_acts_on_a_stuck_file_are_carried_out_by_the_next_process(store: Path, desk: str) -> None:
    sagas = ("retried", "skipped", "resolved", "untouched")
    with served(store, desk) as running:
        place, file = at_url(running.url), at_file(store, *TARGETS)
        running_desk(desk, "break")
        for saga_id in sagas:
            start(place, saga_id, finish="broken")
        assert [settled(place, saga_id) for saga_id in sagas] == ["stuck"] * 4
        assert [status(file, saga_id) for saga_id in sagas] == ["stuck"] * 4
        held = file.act("retry", "retried", "finish", "--reason", "mended")
        assert (held.code, held.out, held.err.count("\n")) == (1, "", 1)
        assert f"process {running.process.pid}" in held.err
        assert "--url" in held.err
        steer_the_service(place)
        assert "stuck: finish" in place.ask("list", "--status", "stuck", "--consistent").out
    before = file.ask("show", "untouched", "--json").json
    file.act("retry", "retried", "finish", "--by", "ann", "--reason", "mended").well()
    file.act("skip", "skipped", "finish", "--reason", "done by hand").well()
    file.act("resolve", "resolved", "finish", "--reply", "null", "--reason", "it was done").well()
    assert [status(file, saga_id) for saga_id in sagas] == ["running", "completed", "completed", "stuck"]
    assert file.ask("show", "untouched", "--json").json == before
    assert file.ask("show", "skipped", "--json").json["unconfirmed"] == ["finish"]
    running_desk(desk, "mend")
    with served(store, desk) as running:
        assert settled(at_url(running.url), "retried") == "completed"
    told = file.ask("show", "retried").out
    assert "ann: mended" in told


def steer_the_service(place: Place) -> None:
    """The same acts where the service carries them out; the desk is still broken."""
    for saga_id in ("s-skip", "s-resolve", "s-retry"):
        start(place, saga_id, finish="broken")
        assert settled(place, saga_id) == "stuck"
    skipped = place.act("skip", "s-skip", "finish", "--reason", "done by hand", "--json").json
    assert (skipped["status"], skipped["unconfirmed"]) == ("completed", ["finish"])
    resolved = ("resolve", "s-resolve", "finish", "--reply", "null", "--reason", "it was done", "--json")
    assert place.act(*resolved).json["status"] == "completed"
    position = place.ask("show", "s-retry", "--json").json["position"]
    place.act("retry", "s-retry", "finish", "--reason", "perhaps", "--if-position", str(position)).well()
    types = [event["type"] for event in place.ask("events", "s-retry", "--json").json["events"]]
    assert types[position] == "StepRetried"


def running_desk(desk: str, what: str) -> None:
    """Tell the desk to be broken or mended."""
    connection = http.client.HTTPConnection("127.0.0.1", int(desk.rpartition(":")[2]), timeout=s.PATIENCE)
    with closing(connection):
        connection.request("POST", f"/{what}")
        assert connection.getresponse().status == 200


def test_an_act_moves_nothing_else_and_nothing_times_out(store: Path) -> None:
    file = at_file(store, "tests.delivery.cli.hasty:HASTY")
    for saga_id in ("one", "other"):
        file.act("start", "hasty", "--data", '"x"', "--id", saga_id).well()
    before = file.ask("events", "other", "--json").json
    position = file.ask("show", "one", "--json").json["position"]
    file.act("pause", "one", "--reason", "x", "--if-position", str(position)).well()
    assert file.ask("events", "other", "--json").json == before
    types = [event["type"] for event in file.ask("events", "one", "--json").json["events"]]
    assert types == ["SagaStarted", "CommandIssued", "SagaPaused"]


def test_a_file_is_read_without_its_definitions_and_not_made_by_looking(store: Path) -> None:
    file = Place(options=["--store", str(store)])
    for arguments in (["list"], ["show", "x"], ["events", "x"], ["definitions"]):
        said = file.ask(*arguments)
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
        assert "there is no such file" in said.err
    acted = at_file(store, *TARGETS).act("cancel", "x", "--reason", "y")
    assert (acted.code, "there is no store file" in acted.err) == (3, True)
    assert not store.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--store", "x.db"], "give --sagas MODULE:SAGA"),
        (["--sagas", TARGETS[0]], "give --store FILE as well"),
        (["--store", "x.db", "--url", "http://127.0.0.1:1"], "give one of them"),
        (["--store", "x.db", "--sagas", "tests.delivery.api.errands:ERAND"], "did you mean"),
        (["--store", "x.db", "--sagas", "no.such"], "names no saga"),
    ],
)
def test_options_that_contradict_are_a_wrong_question(options: list[str], says: str) -> None:
    said = Place().ask("start", "errand", "--data", '{"name":"x"}', *options)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err


def test_a_definition_that_breaks_a_rule_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from amends import Command, Participant, Saga, Step\n"
        "def do(d: int) -> Command[None]: return Command('x')\n"
        "BROKEN = Saga('broken', version=1, data=int, body=Step('x', Participant('p'), do=do))\n"
    )
    said = Place().ask(
        "start", "broken", "--data", "1", "--store", str(store), "--sagas", "broken:BROKEN", cwd=tmp_path
    )
    assert (said.code, said.out, said.err.count("\n"), "AM001" in said.err) == (1, "", 1, True)


def test_nothing_waits_on_a_file(store: Path) -> None:
    said = at_file(store, *TARGETS).act("start", "errand", "--data", '{"name":"x"}', "--wait", "1")
    assert (said.code, "leave --wait out" in said.err) == (2, True)
