"""`amends serve` as a process, and clients that say exactly what they are told to.

Rules: a real process on a free port, ended by its own id; its standard error is kept in a file, because a pipe that
nobody reads would stop it. Nothing here sleeps: what is waited for is asked for again, within a bound.
"""

import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[3]
SAGAS = "tests.delivery.api.errands:SAGAS"
PATIENCE = 30.0
READY = re.compile(r"amends: serving .* on http://(?:127\.0\.0\.1|\[::1\]|localhost):(\d+), store ")

T = TypeVar("T")


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AMENDS_", "SPRING_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **more}


def until(look: Callable[[], T | None], what: str, *, within: float = PATIENCE) -> T:
    """Look again and again until there is something; each look is a real request or a file, which takes its time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        select.select([], [], [], 0.02)
    raise AssertionError(f"{what}: not within {within} s")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["type"]).removeprefix("urn:amends:problem:")


@dataclass
class Serving:
    """One process that serves."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {"Content-Type": "application/json"} if document is not None or body is not None else {}
        try:
            connection.request(
                method,
                path,
                body=json.dumps(document).encode() if document is not None else body,
                headers={**sent, **(headers or {})},
            )
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def raw(self, sent: bytes, *, within: float = PATIENCE) -> bytes:
        """Send exactly these bytes on a connection of its own; return all that comes until it is closed."""
        with self.connected(within=within) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(sent)
            return rest(connection)

    @contextmanager
    def connected(self, *, within: float = PATIENCE) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=within) as connection:
            yield connection

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def saga(self, saga_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/v1/sagas/{saga_id}").json
        return found

    def reached(self, saga_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.saga(saga_id)
            return found if wanted(found) else None

        return until(look, f"{saga_id} as wanted")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def read_until(connection: socket.socket, wanted: bytes) -> bytes:
    """What comes up to and with `wanted`."""
    received = b""
    while wanted not in received:
        piece = connection.recv(1 << 16)
        assert piece, received
        received += piece
    return received


def answered(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One whole answer on a connection that stays open."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def configuration(folder: Path, *, desk: str, lines: Sequence[str] = ()) -> Path:
    path = folder / "application.yaml"
    path.write_text("\n".join(["microservices:", f"  desk: {desk}/commands", *lines, ""]))
    return path


@contextmanager
def desk() -> Iterator[str]:
    """The participant as a process; its URL."""
    with desk_process() as (_, url):
        yield url


@contextmanager
def desk_process() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The participant's process, which may be killed, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.delivery.api.desk"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=PATIENCE)
        assert process.stdout is not None
        process.stdout.close()


def launch(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    descriptors: int | None = None,
) -> tuple["subprocess.Popen[bytes]", Path]:
    """Start `amends serve` with `arguments` in `folder`; return it and the file of its standard error."""

    def limited() -> None:
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "amends.delivery.cli.main", "serve", *arguments],
            cwd=folder,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            preexec_fn=limited if descriptors is not None else None,  # noqa: PLW1509  no threads run here
        )
    return process, log


@contextmanager
def serving(
    folder: Path,
    *,
    config: Path,
    sagas: Sequence[str] = (SAGAS,),
    store: str | None = "./sagas.db",
    env: Mapping[str, str] | None = None,
    descriptors: int | None = None,
) -> Iterator[Serving]:
    """A process that is ready; without `store` the configuration says where it keeps sagas."""
    kept = [] if store is None else ["--store", store]
    arguments = [*sagas, "--config", str(config), *kept, "--port", "0"]
    process, log = launch(folder, *arguments, env=env, descriptors=descriptors)
    try:
        yield Serving(process, _port(process, log), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    def look() -> int | None:
        found = READY.search(log.read_text())
        assert process.poll() is None or found, log.read_text()
        return int(found[1]) if found else None

    return until(look, "the line that says it is ready")
