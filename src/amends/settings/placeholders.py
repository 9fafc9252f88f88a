r"""`${NAME}` and `${NAME:default}` in the file's values, as Spring has them.

Rules
- A name is a variable of the environment. One that is not set, or empty, gives its default; without one it is a fault.
- A default may hold placeholders; what a variable holds is taken as it is, so nothing can call itself.
- `\${` is a dollar sign and a brace. Depth and the length of the result are bounded.
It does not: look into keys, or up other keys of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from amends.settings.kinds import Wrong
from amends.settings.origin import shown

MOST_DEPTH = 8
MOST_CHARACTERS = 4_096
"""How much variables may bring into one value."""

_PIECE = re.compile(r"\\\$\{|\$\{|\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """A text with its placeholders filled in."""

    text: str
    variables: tuple[str, ...]
    """The variables that were asked for; none if the text had no placeholder."""
    literal: str
    """What of the text stands in the file itself: outside placeholders, or as a default that was taken."""
    has_default: bool
    """Some of it is a default that was taken."""


def fill(text: str, environment: Mapping[str, str]) -> Filled:
    """Fill in the placeholders of `text`.

    Raises:
        Wrong: one is not closed, has no such variable, or a bound is passed.
    """
    filling = _Filling(text, environment)
    filled = filling.until_end(0)
    return Filled(
        text=filled,
        variables=tuple(filling.variables),
        literal="".join(filling.literal),
        has_default=filling.has_default,
    )


class _Filling:
    """One pass over a text."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text = text
        self._environment = environment
        self._at = 0
        self.variables: list[str] = []
        self._brought = 0
        self.literal: list[str] = []
        self.has_default = False

    def until_end(self, depth: int, *, wanted: bool = True) -> str:
        """Return what stands up to the brace that closes this level, or up to the end; nothing if not `wanted`."""
        parts: list[str] = []
        while found := _PIECE.search(self._text, self._at):
            self._literal(parts, self._text[self._at : found.start()], depth, wanted=wanted)
            self._at = found.end()
            if found[0] == "${":
                parts.append(self._placeholder(depth + 1, wanted=wanted))
            elif found[0] == "}" and depth:
                return "".join(parts)
            else:
                self._literal(parts, found[0].removeprefix("\\"), depth, wanted=wanted)
        if depth:
            raise Wrong("a placeholder ${ is not closed with }")
        self._literal(parts, self._text[self._at :], depth, wanted=wanted)
        self._at = len(self._text)
        return "".join(parts)

    def _literal(self, parts: list[str], text: str, depth: int, *, wanted: bool) -> None:
        if text and wanted:
            self.has_default |= depth > 0
            self.literal.append(text)
            parts.append(text)

    def _placeholder(self, depth: int, *, wanted: bool) -> str:
        if depth > MOST_DEPTH:
            raise Wrong(f"placeholders are nested more than {MOST_DEPTH} deep")
        found = _NAME.match(self._text, self._at)
        if not found:
            raise Wrong("a placeholder is ${NAME} or ${NAME:default}")
        name, self._at = found[0], found.end()
        value = self._environment.get(name) or None
        if wanted:
            self.variables.append(name)
        default = self._default(depth, wanted=wanted and value is None)
        if value is None and default is None and wanted:
            raise Wrong(f"the variable {shown(name)} is not set; set it, or write ${{{shown(name)}:default}}")
        return default or "" if value is None else self._bring(value)

    def _bring(self, value: str) -> str:
        self._brought += len(value)
        if self._brought > MOST_CHARACTERS:
            raise Wrong(f"its variables hold more than {MOST_CHARACTERS:,} characters")
        return value

    def _default(self, depth: int, *, wanted: bool) -> str | None:
        """Return the default behind a name, or nothing if there is none; read it to its end in any case."""
        sign = self._text[self._at : self._at + 1]
        if sign not in {":", "}"}:
            raise Wrong("a placeholder is ${NAME} or ${NAME:default}")
        self._at += 1
        return self.until_end(depth, wanted=wanted) if sign == ":" else None
