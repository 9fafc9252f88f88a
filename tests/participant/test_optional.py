"""Each database library is the service's own choice: the kit imports none that is not asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OTHERS = ("aiohttp", "aiokafka", "asyncpg", "fastavro", "opentelemetry", "psycopg", "sqlalchemy")
NEEDS = {
    "amends.participant": (),
    "amends.participant.asgi": (),
    "amends.participant.database": (),
    "amends.participant.http": ("aiohttp",),
    "amends.participant.psycopg_ledger": ("psycopg",),
    "amends.participant.asyncpg_ledger": ("asyncpg",),
    "amends.participant.kafka": ("aiokafka",),
    "amends.participant.kafka_avro": ("aiohttp", "fastavro"),
    "amends.adapters.kafka": ("aiokafka",),
    "amends.participant.sqlalchemy_ledger": ("sqlalchemy",),
    "amends.testing.barrier_suite": (),
}


@pytest.mark.parametrize("module", NEEDS)
def test_a_module_needs_no_library_but_its_own(module: str) -> None:
    missing = [name for name in OTHERS if name not in NEEDS[module]]
    program = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); import {module}"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
