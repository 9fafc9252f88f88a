"""The archive in a folder: what is written comes back byte for byte, and what is damaged or unfinished is found out."""

import gzip
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from amends.adapters.folder import FolderArchive, archive as archive_module
from amends.adapters.memory import MemoryEventStore
from amends.ports import ArchiveError, StoredStream, StreamKey
from amends.testing.event_store_suite import NOON, A, B, an_append

ODD = StreamKey("ω", "Ünïcode 🚚 \n'quoted\" \u2028")


async def some_streams(*keys: StreamKey) -> Sequence[StoredStream]:
    store = MemoryEventStore()
    await store.open()
    for key in keys:
        await store.append([an_append(key, events=2, note="🚚 \u0000"), an_append(key, 3, note="x" * 9_000)])
    return await store.streams(keys)


async def pages(*streams: Sequence[StoredStream]) -> AsyncIterator[Sequence[StoredStream]]:
    for page in streams:
        yield page


async def read(archive: FolderArchive, name: str) -> list[StoredStream]:
    return [stream async for page in archive.read(name) for stream in page]


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def written(folder: Path) -> str:
    volume = await FolderArchive(folder).write(NOON, pages(await some_streams(A, B)))
    assert volume is not None
    return volume.name


async def test_streams_come_back_as_they_were(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "deep" / "archive")
    assert list(await archive.volumes()) == []
    many = [StreamKey("default", f"s-{number}") for number in range(250)]
    streams = [await some_streams(ODD, A), await some_streams(*many)]
    volume = await archive.write(NOON, pages(*streams))
    assert volume is not None
    assert (volume.streams, volume.transitions, volume.is_settled) == (252, 504, False)
    assert await read(archive, volume.name) == [stream for page in streams for stream in page]
    again = await archive.write(NOON, pages(streams[0]))
    assert again is not None
    assert again.name == f"{volume.name}-2"
    await archive.settle(again.name)
    found = await FolderArchive(tmp_path / "deep" / "archive").volumes()
    assert [(each.name, each.is_settled) for each in found] == [(volume.name, False), (again.name, True)]


async def test_nothing_makes_no_volume(tmp_path: Path) -> None:
    assert await FolderArchive(tmp_path / "archive").write(NOON, pages()) is None
    assert not (tmp_path / "archive").exists()


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


async def test_other_tools_read_it(tmp_path: Path) -> None:
    name = await written(tmp_path)
    data = tmp_path / f"{name}.jsonl.gz"
    first, second = (json.loads(line) for line in output("zcat", data).split("\n")[:-1])
    assert (first["namespace"], first["id"], second["id"]) == ("default", "a", "b")
    assert first["transitions"][0]["body"][0] == {"type": "Noted", "note": "🚚 \u0000"}
    assert first["transitions"][0]["recorded_at"] == NOON.isoformat().replace("+00:00", "Z")
    manifest = json.loads((tmp_path / f"{name}.manifest.json").read_text())
    assert manifest["sha256"] == output("sha256sum", data).split()[0]
    assert manifest["size"] == data.stat().st_size


async def test_a_page_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[Sequence[StoredStream]]:
        yield await some_streams(A)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await FolderArchive(tmp_path).write(NOON, failing())
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
async def test_damage_is_found_before_anything_is_read(tmp_path: Path, damage: str) -> None:
    name = await written(tmp_path)
    data = tmp_path / f"{name}.jsonl.gz"
    match damage:
        case "cut":
            data.write_bytes(data.read_bytes()[:-9])
        case "changed":
            data.write_bytes(gzip.compress(gzip.decompress(data.read_bytes()).replace(b'"a"', b'"x"')))
        case _:
            data.unlink()
    with pytest.raises(ArchiveError):
        await read(FolderArchive(tmp_path), name)


async def test_what_was_not_written_as_it_was_given_is_no_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = await some_streams(A)
    monkeypatch.setattr(archive_module, "_digest_of_plain", lambda _path: "another")
    with pytest.raises(ArchiveError, match="does not hold what was written"):
        await FolderArchive(tmp_path).write(NOON, pages(streams))
    assert names_in(tmp_path) == []


async def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArchiveError, match="cannot be used now"):
        await FolderArchive(tmp_path / "file" / "below").write(NOON, pages(await some_streams(A)))
    archive = FolderArchive(tmp_path)
    with pytest.raises(ArchiveError, match="there is no volume 'nobody'"):
        await read(archive, "nobody")
    (tmp_path / "odd.manifest.json").write_text("{}")
    with pytest.raises(ArchiveError, match="no manifest of this version"):
        await archive.volumes()


async def test_a_file_without_its_manifest_is_none_and_left_alone(tmp_path: Path) -> None:
    name = await written(tmp_path)
    (tmp_path / f"{name}.manifest.json").unlink()
    archive = FolderArchive(tmp_path)
    assert list(await archive.volumes()) == []
    again = await archive.write(NOON, pages(await some_streams(A)))
    assert again is not None
    assert again.name != name
    assert (await archive.write(NOON + timedelta(days=1), pages(await some_streams(A)))) is not None
    assert len(await archive.volumes()) == 2
