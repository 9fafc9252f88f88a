"""A database that is away, at the start or later: what `amends serve` says, to whom, how often, and that it goes on."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from amends.adapters.postgres import Address
from servers import postgresql
from tests.adapters.postgres.lines import session
from tests.adapters.postgres.test_server_killed import kill_all
from tests.delivery.api import serving as s
from tests.delivery.api.serving import Serving

ERRAND: dict[str, Any] = {"saga": "errand", "data": {"name": "tea"}}
MOST_LINES = 4
"""What an outage may come to in the log, however long it takes and however many ask."""
PROBES = 40


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="amends-outage-"))
    yield folder
    postgresql.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(folder: Path) -> postgresql.Server:
    return postgresql.start(folder)


def configured(folder: Path, desk: str, database: postgresql.Server, *lines: str) -> Path:
    place = f"postgresql://127.0.0.1:{database.port}/amends"
    account = ("  username: amends", f"  password: {database.password}")
    return s.configuration(folder, desk=desk, lines=["database:", f"  url: {place}", *account, *lines])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def launched(folder: Path, config: Path) -> Iterator[Serving]:
    """A process that need not be ready."""
    port = free_port()
    process, log = s.launch(folder, s.SAGAS, "--config", str(config), "--port", str(port))
    running = Serving(process, port, log)
    try:
        yield running
    finally:
        process.kill()
        process.wait(timeout=s.PATIENCE)


def readiness(running: Serving) -> tuple[int, str]:
    """What `/ready` says; 0 while nobody listens."""
    try:
        answer = running.ask("GET", "/ready")
    except ConnectionError:
        return 0, ""
    return answer.status, str(answer.json.get("detail", ""))


def until_ready(running: Serving) -> None:
    s.until(lambda: readiness(running)[0] == 200, "ready again")


def until_away(running: Serving, reason: str) -> None:
    s.until(lambda: reason in readiness(running)[1], f"not ready, for {reason}")


def warnings(running: Serving, after: int = 0) -> list[str]:
    return [line for line in running.lines()[after:] if " WARNING " in line or " ERROR " in line]


def test_one_that_is_away_at_the_start_is_waited_for_as_long_as_was_said(
    tmp_path: Path, desk: str, folder: Path, database: postgresql.Server
) -> None:
    config = configured(tmp_path, desk, database, "  start-timeout: 2m")
    postgresql.stop(folder)
    with launched(tmp_path, config) as running:
        until_away(running, "the store does not answer")
        assert running.ask("GET", "/health").status == 200
        for _ in range(PROBES):
            assert readiness(running)[0] == 503
        assert running.ask("POST", "/v1/sagas", ERRAND).status == 503
        said = warnings(running)
        assert len(said) == 1, said
        assert f"127.0.0.1:{database.port}" in said[0]
        assert f"{database.port}" not in readiness(running)[1], (
            "whoever asks without a key is told no address"
        )
        postgresql.start(folder, database.port)
        until_ready(running)
        assert running.ask("POST", "/v1/sagas?wait=20", ERRAND).json["status"] == "completed"
        assert len(warnings(running)) <= MOST_LINES, warnings(running)
        assert running.stop() == 0


def test_who_waits_at_the_start_obeys_a_signal(
    tmp_path: Path, desk: str, folder: Path, database: postgresql.Server
) -> None:
    config = configured(tmp_path, desk, database, "  start-timeout: 1h")
    postgresql.stop(folder)
    with launched(tmp_path, config) as running:
        until_away(running, "the store does not answer")
        assert running.stop() == 0


def test_one_that_stays_away_is_told_with_exit_code_1(
    tmp_path: Path, desk: str, folder: Path, database: postgresql.Server
) -> None:
    config = configured(tmp_path, desk, database, "  start-timeout: 1s")
    postgresql.stop(folder)
    with launched(tmp_path, config) as running:
        assert running.process.wait(timeout=s.PATIENCE) == 1
        last = running.lines()[-1]
        assert last.startswith(
            f"amends: postgresql://amends@127.0.0.1:{database.port}/amends does not answer now"
        )


def test_one_that_goes_later_is_told_once_and_everything_goes_on_by_itself(
    tmp_path: Path, desk: str, folder: Path, database: postgresql.Server
) -> None:
    config = configured(tmp_path, desk, database)
    with s.serving(tmp_path, config=config, store=None) as running:
        assert running.ask("POST", "/v1/sagas?wait=20", {**ERRAND, "id": "before"}).status == 201
        calm = len(running.lines())
        answers: list[int] = []
        asking = [
            threading.Thread(target=lambda number=number: answers.append(started(running, f"o-{number}")))
            for number in range(3)
        ]
        kill_all(database)
        for each in asking:
            each.start()
        until_away(running, "the store does not answer")
        for _ in range(PROBES):
            assert readiness(running)[0] == 503
            assert running.ask("GET", "/v1/sagas/before").status == 503
        assert b"amends_ready 0" in running.ask("GET", "/metrics").body
        assert not answers, "nothing is acknowledged meanwhile"
        postgresql.start(folder, database.port)
        until_ready(running)
        for each in asking:
            each.join(timeout=s.PATIENCE)
        assert answers == [201, 201, 201]
        for number in range(3):
            assert running.reached(f"o-{number}", lambda saga: saga["status"] == "completed")
        said = warnings(running, calm)
        assert 2 <= len(said) <= MOST_LINES, said
        assert running.stop() == 0


def started(running: Serving, saga_id: str) -> int:
    return running.ask("POST", "/v1/sagas", {**ERRAND, "id": saga_id}).status


async def test_tables_that_somebody_locks_make_it_unready_until_they_are_free(
    tmp_path: Path, desk: str, database: postgresql.Server
) -> None:
    config = configured(tmp_path, desk, database)
    with s.serving(tmp_path, config=config, store=None) as running:
        answers: list[int] = []
        async with session(Address.of(database.address)) as link:
            await link.execute("BEGIN")
            await link.execute("LOCK TABLE transition IN ACCESS EXCLUSIVE MODE")
            asking = threading.Thread(target=lambda: answers.append(started(running, "o-1")))
            asking.start()
            until_away(running, "the store does not answer")
            assert not answers
            await link.execute("COMMIT")
        asking.join(timeout=s.PATIENCE)
        assert answers == [201]
        until_ready(running)
        assert running.reached("o-1", lambda saga: saga["status"] == "completed")
        assert len(warnings(running)) <= MOST_LINES, warnings(running)
