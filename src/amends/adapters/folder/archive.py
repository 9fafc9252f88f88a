"""An archive in a folder: a volume is `NAME.jsonl.gz`, a line for each stream, and `NAME.manifest.json` beside it.

Rules
- A volume is written under another name, flushed to the disk, read back and compared; then it gets its name, and then
  its manifest. Without a manifest it is none. Files of others in the folder are left alone.
- The manifest has the checksum of the file; it is checked before anything is read from it.
- Files are read and written in a thread, a page at a time.
It does not: shrink, merge or remove volumes; that is for whoever keeps the folder.
"""

import asyncio
import gzip
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from amends.adapters.folder.lines import Manifest, as_line, as_stream
from amends.ports.archive import ArchiveError, Volume
from amends.ports.retention import StoredStream

T = TypeVar("T")

DATA: Final = ".jsonl.gz"
MANIFEST: Final = ".manifest.json"
PAGE: Final = 100
"""Streams that are read at a time."""
CHUNK: Final = 1 << 20


class FolderArchive:
    """`Archive` in `folder`, which is made when it is not there."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    async def write(self, at: datetime, pages: AsyncIterator[Sequence[StoredStream]]) -> Volume | None:
        first = await anext(pages, None)
        if first is None:
            return None
        writing = await asyncio.to_thread(_Writing, self._folder, at)
        try:
            await _finished(writing.add, first)
            async for page in pages:
                await _finished(writing.add, page)
            return await _finished(writing.finish)
        except OSError as fault:
            raise _unusable(self._folder, fault) from fault
        finally:
            await _finished(writing.discard)

    async def settle(self, name: str) -> None:
        await asyncio.to_thread(self._settle, name)

    async def volumes(self) -> Sequence[Volume]:
        return await asyncio.to_thread(self._volumes)

    async def read(self, name: str) -> AsyncIterator[Sequence[StoredStream]]:
        pages = _pages(self._folder, name)
        while page := await asyncio.to_thread(next, pages, None):
            yield page

    def _settle(self, name: str) -> None:
        manifest = msgspec.structs.replace(_manifest(self._folder, name), settled=True)
        _put(self._folder, name, manifest)

    def _volumes(self) -> list[Volume]:
        if not self._folder.exists():
            return []
        names = sorted(each.name.removesuffix(MANIFEST) for each in self._folder.glob(f"*{MANIFEST}"))
        return [_manifest(self._folder, name).volume(name) for name in names]


class _Writing:
    """A volume that is being written."""

    def __init__(self, folder: Path, at: datetime) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = folder
            self._name = _free_name(folder, at)
            self._part = folder / f"{self._name}.part"
            self._file: BinaryIO = self._part.open("wb")
        except OSError as fault:
            raise _unusable(folder, fault) from fault
        # The time of writing is left out: equal streams make equal files.
        self._packed = gzip.GzipFile(fileobj=self._file, mode="wb", filename="", mtime=0)
        self._plain = hashlib.sha256()
        self._streams = 0
        self._transitions = 0

    def add(self, streams: Sequence[StoredStream]) -> None:
        for stream in streams:
            line = as_line(stream)
            self._packed.write(line)
            self._plain.update(line)
            self._streams += 1
            self._transitions += len(stream.transitions)

    def finish(self) -> Volume:
        """Make it durable, and a volume once it was read back."""
        self._packed.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if _digest_of_plain(self._part) != self._plain.hexdigest():
            raise ArchiveError(
                f"{self._part} does not hold what was written to it; look at the disk. Nothing was deleted."
            )
        manifest = Manifest(
            streams=self._streams,
            transitions=self._transitions,
            size=self._part.stat().st_size,
            sha256=_digest(self._part),
        )
        self._part.rename(self._folder / f"{self._name}{DATA}")
        _put(self._folder, self._name, manifest)
        return manifest.volume(self._name)

    def discard(self) -> None:
        """Leave nothing behind of what is no volume."""
        with suppress(OSError, ValueError):
            self._packed.close()
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


async def _finished(call: Callable[..., T], *arguments: object) -> T:
    """Run the call in a thread; a cancellation waits for its end, so that nobody else meets the file half-way."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _free_name(folder: Path, at: datetime) -> str:
    stem = f"{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    name, number = stem, 1
    while any((folder / f"{name}{end}").exists() for end in (DATA, MANIFEST, ".part")):
        number += 1
        name = f"{stem}-{number}"
    return name


def _put(folder: Path, name: str, manifest: Manifest) -> None:
    """Write a manifest; after a crash there is the old one or the new one."""
    part = folder / f"{name}{MANIFEST}.part"
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / f"{name}{MANIFEST}")
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def _manifest(folder: Path, name: str) -> Manifest:
    path = folder / f"{name}{MANIFEST}"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as fault:
        raise ArchiveError(f"there is no volume {name!r} in {folder}: no file {path.name}") from fault
    except OSError as fault:
        raise _unusable(folder, fault) from fault
    except msgspec.DecodeError as fault:
        raise ArchiveError(f"{path} is no manifest of this version ({fault})") from fault


def _pages(folder: Path, name: str) -> Iterator[list[StoredStream]]:
    manifest, path = _manifest(folder, name), folder / f"{name}{DATA}"
    try:
        if _digest(path) != manifest.sha256:
            raise ArchiveError(f"{path} is damaged: its checksum is not that of its manifest")
        with gzip.open(path, "rb") as lines:
            page: list[StoredStream] = []
            for line in lines:
                page.append(as_stream(line))
                if len(page) == PAGE:
                    yield page
                    page = []
            if page:
                yield page
    except (OSError, EOFError, zlib.error) as fault:
        raise _unusable(folder, fault) from fault
    except msgspec.DecodeError as fault:
        raise ArchiveError(f"{path} has a line that is no stream ({fault})") from fault


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_plain(path: Path) -> str:
    digest = hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _unusable(folder: Path, fault: Exception) -> ArchiveError:
    return ArchiveError(f"the archive in {folder} cannot be used now ({fault}); nothing was deleted")
