"""The demos over Kafka as a newcomer runs them: the real command, a real broker, services as processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from examples.running.example import example_named
from examples.running.fleet import ROOT
from examples.running.progress import Result

CASES = {
    "booking": ("booking-01", "booking-02", "booking-05", "booking-12", "booking-15", "booking-24"),
    "order": ("order-02", "order-06", "order-11", "order-13", "order-16", "order-32", "order-36"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_demo_goes_over_topics_and_its_orchestrator_is_killed(name: str, tmp_path: Path) -> None:
    example = example_named(name)
    lines = example.cases.read_text("utf-8").splitlines()
    named = {example.id_of(case): line for case, line in zip(example.load(), lines, strict=True)}
    given = tmp_path / "cases.jsonl"
    given.write_text("".join(f"{named[case]}\n" for case in CASES[name]), "utf-8")
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "amends.delivery.cli.main", "demo", name, "--transport", "kafka"]
    command += ["--directory", str(directory), "--input", str(given)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    told: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if "the orchestrator is process" in line and len(told) < 5:
                os.kill(int((directory / "orchestrator.pid").read_text()), signal.SIGKILL)
    output = "".join(told)
    assert process.returncode == 0, output
    assert "was killed (SIGKILL); starting it again over the same store" in output
    result = msgspec.json.decode((directory / "result.json").read_bytes(), type=Result)
    assert result.ok, output


def test_a_demo_without_topics_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.offer.demo", "--transport", "kafka", "--directory", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "invalid choice: 'kafka'" in done.stderr
