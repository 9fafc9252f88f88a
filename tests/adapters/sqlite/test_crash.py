"""A process that is killed at any moment loses nothing that it acknowledged."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore
from amends.testing.event_store_suite import NOON, opened
from tests.adapters.sqlite.crash_child import KEYS, crash_append
from tests.adapters.sqlite.crash_process import start_child

KILLS = 15


def acknowledged_before_the_kill(path: Path, seed: int, inline_limit: float) -> set[tuple[str, int]]:
    """Run a child, kill it after a drawn number of acknowledgements, and return all that it printed."""
    patience = random.Random(seed).randint(1, 120)
    with start_child(path, seed=seed, inline_limit=inline_limit) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(patience)]
        child.kill()
        lines += child.stdout.readlines()
    assert child.returncode == -9, f"seed {seed}: the child ended by itself"
    whole = (line.split() for line in lines if line.endswith("\n"))
    return {(saga, int(position)) for saga, position in whole}


async def check(path: Path, acknowledged: set[tuple[str, int]], seed: int) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        rows = {row.key: row.wake_at for row in await store.open_instances()}
        stored: set[tuple[str, int]] = set()
        for key in KEYS:
            stream = await store.read(key)
            wanted = [crash_append(key, position).transition for position in range(1, len(stream) + 1)]
            assert stream == wanted, f"seed {seed}: {key} has a gap or a torn transition"
            stored |= {(key.saga_id, transition.position) for transition in stream}
            last = NOON + timedelta(microseconds=len(stream)) if stream else None
            assert rows.get(key) == last, f"seed {seed}: {key} has an index row of another batch"
        lost = acknowledged - stored
        assert not lost, f"seed {seed}: acknowledged and lost: {sorted(lost)}"


@pytest.mark.parametrize("inline_limit", [0.002, 0.0], ids=["inline", "threaded"])
async def test_nothing_acknowledged_is_lost_when_the_process_is_killed(
    inline_limit: float, tmp_path: Path
) -> None:
    path = tmp_path / "amends.db"
    first_seed = random.SystemRandom().randrange(1_000_000)
    print(
        f"seeds {first_seed} to {first_seed + KILLS - 1}, commits {'inline' if inline_limit else 'threaded'}"
    )
    acknowledged: set[tuple[str, int]] = set()
    for seed in range(first_seed, first_seed + KILLS):
        acknowledged |= acknowledged_before_the_kill(path, seed, inline_limit)
        await check(path, acknowledged, seed)
