"""docs/states.md is what the tables say."""

from pathlib import Path

from amends.core.transitions import INSTANCE, STEP
from amends.export.states import page

FILE = Path(__file__).resolve().parents[2] / "docs" / "states.md"


def test_the_page_is_up_to_date() -> None:
    made = page()
    assert FILE.read_text(encoding="utf-8") == made, "run: python -m amends.export.states > docs/states.md"


def test_every_transition_is_drawn() -> None:
    assert page().count(" --> ") == len(STEP) + len(INSTANCE)
