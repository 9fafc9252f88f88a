"""A few lines of a terminal that are drawn again and again in the same place.

Rules: lines are cut to the terminal's width and height, so the place stays the same. What was drawn last stays.
It does not: colour, or read keys.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from amends.delivery.cli.output import width


@dataclass
class Screen:
    """The lines at the end of what was printed so far."""

    drawn: int = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`, which are safe text, in place of the ones before; the last ones where not all fit."""
        size = shutil.get_terminal_size()
        kept = lines[-max(size.lines - 1, 1) :]
        up = f"\x1b[{self.drawn}F" if self.drawn else ""
        text = "".join(f"\x1b[2K{_cut(line, size.columns)}\n" for line in kept)
        sys.stdout.write(f"{up}{text}\x1b[J")
        sys.stdout.flush()
        self.drawn = len(kept)


def _cut(line: str, columns: int) -> str:
    if width(line) <= columns:
        return line
    cut = line[:columns]
    while width(cut) > columns - 1:
        cut = cut[:-1]
    return cut + "…"
