"""Each rule of the house fails on a file that breaks it, and lets a good one pass.

Forbidden words are put together from pieces, so that this file keeps the rules itself.
"""

from pathlib import PurePosixPath

import pytest

from tests.house import rules
from tests.house.rules import Rule, Source

LONG_FUNCTION = "def long():\n" + "    pass\n" * rules.LONGEST_FUNCTION
DOCUMENTED_FUNCTION = 'def long():\n    """One.\n\n    Two.\n    """\n' + "    pass\n" * (
    rules.LONGEST_FUNCTION - 1
)

BROKEN: list[tuple[Rule, str, str, int]] = [
    (rules.opens_with_docstring, "src/amends/core/decide.py", "x = 1\n", 1),
    (rules.opens_with_docstring, "examples/order/saga.py", "x = 1\n", 1),
    (rules.short_functions, "src/amends/core/decide.py", "\n" + LONG_FUNCTION, 2),
    (rules.short_modules, "tests/test_one.py", "x = 1\n" * 501, 501),
    (rules.telling_names, "src/amends/core/utils.py", "", 1),
    (rules.telling_names, "src/amends/core/saga_manager.py", "", 1),
    (rules.telling_names, "src/amends/common/decide.py", "", 1),
    (rules.pure_rooms, "src/amends/core/a.py", "import datetime\ndatetime.datetime.now()\n", 2),
    (rules.pure_rooms, "src/amends/core/a.py", "from datetime import datetime as d\nd.utcnow()\n", 2),
    (rules.pure_rooms, "src/amends/definition/a.py", "import time\n\ntime.monotonic()\n", 3),
    (rules.pure_rooms, "src/amends/simulation/a.py", "from random import choice\nchoice([1])\n", 2),
    (rules.pure_rooms, "src/amends/export/a.py", "import uuid as u\nu.uuid4()\n", 2),
    (rules.async_rooms, "src/amends/core/a.py", "async def f(): ...\n", 1),
    (rules.async_rooms, "src/amends/bootstrap.py", "async def f(): ...\n", 1),
    (rules.tests_do_not_sleep, "tests/a.py", "import time\ntime.sleep(1)\n", 2),
    (rules.tests_do_not_sleep, "tests/a.py", "from time import sleep as nap\nnap(0)\n", 2),
    (rules.tests_do_not_sleep, "tests/a.py", "import asyncio\nasyncio.sleep(0.1)\n", 2),
    (rules.tests_do_not_evade, "tests/a.py", "import pytest\npytest.skip('later')\n", 2),
    (rules.tests_do_not_evade, "tests/a.py", "import pytest\n@pytest.mark.xfail\ndef f(): ...\n", 2),
    (rules.tests_do_not_evade, "tests/a.py", "from pytest import mark\nx = mark.skipif(True)\n", 2),
    (
        rules.tests_do_not_evade,
        "examples/order/test_order.py",
        "from unittest import skip\n@skip\ndef f(): ...\n",
        2,
    ),
    (rules.no_leftovers, "docs/a.md", "one\ntwo " + "TO" + "DO\n", 2),
    (rules.no_leftovers, "Makefile", "# FIX" + "ME\n", 1),
    (rules.no_registry_hosts, "docs/a.md", "https://py" + "pi.org/simple\n", 1),
    (rules.no_registry_hosts, "package.json", "\n\nhttps://registry.npm" + "js.org/\n", 3),
    (rules.no_machine_paths, "docs/a.md", "see /wo" + "rk/main/src\n", 1),
    (rules.no_machine_paths, ".ci/run", "ls /wo" + "rk/.library\n", 1),
]

KEPT: list[tuple[Rule, str, str]] = [
    (rules.opens_with_docstring, "src/amends/core/decide.py", '"""What happens next."""\n'),
    (rules.opens_with_docstring, "tests/test_one.py", "x = 1\n"),
    (rules.short_functions, "src/amends/core/decide.py", DOCUMENTED_FUNCTION),
    (rules.short_modules, "tests/test_one.py", "x = 1\n" * 500),
    (rules.telling_names, "src/amends/core/base_price.py", ""),
    (rules.pure_rooms, "src/amends/core/a.py", "from datetime import datetime\ndatetime(2026, 1, 1)\n"),
    (rules.pure_rooms, "src/amends/core/a.py", "def f(clock): return clock.now()\n"),
    (rules.pure_rooms, "src/amends/adapters/system/clock.py", "import time\ntime.time()\n"),
    (rules.async_rooms, "src/amends/application/relay.py", "async def f(): ...\n"),
    (rules.async_rooms, "tests/a.py", "async def f(): ...\n"),
    (rules.tests_do_not_sleep, "tests/a.py", "import asyncio\nasyncio.sleep(0)\n"),
    (rules.tests_do_not_sleep, "src/amends/application/relay.py", "import asyncio\nasyncio.sleep(1)\n"),
    (rules.tests_do_not_sleep, "examples/order/slow.py", "import asyncio\nasyncio.sleep(1)\n"),
    (rules.tests_do_not_evade, "tests/a.py", "def skip(step): return step.skip()\n"),
    (rules.no_leftovers, "docs/a.md", "method, extodo\n"),
    (rules.no_registry_hosts, "docs/a.md", "https://docs.python.org/3/\n"),
    (rules.no_machine_paths, "docs/a.md", "src/amends, framework/main\n"),
]


def name(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("rule", "path", "text", "line"), BROKEN, ids=name)
def test_a_broken_rule_is_found(rule: Rule, path: str, text: str, line: int) -> None:
    findings = list(rule(Source(PurePosixPath(path), text)))
    assert [finding.line for finding in findings] == [line]
    assert str(findings[0]).startswith(f"{path}:{line} ")


@pytest.mark.parametrize(("rule", "path", "text"), KEPT, ids=name)
def test_a_kept_rule_is_silent(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(PurePosixPath(path), text))) == []


def test_every_rule_is_seen_to_fail_and_to_pass() -> None:
    every = {*rules.CODE_RULES, *rules.TEXT_RULES}
    assert {rule for rule, *_ in BROKEN} == every
    assert {rule for rule, *_ in KEPT} == every


@pytest.mark.parametrize(
    ("lengths", "complaints"),
    [
        ([], 0),
        ([8] * 5 + [25] * 4 + [60], 0),
        ([9] * 10, 1),
        ([1] * 8 + [26] * 2, 1),
        ([30] * 10, 2),
    ],
)
def test_functions_too_long_on_the_whole(lengths: list[int], complaints: int) -> None:
    assert len(list(rules.small_on_the_whole(lengths))) == complaints
