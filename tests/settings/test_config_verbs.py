"""`amends config check` and `amends config show`, as a process."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
AMENDS = [sys.executable, "-m", "amends.delivery.cli.main", "config"]

RIGHT = "server:\n  port: 81\nredis:\n  password: ${PW}\n"
WRONG = "server:\n  port: 99999\n  prot: 81\nredis:\n  password: hunter2\n"


def config(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [*AMENDS, *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT / "src"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_tells_every_fault_on_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WRONG)
    found = config("check", "a.yaml", folder=tmp_path)
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.splitlines() == [
        "a.yaml:2:9: server.port: 99999 is not a whole number from 1 to 65,535",
        "a.yaml:3:3: unknown key server.prot: did you mean server.port?",
        "a.yaml:5:13: warning: redis.password: a secret stands in the file; write ${NAME} and set that variable",
    ]


def test_check_is_content_with_a_right_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RIGHT)
    found = config("check", "file:a.yaml", folder=tmp_path, PW="hunter2", SERVER_ADDRESS="::1")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "a.yaml: 2 set in the file, 1 by the environment; no errors\n"


def test_check_tells_what_is_no_file(tmp_path: Path) -> None:
    for name, said in (
        (".", ".: is a directory, not a file\n"),
        ("b.yaml", "b.yaml: there is no such file\n"),
    ):
        found = config("check", name, folder=tmp_path)
        assert (found.returncode, found.stdout, found.stderr) == (1, said, "")


def test_show_tells_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RIGHT)
    found = config(
        "show", "a.yaml", folder=tmp_path, PW="hunter2", SPRING_DATASOURCE_URL="jdbc:postgresql://u:p@h/d"
    )
    assert (found.returncode, found.stderr) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in found.stdout.splitlines()}
    assert rows["server.port"] == "81 a.yaml:2:9"
    assert rows["server.host"] == "127.0.0.1 default"
    assert rows["redis.password"] == "*** a.yaml:4:13"
    assert rows["database.url"] == "postgresql://u:***@h:5432/d environment SPRING_DATASOURCE_URL"


def test_show_as_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RIGHT + "microservices: {a: http://a}\n")
    found = config(
        "show", "--json", folder=tmp_path, PW="hunter2", AMENDS_CONFIG="a.yaml", LOGGING_LEVEL_ROOT="WARN"
    )
    document = msgspec.json.decode(found.stdout)
    assert (found.returncode, found.stderr, document["ok"], document["faults"]) == (0, "", True, [])
    held = document["settings"]
    assert held["server.port"] == {"value": 81, "from": "file", "file": "a.yaml", "line": 2, "column": 9}
    assert held["log.level"] == {"value": "warning", "from": "environment", "variable": "LOGGING_LEVEL_ROOT"}
    assert held["server.max-body-size"] == {"value": "1MiB", "from": "default"}
    assert held["server.api-keys"]["value"] == []
    assert held["redis.ssl"]["value"] is False
    assert held["redis.host"]["value"] is None
    assert held["redis.password"]["value"] == "***"
    assert held["microservices.a.url"]["value"] == "http://a"
    assert held["microservices.a.headers"]["value"] == {}


def test_show_with_errors_shows_them_instead(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WRONG)
    found = config("show", "a.yaml", folder=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert len(found.stderr.splitlines()) == 3
    found = config("show", "a.yaml", "--json", folder=tmp_path)
    document = msgspec.json.decode(found.stdout)
    assert (found.returncode, document["ok"], document["settings"]) == (1, False, {})
    assert document["faults"][0] == {
        "severity": "error",
        "place": "a.yaml:2:9",
        "message": "server.port: 99999 is not a whole number from 1 to 65,535",
    }


def test_a_wrong_command_is_told_in_one_line(tmp_path: Path) -> None:
    for arguments, said in (
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
        (["check"], "Missing argument 'FILE'; amends --help shows what there is"),
        ([], "Missing command; amends --help shows what there is"),
    ):
        found = config(*arguments, folder=tmp_path)
        assert (found.returncode, found.stdout, found.stderr) == (2, "", f"amends: {said}\n")


def test_what_cannot_be_shown_in_ascii_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "ä.yaml").write_text("lög: 1\n")
    found = config("check", "ä.yaml", folder=tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (found.returncode, found.stderr) == (1, "")
    assert "unknown key l\\xf6g: did you mean log?" in found.stdout
