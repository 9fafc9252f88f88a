"""All keys and sections by their paths, and the nearest name of one that does not exist.

Rules: it is made from the model, once. A path with a name of the user's choice is looked up with `*` in its place.
It does not: read values.
"""

import difflib
from collections.abc import Iterable

from amends.settings.keys import ANY, Key, Path, Section, variable, walk
from amends.settings.model import Settings

DEFAULTS = Settings()

_ALL = tuple(walk(DEFAULTS))

KEYS: dict[Path, Key] = {each.path: each for each in _ALL if isinstance(each, Key)}
SECTIONS: dict[Path, Section] = {each.path: each for each in _ALL if isinstance(each, Section)}
SPRING: dict[str, Key] = {key.spring.lower(): key for key in KEYS.values() if key.spring}
"""The keys that a Spring service calls otherwise, by its property in small letters."""


def template(path: Path) -> Path:
    """Return the path under which a key or section is declared."""
    known = path[:-1]
    for depth in range(1, len(known)):
        section = SECTIONS.get(known[:depth])
        if section and section.is_entries:
            return (*path[:depth], ANY, *path[depth + 1 :])
    return path


def is_entry(path: Path) -> bool:
    """Tell whether a path is that of an entry: `microservices.inventory`."""
    section = SECTIONS.get(path[:-1])
    return section is not None and section.is_entries


def children(path: Path) -> list[str]:
    """Return the names that may stand in the section at a path."""
    inside = (ANY if is_entry(path) else path[-1],) if path else ()
    declared = (*path[:-1], *inside)
    found = (each[len(declared)] for each in (*SECTIONS, *KEYS) if each[: len(declared)] == declared != each)
    return list(dict.fromkeys(found))


def nearest(path: Path) -> str:
    """Return in words what an unknown path may be meant to be."""
    siblings = children(path[:-1])
    if near := difflib.get_close_matches(path[-1], siblings, n=1):
        return f"did you mean {'.'.join((*path[:-1], near[0]))}?"
    elsewhere = [key.name for key in KEYS.values() if key.path[-1] == path[-1] and ANY not in key.path]
    if elsewhere:
        return f"did you mean {_one_of(elsewhere)}?"
    return f"here may stand {', '.join(siblings)}"


def nearest_variable(name: str) -> str:
    """Return in words what an unknown variable may be meant to be."""
    names = [variable(path) for path in KEYS if ANY not in path]
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else "no setting has this name"


def _one_of(names: Iterable[str]) -> str:
    return " or ".join(names)
