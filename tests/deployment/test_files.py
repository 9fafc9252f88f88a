"""The files of a deployment can be carried out: checked by the programs that read them, and by rules of ours."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from amends.delivery.api.exposition import METRICS
from amends.settings import examine
from servers import checkers, prometheus
from servers.compose import Composition, composition
from servers.dockerfile import Stage, stages

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
DEPLOY = ROOT / "deploy"
DOCKERFILES = (ROOT / "Dockerfile", DEPLOY / "eureka.Dockerfile")
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "amends.json"
METRIC = re.compile(r"\bamends_\w+")
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def composed() -> Composition:
    return composition(COMPOSE)


def run(*command: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, **how)


def test_docker_compose_reads_the_composition() -> None:
    compose = checkers.docker_compose()
    done = run(compose, "--file", COMPOSE, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {"orchestrator-1", "orchestrator-2", "postgres", "kafka", "redis", "eureka"} <= services.keys()
    assert {"prometheus", "grafana"} <= services.keys()


def test_docker_compose_refuses_what_its_schema_does_not_have(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(COMPOSE.read_text("utf-8").replace("depends_on:", "depend_on:"), encoding="utf-8")
    done = run(checkers.docker_compose(), "--file", wrong, "config", "--quiet")
    assert done.returncode != 0
    assert "depend_on" in done.stderr


def test_this_projects_reader_sees_what_docker_compose_sees(composed: Composition) -> None:
    done = run(checkers.docker_compose(), "--file", COMPOSE, "config", "--format", "json")
    theirs = json.loads(done.stdout)["services"]
    assert composed.services.keys() == theirs.keys()
    for name, service in composed.services.items():
        other = theirs[name]
        said = {key: str(value) for key, value in other.get("environment", {}).items()}
        assert said.items() <= service.environment.items(), name
        assert service.needs.keys() == other.get("depends_on", {}).keys(), name
        assert service.command[-len(other.get("command") or [""]) :] == (
            other.get("command") or service.command[-1:]
        )
        assert set(service.mounts) == {each["target"] for each in other.get("volumes", [])}, name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_has_nothing_against_a_dockerfile(path: Path) -> None:
    done = run(checkers.hadolint(), path)
    assert done.returncode == 0, done.stdout


def last_stages(path: Path) -> Mapping[str, Stage]:
    """Those that somebody runs."""
    return {name: stage for name, stage in stages(path).items() if name != "build"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_copies_what_is_there_and_lets_in(path: Path) -> None:
    let_in = [
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"
    ]
    copied = {source for stage in stages(path).values() for source in stage.copies()}
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), f"{source} is not there"
        assert any(Path(source).match(pattern) for pattern in let_in), f".dockerignore keeps {source} out"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_runs_without_rights_and_says_how_it_is(path: Path) -> None:
    for stage in last_stages(path).values():
        assert stage.user not in {"root", "0"}, stage.name
        assert stage.healthcheck, stage.name
        assert stage.entrypoint, stage.name


def test_the_image_installs_what_is_pinned_and_nothing_editable() -> None:
    build = stages(ROOT / "Dockerfile")["build"]
    installs = [rest for keyword, rest in build.instructions if keyword == "RUN" and "pip install" in rest]
    assert installs
    commands = [each for rest in installs for each in rest.split("&&") if "pip install" in each]
    assert all("--require-hashes" in each or "--no-index" in each for each in commands), commands
    assert not any(re.search(r"\s(-e|--editable)\s", each) for each in commands)


@pytest.mark.parametrize("name", ["build", "service"])
def test_the_images_pins_are_those_of_everybody(name: str) -> None:
    ours = dict(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text("utf-8")))
    all_pins = dict(PIN.findall((ROOT / "requirements" / "dev.txt").read_text("utf-8")))
    assert ours
    differ = {package for package, version in ours.items() if all_pins.get(package) != version}
    assert not differ, f"make lock makes requirements/{name}.txt anew: {differ}"


@pytest.mark.parametrize(
    ("name", "groups"), [("dev", ["all", "dev"]), ("service", ["all"]), ("build", ["build"])]
)
def test_what_is_pinned_is_within_what_is_declared(name: str, groups: list[str]) -> None:
    """Everything that pyproject asks for, in the version that it asks for: else `make lock` was forgotten."""
    pins = dict(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text("utf-8")))
    asked = [each for group in groups for each in declared()[group]]
    assert asked
    wrong = {
        str(each): pins.get(each.name.lower())
        for each in asked
        if each.marker is None and not each.specifier.contains(pins.get(each.name.lower(), "0.dev0"))
    }
    assert not wrong, f"make lock makes requirements/{name}.txt anew: {wrong}"


def declared() -> dict[str, list[Requirement]]:
    """What pyproject asks for, by who needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    asked = {
        "all": [*project["project"]["dependencies"], *(each for extra in extras for each in extra)],
        "dev": project["dependency-groups"]["dev"],
        "build": project["build-system"]["requires"],
    }
    made = {group: [Requirement(each) for each in texts] for group, texts in asked.items()}
    return {group: [each for each in all_ if each.name != "amends"] for group, all_ in made.items()}


def test_the_image_has_the_drivers_of_every_extra() -> None:
    ours = dict(PIN.findall((ROOT / "requirements" / "service.txt").read_text("utf-8")))
    assert ours.keys() >= {
        "msgspec",
        "aiohttp",
        "httptools",
        "asyncpg",
        "aiokafka",
        "redis",
        "pyyaml",
        "typer",
    }


def test_the_wheel_has_all_that_is_not_python(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    others = [
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix in {".sql", ".lua", ".yaml", ".typed"}
    ]
    assert "amends/adapters/redis/meet.lua" in others
    assert not set(others) - inside


def test_the_settings_of_the_orchestrators_are_understood(composed: Composition) -> None:
    for name in ("orchestrator-1", "orchestrator-2"):
        examined = examine(str(DEPLOY / "application.yaml"), composed.services[name].environment)
        assert not examined.faults, [str(fault) for fault in examined.faults]
        settings = examined.settings
        assert settings is not None
        assert (settings.server.port, settings.server.host) == (8095, "0.0.0.0")  # noqa: S104  in a container
        assert settings.database.url.kind == "postgresql"
        assert settings.kafka.bootstrap_servers == ("kafka:9092",)
        assert settings.redis.host == "redis"
        assert [url.text for url in settings.eureka.default_zone] == ["http://eureka:8761/eureka/"]


def test_nothing_is_published_beyond_the_machine() -> None:
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    ports = [port for each in document["services"].values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_prometheus_reads_its_configuration_and_the_alerts() -> None:
    done = run(prometheus.program("promtool"), "check", "config", DEPLOY / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 rules found" in done.stdout


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in panels for target in panel["targets"]]
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for each in asked for name in METRIC.findall(each)}
    assert len(named) > 12
    assert not named - METRICS.keys()


def test_prometheus_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": target["expr"]}
        for panel in panels
        for target in panel["targets"]
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = run(prometheus.program("promtool"), "check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_asks_the_source_that_is_provisioned(composed: Composition) -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text("utf-8"))[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "amends.yaml").read_text("utf-8"))[
        "providers"
    ]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    assert 9090 in composed.services["prometheus"].listens
    mounts = composed.services["grafana"].mounts
    assert mounts[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "no panel lies on another"
