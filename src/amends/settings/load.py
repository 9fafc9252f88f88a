"""The settings from a file and an environment.

Rules: the environment is an argument, so a test needs no variables of its own. All that is wrong comes at once, in the
order of the file. Nothing is half-used: with an error there are no settings.
It does not: look for a file that nobody named, or watch one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from amends.settings.agreement import disagreements
from amends.settings.catalogue import DEFAULTS, KEYS
from amends.settings.document import NotReadable, decode, parse, read_bytes
from amends.settings.keys import ANY, Key, Path, build
from amends.settings.model import Settings
from amends.settings.origin import DEFAULT, Fault, Origin, SettingsInvalid, in_file_order, shown
from amends.settings.sources import Sources

FILE_VARIABLES = ("AMENDS_CONFIG", "SPRING_CONFIG_LOCATION")
"""What names the file if the command line does not; an earlier one wins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effective:
    """One setting as it holds, and where it comes from."""

    path: Path
    key: Key
    value: Any
    origin: Origin

    @property
    def name(self) -> str:
        """The key as it is written."""
        return ".".join(self.path)

    @property
    def text(self) -> str:
        """The value as it may be shown: secrets masked."""
        return "(none)" if self.value is None else self.key.kind.write(self.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What came of looking at all sources; `settings` is None if there is an error among the `faults`."""

    settings: Settings | None
    faults: tuple[Fault, ...]
    origins: Mapping[Path, Origin]

    def use(self) -> Settings:
        """Return the settings.

        Raises:
            SettingsInvalid: there is an error.
        """
        if self.settings is None:
            raise SettingsInvalid(self.faults)
        return self.settings

    def effective(self) -> Iterator[Effective]:
        """List every setting in the order of the documentation."""
        settings = self.use()
        for key in KEYS.values():
            for path, value in _values(key, settings):
                yield Effective(path=path, key=key, value=value, origin=self.origins.get(path, DEFAULT))


def load(file: str | None, environment: Mapping[str, str]) -> Settings:
    """Return the settings that a file, or none, and an environment make.

    Raises:
        SettingsInvalid: something is wrong; all of it is said.
    """
    return examine(file, environment).use()


def examine(file: str | None, environment: Mapping[str, str]) -> Examined:
    """Look at all sources and return the settings or what is wrong with them. A file may be written `file:NAME`."""
    sources = Sources(environment)
    try:
        if file is not None:
            _read_file(file.removeprefix("file:"), sources)
    except NotReadable as unreadable:
        return Examined(settings=None, faults=(unreadable.fault,), origins={})
    sources.read_environment()
    sources.check_entries()
    settings = None
    if not any(fault.severity == "error" for fault in sources.faults):
        settings = build(DEFAULTS, sources.values)
        sources.faults.extend(disagreements(settings, sources.origins))
    faults = in_file_order(sources.faults)
    right = not any(fault.severity == "error" for fault in faults)
    return Examined(settings=settings if right else None, faults=faults, origins=sources.origins)


def config_file(named: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the file that the command line names, or else the environment; nothing if neither does."""
    return named or next((environment[name] for name in FILE_VARIABLES if environment.get(name)), None)


def _read_file(file: str, sources: Sources) -> None:
    name = shown(file)
    root, faults = parse(decode(read_bytes(FilePath(file), name), name), name)
    sources.faults.extend(faults)
    sources.read_file(root)


def _values(key: Key, settings: Settings) -> Iterator[tuple[Path, Any]]:
    """The value of a key, or one for each entry that has it."""
    found: list[tuple[Path, Any]] = [((), settings)]
    for part in key.path:
        if part == ANY:
            found = [((*path, name), entry) for path, entries in found for name, entry in entries.items()]
        else:
            found = [((*path, part), getattr(value, part.replace("-", "_"))) for path, value in found]
    yield from found
