"""Whole lives of sagas, event by event. ``AMENDS_REWRITE=1`` writes the logs anew; read the diff."""

import os
from pathlib import Path

import pytest

from tests.core.sagas import SAGAS
from tests.core.scenario import transcript

FILES = sorted((Path(__file__).parent / "testdata").glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_transcript(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    made = transcript(text)
    if os.environ.get("AMENDS_REWRITE"):
        file.write_text(made, encoding="utf-8")
        return
    assert made == text, f"{file.name} differs; AMENDS_REWRITE=1 writes it anew"


def test_every_saga_has_a_life() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert not [name for name in SAGAS if f"> saga {name}\n" not in text and f"> saga {name} " not in text]
