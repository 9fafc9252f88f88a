"""A configuration that is not what it should be, given to real processes: `amends config check` and `amends serve`.

Rules: each case stands for a kind of mistake; both processes end by themselves with the place of every fault, one a
line, without a trace, without having begun anything. How finely faults are told apart is held by `tests/settings`.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.delivery.api import serving as s
from tests.delivery.cli.asking import MAIN, Place


class Bad(NamedTuple):
    """A file, and what must be said of it, each at its own place."""

    about: str
    content: bytes
    said: tuple[str, ...]


BAD = [
    Bad("tab", b"server:\n\tport: 1\n", ("2:1: a tab",)),
    Bad("byte order mark", b"\xef\xbb\xbfserver:\n", ("1:1: begins with a byte order mark",)),
    Bad("UTF-16", "server:\n".encode("utf-16"), ("1:1: begins with a byte order mark (UTF-16)",)),
    Bad("not UTF-8", b"log:\n  \xe4", ("2:3: byte 0xe4 is not UTF-8",)),
    Bad("no YAML", b"server: [1", ("is not YAML",)),
    Bad(
        "a key twice",
        b"log:\n  level: info\n  level: debug\n",
        ("3:3: the key level is there twice, first in line 2",),
    ),
    Bad("a section twice", b"log:\nsaga:\nlog:\n", ("3:1: the key log is there twice, first in line 1",)),
    Bad(
        "alias bomb",
        b"\n".join(
            [b"a0: &a0 [x]", *(b"a%d: &a%d [%b]" % (n, n, b"*a%d," % (n - 1) * 20) for n in range(1, 10))]
        ),
        ("more than",),
    ),
    Bad("3,000 deep", b"a: " + b"[" * 3_000, ("levels deep",)),
    Bad("python object", b"log: !!python/object/apply:os.system ['touch owned']", ("1:6: the tag ",)),
    Bad(
        "retries: no",
        b"saga: {retry: {attempts: no}}",
        ("1:26: saga.retry.attempts: no is not a whole number",),
    ),
    Bad(
        "timeout: 012",
        b"saga: {step-timeout: 012}",
        ("1:22: saga.step-timeout: 012 is not a duration", "12s"),
    ),
    Bad(
        "12:30:45",
        b"saga: {step-timeout: 12:30:45}",
        ("saga.step-timeout: 12:30:45 is not a duration", "45045s"),
    ),
    Bad(
        "out of range, four times",
        b"saga:\n  step-timeout: 0s\n  retry:\n    attempts: -1\n    backoff: 0.5\n    jitter: 2\n    first: -1s\n",
        (
            "2:17: saga.step-timeout",
            "4:15: saga.retry.attempts",
            "5:14: saga.retry.backoff",
            "6:13: saga.retry.jitter",
            "7:12: saga.retry.first",
        ),
    ),
    Bad(
        "unknown keys, all at once",
        b"server: {prot: 1}\nsever: {}\n",
        ("1:10: unknown key server.prot", "2:1: unknown"),
    ),
    Bad(
        "port 99999",
        b"server: {port: 99999}",
        ("1:16: server.port: 99999 is not a whole number from 1 to 65,535",),
    ),
    Bad("bad address", b"database: {url: 'postgresql://u:hunter2@'}", ("1:17: database.url",)),
    Bad("bad scheme", b"database: {url: 'oracle://u:hunter2@h/d'}", ("1:17: database.url",)),
    Bad(
        "microservice without an address",
        b"microservices: {desk: {timeout: 1s}}",
        ("microservices.desk needs url",),
    ),
    Bad(
        "microservice elsewhere", b"microservices: {desk: 'file:///etc/passwd'}", ("microservices.desk.url",)
    ),
    Bad(
        "network without a key", b"server: {host: 0.0.0.0}", ("1:16: server.host 0.0.0.0", "server.api-keys")
    ),
    Bad("short key", b"server: {api-keys: [hunter2]}", ("server.api-keys[0]", "16 to 4,096")),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.about)
def test_a_file_that_will_not_do_is_told_and_nothing_is_begun(case: Bad, tmp_path: Path) -> None:
    (tmp_path / "application.yaml").write_bytes(case.content)
    told = Place().ask("config", "check", "application.yaml", cwd=tmp_path)
    process, log = s.launch(tmp_path, s.SAGAS, "--config", "application.yaml", "--port", "0")
    assert process.wait(timeout=s.PATIENCE) == 2
    served = log.read_text()
    log.unlink()
    assert (told.code, told.err) == (1, "")
    for text in (told.out, served):
        for each in case.said:
            assert each in text
        assert "hunter2" not in text
        assert "Traceback" not in text
        assert max(map(len, text.splitlines())) < 500
    assert len(told.out.splitlines()) >= len([each for each in case.said if re.match(r"\d+:\d+: ", each)])
    assert served.splitlines()[-1].startswith("amends: the configuration cannot be used: ")
    assert [path.name for path in tmp_path.iterdir()] == ["application.yaml"]


def test_a_bomb_costs_no_time_beside_a_good_file(tmp_path: Path) -> None:
    """The process itself takes most of the time: what the bomb adds is what is bounded."""

    def spent(content: bytes) -> float:
        (tmp_path / "a.yaml").write_bytes(content)
        took: list[float] = []
        for _ in range(3):
            before = os.times()
            Place().ask("config", "check", "a.yaml", cwd=tmp_path)
            after = os.times()
            took.append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
        return min(took)

    assert spent(b"a: " + b"[" * 3_000) - spent(b"log:\n") < 0.15


def test_a_secret_in_the_file_is_warned_of_and_never_printed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "database: {password: hunter2}\nserver: {api-keys: [0123456789abcdef]}\n"
    )
    for verb in ("check", "show"):
        said = Place().ask("config", verb, "a.yaml", cwd=tmp_path)
        assert said.code == 0
        assert "hunter2" not in said.out + said.err
        assert "0123456789abcdef" not in said.out + said.err
        assert "1:22: " in said.out + said.err


def test_there_is_no_include_and_a_link_is_a_file_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("hunter2: 1\n")
    (tmp_path / "a.yaml").write_text("spring: {config: {import: secret.yaml}}\n")
    said = Place().ask("config", "check", "a.yaml", cwd=tmp_path)
    assert (said.code, "1:1: unknown key spring" in said.out) == (1, True)
    assert "hunter2" not in said.out


def test_a_file_that_is_not_there_or_no_file_is_one_line(tmp_path: Path) -> None:
    for name, says in (("none.yaml", "there is no such file"), (".", "is a directory")):
        process, log = s.launch(tmp_path, s.SAGAS, "--config", name)
        assert process.wait(timeout=s.PATIENCE) == 2
        assert says in log.read_text()


def test_the_environment_is_held_to_the_same_rules(tmp_path: Path) -> None:
    cases = [
        ({"AMENDS_SERVER_PORT": "99999"}, "environment AMENDS_SERVER_PORT: server.port: 99999"),
        ({"SERVER_PORT": "no"}, "environment SERVER_PORT: server.port: no"),
        ({"AMENDS_SERVER_PROT": "1"}, "did you mean AMENDS_SERVER_PORT?"),
        ({"SPRING_DATASOURCE_URL": "jdbc:oracle://u:hunter2@h"}, "environment SPRING_DATASOURCE_URL"),
    ]
    for env, says in cases:
        process, log = s.launch(tmp_path, s.SAGAS, env=env)
        assert process.wait(timeout=s.PATIENCE) == 2
        text = log.read_text()
        assert says in text
        assert "hunter2" not in text


def test_a_definition_file_that_breaks_a_rule_is_refused_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from amends import Command, Participant, Saga, Step, sequence\n"
        "P = Participant('desk')\n"
        "def do(d: int) -> Command[None]: return Command('x')\n"
        "A = Step('a', P, do=do, kind='pivot')\n"
        "B = Step('b', P, do=do, no_undo='read only')\n"
        "BROKEN = Saga('broken', version=1, data=int, body=sequence(A, B, A))\n"
        "EMPTY = Saga('empty', version=1, data=int, body=sequence())\n"
    )
    (tmp_path / "a.yaml").write_text("microservices: {desk: http://127.0.0.1:1}\n")
    for target, rules in (("broken:BROKEN", ("AM003", "AM009")), ("broken:EMPTY", ("AM015",))):
        linted = Place().ask("lint", target, cwd=tmp_path, env={"PYTHONPATH": f"{s.ROOT / 'src'}:{tmp_path}"})
        process, log = s.launch(
            tmp_path, target, "--config", "a.yaml", env={"PYTHONPATH": f"{s.ROOT / 'src'}:{tmp_path}"}
        )
        assert process.wait(timeout=s.PATIENCE) == 2
        assert linted.code == 1
        for rule in rules:
            assert rule in linted.out
            assert rule in log.read_text()


@pytest.mark.parametrize("command", [["config", "check", "a.yaml"], ["config", "show", "a.yaml"]])
def test_it_is_told_in_ascii_where_there_is_nothing_else(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("größe: 1\n")
    env = s.environment(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", COLUMNS="1")
    ended = subprocess.run([*MAIN, *command], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert ended.returncode == 1
    assert (ended.stdout + ended.stderr).isascii()
