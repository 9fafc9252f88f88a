"""Starts the child that appends without end."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def start_child(path: Path, *, seed: int, inline_limit: float) -> subprocess.Popen[str]:
    """A process that holds the store at `path` and prints what was acknowledged; see `crash_child.py`."""
    module = "tests.adapters.sqlite.crash_child"
    return subprocess.Popen(
        [sys.executable, "-m", module, str(path), str(seed), str(inline_limit)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        text=True,
    )
