"""How seldom a process of Amends' own looks for what is held by nothing but itself."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from amends.delivery.garbage import SELDOM, collect_seldom
from tests.delivery.api import serving as s


class Cycle:
    """Refers to itself: counting references does not free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_is_there_is_not_looked_through_any_more() -> None:
    kept = Cycle()
    collect_seldom()
    assert gc.get_freeze_count() > 1_000
    assert not any(each is kept for each in gc.get_objects())


def test_garbage_that_is_there_is_not_kept() -> None:
    left = weakref.ref(Cycle())
    collect_seldom()
    assert left() is None


def test_what_comes_later_is_collected_in_the_end() -> None:
    collect_seldom()
    later = [weakref.ref(Cycle()) for _ in range(2 * SELDOM[0])]
    assert any(each() is None for each in later)


def test_a_service_does_so_when_it_is_ready(tmp_path: Path) -> None:
    told = tmp_path / "told"
    module = tmp_path / "telling.py"
    module.write_text(
        "import atexit, gc, pathlib\n"
        "from tests.delivery.api.errands import SAGAS\n"
        f"told = pathlib.Path({str(told)!r})\n"
        "atexit.register(lambda: told.write_text(f'{gc.get_freeze_count()} {gc.get_threshold()}'))\n"
    )
    config = s.configuration(tmp_path, desk="http://127.0.0.1:9")
    with s.serving(tmp_path, config=config, sagas=["telling:SAGAS"]) as service:
        assert service.stop() == 0
    frozen, _, thresholds = told.read_text().partition(" ")
    assert int(frozen) > 1_000
    assert thresholds == str(SELDOM)
