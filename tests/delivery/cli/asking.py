"""The command line as a process, asked one question at a time."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.delivery.api.serving import PATIENCE, ROOT, environment

MAIN = [sys.executable, "-m", "amends.delivery.cli.main"]
PLAIN = {"LC_ALL": "C", "LANG": "C", "COLUMNS": "1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document that was printed."""
        self.well()
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    def well(self) -> None:
        assert self.code == 0, self.err

    @property
    def lines(self) -> list[str]:
        self.well()
        return self.out.splitlines()


@dataclass
class Place:
    """Where the sagas are: what stands behind every verb."""

    options: Sequence[str] = ()
    env: Mapping[str, str] | None = None
    acting: Sequence[str] = ()
    """What an act needs besides."""

    def ask(
        self, *arguments: str, given: str = "", cwd: Path = ROOT, env: Mapping[str, str] | None = None
    ) -> Said:
        ended = subprocess.run(
            [*MAIN, *arguments, *self.options],
            cwd=cwd,
            env=environment(**{**(self.env or {}), **(env or {})}),
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
        assert "Traceback" not in ended.stderr
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def act(self, *arguments: str) -> Said:
        return self.ask(*arguments, *self.acting)

    def begun(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on."""
        return subprocess.Popen(
            [*MAIN, *arguments, *self.options],
            cwd=ROOT,
            env=environment(**(self.env or {})) | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def at_url(url: str, key: str = "") -> Place:
    return Place(env={"AMENDS_URL": url} | ({"AMENDS_API_KEY": key} if key else {}))


def at_file(path: Path, *targets: str) -> Place:
    options = ["--store", str(path)]
    return Place(options=options, acting=[word for each in targets for word in ("--sagas", each)])
