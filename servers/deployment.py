"""docker-compose.yaml where there is no Docker: the same commands, environments and files, on loopback.

Rules
- What the composition builds (orchestrators, participants) runs with its own command and environment, translated by
  `compose.py`, and counts as up when its own health check says so.
- Servers of others are those of this folder's scripts, for their images cannot be had: PostgreSQL, Kafka, Redis, Eureka
  and Prometheus, the last with the composition's own command and files. Their account and addresses are the
  composition's. There is no Grafana; its files are checked by tests.
It does not: isolate processes as containers do (users, file systems, limits of memory), restart what ends, or try it
(`trial`).
"""

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from servers import postgresql, prometheus
from servers.compose import Composition, Loopback, Service, composition
from servers.frame import HERE

ROOT = HERE.parent
FILE = ROOT / "docker-compose.yaml"
PATIENCE = 90.0
"""Seconds in which something that is waited for must come about."""
SCRIPTS = {"postgres": "postgresql", "kafka": "kafka", "redis": "redis", "eureka": "eureka"}
"""The services that a script of this folder stands for."""
PORTS = {"postgres": 5432, "kafka": 9092, "redis": 6379, "eureka": 8761}
LEFT_OUT = {"grafana": "there is no Grafana to be had"}


class Failed(Exception):
    """What did not come about."""


class Deployment:
    """The composition, running."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.say = say
        self.folder = folder
        self.composition: Composition = composition(FILE)
        programs = {
            "amends": str(Path(sys.executable).parent / "amends"),
            "python": sys.executable,
        }
        self.here = Loopback(composition=self.composition, folder=folder, programs=programs)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[str, Any] = {}
        self._scripts: dict[str, Any] = {}

    # --- up and down ---

    def up(self) -> None:
        """Start all services and wait until each is healthy.

        Raises:
            Failed, Unable: one of them does not come up; the text says where its log is.
        """
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._serve, SCRIPTS))
        services = [each for each in self.composition.in_order() if each.name not in SCRIPTS]
        for each in services:
            if each.name in LEFT_OUT:
                self.say(f"{each.name}: left out, {LEFT_OUT[each.name]}")
            else:
                self.begin(each.name)
        for each in services:
            if each.name in self._processes:
                self.healthy(each.name)

    def down(self) -> Mapping[str, int]:
        """End all as `docker compose down` does; return the exit codes of what was built here."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        with ThreadPoolExecutor(len(self._processes) or 1) as pool:
            codes = dict(zip(self._processes, pool.map(self._ended, self._processes), strict=True))
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self._scripts[name].remove(self.folder / name), self._scripts))
        return codes

    def begin(self, name: str) -> None:
        """Start one service with its own command."""
        service = self.composition.services[name]
        self.here.place(service)
        command = self.here.command(service)
        if service.stage is None:
            command = [str(prometheus.program("prometheus")), *command]
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """Have one die without a word."""
        self._processes[name].kill()
        self._processes.pop(name).wait()
        self.say(f"{name}: killed")

    def healthy(self, name: str) -> None:
        """Wait until a service's own health check is content."""
        service = self.composition.services[name]

        def look() -> bool:
            if self._processes[name].poll() is not None:
                raise Failed(f"{name} ended; see {self.log(name)}")
            return service.check is None or self._check(service, service.check.command)

        self.until(look, f"{name} to be healthy; see {self.log(name)}")
        self.say(f"{name}: healthy")

    def script(self, name: str) -> Any:
        """Return the script that stands for a service."""
        return self._scripts[name]

    def log(self, name: str) -> Path:
        """Return the file into which a service writes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}.log"

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for `condition`."""
        latest = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > latest:
                raise Failed(f"waited in vain for {what}")
            time.sleep(0.1)

    def _serve(self, name: str) -> None:
        if importlib.util.find_spec(f"servers.{SCRIPTS[name]}") is None:
            self.say(f"{name}: left out, it has no script")
            return
        script = self._scripts[name] = importlib.import_module(f"servers.{SCRIPTS[name]}")
        server = script.start(self.folder / name, self.here.ports[name, PORTS[name]])
        self.servers[name] = server
        if name == "postgres":
            self._give_account(server)
        self.say(f"{name}: serving at {self.here.address(name, PORTS[name])}")

    def _give_account(self, server: postgresql.Server) -> None:
        """Let the composition's account in."""
        environment = self.composition.services["postgres"].environment
        psycopg: Any = importlib.import_module("psycopg")
        with psycopg.connect(server.local_address, autocommit=True) as connection:
            password = environment["POSTGRES_PASSWORD"].replace("'", "''")
            connection.execute(f"ALTER ROLE {environment['POSTGRES_USER']} PASSWORD '{password}'")

    def _check(self, service: Service, command: Sequence[str]) -> bool:
        if service.stage is None:
            return is_answered(f"{self.here.url(service.name, service.listens[0])}/-/ready")
        done = subprocess.run(
            self.here.command(service, command),
            check=False,
            capture_output=True,
            env=self._environment(service),
            timeout=PATIENCE,
        )
        return done.returncode == 0

    def _environment(self, service: Service) -> dict[str, str]:
        paths = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
        return {**self.here.environment(service), **paths}

    def _ended(self, name: str) -> int:
        process, grace = self._processes[name], self.composition.services[name].grace
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            self.say(f"{name}: does not end within {grace:g} s, so it is killed")
            process.kill()
            return process.wait()


# --- talking to it ----------------------------------------------------------------------------------------------


def is_answered(url: str) -> bool:
    """Tell whether a GET is answered well."""
    try:
        ask(url)
    except (OSError, urllib.error.URLError):
        return False
    return True


def ask(url: str, body: object = None, *, timeout: float = 60) -> Any:
    """Return what is answered: to a GET, or to a POST of `body` as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text.decode()
