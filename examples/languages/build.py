"""Builds the three services, each with its language's own tool, and says how each is started.

    python -m examples.languages.build

Rules:
- What is built lies in `build/languages` (AMENDS_LANGUAGES_BUILD names another folder), one folder per language. What
  was built from the same sources is taken as it is: the first time takes a minute or two, the second none.
- Two builds at the same time wait for each other.
- A tool that is missing raises ToolMissing, which says what to install.

Does not do: install tools, start services.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = Path(os.environ.get("AMENDS_LANGUAGES_BUILD", HERE.parents[1] / "build" / "languages"))


class ToolMissing(RuntimeError):
    """A language's tool is not installed."""


class BuildFailed(RuntimeError):
    """A tool said no; the text is its own."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """How one service is built in a folder of its own, and started."""

    service: str
    folder: str
    tools: Mapping[str, str]
    """Each program that is needed, and what brings it."""
    build: Sequence[str]
    """The command that builds it, run in the folder, where its sources lie."""
    start: Callable[[Path], Sequence[str]]
    locked: str = ""
    """The file that pins what is installed beside it."""
    install: Sequence[str] = ()
    """The command that installs that; run again when the file changes."""


def _go_start(folder: Path) -> Sequence[str]:
    return [str(folder / "inventory")]


def _java_start(folder: Path) -> Sequence[str]:
    class_path = f"{folder / 'build' / 'classes'}{os.pathsep}{folder / 'build' / 'libraries' / '*'}"
    return ["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", class_path, "Payment"]


def _typescript_start(folder: Path) -> Sequence[str]:
    return ["node", str(folder / "built" / "shipping.js")]


LANGUAGES: Mapping[str, Language] = {
    "go": Language(
        service="inventory",
        folder="go",
        tools={"go": "Go 1.26 or newer"},
        build=["go", "build", "-mod=readonly", "-o", "inventory", "."],
        start=_go_start,
    ),
    "java": Language(
        service="payment",
        folder="java",
        tools={"javac": "a JDK 17 or newer", "mvn": "Maven 3.8 or newer"},
        build=["mvn", "--batch-mode", "--quiet", "compile"],
        start=_java_start,
    ),
    "typescript": Language(
        service="shipping",
        folder="typescript",
        tools={
            "node": "Node.js 20 or newer",
            "npm": "npm, which comes with Node.js",
            "c++": "a C++ compiler and make, for the SQLite driver where there is none ready-made",
        },
        build=["npm", "run", "--silent", "build"],
        start=_typescript_start,
        locked="package-lock.json",
        install=["npm", "ci", "--no-fund", "--no-audit"],
    ),
}


def built(language: str) -> Sequence[str]:
    """Build the language's service, unless it is built; return the command that starts it."""
    wanted = LANGUAGES[language]
    _require(language, wanted)
    folder = BUILT / wanted.folder
    folder.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"{wanted.folder}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = HERE / wanted.folder
        if not _is_done(BUILT / f"{wanted.folder}.digest", _digest(_sources(sources))):
            shutil.copytree(sources, folder, dirs_exist_ok=True)
            if wanted.install and not _is_done(
                folder / "installed.digest", _digest([folder / wanted.locked])
            ):
                _run(wanted.install, folder)
                _note(folder / "installed.digest", _digest([folder / wanted.locked]))
            _run(wanted.build, folder)
            _note(BUILT / f"{wanted.folder}.digest", _digest(_sources(sources)))
    return wanted.start(folder)


def _require(language: str, wanted: Language) -> None:
    for program, brings in wanted.tools.items():
        if shutil.which(program) is None:
            message = f"the {language} example needs {program}, which is not installed: install {brings}"
            raise ToolMissing(message)


def _is_done(stamp: Path, digest: str) -> bool:
    return stamp.exists() and stamp.read_text() == digest


def _note(stamp: Path, digest: str) -> None:
    stamp.write_text(digest)


def _digest(files: Sequence[Path]) -> str:
    """The files' names and content, as one number."""
    content = hashlib.sha256()
    for file in sorted(files):
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()


def _sources(folder: Path) -> Sequence[Path]:
    ignored = {"build", "built", "node_modules"}
    return [
        file
        for file in folder.rglob("*")
        if file.is_file() and not ignored & set(file.relative_to(folder).parts)
    ]


def _run(command: Sequence[str], folder: Path) -> None:
    ended = subprocess.run(  # noqa: S603 - the commands stand above
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        message = f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}"
        raise BuildFailed(message)


if __name__ == "__main__":
    try:
        for name in LANGUAGES:
            print(f"{name}: {' '.join(built(name))}")
    except (ToolMissing, BuildFailed) as error:
        sys.exit(str(error))
