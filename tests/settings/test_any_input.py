"""Whatever stands in the file or the environment: settings or faults, never anything else."""

import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from amends.settings import Examined, examine
from amends.settings.catalogue import KEYS
from amends.settings.keys import ANY
from amends.settings.kinds import Wrong
from amends.settings.placeholders import fill
from amends.settings.quantities import read_duration, read_size, write_duration, write_size
from amends.settings.secret import masked

pytestmark = pytest.mark.filterwarnings("error")

RELAXED = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

WORDS = """server port saga retry microservices a url headers : - [ ] { } , &a *a !!str | > ' " \\ ${ ${A} ${B:c} # ? <<
~ 012 12:30 1e9 %YAML ... é @ ` http://u:p@h --- & * !"""
SPACES = [": ", "- ", ", ", " ", "\n", "\n  ", "\n    ", "|\n", "---\n", "\t", "\u2028", "\x85"]
SCRAPS = st.sampled_from(WORDS.split()) | st.sampled_from(SPACES)
TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["8095", "30s", "1MiB", "http://a", "a.db", "${A}"]
)
NAMES = st.sampled_from(sorted({part for path in KEYS for part in path})) | st.text(max_size=8)
TREES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
VARIABLES = st.dictionaries(
    st.sampled_from(sorted({each.replace(ANY, "A") for key in KEYS.values() for each in key.variables})),
    st.text(st.characters(), max_size=30),
    max_size=4,
)


def assert_answered(examined: Examined) -> None:
    """Settings or errors, each on one line, each with its place."""
    errors = [fault for fault in examined.faults if fault.severity == "error"]
    assert bool(errors) == (examined.settings is None)
    for fault in examined.faults:
        assert str(fault).isprintable()
        assert len(fault.message) < 1_500
    if examined.settings is not None:
        assert all(each.text.isprintable() for each in examined.effective())


def answer(content: bytes, folder: Path, environment: dict[str, str] | None = None) -> None:
    (folder / "a.yaml").write_bytes(content)
    assert_answered(examine(str(folder / "a.yaml"), environment or {"A": "1"}))


@RELAXED
@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes, tmp_path: Path) -> None:
    answer(content, tmp_path)


@RELAXED
@given(scraps=st.lists(SCRAPS, max_size=40))
def test_any_scraps_of_yaml(scraps: list[str], tmp_path: Path) -> None:
    answer("".join(scraps).encode(), tmp_path)


@RELAXED
@given(tree=TREES)
def test_any_tree(tree: Any, tmp_path: Path) -> None:
    answer(msgspec.json.encode(without_surrogates(tree)), tmp_path)


def without_surrogates(tree: Any) -> Any:
    """What UTF-8 can hold."""
    match tree:
        case str():
            return tree.encode(errors="replace").decode()
        case list():
            return [without_surrogates(each) for each in tree]
        case dict():
            return {without_surrogates(name): without_surrogates(each) for name, each in tree.items()}
        case _:
            return tree


@RELAXED
@given(section=st.sampled_from(sorted(path for path in KEYS if ANY not in path)), value=TREES)
def test_any_value_of_a_key(section: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    tree = value
    for part in reversed(section):
        tree = {part: tree}
    answer(msgspec.json.encode(without_surrogates(tree)), tmp_path)


@RELAXED
@given(environment=VARIABLES)
def test_any_environment(environment: dict[str, str]) -> None:
    assert_answered(examine(None, environment))


@RELAXED
@given(text=st.text("${}:\\AB ", max_size=40))
def test_any_placeholder(text: str) -> None:
    try:
        filled = fill(text, {"A": "${B}", "B": "b"})
    except Wrong:
        return
    assert len(filled.text) <= len(text) + 4 * text.count("${")


@RELAXED
@given(
    password=st.text(string.printable.strip(), min_size=8),
    scheme=st.sampled_from(["http", "jdbc:postgresql", "x"]),
)
def test_any_password_is_masked(password: str, scheme: str) -> None:
    assert masked(f"{scheme}://u:{password}@host/path") == f"{scheme}://u:***@host/path"


@RELAXED
@given(value=st.timedeltas(min_value=read_duration("0s"), max_value=read_duration("3660d")))
def test_any_duration_is_written_as_it_reads(value: Any) -> None:
    assert read_duration(write_duration(value)) == value


@RELAXED
@given(value=st.integers(0, 1 << 40))
def test_any_size_is_written_as_it_reads(value: int) -> None:
    assert read_size(write_size(value)) == value
