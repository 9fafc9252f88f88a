"""`amends serve` with a real Eureka server: it is found there, and finds; neither needs it all the time."""

import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from servers import eureka
from tests.adapters.eureka.shared_registry import has_status, instance, new_name, register, registry
from tests.delivery.api import serving as s
from tests.delivery.api.test_serve import refused

SAGAS = "tests.delivery.api.errands_looked_up:SAGAS"
DESK = "desk-service"


@contextmanager
def looked_up(folder: Path, zone: str, app: str, *, service: str = DESK) -> Iterator[s.Serving]:
    """The service, with its desk in Eureka."""
    config = folder / "application.yaml"
    lines = [
        "microservices:",
        f"  desk: lb://{service}/commands",
        "eureka:",
        f"  app-name: {app}",
        "  renewal-interval: 1s",
        "  fetch-interval: 1s",
    ]
    config.write_text("\n".join([*lines, ""]))
    env = {"EUREKA_CLIENT_SERVICE-URL_DEFAULTZONE": zone}
    with s.serving(folder, config=config, sagas=[SAGAS], env=env) as running:
        yield running


class Load:
    """Starts sagas, one after the other, until it is told to end."""

    def __init__(self, running: s.Serving) -> None:
        self._running = running
        self._going = True
        self.begun: list[str] = []
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    def _run(self) -> None:
        while self._going:
            saga_id = f"e-{len(self.begun)}"
            document = {"saga": "errand", "id": saga_id, "data": {"name": saga_id}}
            assert self._running.ask("POST", "/v1/sagas", document).status == 201
            self.begun.append(saga_id)
            # A hundred a second at most: all of them are looked at in the end.
            select.select([], [], [], 0.01)

    def more(self, number: int = 20) -> None:
        """Wait until so many more were begun."""
        wanted = len(self.begun) + number
        s.until(lambda: len(self.begun) >= wanted, f"{number} more sagas", within=60)

    def end(self) -> list[str]:
        self._going = False
        self._thread.join()
        return self.begun


def troubles(running: s.Serving) -> dict[str, str]:
    answer = running.ask("GET", "/ready")
    assert answer.status == 200, answer.body
    found: dict[str, str] = answer.json.get("troubles", {})
    return found


def test_sagas_go_on_while_eureka_and_an_instance_are_killed(tmp_path: Path) -> None:
    app = new_name()
    with ExitStack() as stack:
        server = eureka.start(tmp_path / "eureka")
        stack.callback(eureka.remove, tmp_path / "eureka")
        processes = [stack.enter_context(s.desk_process()) for _ in range(2)]
        for _, url in processes:
            register(server.url, DESK, int(url.rpartition(":")[2]))
        running = stack.enter_context(looked_up(tmp_path, server.url, app))
        identity = f"127.0.0.1:{app}:{running.port}"
        s.until(has_status(server.url, app, identity, "UP"), "it is registered")
        load = Load(running)
        load.more()
        server.kill()
        s.until(lambda: "discovery" in troubles(running), "trouble is shown, and it is ready")
        assert 'amends_trouble{way="discovery"} 1' in running.ask("GET", "/metrics").body.decode()
        load.more()
        processes[0][0].kill()
        load.more()
        # It comes back, and knows nobody: neither the desks, who are dead or do not renew, nor us.
        assert eureka.start(tmp_path / "eureka").url == server.url
        s.until(has_status(server.url, app, identity, "UP"), "it is registered again")
        s.until(lambda: not troubles(running), "all is well")
        load.more()
        for saga_id in load.end():
            running.reached(saga_id, lambda saga: saga["status"] == "completed")
        assert running.stop() == 0
        assert instance(server.url, app, identity) is None
        told = [line for line in running.lines() if "amends.discovery" in line and "WARNING" in line]
        assert [("does not answer" in line, "answers again" in line) for line in told] == [
            (True, False),
            (False, True),
        ]


def test_without_an_instance_commands_wait_and_readiness_tells(tmp_path: Path, desk: str) -> None:
    app, service = new_name(), new_name()
    with looked_up(tmp_path, registry().url, app, service=service) as running:
        (shown,) = running.ask("GET", "/v1/participants").json["participants"]
        assert (shown["binding"], shown["address"]) == ("http", f"lb://{service}/commands")
        assert troubles(running) == {"desk": f"no instance of {service} is known to be up"}
        started = running.ask("POST", "/v1/sagas", {"saga": "errand", "id": "e-1", "data": {"name": "tea"}})
        assert started.json["status"] == "running"
        register(registry().url, service, int(desk.rpartition(":")[2]))
        running.reached("e-1", lambda saga: saga["status"] == "completed")
        assert troubles(running) == {}
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "microservices.desk.url lb://desk-service needs eureka.default-zone"),
        (
            ["eureka: {enabled: false, default-zone: 'http://e'}"],
            "microservices.desk.url lb://desk-service needs eureka.enabled: true",
        ),
    ],
)
def test_a_name_without_a_registry_is_refused(tmp_path: Path, lines: list[str], says: str) -> None:
    config = tmp_path / "application.yaml"
    config.write_text("\n".join(["microservices:", "  desk: lb://desk-service", *lines, ""]))
    code, text = refused(tmp_path, s.SAGAS, "--config", str(config))
    assert (code, says in text) == (2, True), text
