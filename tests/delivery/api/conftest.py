"""One desk and one service for a module's tests."""

from collections.abc import Iterator

import pytest

from tests.delivery.api import serving as s


@pytest.fixture(scope="module")
def desk() -> Iterator[str]:
    with s.desk() as url:
        yield url


@pytest.fixture(scope="module")
def service(desk: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s.Serving]:
    folder = tmp_path_factory.mktemp("service")
    lines = ["server:", "  header-timeout: 2s", "  body-timeout: 2s", "  max-body-size: 64KiB"]
    config = s.configuration(folder, desk=desk, lines=lines)
    with s.serving(folder, config=config) as running:
        yield running
