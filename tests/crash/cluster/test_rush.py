"""The backlog over a restart and the rush of bookings, in short forms."""

from pathlib import Path

from tests.crash.cluster import backlog, bookings
from tests.crash.cluster.ledger import wrong_in_ledger


async def test_all_of_a_backlog_ends_after_a_restart(tmp_path: Path) -> None:
    run = backlog.Backlog(tmp_path, backlog.Options(sagas=1_500, quiet=True))
    await run.run()
    assert not run.wrong, run.wrong
    assert run.figures["highest_memory_mib"] > 0


async def test_a_backlog_that_loses_something_is_found_out(tmp_path: Path) -> None:
    """The participants' books are held against as many sagas as were started, not as many as there are."""
    run = backlog.Backlog(tmp_path, backlog.Options(sagas=20, quiet=True))
    await run.run()
    assert not run.wrong
    told = wrong_in_ledger(tmp_path / "ledger.db", 30)
    assert "reserve-inventory acted 20 times, 30 were due" in told
    assert "stock is 99999964, 99999946 was due" in told


async def test_a_rush_over_three_products_settles_and_everything_adds_up(tmp_path: Path) -> None:
    run = bookings.Rush(tmp_path, bookings.Options(bookings=300, seconds=2, settle=120, quiet=True))
    await run.run()
    assert not run.wrong, run.wrong
    assert run.settled_in > 0
