"""Every verb, asked of a service and of a store file: the same question, the same answer."""

import json
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from amends.export.mermaid import flowchart
from tests.delivery.api import errands
from tests.delivery.api.serving import PATIENCE, Serving
from tests.delivery.cli.asking import Place, at_file, at_url
from tests.delivery.cli.conftest import KEY

TARGETS = ("tests.delivery.api.errands:APPROVAL", "tests.delivery.api.errands:ERRAND")
NAMES = iter(f"c-{number}" for number in range(1000))


@pytest.fixture(params=["service", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "service":
        yield at_url(request.getfixturevalue("service").url, KEY)
    else:
        yield at_file(tmp_path / "sagas.db", *TARGETS)


def start(place: Place, **data: str) -> str:
    """An approval that has come as far as it can by itself."""
    saga_id = next(NAMES)
    document = json.dumps({"name": saga_id, **data})
    said = place.act("start", "approval", "--data", document, "--id", saga_id)
    assert said.out.startswith(f"{saga_id}  approval version 1  "), said
    return saga_id


# --- start, show, events, list -----------------------------------------------------------------------------------


def test_start_is_idempotent_by_id_and_data(place: Place) -> None:
    saga_id = start(place)
    again = place.act("start", "approval", "--data", f'{{ "name" : "{saga_id}" }}', "--id", saga_id)
    assert (again.code, "it was there already" in again.out) == (0, True)
    other = place.act("start", "approval", "--data", '{"name":"other"}', "--id", saga_id)
    assert (other.code, other.out) == (1, "")
    assert other.err == f"amends: saga '{saga_id}' was started with other data, as 'approval'\n"


def test_start_reads_data_from_a_file_and_from_standard_input(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"name": "tea"}\n')
    from_file = place.act("start", "approval", "--data", f"@{tmp_path / 'data.json'}", "--json").json
    given = place.ask(
        "start", "approval", "--data", "-", "--json", *place.acting, given='{"name":"tea"}'
    ).json
    assert from_file["data"] == given["data"]
    assert from_file["data"]["name"] == "tea"
    assert from_file["id"] != given["id"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["start", "aproval", "--data", "{}"], 1, "did you mean approval?"),
        (["start", "approval", "--version", "7", "--data", "{}"], 1, "has no version 7 here"),
        (["start", "approval", "--data", "{}"], 1, "Object missing required field `name`"),
        (["start", "approval", "--data", '{"name":"x"}', "--id", "../x"], 1, "saga id"),
        (["start", "approval", "--data", '{"name":'], 2, "--data is no JSON:"),
        (["start", "approval", "--data", '{"name":"a","name":"b"}'], 2, "--data is no JSON:"),
        (["start", "approval", "--data", '{"name":NaN}'], 2, "--data is no JSON:"),
        (["start", "approval", "--data", "-"], 2, "--data is empty"),
        (["start", "approval", "--data", "@/no/such/file"], 2, "cannot be read: No such file or directory"),
        (["start", "approval"], 2, "Missing option '--data'"),
        (["pause", "no-such-saga", "--reason", "x"], 1, "no-such-saga"),
        (["pause", "no-such-saga"], 2, "Missing option '--reason'"),
    ],
)
def test_what_an_act_cannot_do_is_said_in_one_line(
    place: Place, arguments: list[str], code: int, says: str
) -> None:
    start(place)
    said = place.act(*arguments)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert said.err.startswith("amends: ")
    assert says in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "no-such-saga"], "no-such-saga"),
        (["events", "no-such-saga"], "no-such-saga"),
        (["events", "no-such-saga", "--follow"], "no-such-saga"),
        (["watch", "no-such-saga"], "no-such-saga"),
        (["definitions", "no-such-saga"], "no-such-saga"),
        (["diagram", "no-such-saga"], "no-such-saga"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(place: Place, arguments: list[str], says: str) -> None:
    start(place)
    said = place.ask(*arguments)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert says in said.err


def test_show_tells_how_it_stands_and_how_it_came_to_that(place: Place) -> None:
    saga_id = start(place)
    place.act("cancel", saga_id, "--by", "ann", "--reason", "not wanted").well()
    shown = place.ask("show", saga_id)
    assert "turned round by the saga: cancelled: ann: not wanted" in shown.out
    assert re.search(r"^\+\d+\.\d{3} s +prepare +desk +1\b", shown.out, re.MULTILINE)
    assert re.search(r"^\+\d+\.\d{3} s +cancel +ann: not wanted$", shown.out, re.MULTILINE)
    document = place.ask("show", saga_id, "--json").json
    assert (document["id"], document["saga"], document["cause"]["code"]) == (saga_id, "approval", "cancelled")


def test_show_tells_how_it_stood(place: Place) -> None:
    saga_id = start(place)
    assert place.ask("show", saga_id, "--at", "1", "--json").json["position"] == 1
    assert place.ask("show", saga_id, "--at", "1").lines[-1].split() == ["+0.000", "s", "started"]
    said = place.ask("show", saga_id, "--at", "999")
    assert (said.code, "has no position 999" in said.err) == (1, True)


def test_events_are_those_of_the_stream(place: Place) -> None:
    saga_id = start(place)
    events = place.ask("events", saga_id, "--json").json["events"]
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[0]["saga"]) == ("SagaStarted", "approval")
    assert place.ask("events", saga_id, "--after", "1", "--json").json["events"][0]["position"] == 2
    text = place.ask("events", saga_id).lines
    assert text[0].split() == ["position", "time", "type"]
    assert "shape" not in text[1]


def test_list_filters_and_pages(place: Place) -> None:
    prefix = next(NAMES)
    for number in range(3):
        saga_id = f"{prefix}.{number}"
        place.act("start", "approval", "--data", '{"name":"x"}', "--id", saga_id).well()
    paused = f"{prefix}.1"
    place.act("pause", paused, "--reason", "lunch").well()
    mine = ("list", "--id-prefix", f"{prefix}.", "--consistent", "--json")

    def found(*more: str) -> list[str]:
        return [saga["id"] for saga in place.ask(*mine, *more).json["sagas"]]

    newest = [f"{prefix}.{number}" for number in (2, 1, 0)]
    assert found() == newest
    assert found("--oldest-first") == newest[::-1]
    assert found("--paused") == [paused]
    assert found("--not-paused", "--saga", "approval", "--version", "1", "--status", "running") == newest[::2]
    assert found("--status", "stuck", "--status", "completed") == []
    assert found("--saga", "errand") == found("--business-status", "NONE") == []
    assert found("--started-from", "2020-01-01", "--updated-before", "2999-01-01T00:00:00+02:00") == newest
    assert found("--started-before", "2020-01-01") == found("--updated-from", "2999-01-01") == []
    first = place.ask(*mine, "--limit", "2").json
    assert [saga["id"] for saga in first["sagas"]] == newest[:2]
    assert found("--limit", "2", "--cursor", first["next"]) == newest[2:]
    assert place.ask(*mine, "--all").json["next"] is None
    text = place.ask("list", "--id-prefix", f"{prefix}.", "--limit", "2").lines
    assert [line.split()[0] for line in text] == ["id", *newest[:2], "more:"]
    assert place.ask("list", "--id-prefix", "nobody").lines == ["no saga is like that"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--status", "finished"], 2, "'finished' is not one of"),
        (["--started-from", "yesterday"], 2, "--started-from 'yesterday' is no time"),
        (["--limit", "0"], 2, "--limit"),
        (["--all", "--cursor", "x"], 2, "--all begins at the beginning"),
    ],
)
def test_list_says_which_filter_it_cannot_use(
    place: Place, arguments: list[str], code: int, says: str
) -> None:
    said = place.ask("list", *arguments)
    assert (said.code, said.out, says in said.err) == (code, "", True), said.err


def test_a_cursor_of_another_list_is_refused(place: Place) -> None:
    start(place)
    said = place.ask("list", "--cursor", "bm9uZQ==")
    assert (said.code in {1, 2}, "cursor" in said.err, said.err.count("\n")) == (True, True, 1)


# --- acts --------------------------------------------------------------------------------------------------------


def test_pause_and_resume(place: Place) -> None:
    saga_id = start(place)
    assert place.act("pause", saga_id, "--reason", "lunch", "--json").json["paused"]
    assert not place.act("resume", saga_id, "--by", "ann", "--reason", "back", "--json").json["paused"]
    said = [event for event in place.ask("events", saga_id, "--json").json["events"] if "by" in event]
    assert [(event["type"], event["reason"]) for event in said] == [
        ("SagaPaused", "lunch"),
        ("SagaResumed", "back"),
    ]
    assert said[0]["by"]
    assert said[1]["by"] == "ann"


def test_an_act_only_if_nothing_has_happened_since(place: Place) -> None:
    saga_id = start(place)
    place.act("pause", saga_id, "--reason", "lunch").well()
    said = place.act("abandon", saga_id, "--reason", "enough", "--if-position", "1")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "nothing was done" in said.err
    position = place.ask("show", saga_id, "--json").json["position"]
    gone = place.act("abandon", saga_id, "--reason", "enough", "--if-position", str(position), "--json").json
    assert gone["status"] == "abandoned"


def test_an_act_that_the_rules_forbid_is_refused(place: Place) -> None:
    saga_id = start(place)
    place.act("abandon", saga_id, "--reason", "enough").well()
    for arguments in (["cancel", saga_id], ["retry", saga_id, "prepare"], ["skip", saga_id, "prepare"]):
        said = place.act(*arguments, "--reason", "again")
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
        assert saga_id in said.err


def test_a_signal_with_its_content_counts_once(place: Place) -> None:
    saga_id = start(place)
    place.act("pause", saga_id, "--reason", "so that it does not end").well()
    for _ in range(2):
        place.act("signal", saga_id, "approve", "--content", '{"word":"go"}', "--signal-id", "s-1").well()
    events = place.ask("events", saga_id, "--json").json["events"]
    assert [event["content"] for event in events if event["type"] == "SignalReceived"] == [{"word": "go"}]
    unknown = place.act("signal", saga_id, "aprove")
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)


@pytest.mark.parametrize("answer", [[], ["--reply", "null", "--refused", "no"], ["--refused", ""]])
def test_resolve_wants_one_answer(place: Place, answer: list[str]) -> None:
    said = place.act("resolve", "any", "prepare", "--reason", "looked", *answer)
    assert (said.code, said.err.count("\n"), "--refused" in said.err) == (2, 1, True)


# --- definitions -------------------------------------------------------------------------------------------------


def test_definitions_and_diagrams(place: Place) -> None:
    start(place)
    found = place.ask("definitions", "approval", "--json").json["definitions"]
    (one,) = [definition for definition in found if definition["name"] == "approval"]
    assert (one["version"], one["participants"], one["shape"]["saga"]) == (1, ["desk"], "approval")
    assert re.search(
        rf"^approval +1 +{one['fingerprint']} +desk$", place.ask("definitions").out, re.MULTILINE
    )
    assert place.ask("diagram", "approval").out == flowchart(errands.APPROVAL)
    assert place.ask("diagram", "approval", "--json").json == {"diagram": flowchart(errands.APPROVAL)}
    other = place.ask("diagram", "approval", "--version", "3")
    assert (other.code, other.err.count("\n")) == (1, 1)


def test_a_diagram_of_a_module_needs_no_server() -> None:
    said = Place(env={"AMENDS_URL": "http://127.0.0.1:1"}).ask("diagram", "tests.delivery.api.errands:ERRAND")
    assert said.out == flowchart(errands.ERRAND)


# --- watching ----------------------------------------------------------------------------------------------------


def test_watch_and_follow_end_with_the_saga(place: Place) -> None:
    saga_id = start(place)
    with (
        place.begun("watch", saga_id, "--json") as watching,
        place.begun("events", saga_id, "--follow") as text,
    ):
        assert watching.stdout
        assert json.loads(watching.stdout.readline())["type"] == "SagaStarted"
        place.act("abandon", saga_id, "--reason", "enough").well()
        out, err = watching.communicate(timeout=PATIENCE)
        told, wrong = text.communicate(timeout=PATIENCE)
    assert (watching.returncode, err, text.returncode, wrong) == (0, "", 0, "")
    assert json.loads(out.splitlines()[-1])["type"] == "SagaAbandoned"
    stored = place.ask("events", saga_id, "--json").json["events"]
    assert [int(line.split()[0]) for line in told.splitlines()] == [event["position"] for event in stored]


def test_watching_all_shows_what_happens_until_ctrl_c(place: Place) -> None:
    before = start(place)
    with place.begun("watch", "--json") as watching:
        assert watching.stdout
        told: list[str] = []
        for attempt in range(50):
            # The watch begins with what comes now, and nobody says when now is.
            act = "resume" if attempt % 2 else "pause"
            place.act(act, before, "--reason", str(attempt)).well()
            line = watching.stdout.readline() if readable(watching) else ""
            if line:
                told.append(line)
                break
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, err.strip()) == (130, "")
    assert {json.loads(line)["saga_id"] for line in told} == {before}


def readable(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout
    return bool(select.select([process.stdout], [], [], 0.5)[0])


def test_a_breaker_is_opened_and_closed_by_hand(service: Serving) -> None:
    place = at_url(service.url, KEY)
    (shown,) = place.ask("participants", "--json").json["participants"]
    assert (shown["name"], shown["breaker"]) == ("desk", "closed")
    opened = place.ask("participants", "desk", "--open", "--reason", "it is moved", "--by", "ada")
    assert [opened.lines[1].split()[0], " ".join(opened.lines[1].split()[3:6])] == ["desk", "open by hand"]
    closed = place.ask("participants", "desk", "--close", "--reason", "it has moved", "--by", "ada", "--json")
    assert closed.json["participants"][0]["breaker"] == "ramping"
    for wrong, told in (
        (("nobody",), "no participant is bound as 'nobody'"),
        (("desk", "--open"), "say why with --reason"),
        (("desk", "--open", "--close", "--reason", "x"), "one of --open and --close"),
    ):
        said = place.ask("participants", *wrong)
        assert (said.code, told in said.err) == (2, True), said
    unknown = place.ask("participants", "nobody", "--open", "--reason", "x")
    assert (unknown.code, "there is: desk" in unknown.err) == (1, True), unknown


def test_from_a_store_file_nobody_is_called(tmp_path: Path) -> None:
    said = at_file(tmp_path / "sagas.db", *TARGETS).ask("participants")
    assert (said.code, "nobody is called" in said.err) == (1, True)
