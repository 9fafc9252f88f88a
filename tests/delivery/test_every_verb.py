"""Every verb of the command line does its work once; those about sagas at a running service with real participants.

Rules: each verb has its exercise here; a verb without one is a failing test. Each runs as text and as JSON. What a verb
does that asks no service, and takes long, is exercised by a module that is named here.
"""

import json
import select
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from amends.delivery.cli.app import VERBS
from tests.delivery import world as w
from tests.delivery.api import serving as s
from tests.delivery.cli.asking import Place, at_url

WHY = ("--by", "ada", "--reason", "an exercise")
ELSEWHERE = {
    "demo": ("tests/examples/fulfilment/test_demo.py", '"--json"'),
    "bench": ("tests/delivery/test_bench.py", '"bench"'),
    "serve": ("tests/delivery/api/serving.py", '"serve"'),
    "migrate": ("tests/delivery/cli/test_migrate.py", '"migrate"'),
    "archive": ("tests/delivery/cli/test_retention.py", '"archive"'),
    "restore": ("tests/delivery/cli/test_retention.py", '"restore"'),
    "parked": ("tests/delivery/api/test_kafka.py", '"parked"'),
    "replay": ("tests/delivery/api/test_kafka.py", '"replay"'),
    "discard": ("tests/delivery/api/test_kafka.py", '"discard"'),
}
"""Verbs that run for themselves: where, and what shows it."""
Exercise = Callable[[w.World, Place], None]
EXERCISES: dict[str, Exercise] = {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[w.World]:
    with w.world(tmp_path_factory.mktemp("verbs")) as running:
        yield running


def exercise(made: Exercise) -> Exercise:
    EXERCISES[made.__name__.removesuffix("_")] = made
    return made


def test_every_verb_has_its_exercise() -> None:
    assert EXERCISES.keys() | ELSEWHERE.keys() == VERBS.keys()
    assert not EXERCISES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ELSEWHERE])
def test_a_verb_does_its_work(world: w.World, verb: str) -> None:
    EXERCISES[verb](world, at_url(world.service.url))


@pytest.mark.parametrize("verb", ELSEWHERE)
def test_a_verb_is_exercised_where_it_is_said(verb: str) -> None:
    module, shown = ELSEWHERE[verb]
    assert shown in (s.ROOT / module).read_text()


# --- starting and looking ----------------------------------------------------------------------------------------


@exercise
def start(world: w.World, place: Place) -> None:
    example = world.examples["fulfilment"]
    data = w.plain(example.data(example.load()[0].given))
    for more in ([], ["--json"]):
        saga_id = w.new("f")
        given = json.dumps(data | {"order_id": saga_id})
        said = place.ask("start", "order-fulfilment", "--data", given, "--id", saga_id, "--wait", "20", *more)
        assert said.json["status"] == "completed" if more else "completed  FULFILLED" in said.out


@exercise
def export(_world: w.World, place: Place) -> None:
    """Made of definitions and bindings; no service is asked."""
    wanted = (
        *("export", "asyncapi", "examples.booking.saga:BOOKING"),
        *("--bindings", str(s.ROOT / "examples/booking/kafka.yaml")),
    )
    topics = {"booking.created", "product.reserved", "saga.request_stock", "saga.cancel_booking"}
    whole = json.loads(place.ask(*wanted).out)
    assert whole["asyncapi"] == "3.0.0"
    assert whole["channels"].keys() > topics
    assert place.ask(*wanted, "--json").json == whole
    wrong = {"no notation 'bpmn'": ("export", "bpmn"), "nothing goes over topics": ("export", "asyncapi")}
    for complaint, arguments in wrong.items():
        said = place.ask(*arguments, "examples.booking.saga:BOOKING")
        assert (said.code, complaint in said.err) == (2, True)


@exercise
def show(world: w.World, place: Place) -> None:
    saga_id = world.fulfilled()
    lines = place.ask("show", saga_id).lines
    assert [line.split()[2] for line in lines[5:]] == [
        "started",
        "reserve-inventory",
        "process-payment",
        "ship-order",
        "completed",
    ]
    assert place.ask("show", saga_id, "--json").json["business_status"] == "FULFILLED"


@exercise
def list_(world: w.World, place: Place) -> None:
    saga_id = world.fulfilled()
    mine = ("list", "--id-prefix", saga_id, "--consistent")
    assert "FULFILLED" in place.ask(*mine).lines[1]
    assert [saga["id"] for saga in place.ask(*mine, "--json").json["sagas"]] == [saga_id]


@exercise
def events(world: w.World, place: Place) -> None:
    saga_id = world.fulfilled()
    assert place.ask("events", saga_id).lines[-1].endswith("SagaCompleted")
    assert place.ask("events", saga_id, "--json").json["events"][-1]["type"] == "SagaCompleted"


@exercise
def watch(world: w.World, place: Place) -> None:
    """One saga to its end, and all of them live until Ctrl-C."""
    saga_id = world.fulfilled()
    assert place.ask("watch", saga_id).lines[-1].endswith("SagaCompleted")
    with place.begun("watch", "--json") as watching:
        assert watching.stdout
        # It begins with what comes now, and nobody says when now is.
        s.until(lambda: world.fulfilled() and readable(watching), "something happened while it watched")
        told = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=s.PATIENCE)
    assert (watching.returncode, err.strip()) == (130, "")
    assert told["events"]


def readable(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout
    return bool(select.select([process.stdout], [], [], 0.1)[0])


# --- steering ----------------------------------------------------------------------------------------------------


@exercise
def signal_(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        saga_id = world.waiting()
        content = json.dumps({"approved": True, "by": "ann"})
        place.ask("signal", saga_id, "approval", "--content", content, *more).well()
        world.service.reached(saga_id, lambda saga: saga["business_status"] != "WAITING_APPROVAL")


@exercise
def cancel(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        saga_id = world.waiting()
        place.ask("cancel", saga_id, *WHY, *more).well()
        ended = world.service.reached(saga_id, lambda saga: saga["status"] == "compensated")
        assert ended["cause"]["reason"] == "ada: an exercise"


@exercise
def pause(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        said = place.ask("pause", world.errand("approval", wait=0)["id"], *WHY, *more)
        assert said.json["paused"] if more else "paused" in said.out


@exercise
def resume(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        saga_id = str(world.errand("approval", wait=0)["id"])
        place.ask("pause", saga_id, *WHY).well()
        said = place.ask("resume", saga_id, *WHY, *more)
        assert not said.json["paused"] if more else "paused" not in said.out


@exercise
def retry(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        saga_id = world.stuck()
        world.ask_desk("/mend")
        try:
            place.ask("retry", saga_id, "finish", *WHY, *more).well()
            world.service.reached(saga_id, lambda saga: saga["status"] == "completed")
        finally:
            world.ask_desk("/break")


@exercise
def resolve(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        said = place.ask("resolve", world.stuck(), "finish", "--reply", "null", *WHY, *more)
        assert said.json["unconfirmed"] == [] if more else "completed" in said.out


@exercise
def skip(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        said = place.ask("skip", world.stuck(), "finish", *WHY, *more)
        assert said.json["unconfirmed"] == ["finish"] if more else "completed" in said.out


@exercise
def abandon(world: w.World, place: Place) -> None:
    for more in ([], ["--json"]):
        said = place.ask("abandon", world.stuck(), *WHY, *more)
        assert said.json["status"] == "abandoned" if more else "abandoned" in said.out


# --- what there is -----------------------------------------------------------------------------------------------


@exercise
def participants(world: w.World, place: Place) -> None:
    assert "desk" in place.ask("participants").out
    opened = place.ask("participants", "desk", "--open", *WHY, "--json").json["participants"]
    assert [each["breaker"] for each in opened] == ["open"]
    closed = place.ask("participants", "desk", "--close", *WHY)
    assert "by hand" not in closed.out


@exercise
def definitions(world: w.World, place: Place) -> None:
    assert "order-fulfilment" in place.ask("definitions").out
    found = place.ask("definitions", "offer-acceptance", "--json").json["definitions"]
    assert [each["version"] for each in found] == [1]


@exercise
def diagram(world: w.World, place: Place) -> None:
    text = place.ask("diagram", "order-fulfilment")
    text.well()
    assert place.ask("diagram", "order-fulfilment", "--json").json == {"diagram": text.out}


@exercise
def lint(world: w.World, place: Place) -> None:
    for target in w.TARGETS[:2]:
        assert place.ask("lint", target).lines[0].endswith("nothing found")
        place.ask("lint", target, "--json").well()


@exercise
def config(world: w.World, place: Place) -> None:
    """The file with which this very service runs."""
    file = str(world.service.log.parent / "application.yaml")
    assert place.ask("config", "check", file).lines[-1].endswith("no errors")
    assert place.ask("config", "show", file, "--json").json["ok"]


@exercise
def completion(world: w.World, place: Place) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_AMENDS_COMPLETE" in place.ask("completion", shell).out
