"""Reads a Dockerfile: stages, and what a container of a stage runs, as whom, with which environment.

Rules: as much of the format as this project's own files use: `FROM … AS`, continuation lines, JSON forms, `NAME=value`
pairs. A stage has what the stage that it begins with has.
It does not: build an image, or check what the format allows.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class Stage:
    """One stage."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    healthcheck: Sequence[str] = ()
    user: str = "root"

    def copies(self) -> Iterator[str]:
        """Return what is copied from the context, not from another stage."""
        for keyword, rest in self.instructions:
            words = shlex.split(rest)
            if keyword == "COPY" and not words[0].startswith("--from="):
                yield from words[:-1]

    def take(self, keyword: str, rest: str) -> None:
        """Add an instruction."""
        self.instructions.append((keyword, rest))
        match keyword:
            case "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "ENTRYPOINT":
                self.entrypoint, self.command = json.loads(rest), ()
            case "CMD":
                self.command = json.loads(rest)
            case "USER":
                self.user = rest
            case "HEALTHCHECK":
                self.healthcheck = json.loads(rest[rest.index("CMD") + 3 :])
            case _:
                pass


def stages(path: Path) -> Mapping[str, Stage]:
    """Return the stages of a file, in order; one without a name is named ""."""
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for keyword, rest in _instructions(path.read_text(encoding="utf-8")):
        if keyword == "FROM":
            base, name = [*re.split(r"\s+AS\s+", rest, flags=re.IGNORECASE), ""][:2]
            stage = found[name] = _begun(name, base, found.get(base))
        elif stage is not None:
            stage.take(keyword, rest)
    return found


def _begun(name: str, base: str, parent: Stage | None) -> Stage:
    if parent is None:
        return Stage(name=name, base=base)
    return Stage(
        name=name,
        base=base,
        environment=dict(parent.environment),
        entrypoint=parent.entrypoint,
        command=parent.command,
        healthcheck=parent.healthcheck,
        user=parent.user,
    )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            keyword, _, rest = line.strip().partition(" ")
            yield keyword.upper(), rest.strip()
