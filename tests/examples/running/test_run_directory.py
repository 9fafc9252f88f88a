"""A demo's directory that holds what another demo, or another version of it, has begun."""

from pathlib import Path

import pytest

from examples.running.example import example_named
from examples.running.run_directory import CannotUse, RunDirectory, own_files
from tests.examples.running.watched import Demo

FULFILMENT, ORDER = example_named("fulfilment"), example_named("order")


def interrupted(path: Path, cases: bytes | None) -> Path:
    """A directory in which a run has begun and not ended."""
    with RunDirectory.held(path, services=ORDER.services) as directory:
        if cases is not None:
            (path / "cases.jsonl").write_bytes(cases)
        directory.begin()
        assert directory.interrupted is not None
    return path


@pytest.mark.parametrize(
    ("cases", "complaint"),
    [
        (ORDER.cases.read_bytes(), "cases.jsonl:1: Object contains unknown field `customer`"),
        (b"{", "cases.jsonl:1: Input data was truncated"),
        (None, "No such file or directory"),
    ],
    ids=["another demo's", "damaged", "gone"],
)
def test_a_run_that_cannot_go_on_is_refused_and_left_alone(
    tmp_path: Path, cases: bytes | None, complaint: str
) -> None:
    path = interrupted(tmp_path / "run", cases)
    before = (path / "run.json").read_bytes()
    refused = Demo(FULFILMENT).run(path, "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert complaint in refused.stderr
    assert "--fresh begins a new one" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (path / "run.json").read_bytes() == before


def test_only_the_demos_own_files_are_removed(tmp_path: Path) -> None:
    path = interrupted(tmp_path / "run", b"{}")
    for name in ("payment.db", "payment.db-wal", "product.log", "thesis.txt", "shipping.db"):
        (path / name).touch()
    with RunDirectory.held(path, services=ORDER.services) as directory:
        assert directory.empty(keep=False) is None
    assert sorted(file.name for file in path.iterdir()) == ["demo.lock", "shipping.db", "thesis.txt"]


def test_an_earlier_run_is_put_aside_whole(tmp_path: Path) -> None:
    path = interrupted(tmp_path / "run", b"{}")
    (path / "saga.db").write_bytes(b"the sagas")
    with RunDirectory.held(path, services=ORDER.services) as directory:
        aside = directory.empty(keep=True)
        assert aside is not None
        assert aside == path / "earlier-1"
        assert sorted(file.name for file in aside.iterdir()) == ["cases.jsonl", "run.json", "saga.db"]
        assert directory.interrupted is None


def test_one_demo_at_a_time(tmp_path: Path) -> None:
    with (
        RunDirectory.held(tmp_path / "run", services=()),
        pytest.raises(CannotUse, match=r"a demo runs in .* already"),
        RunDirectory.held(tmp_path / "run", services=()),
    ):
        pass


def test_the_record_of_the_run_is_the_first_to_go() -> None:
    """A kill while a directory is emptied must not leave a run that seems to have begun."""
    assert own_files(["payment"])[0] == "run.json"
