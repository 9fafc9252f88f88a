"""The project's Markdown pages, read as data: blocks of code, headings, links.

Rules: a page's Python blocks, one after the other, are one script, kept on the lines that they have on the page, so
that a traceback and a type checker name the page's own lines. A `text` block right behind Python is what it prints.
A block with `title="name.py"` is a file of that name and no part of the script.
It does not: run anything.

Why no library: sybil and pytest-examples run each block in the test's process. A reader runs a script, and so do these
tests: a script has its own process, can be killed, and is what mypy and pyright take. What is left to do is below.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^```(\w*)[ \t]*([^\n]*)\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r'title="([^"]+)"')
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; `line` is that of its first line of text."""

    language: str
    title: str
    line: int
    text: str
    after_python: bool
    """Nothing but blank lines stands between it and a Python block of the script."""

    @property
    def is_script(self) -> bool:
        return self.language == "python" and not self.title


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return FENCE.sub("", self.text)

    def blocks(self) -> Iterator[Block]:
        text, python_ended = self.text, -1
        for match in FENCE.finditer(text):
            title = TITLE.search(match[2])
            block = Block(
                language=match[1],
                title=title[1] if title else "",
                line=text.count("\n", 0, match.start()) + 2,
                text=match[3],
                after_python=python_ended >= 0 and not text[python_ended : match.start()].strip(),
            )
            python_ended = match.end() if block.is_script else -1
            yield block

    def script(self) -> str:
        """The page's Python blocks, each on the lines where it stands."""
        lines = [""] * len(self.text.splitlines())
        for block in self.blocks():
            if block.is_script:
                code = block.text.splitlines()
                lines[block.line - 1 : block.line - 1 + len(code)] = code
        return "\n".join(lines).rstrip() + "\n"

    def printed(self) -> str:
        """What the script prints, as the page says it."""
        return "".join(
            block.text for block in self.blocks() if block.language == "text" and block.after_python
        )

    def anchors(self) -> set[str]:
        """The names that a link into this page may have behind `#`."""
        return {anchor(heading) for heading in HEADING.findall(self.prose)}

    def links(self) -> Iterator[str]:
        yield from LINK.findall(self.prose)


def anchor(heading: str) -> str:
    """The name that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def pages() -> tuple[Page, ...]:
    """All pages of the documentation, the front pages first."""
    front = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")]
    return tuple(Page(path) for path in (*front, *sorted((ROOT / "docs").rglob("*.md"))) if path.is_file())


def page(name: str) -> Page:
    return Page(ROOT / name)


def scripts() -> tuple[Page, ...]:
    """The pages that have Python to run."""
    return tuple(page for page in pages() if any(block.language == "python" for block in page.blocks()))
