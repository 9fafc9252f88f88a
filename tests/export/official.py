"""The official AsyncAPI parser, which holds documents against the published JSON Schema and the rules beside it.

Rules: `tests/export/asyncapi` pins it; it is installed in `build/asyncapi` when it is asked for the first time, which
takes some seconds, and when the pins change. It needs Node.js 20 and npm, as the TypeScript example does.
It does not: judge what the parser only recommends.
"""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.docs.documents import ROOT

PINS: Final = Path(__file__).parent / "asyncapi"
BUILT: Final = ROOT / "build" / "asyncapi"
A_FAULT: Final = 1
"""Severities: 0 is an error, 1 a warning; what is greater is advice."""


def complaints(document: bytes) -> list[dict[str, Any]]:
    """Return the errors and warnings of the official parser."""
    checked = subprocess.run(
        ["node", "check.js"], cwd=_installed(), input=document, capture_output=True, check=True
    )
    said: list[dict[str, Any]] = json.loads(checked.stdout)
    return [each for each in said if each["severity"] <= A_FAULT]


def _installed() -> Path:
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, pins = BUILT / "installed", (PINS / "package-lock.json").read_text()
        if not stamp.exists() or stamp.read_text() != pins:
            shutil.copytree(PINS, BUILT, dirs_exist_ok=True)
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"],
                cwd=BUILT,
                capture_output=True,
                check=True,
            )
            stamp.write_text(pins)
        shutil.copy(PINS / "check.js", BUILT)
    return BUILT
