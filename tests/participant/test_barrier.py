"""The barrier in every order of deliveries, against a description that does not know its table."""

import itertools
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from amends.participant import Answer, Command, CommandIdReused, Direction, Succeeded
from amends.participant.database import connect
from amends.participant.sqlite_ledger import TransactionDenied, receive
from tests.participant.counter import Change, act, command, effects, handler, prepare

Delivery = tuple[Direction, int]
DELIVERIES: tuple[Delivery, ...] = (("do", 1), ("undo", 1), ("do", 2), ("undo", 2))
ROOT = Path(__file__).parents[2]


def opened(path: Path | str = ":memory:") -> sqlite3.Connection:
    connection = connect(Path(path))
    prepare(connection)
    return connection


def deliver(connection: sqlite3.Connection, received: Command) -> Answer:
    name = "add" if received.direction == "do" else "subtract"
    return receive(connection, received, handler(name).act_on(received), needs_do=handler(name).needs_do)


@pytest.mark.parametrize("refuses", [frozenset[Direction](), {"do"}, {"undo"}, {"do", "undo"}])
def test_every_order_of_do_undo_and_duplicates_leaves_at_most_one_effect(refuses: set[Direction]) -> None:
    connection = opened()
    for length in range(1, 6):
        for order in itertools.product(DELIVERIES, repeat=length):
            connection.executescript(
                "DELETE FROM effect; DELETE FROM amends_pair; DELETE FROM amends_command"
            )
            follow(connection, order, refuses)


def follow(connection: sqlite3.Connection, order: tuple[Delivery, ...], refuses: set[Direction]) -> None:
    first_answers: dict[Delivery, Answer] = {}
    undone = False
    for direction, rounds in order:
        by = -1 if direction in refuses else 1
        answer = deliver(connection, command(direction, by=by, rounds=rounds))
        done, taken_back = effects(connection, "do"), effects(connection, "undo")
        assert taken_back <= done <= 1
        if (direction, rounds) in first_answers and first_answers[direction, rounds] != answer:
            # Only a refused undo may be answered otherwise later: once its do is known to have no effect.
            assert direction == "undo"
            assert first_answers[direction, rounds].outcome == "refused"
        if direction == "do" and (direction, rounds) not in first_answers:
            expected_to_succeed = not undone and "do" not in refuses
            assert (answer.outcome == "succeeded") == expected_to_succeed
            assert (b"already-undone" in answer.body) == undone
            assert not expected_to_succeed or done == 1
        if direction == "undo":
            assert (answer.outcome == "succeeded") == (done == taken_back)
            undone = undone or answer.outcome == "succeeded"
        assert not undone or done == taken_back
        first_answers.setdefault((direction, rounds), answer)


def test_a_duplicate_gets_the_first_answer_byte_for_byte() -> None:
    connection = opened()
    first = deliver(connection, command("do"))
    deliver(connection, command("do", step="another"))
    again = deliver(connection, replace(command("do"), attempt=2, traceparent="00-1-2-00"))
    assert (first, first.body) == (again, b'{"count":1}')


def test_a_refused_do_leaves_nothing_behind_but_its_answer() -> None:
    connection = opened()
    first = deliver(connection, command("do", by=-1))
    assert first.outcome == "refused"
    assert effects(connection, "do") == 0
    assert deliver(connection, command("do", by=-1)) == first


def test_a_refused_undo_is_asked_anew() -> None:
    connection = opened()
    deliver(connection, command("do"))
    assert deliver(connection, command("undo", by=-1)).outcome == "refused"
    assert deliver(connection, command("undo", by=1)).outcome == "succeeded"
    assert effects(connection, "undo") == 1


def test_an_undo_that_has_no_do_acts_once() -> None:
    connection = opened()
    received = command("undo", name="reset")
    for _ in range(3):
        answer = receive(connection, received, handler("reset").act_on(received), needs_do=False)
        assert answer.body == b'{"count":1}'


def test_steps_sagas_and_namespaces_are_apart() -> None:
    connection = opened()
    deliver(connection, command("undo"))
    others = [
        replace(command("do"), command_id="a", step="count[2]"),
        replace(command("do"), command_id="b", saga_id="s2"),
        replace(command("do"), command_id="c", namespace="other"),
    ]
    assert [deliver(connection, other).outcome for other in others] == ["succeeded"] * 3


def test_a_command_id_with_other_content_is_not_executed() -> None:
    connection = opened()
    deliver(connection, command("do", by=1))
    with pytest.raises(CommandIdReused, match="used before with other content"):
        deliver(connection, command("do", by=2))
    assert effects(connection, "do") == 1


def test_a_handler_that_raises_has_done_nothing_and_is_asked_again() -> None:
    connection = opened()

    def failing(connection: sqlite3.Connection, received: Command) -> Succeeded[object]:
        act(connection, received, Change(1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        receive(connection, command("do"), failing, needs_do=False)
    assert effects(connection, "do") == 0
    assert deliver(connection, command("do")).outcome == "succeeded"


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "BEGIN"])
def test_a_handler_cannot_end_the_transaction(statement: str) -> None:
    connection = opened()

    def ending(connection: sqlite3.Connection, received: Command) -> Succeeded[object]:
        act(connection, received, Change(1))
        connection.execute(statement)
        return Succeeded({})

    with pytest.raises(TransactionDenied, match="leave that to the barrier"):
        receive(connection, command("do"), ending, needs_do=False)
    assert effects(connection, "do") == 0


def test_a_connection_that_begins_transactions_itself_is_refused() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(ValueError, match="isolation_level=None"):
        deliver(connection, command("do"))
    connection.close()


def test_deliveries_at_the_same_time_act_once(tmp_path: Path) -> None:
    path = tmp_path / "counter.db"
    opened(path).close()

    def deliver_alone(rounds: int) -> Answer:
        connection = opened(path)
        try:
            return deliver(connection, command("do", step=f"count[{rounds}]"))
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(threads.map(deliver_alone, [number for number in range(5) for _ in range(8)]))
    assert len(set(answers)) == 5
    connection = opened(path)
    assert effects(connection, "do") == 5
    connection.close()


def run_counter(place: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.participant.counter", place, str(path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(("place", "effects_after"), [("in-the-handler", 0), ("before-the-answer", 1)])
def test_sigkill_between_act_and_answer(tmp_path: Path, place: str, effects_after: int) -> None:
    path = tmp_path / "counter.db"
    killed = run_counter(place, path)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    connection = opened(path)
    assert effects(connection, "do") == effects_after
    again = run_counter("never", path)
    assert again.stdout == 'succeeded {"count":1}\n'
    assert effects(connection, "do") == 1
    connection.close()
