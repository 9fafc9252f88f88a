"""`amends bench`: every figure is there, against local and against HTTP participants."""

import asyncio
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiokafka.admin  # type: ignore[import-untyped]
import pytest

from amends.adapters.postgres import Address
from amends.adapters.postgres.session import connect
from tests.adapters.kafka.shared_broker import broker
from tests.adapters.postgres import shared_server

FIELDS = {
    "store",
    "participants",
    "workload",
    "concurrency",
    "processes",
    "sagas",
    "sagas_per_s",
    "p50_ms",
    "p99_ms",
    "events_per_s",
    "cpu_us_per_saga",
    "server_cpu_us_per_saga",
    "bytes_per_saga",
    "peak_mb",
    "limit_sagas_per_s",
    "limit_batched_sagas_per_s",
    "ratio",
    "bare_sagas_per_s",
    "bare_ratio",
    "with_traces",
    "broker_in_per_s",
    "broker_out_per_s",
}


def bench(*arguments: str, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "bench", "--json", "--folder", str(folder)]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith(f"measuring: with CPython {platform.python_version()}, /")
    points: list[dict[str, Any]] = json.loads(ended.stdout)
    return points


async def schemas(url: str) -> list[str]:
    link = await connect(Address.of(url), within=10)
    rows = await link.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'amends_bench%'")
    await link.close()
    return [name for (name,) in rows]


async def topics(address: str) -> list[str]:
    """Return the benchmark's topics that are there."""
    client: Any = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        return [name for name in await client.list_topics() if name.startswith("amends-bench-")]
    finally:
        await client.close()


@pytest.mark.parametrize("workload", ["happy", "declined"])
def test_local_participants_beside_the_limit_of_the_disk(workload: str, tmp_path: Path) -> None:
    arguments = ("--participants", "local", "--workload", workload, "--concurrency", "10", "--sagas", "200")
    (point,) = bench(*arguments, folder=tmp_path)
    assert set(point) == FIELDS
    assert (point["participants"], point["workload"], point["sagas"]) == ("local", workload, 200)
    assert point["limit_sagas_per_s"] > 0
    assert point["ratio"] == pytest.approx(
        point["sagas_per_s"] / point["limit_sagas_per_s"], abs=0.01, rel=0.01
    )
    assert point["bare_ratio"] == 0
    assert 500 < point["bytes_per_saga"] < 10_000


def test_with_every_saga_traced(tmp_path: Path) -> None:
    arguments = ("--participants", "local", "--workload", "happy", "--concurrency", "10", "--sagas", "200")
    (point,) = bench(*arguments, "--traces", folder=tmp_path)
    assert point["with_traces"] is True
    assert point["sagas_per_s"] > 0


@pytest.mark.parametrize("participants", ["local", "http"])
def test_all_that_looks_on_beside_the_same_work_without_it(participants: str, tmp_path: Path) -> None:
    """What the sampler keeps of nothing, and what it keeps of all, each with the target that it has to meet."""
    arguments = (
        "--all-on",
        "--short",
        "--participants",
        participants,
        "--concurrency",
        "10",
        "--sagas",
        "100",
    )
    none, every = bench(*arguments, folder=tmp_path)
    assert (none["kept"], every["kept"]) == (0.0, 1.0)
    for point in (none, every):
        assert (point["participants"], point["sagas"], point["turns"]) == (participants, 100, 1)
        assert point["slower"] == pytest.approx(point["off_sagas_per_s"] / point["on_sagas_per_s"], abs=0.01)
        assert point["more_cpu"] == pytest.approx(
            point["on_cpu_us_per_saga"] / point["off_cpu_us_per_saga"], abs=0.01
        )
        assert (point["target"], point["stretch"]) == (1.25, 1.1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workload", ["happy", "declined"])
def test_http_participants_beside_a_bare_client(workload: str, tmp_path: Path) -> None:
    """Every saga ends as its workload says, or the measured process fails."""
    arguments = ("--participants", "http", "--workload", workload, "--concurrency", "10", "--sagas", "100")
    (point,) = bench(*arguments, folder=tmp_path)
    assert set(point) == FIELDS
    assert point["participants"] == "http"
    assert point["bare_ratio"] == pytest.approx(point["sagas_per_s"] / point["bare_sagas_per_s"], abs=0.01)


@pytest.mark.parametrize("workload", ["happy", "declined"])
def test_kafka_participants_beside_a_bare_client_and_the_broker_itself(workload: str, tmp_path: Path) -> None:
    """A real broker; every saga ends as its workload says, or the measured process fails; no topic is left."""
    arguments = ("--participants", "kafka", "--kafka", broker().address, "--workload", workload)
    (point,) = bench(*arguments, "--concurrency", "10", "--sagas", "100", folder=tmp_path)
    assert set(point) == FIELDS
    assert (point["participants"], point["workload"], point["sagas"]) == ("kafka", workload, 100)
    assert point["bare_ratio"] == pytest.approx(point["sagas_per_s"] / point["bare_sagas_per_s"], abs=0.01)
    assert point["broker_in_per_s"] > 6 * point["sagas_per_s"]
    assert point["broker_out_per_s"] > 6 * point["sagas_per_s"]
    assert asyncio.run(topics(broker().address)) == []


def test_kafka_needs_a_broker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "bench", "--participants", "kafka"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert ended.returncode != 0
    assert "servers/kafka start DIR" in ended.stderr


def test_postgres_beside_what_pgbench_commits_one_by_one(tmp_path: Path) -> None:
    """A real server; its schemas are gone afterwards, and its own part of the CPU is counted."""
    server = shared_server.server()
    where = ("--database", server.local_address, "--pgbench", str(Path(server.programs, "pgbench")))
    arguments = ("--store", "postgres", *where, "--participants", "local", "--workload", "happy")
    (point,) = bench(*arguments, "--concurrency", "10", "--sagas", "500", folder=tmp_path)
    assert set(point) == FIELDS
    assert (point["store"], point["processes"]) == ("postgres", 1)
    assert point["ratio"] == pytest.approx(
        point["sagas_per_s"] / point["limit_sagas_per_s"], abs=0.01, rel=0.01
    )
    assert 0 < point["server_cpu_us_per_saga"] < point["cpu_us_per_saga"]
    assert 500 < point["bytes_per_saga"] < 10_000
    assert asyncio.run(schemas(server.local_address)) == []


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    bench("--workload", "happy", "--concurrency", "1", "--sagas", "20", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_starts_over_http_beside_the_bare_library(tmp_path: Path) -> None:
    """The service is a real process; every start is answered 201, or the measured client fails."""
    (point,) = bench("--requests", "--concurrency", "5", "--sagas", "100", folder=tmp_path)
    assert point["concurrency"] == 5
    assert point["overhead_ms"] == pytest.approx(point["p50_ms"] - point["bare_p50_ms"], abs=0.01)
    assert point["ratio"] == pytest.approx(point["starts_per_s"] / point["bare_starts_per_s"], abs=0.01)
    assert list(tmp_path.iterdir()) == []
