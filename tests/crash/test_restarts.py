"""Restart under load: twenty times, with the five reference sagas running at once on one service."""

from pathlib import Path

from tests.crash.restarts import campaign


async def test_every_saga_ends_right_however_often_the_service_is_ended(tmp_path: Path) -> None:
    service = await campaign(tmp_path, restarts=20, seed=20)
    assert not service.wrong, "\n".join(service.wrong)
    assert (service.kills, service.terms) == (10, 11)
