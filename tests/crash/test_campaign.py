"""The crash campaign's short form: happy and declined orders, killed at every third point; participants killed too."""

from pathlib import Path

from tests.crash.campaign import every_way
from tests.crash.expedition import Expedition
from tests.crash.orders import COMMANDS
from tests.crash.points import Point


async def test_every_saga_ends_and_every_effect_happens_once_wherever_the_engine_is_killed(
    tmp_path: Path,
) -> None:
    async with Expedition(tmp_path) as expedition:
        table = await every_way(expedition, ["happy", "split-declined"], stride=4)
        assert all(reached > 0 for kinds in table.values() for reached in kinds.values()), table
        twice = [
            Point("after-commit", 2),
            Point("before-commit", 1),
            Point("after-reply", 1),
            Point("after-send", 1),
        ]
        assert await expedition.run("approval-refused", twice) == 4
        for way, service, command in (COMMANDS[2], COMMANDS[-1]):
            await expedition.run_with_participant_killed(way, service, command)
        await expedition.check_books()
        assert not expedition.tally.wrong, "\n".join(expedition.tally.wrong)
        assert expedition.tally.participant_kills == 2
