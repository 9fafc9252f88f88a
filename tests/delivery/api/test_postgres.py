"""`amends serve` on a real PostgreSQL: the same service; one process has the store."""

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
        code, text = refused(tmp_path, s.SAGAS, "--config", str(config), "--port", "0")
        assert code == 1
        assert "is held by" in text
        assert running.stop() == 0
        assert password not in running.log.read_text() + text
    with s.serving(tmp_path, config=config, store=None) as running:
        assert running.saga("e-1")["status"] == "completed"
        listed = running.ask("GET", "/v1/sagas?consistent=true")
        assert [saga["id"] for saga in listed.json["sagas"]] == ["e-1"]
        assert running.ask("POST", "/v1/sagas", ERRAND).status == 200


def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path: Path, desk: str) -> None:
    lines = ["database:", "  url: postgresql://amends:hushhush@127.0.0.1:1/amends"]
    config = s.configuration(tmp_path, desk=desk, lines=lines)
    code, text = refused(tmp_path, s.SAGAS, "--config", str(config), "--port", "0")
    assert code == 1
    assert "127.0.0.1:1" in text
    assert "hushhush" not in text
