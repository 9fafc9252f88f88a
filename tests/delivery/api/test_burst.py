"""Ten thousand starts at once: each is accepted, or told to come back; none is lost, none doubled, memory is bounded.

Every tenth is asked for twice at the same moment. The participant is a process of its own.
"""

import asyncio
import re
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.delivery.api import serving as s

STARTS = 10_000
CONNECTIONS = 400
MOST_MEMORY = 250 * 1024
"""KiB at the peak."""


class Burst:
    """What the answers were."""

    def __init__(self) -> None:
        self.new: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        self.put_off = 0
        self.other: list[str] = []

    async def start(self, session: aiohttp.ClientSession, url: str, saga_id: str) -> None:
        document = {"saga": "errand", "id": saga_id, "data": {"name": saga_id}}
        async with session.post(f"{url}/v1/sagas", json=document) as answer:
            text = await answer.text()
            if answer.status == 201:
                self.new[saga_id] += 1
            elif answer.status == 200:
                self.known[saga_id] += 1
            elif answer.status == 429 and int(answer.headers["Retry-After"]) >= 1:
                self.put_off += 1
            else:
                self.other.append(f"{saga_id}: {answer.status} {text}")


async def burst(url: str) -> Burst:
    found = Burst()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=60, sock_read=60)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for number in range(STARTS):
            for _ in range(2 if number % 10 == 0 else 1):
                group.create_task(found.start(session, url, f"b-{number:05d}"))
    return found


def stored(running: s.Serving) -> dict[str, str]:
    """All instances with their status, once all have ended; page by page."""
    s.until(lambda: not open_ones(running), "all ended", within=240)
    found: dict[str, str] = {}
    query = "limit=500&consistent=true"
    cursor = ""
    while True:
        page = running.ask("GET", f"/v1/sagas?{query}{cursor}").json
        for saga in page["sagas"]:
            assert saga["id"] not in found
            found[saga["id"]] = saga["status"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def open_ones(running: s.Serving) -> list[object]:
    query = "status=running&status=compensating&status=stuck&limit=1&consistent=true"
    answer = running.ask("GET", f"/v1/sagas?{query}")
    # The list may lag behind for longer than the service waits for it; then it says so.
    found: list[object] = answer.json["sagas"] if answer.status == 200 else [answer.status]
    return found


def peak_memory(running: s.Serving) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    "lines", [(), ("saga:", "  most-live: 200", "  most-waiting: 100")], ids=["roomy", "narrow"]
)
def test_ten_thousand_starts_at_once(lines: tuple[str, ...], tmp_path: Path) -> None:
    with s.desk() as desk:
        config = s.configuration(tmp_path, desk=desk, lines=lines)
        with s.serving(tmp_path, config=config) as running:
            found = asyncio.run(burst(running.url))
            assert not found.other, found.other[:5]
            twice = STARTS // 10
            assert found.new.total() + found.known.total() + found.put_off == STARTS + twice
            assert set(found.new.values()) == {1}
            assert set(found.known) <= set(found.new)
            assert bool(found.put_off) == bool(lines)
            sagas = stored(running)
            assert sagas.keys() == found.new.keys()
            assert set(sagas.values()) == {"completed"}
            metrics = running.ask("GET", "/metrics").body.decode()
            started = re.search(
                r'^amends_sagas_started_total\{[^}]*saga="errand"[^}]*\} (\d+)', metrics, re.MULTILINE
            )
            assert started is not None
            assert int(started[1]) == len(found.new)
            assert peak_memory(running) < MOST_MEMORY
            # One line for each that was put off, and what a service says of itself.
            assert len(running.lines()) < found.put_off + 100
