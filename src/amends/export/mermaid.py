"""A saga definition as a Mermaid flowchart that a person reads in a review.

Rules
- Made from the shape alone, nothing is run; the same definition gives the same text.
- A solid arrow is the way forward. A dotted line leads from a step to what undoes it; a rollback goes the solid arrows
  backwards and does that. A frame is a part of the tree: an `each`, a tolerated part, a sub-saga, what has a name.
- Names are the user's, so every character that Mermaid could read as its own is written as an entity (`written`).
- It reads the shape (`definition.shape`), which the store has noted: so an instance can be
  drawn as it was begun, without its definition at hand.
It does not: show policies, business statuses or an instance; or draw (GitHub and the Mermaid tools do).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from amends.definition import Saga
from amends.definition.shape import shape

INDENT: Final = "    "
PLAIN: Final = re.compile(r"[A-Za-z0-9 ,]|(?<=[A-Za-z0-9])[_-](?=[A-Za-z0-9])")
PLACEHOLDERS: Final = "ﬂß"
"""What Mermaid's own placeholders for entities are made of."""
CLASSES: Final[Mapping[str, str]] = {
    "pivot": "stroke-width:4px",
    "retriable": "stroke-width:2px",
    "undo": "stroke-dasharray:4 3",
    "part": "fill:none,stroke-dasharray:2 2",
}
"""How a kind of node is drawn; without colours, so that it reads on a light page and on a dark one."""


class Way(NamedTuple):
    """Where a flow comes from, and what is written on its arrow."""

    origin: str
    label: str = ""


Ways: TypeAlias = tuple[Way, ...]
Node: TypeAlias = Mapping[str, Any]
"""A node as it stands in the shape."""


def flowchart(saga: "Saga[Any]") -> str:
    """Return `saga` as a Mermaid ``flowchart TD``, ending with a newline."""
    return flowchart_of_shape(msgspec.json.decode(shape(saga)))


def flowchart_of_shape(saga: Mapping[str, Any]) -> str:
    """Return the same from a saga's canonical shape.

    Raises:
        KeyError: it is not the shape of a saga.
    """
    drawing = _Drawing()
    about = [saga["saga"], f"version {saga['version']}"]
    if "deadline" in saga:
        about.append(f"deadline {_length(saga['deadline'])}")
    ways = drawing.follow(saga["body"], (Way(drawing.box("([", "])", about)),))
    drawing.meet(ways, drawing.box("([", "])", ["completed"]))
    return drawing.text()


def written(text: str) -> str:
    """Return `text` as it can stand in a label, whatever it holds; what cannot be seen is spelled out."""
    shown = "".join(_seen(character) for character in text)
    return "".join(
        character if PLAIN.match(shown, place) or _is_letter(character) else f"#{ord(character)};"
        for place, character in enumerate(shown)
    )


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    hidden = unicodedata.category(character).startswith("C")
    return f"U+{ord(character):04X}" if hidden else character


def _is_letter(character: str) -> bool:
    return not character.isascii() and character.isalpha() and character not in PLACEHOLDERS


def _length(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds and not seconds % unit:
            return f"{int(seconds // unit)} {name}"
    return f"{seconds:g} s"


@dataclass(slots=True)
class _Drawing:
    """The text as it grows: nodes and frames in the order of the tree, all arrows behind them.

    An arrow that stood inside a frame would pull its ends into it.
    """

    lines: list[str] = field(default_factory=list[str])
    arrows: list[str] = field(default_factory=list[str])
    classes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    depth: int = 1
    count: int = 0

    def text(self) -> str:
        lines = ["flowchart TD", *self.lines, *(INDENT + arrow for arrow in self.arrows)]
        for name, style in CLASSES.items():
            if members := self.classes.get(name):
                lines += [f"{INDENT}classDef {name} {style}", f"{INDENT}class {','.join(members)} {name}"]
        return "\n".join(lines) + "\n"

    def follow(self, node: Node, ways: Ways) -> Ways:
        """Draw `node` behind `ways`; return the ways on."""
        kind = next((kind for kind in _DRAW if kind in node), None)
        if kind is None:
            raise KeyError(f"a node with {', '.join(node)} is none that can be drawn")
        return _DRAW[kind](self, node, ways)

    def box(self, left: str, right: str, texts: Iterable[str], kind: str = "") -> str:
        name = self._next(kind)
        self._line(f'{name}{left}"{"<br/>".join(written(text) for text in texts)}"{right}')
        return name

    def meet(self, ways: Ways, name: str) -> Ways:
        for way in ways:
            label = f'|"{written(way.label)}"|' if way.label else ""
            self.arrows.append(f"{way.origin} -->{label} {name}")
        return (Way(name),)

    def framed(self, title: str, body: Node, ways: Ways) -> Ways:
        self._line(f'subgraph {self._next("part")} ["{written(title)}"]')
        self.depth += 1
        ways = self.follow(body, ways)
        self.depth -= 1
        self._line("end")
        return ways

    def undone_by(self, name: str, undo: str) -> None:
        note = self.box("([", "])", [undo], "undo")
        self.arrows.append(f'{name} -. "undo" .- {note}')

    def _next(self, kind: str) -> str:
        name = f"n{self.count}"
        self.count += 1
        if kind:
            self.classes.setdefault(kind, []).append(name)
        return name

    def _line(self, text: str) -> None:
        self.lines.append(INDENT * self.depth + text)


def _step(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    texts = [node["step"], f"at {node['at']}"]
    match node.get("kind"):
        case "pivot":
            name = drawing.box("{{", "}}", [*texts, "pivot, the point of no return"], "pivot")
        case "retriable":
            name = drawing.box("[[", "]]", [*texts, "retriable, repeated until it succeeds"], "retriable")
        case _:
            kept = [f"no undo, {node['no_undo']}"] if "no_undo" in node else []
            name = drawing.box("[", "]", [*texts, *kept])
            if "undo" in node:
                drawing.undone_by(name, node["undo"])
    return drawing.meet(ways, name)


def _on_rollback(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    texts = [node["on_rollback"], f"at {node['at']}", "undo only, nothing to do on the way forward"]
    name = drawing.box("[", "]", texts, "undo")
    drawing.undone_by(name, node["undo"])
    return drawing.meet(ways, name)


def _sequence(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    if "name" in node:
        return drawing.framed(node["name"], {"sequence": node["sequence"]}, ways)
    for child in node["sequence"]:
        ways = drawing.follow(child, ways)
    return ways


def _parallel(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    if "name" in node:
        nameless = {key: value for key, value in node.items() if key != "name"}
        return drawing.framed(node["name"], nameless, ways)
    branches = node["parallel"]
    fork = drawing.meet(ways, drawing.box("[/", "\\]", ["at the same time"]))
    ends = tuple(way for branch in branches for way in drawing.follow(branch, fork))
    join = node.get("join", "all")
    until = f"{join} of {len(branches)} done"
    if join not in ("all", len(branches)):
        until += ", the others are undone"
    return drawing.meet(ends, drawing.box("[\\", "/]", [until]))


def _each(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    title = f"each of {node['each']} by {node['key']}, at the same time"
    return drawing.framed(_titled(node, title), node["body"], ways)


def _when(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    name = drawing.box("{", "}", [*_named(node), f"{node['when']}"])
    drawing.meet(ways, name)
    taken = drawing.follow(node["body"], (Way(name, "yes"),))
    other = (Way(name, "no"),)
    return taken + (drawing.follow(node["otherwise"], other) if "otherwise" in node else other)


def _tolerate(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    only = f" if {node['only_when']}" if "only_when" in node else ""
    title = f"tolerated{only}, the saga goes on when this fails"
    return drawing.framed(_titled(node, title), node["tolerate"], ways)


def _wait(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    timeout, otherwise = node.get("timeout"), node.get("otherwise")
    texts = [*_named(node), f"wait for {node['wait_for']}"]
    texts.append("for ever" if timeout is None else f"for at most {_length(timeout)}")
    if "accept" in node:
        texts.append(f"refused unless {node['accept']}")
    if timeout is not None and otherwise is None:
        texts.append("refused when the time is over")
    name = drawing.box("[/", "/]", texts)
    drawing.meet(ways, name)
    if otherwise is None:
        return (Way(name),)
    return (Way(name, "signal"), *drawing.follow(otherwise, (Way(name, "time is over"),)))


def _pause(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    length = node["pause_for"]
    shown = length if isinstance(length, str) else _length(length)
    return drawing.meet(ways, drawing.box("[/", "/]", [*_named(node), f"pause for {shown}"]))


def _subsaga(drawing: _Drawing, node: Node, ways: Ways) -> Ways:
    saga = node["subsaga"]
    return drawing.framed(
        _titled(node, f"saga {saga['saga']}, version {saga['version']}"), saga["body"], ways
    )


def _named(node: Node) -> list[str]:
    return [node["name"]] if "name" in node else []


def _titled(node: Node, title: str) -> str:
    return ", ".join([*_named(node), title])


_DRAW: Mapping[str, Callable[[_Drawing, Node, Ways], Ways]] = {
    "step": _step,
    "on_rollback": _on_rollback,
    "sequence": _sequence,
    "parallel": _parallel,
    "each": _each,
    "when": _when,
    "tolerate": _tolerate,
    "wait_for": _wait,
    "pause_for": _pause,
    "subsaga": _subsaga,
}
"""By the key that makes a node of the shape what it is."""
