"""Where a setting comes from, and what is wrong with one.

Rules: a fault is one line that begins with its place, `file:line:column` or the variable's name. Nothing that somebody
wrote is repeated at more than 100 characters, or with characters that steer a terminal.
It does not: know any setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MOST_ECHOED = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """A default, a place in a file (lines and columns count from 1; 0 is the file as a whole), or a variable."""

    source: Literal["default", "file", "environment"]
    name: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        match self.source:
            case "default":
                return "default"
            case "environment":
                return f"environment {self.name}"
            case _:
                return f"{self.name}:{self.line}:{self.column}" if self.line else self.name


DEFAULT = Origin(source="default")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong, where, and how to mend it. An `error` keeps the settings from being used."""

    origin: Origin
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        grade = "warning: " if self.severity == "warning" else ""
        return f"{self.origin}: {grade}{self.message}"


class SettingsInvalid(Exception):
    """The settings cannot be used; `faults` has all that is wrong, in the order of the sources."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def shown(text: str) -> str:
    """Return `text` as it may stand in a message: short, on one line, harmless to a terminal."""
    cut = text if len(text) <= MOST_ECHOED else f"{text[:MOST_ECHOED]}…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in cut
    )


def in_file_order(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return the faults of the file by line and column, then those of the environment, each once."""
    order = {"file": 0, "environment": 1, "default": 2}
    unique = dict.fromkeys(faults)
    return tuple(
        sorted(unique, key=lambda each: (order[each.origin.source], each.origin.line, each.origin.column))
    )
