"""Every read model keeps the contract of the port: a new one joins with a line in `READ_MODELS`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amends.adapters.memory import MemoryReadModel
from amends.adapters.sqlite import SqliteReadModel
from amends.testing.read_model_suite import PERSISTENCE_SCENARIOS, SCENARIOS, ReadModelFactory, Scenario
from tests.adapters.postgres import storage


def memory(_: Path) -> ReadModelFactory:
    model = MemoryReadModel()
    return lambda: model


READ_MODELS: dict[str, Callable[[Path], ReadModelFactory]] = {
    "memory": memory,
    "sqlite": lambda folder: lambda: SqliteReadModel(folder / "amends.db.views"),
    "postgres": storage.read_models,
}
PERSISTENT = tuple(name for name in READ_MODELS if name != "memory")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("model", READ_MODELS)
async def test_read_model_keeps_the_contract(model: str, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(READ_MODELS[model](tmp_path))


@pytest.mark.parametrize("scenario", PERSISTENCE_SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("model", PERSISTENT)
async def test_read_model_outlives_its_object(model: str, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(READ_MODELS[model](tmp_path))
