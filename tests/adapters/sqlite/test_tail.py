"""The end of the log in memory: it says what the file says, whatever happened, and spares the file when it can."""

import asyncio
import random
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore, SqliteStoreReader, tail
from amends.ports.event_store import RemoveIndex, StreamKey
from amends.testing.event_store_suite import A, B, an_append, opened
from tests.adapters.sqlite.test_reader import reading


async def agrees(store: SqliteEventStore, file: SqliteStoreReader) -> None:
    """From wherever somebody reads on, the store says what its file says."""
    whole = await file.log(limit=100_000)
    for after in {0, *(each.sequence for each in whole), whole[-1].sequence + 1 if whole else 1}:
        found = list(await store.log(after=after, limit=7))
        wanted = [each for each in whole if each.sequence > after][:7]
        assert found == wanted, f"behind {after}"


async def test_what_is_committed_while_somebody_follows_is_not_read_from_the_file(tmp_path: Path) -> None:
    asked: list[str] = []
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db")) as made:
        assert isinstance(made, SqliteEventStore)
        await made.append([an_append(A)])
        (first,) = await made.log()
        session = made._session  # noqa: SLF001  what its reader is asked shows nowhere else
        assert session is not None
        session.database.reader.set_trace_callback(asked.append)
        await made.append([an_append(A, 2), an_append(B)])
        piece = await made.log(after=first.sequence)
        assert [each.transition.key for each in piece] == [A, B]
        assert list(await made.log(after=piece[-1].sequence)) == []
        assert asked == []
        assert len(await made.log()) == 3, "from the beginning, and that only the file has"
        assert asked


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_it_says_what_the_file_says(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches, single appends, losers, streams that go and come back; room for few, so that the oldest fall out."""
    chance = random.Random(seed)
    monkeypatch.setattr(tail, "MOST", chance.choice([1, 5, 40]))
    monkeypatch.setattr(tail, "MOST_BYTES", chance.choice([60, 2_000, 100_000]))
    path = tmp_path / "amends.db"
    lengths: dict[StreamKey, int] = {}
    async with opened(lambda: SqliteEventStore(path)) as made, reading(path) as file:
        assert isinstance(made, SqliteEventStore)
        for _turn in range(40):
            keys = [StreamKey("default", chance.choice("abcdefg")) for _ in range(chance.randint(1, 4))]
            batch = [
                an_append(key, lengths.get(key, 0) + 1, note="x" * chance.randint(0, 99)) for key in keys
            ]
            for append, won in zip(batch, await made.append(batch), strict=True):
                if won:
                    lengths[append.transition.key] = append.transition.position
            await agrees(made, file)
            if chance.random() < 0.2:
                gone = await made.streams([keys[0]])
                await made.delete_streams([each.end for each in gone])
                await agrees(made, file)
                if chance.random() < 0.5:
                    await made.restore_streams(gone)
                lengths[keys[0]] = len(await made.read(keys[0]))
                await agrees(made, file)


async def test_an_append_that_was_cancelled_is_found_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    async with opened(lambda: SqliteEventStore(path, inline_limit=0)) as made, reading(path) as file:
        assert isinstance(made, SqliteEventStore)
        await made.append([an_append(A)])
        await made.log()
        for turns in range(6):
            task = asyncio.create_task(made.append([an_append(B, turns + 1, index=RemoveIndex())]))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await agrees(made, file)
