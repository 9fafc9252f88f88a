"""`amends archive` and `amends restore` on real stores, and a service that archives by itself."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amends import Orchestrator, postgres, sqlite
from amends.ports import EventStore
from tests.adapters.postgres import shared_server
from tests.application.engine_world import ManualClock
from tests.application.shop import FULFIL, Order, Shop
from tests.delivery.api import serving as s
from tests.delivery.cli.asking import Place, Said

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


def a_file(folder: Path) -> tuple[str, EventStore]:
    return str(folder / "amends.db"), sqlite(folder / "amends.db")


def a_server(_: Path) -> tuple[str, EventStore]:
    url = f"{shared_server.server().address}?schema={shared_server.new_schema()}"
    return url, postgres(url)


def fill(store: EventStore, *, old: int = 3) -> None:
    """Some sagas that ended 40 days ago, and one that ended yesterday."""

    async def run() -> None:
        clock = ManualClock(LONG_AGO)
        async with Orchestrator(
            sagas=[FULFIL], store=store, participants=Shop().bindings(), clock=clock
        ) as amends:
            for number in range(old):
                await amends.run(FULFIL, Order(), saga_id=f"old-{number}")
            clock.move(timedelta(days=39))
            await amends.run(FULFIL, Order(), saga_id="new")

    asyncio.run(run())


def ask(verb: str, where: str, folder: Path, *options: str) -> Said:
    return Place().ask(verb, *options, "--store", where, "--folder", str(folder / "archive"))


@pytest.mark.parametrize("place", [a_file, a_server])
def test_sagas_go_and_come_back(place: Callable[[Path], tuple[str, EventStore]], tmp_path: Path) -> None:
    where, store = place(tmp_path)
    fill(store)
    done = ask("archive", where, tmp_path, "--age", "30d", "--json").json
    assert (done["streams"], done["transitions"], len(done["volumes"])) == (3, 12, 1)
    assert ask("archive", where, tmp_path, "--age", "30d").out == "archived 0 sagas, 0 bytes in 0 volumes\n"
    (volume,) = done["volumes"]
    one = ask("restore", where, tmp_path, f"{volume}.jsonl.gz", "--id", "old-1", "--json").json
    assert one == {"restored": 1, "there": 0}
    back = ask("restore", where, tmp_path, volume)
    assert back.out == "brought back 2 sagas; 1 were there already\n"
    (tmp_path / "archive" / f"{volume}.jsonl.gz").write_bytes(b"x")
    damaged = ask("restore", where, tmp_path, volume)
    assert (damaged.code, "is damaged" in damaged.err, damaged.err.count("\n")) == (1, True, 1)


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    where = str(tmp_path / "amends.db")
    missing = ask("archive", where, tmp_path, "--age", "30d")
    assert (missing.code, "there is no store file" in missing.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
    fill(a_file(tmp_path)[1], old=1)
    for options, says in (([], "give --age"), (["--age", "30"], "30s"), (["--age", "soon"], "--age")):
        said = ask("archive", where, tmp_path, *options)
        assert (said.code, says in said.err) == (2, True), said.err
    nothing = ask("restore", where, tmp_path, "20200101T000000.000000Z")
    assert (nothing.code, "there is no volume" in nothing.err) == (1, True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fill(a_file(elsewhere)[1], old=0)
    (volume,) = ask("archive", where, tmp_path, "--age", "30d", "--json").json["volumes"]
    foreign = ask("restore", str(elsewhere / "amends.db"), tmp_path, volume)
    assert (foreign.code, "of another store" in foreign.err) == (1, True)


def test_a_service_archives_by_itself(tmp_path: Path) -> None:
    where, store = a_file(tmp_path)
    fill(store)
    with s.desk() as desk:
        lines = ["retention:", "  age: 30d", f"  folder: {tmp_path / 'archive'}", "  interval: 1s"]
        config = s.configuration(tmp_path, desk=desk, lines=lines)
        with s.serving(tmp_path, config=config, store=where) as running:
            s.until(lambda: listed(running) == ["new"], "the old ones to go")
            answer = running.ask("GET", "/v1/sagas/old-0")
            assert (answer.status, answer.code) == (404, "saga-unknown")
            s.until(lambda: "amends_archived_total 3" in metrics(running), "the count")
            assert "amends_retention_failures_total 0" in metrics(running)
            held = ask("archive", where, tmp_path, "--age", "30d")
            assert (held.code, "is held" in held.err) == (1, True)


def listed(running: Any) -> list[str]:
    return [saga["id"] for saga in running.ask("GET", "/v1/sagas?consistent=true").json["sagas"]]


def metrics(running: Any) -> str:
    return str(running.ask("GET", "/metrics").body.decode())
