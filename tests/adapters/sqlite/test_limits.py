"""The limits are measured with real commits and leave nothing behind."""

from pathlib import Path

from amends.adapters.sqlite import measure_limits


def test_limits_are_measured(tmp_path: Path) -> None:
    limits = measure_limits(tmp_path)
    assert limits.commits_per_s > 0
    assert limits.sagas_per_s_100_per_commit > limits.commits_per_s / 4, "a shared commit is cheaper"
    assert not list(tmp_path.iterdir())
