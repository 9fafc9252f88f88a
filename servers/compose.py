"""Reads docker-compose.yaml, and says what its services are on this machine's loopback, where there is no Docker.

Rules
- Each port of a service, whoever names it, is a port of 127.0.0.1: `kafka:9092` becomes `127.0.0.1:41234`, in commands,
  in the environment and in files that are mounted. A variable `…_HOST` or `…_HOSTNAME` that is a service's name becomes
  127.0.0.1, and `…_PORT` beside it follows.
- A mount is a folder or a copied file below the run's folder; a volume of several services is the same for all.
- What the image's Dockerfile says (entry point, environment, health check) holds where the composition says nothing.
- Otherwise commands and environments are those of the file, and nothing of this process' environment comes in.
It does not: run anything, or know what a service is.
"""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from servers.dockerfile import Stage, stages

VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, kw_only=True)
class Check:
    """A health check."""

    command: Sequence[str]
    timeout: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, as the file has it."""

    name: str
    image: str
    stage: Stage | None
    """What it is built from; None: somebody else's image."""
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    """Where a path inside comes from: a path that begins with a dot, or a volume."""
    listens: Sequence[int]
    """The ports that it publishes or exposes."""
    needs: Mapping[str, str]
    """The services before it, each with its condition."""
    check: Check | None
    grace: float
    """Seconds that it has to end by itself."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """All of them."""

    root: Path
    services: Mapping[str, Service]
    text: str = field(repr=False)

    def ports(self) -> Iterator[tuple[str, int]]:
        """Return each port of a service that anybody names."""
        texts = [self.text, *(file.read_text("utf-8") for file in self.files())]
        named = re.compile(rf"\b({'|'.join(map(re.escape, self.services))}):(\d+)\b")
        found = {(name, int(port)) for text in texts for name, port in named.findall(text)}
        found |= {(each.name, port) for each in self.services.values() for port in each.listens}
        yield from sorted(found)

    def files(self) -> Iterator[Path]:
        """Return the files that are mounted."""
        for source in sorted({s for each in self.services.values() for s in each.mounts.values()}):
            path = self.root / source
            if source.startswith("."):
                yield from [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())

    def in_order(self) -> Iterator[Service]:
        """Return the services, each behind those that it needs."""
        done: list[str] = []

        def visit(name: str) -> Iterator[Service]:
            if name not in done:
                done.append(name)
                for other in self.services[name].needs:
                    yield from visit(other)
                yield self.services[name]

        for name in self.services:
            yield from visit(name)


def composition(path: Path, variables: Mapping[str, str] | None = None) -> Composition:
    """Read a file; `${NAME:-default}` is taken from `variables`."""
    given = variables or {}

    def value(match: re.Match[str]) -> str:
        return given.get(match[1]) or match[2] or ""

    text = VARIABLE.sub(value, path.read_text(encoding="utf-8"))
    document = yaml.safe_load(text)
    services = {name: _service(path.parent, name, each) for name, each in document["services"].items()}
    return Composition(root=path.parent, services=services, text=text)


def _service(root: Path, name: str, document: Mapping[str, Any]) -> Service:
    stage = None
    if build := document.get("build"):
        stage = stages(root / build.get("dockerfile", "Dockerfile"))[build.get("target", "")]
    entrypoint = document.get("entrypoint") or (stage.entrypoint if stage else ())
    command = document.get("command") or (stage.command if stage else ())
    environment = {key: str(each) for key, each in document.get("environment", {}).items()}
    mounts = (volume.split(":") for volume in document.get("volumes", ()))
    return Service(
        name=name,
        image=document["image"],
        stage=stage,
        command=[*entrypoint, *command],
        environment={**(stage.environment if stage else {}), **environment},
        mounts={inside: outside for outside, inside, *_mode in mounts},
        listens=[
            int(port.rpartition(":")[2]) for port in [*document.get("ports", ()), *document.get("expose", ())]
        ],
        needs={other: each["condition"] for other, each in document.get("depends_on", {}).items()},
        check=_check(document.get("healthcheck"), stage),
        grace=_seconds(document.get("stop_grace_period", "10s")),
    )


def _check(document: Mapping[str, Any] | None, stage: Stage | None) -> Check | None:
    if document is not None:
        return Check(command=document["test"][1:], timeout=_seconds(document.get("timeout", "30s")))
    if stage is not None and stage.healthcheck:
        return Check(command=stage.healthcheck)
    return None


def _seconds(text: str) -> float:
    number = text.rstrip("ms")
    return float(number) * SECONDS[text[len(number) :]]


# --- on loopback ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """What the services of a composition are here."""

    composition: Composition
    folder: Path
    programs: Mapping[str, str]
    """Where a program is that a command begins with."""

    @cached_property
    def ports(self) -> Mapping[tuple[str, int], int]:
        """Each port of a service, and what it is here; all are free when this is asked for."""
        with ExitStack() as stack:
            found: dict[tuple[str, int], int] = {}
            for each in self.composition.ports():
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", 0))
                found[each] = probe.getsockname()[1]
        return found

    def address(self, service: str, port: int) -> str:
        return f"127.0.0.1:{self.ports[service, port]}"

    def url(self, service: str, port: int) -> str:
        return f"http://{self.address(service, port)}"

    def command(self, service: Service, command: Sequence[str] | None = None) -> list[str]:
        """Return the command of a service, or another one inside it, as it is here."""
        words = [self.said(service, word) for word in command or service.command]
        return [self.programs.get(words[0], words[0]), *words[1:]]

    def environment(self, service: Service) -> dict[str, str]:
        found = {name: self.said(service, text) for name, text in service.environment.items()}
        for name, text in service.environment.items():
            stem = re.sub(r"_HOST(NAME)?$", "", name)
            if stem != name and text in self.composition.services:
                found[name] = "127.0.0.1"
                if port := service.environment.get(f"{stem}_PORT"):
                    found[f"{stem}_PORT"] = str(self.ports[text, int(port)])
        return found

    def said(self, service: Service, text: str) -> str:
        """Return a text of a service's command, environment or files as it is here."""
        own = {str(port): str(here) for (name, port), here in self.ports.items() if name == service.name}
        if text in own:
            return own[text]
        for (name, port), here in self.ports.items():
            text = re.sub(rf"\b{re.escape(name)}:{port}\b", f"127.0.0.1:{here}", text)
        for inner, outer in own.items():
            text = re.sub(rf"\b(?:127\.0\.0\.1|0\.0\.0\.0):{inner}\b", f"127.0.0.1:{outer}", text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  what is not bound, but bound less widely
        for inside in service.mounts:
            text = re.sub(rf"(?<![\w.]){re.escape(inside)}\b", str(self._inside(service, inside)), text)
        return text

    def place(self, service: Service) -> None:
        """Make what is mounted in a service."""
        for inside, outside in service.mounts.items():
            here = self._inside(service, inside)
            here.parent.mkdir(parents=True, exist_ok=True)
            source = self.composition.root / outside
            if not outside.startswith("."):
                volume = self.folder / "volumes" / outside
                volume.mkdir(parents=True, exist_ok=True)
                if not here.is_symlink():
                    here.symlink_to(volume)
            elif source.is_file():
                here.write_text(self.said(service, source.read_text("utf-8")), encoding="utf-8")

    def _inside(self, service: Service, path: str) -> Path:
        return self.folder / service.name / path.lstrip("/")
