"""Mistakes in a test are red before it runs: under mypy and pyright, both strict."""

from pathlib import Path

import pytest

from tests.typing.test_typing import CHECKERS, IGNORED

TYPED = Path(__file__).with_name("typed.py")


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_mistake_is_red_and_nothing_else_is(checker: str, tmp_path: Path) -> None:
    text = TYPED.read_text()
    marked = {number for number, line in enumerate(text.splitlines(), 1) if IGNORED.search(line)}
    bare = tmp_path / "typed.py"
    bare.write_text(IGNORED.sub("", text))
    assert len(marked) >= 10
    assert {number for name, number, _said in CHECKERS[checker](bare) if name == "typed.py"} == marked
