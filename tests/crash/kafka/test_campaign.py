"""The campaign over Kafka in small, and that each of its judges finds what it is there for."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from amends.participant import Answer, Command, Database, Later
from amends.participant.barrier import answer_of
from amends.participant.database import SqliteHandler
from amends.participant.sqlite_ledger import write_transaction
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.crash.kafka import lossy, poison
from tests.crash.kafka.fates import LossyWay, Weather
from tests.crash.kafka.services import wrong_order
from tests.crash.kafka.shop import database, prepare, purchase, wrong_ends, wrong_in_books

SEED = 11
QUICK = timedelta(seconds=1)


def trial(sagas: int) -> lossy.Trial:
    weather = Weather(seed=SEED, longest=0.8)
    return lossy.Trial(sagas=sagas, weather=weather, abreast=sagas, timeout=QUICK, within=400)


async def test_a_lossy_way_inside_the_process_leaves_everything_whole(tmp_path: Path) -> None:
    result = await lossy.over_the_port(tmp_path / "port", trial(60))
    assert not result.wrong, "\n".join(result.wrong)
    assert len(result.ends) == 60
    assert set(result.ends.values()) == {"completed", "compensated"}


class Unguarded(Database):
    """A service's database without the barrier: every delivery acts."""

    async def execute(self, command: Command, handler: SqliteHandler) -> Answer:
        act = handler.act_on(command)

        def acted(connection: sqlite3.Connection) -> Answer:
            with write_transaction(connection):
                result = act(connection, command)
            assert not isinstance(result, Later)
            return answer_of(result)

        return await self.run(acted)


async def test_services_without_a_barrier_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(directory: Path, service: str) -> Database:
        return Unguarded(path=directory / f"{service}.db", prepare=prepare)

    monkeypatch.setattr(lossy, "database", unguarded)
    result = await lossy.over_the_port(tmp_path / "port", trial(20))
    assert any("acted 2 times" in fault for fault in result.wrong), result.wrong
    assert any("was due" in fault for fault in result.wrong), result.wrong


async def test_a_lossy_way_over_kafka_leaves_everything_whole(tmp_path: Path) -> None:
    result = await lossy.over_kafka(tmp_path / "lossy", broker().address, trial(30), name=new_name())
    assert not result.wrong, "\n".join(result.wrong)
    assert len(result.ends) == 30


async def test_poison_is_parked_and_the_rest_begins(tmp_path: Path) -> None:
    # How quick the others are says nothing over so few.
    dose = poison.Dose(seed=SEED, messages=600, poison=60, portion=200, is_speed_judged=False)
    result = await poison.poisoned(tmp_path / "poison", broker().address, dose, name=new_name())
    assert result.wrong == []
    assert (result.figures["poison"], result.figures["parked"]) == (60, 60)
    assert result.figures["messages"] == 200 + 2 * 600, "the first portion warms up"


def test_the_speed_among_poison_is_that_of_neighbours_and_judged() -> None:
    """A machine whose mood changes is not what is judged, and a slow half is found, in whatever mood."""
    dose = poison.Dose(seed=SEED)
    moods = [1.0, 9.0, 0.5, 3.0, 1.0]
    steady, slow = ([pair(mood, mood * share) for mood in moods] for share in (0.95, 0.85))
    assert poison.wrong_speed(dose, steady) == []
    assert poison.wrong_speed(dose, slow) == ["with poison the others pass at 0.85 of their speed"]
    assert poison.wrong_speed(replace(dose, is_speed_judged=False), slow) == []


def pair(without: float, among: float) -> poison.Pair:
    return poison.Pair(*(poison.Pace(1_000 * pace, 0.001 / pace) for pace in (without, among)))


def test_a_seed_repeats_what_is_lost() -> None:
    names = [f"o-{number}/pay/do/1#1" for number in range(2_000)]
    one, again, other = ([Weather(seed=seed).fate(each) for each in names] for seed in (1, 1, 2))
    assert one == again != other
    arrived = [fate for fate in one if fate.pauses]
    assert 0.08 < 1 - len(arrived) / len(one) < 0.12
    assert 0.04 < sum(fate.is_late for fate in one) / len(one) < 0.06
    assert 0.27 < sum(len(fate.pauses) == 2 for fate in arrived) / len(arrived) < 0.33


async def test_what_is_late_comes_after_the_end() -> None:
    way = LossyWay(Weather(seed=1, lost=0, late=1, twice=0, overtaken=0))
    came: list[str] = []

    async def deliver() -> None:
        came.append("late")

    way.put("o-1/pay/do/1#1", "o-1", deliver)
    await way.idle()
    assert (came, way.is_idle) == ([], False)
    way.ended("o-1")
    await way.idle()
    assert (came, way.is_idle) == (["late"], True)


def test_the_books_tell_what_acted_twice_or_not_at_all(tmp_path: Path) -> None:
    for service in ("inventory", "payments", "carrier"):
        database(tmp_path, service).close()
    bought = purchase(1)
    with closing(sqlite3.connect(tmp_path / "payments.db")) as connection:
        connection.execute("INSERT INTO effect VALUES (1, 'p-000001', 'pay', 'do')")
        connection.execute("INSERT INTO effect VALUES (2, 'p-000001', 'pay', 'do')")
        connection.execute("INSERT INTO effect VALUES (3, 'p-000002', 'pay', 'do')")
        connection.commit()
    told = wrong_in_books(
        tmp_path, {"p-000001": "completed", "p-000002": "compensated"}, [bought, purchase(2)]
    )
    assert told == [
        "pay acted 2 times for p-000001 do",
        "p-000001 completed without reserve",
        "p-000002 was undone, and pay stands",
        "p-000001 completed without ship",
        "p-000001 completed without settle",
        "stock is 10000000, 9999998 was due",
        "money is 1000000000, 999998999 was due",
        "till is 0, 1001 was due",
        "parcels is 0, 1 was due",
    ]


def test_ends_and_orders_are_judged() -> None:
    three = [purchase(number) for number in (1, 2, 10)]
    ends = {"p-000001": "completed", "p-000010": "completed"}
    assert wrong_ends(ends, three) == ["p-000002 is not there", "p-000010 is completed"]
    assert wrong_ends({"p-000001": "compensated"}, three[:1]) == ["p-000001 is compensated"]
    assert wrong_ends({"p-000001": "compensated"}, three[:1], may_run_out=True) == []
    issued = {"o-1": ["a", "b", "c"]}
    assert wrong_order({"inventory": {"o-1": ["a", "c"]}}, issued) == []
    assert wrong_order({"inventory": {"o-1": ["c", "a"]}}, issued) == ["o-1: to inventory came c, a"]
    assert wrong_order({"inventory": {"o-1": ["x"]}}, issued) == ["o-1: to inventory came x"]
