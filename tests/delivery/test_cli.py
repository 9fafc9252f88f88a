"""How the command line begins and ends: what is wrong with a command in one line, and exits that scripts can trust."""

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from amends import __version__
from amends.definition import RULES

ROOT = Path(__file__).resolve().parents[2]
DEMOS = sorted(found.parent.name for found in (ROOT / "examples").glob("*/demo.py"))
AMENDS = [sys.executable, "-m", "amends.delivery.cli.main"]
PLAIN = {"LC_ALL": "C", "LANG": "C", "COLUMNS": "1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), **more}


def amends(
    *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AMENDS, *arguments], cwd=cwd, env=env or environment(), capture_output=True, text=True, check=False
    )


def assert_refused(found: subprocess.CompletedProcess[str], complaint: str) -> None:
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == f"amends: {complaint}\n"


# --- what is wrong with a command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["dmo"], "No such command 'dmo'. Did you mean 'demo'?"),
        (["xyzzy"], "No such command 'xyzzy'; amends --help shows what there is"),
        (["--versoin"], "No such option: --versoin (Possible options: --version)"),
        (["demo", "order", "--jsn"], "No such option: --jsn (Possible options: --json)"),
        (["demo"], "Missing argument 'NAME'; amends --help shows what there is"),
        (["demo", "ordr"], "no demo is named 'ordr'; did you mean 'order'?"),
        (["demo", "../order"], "no demo is named '../order'; did you mean 'order'?"),
        (["demo", "xyzzy"], f"no demo is named 'xyzzy'; there is {', '.join(DEMOS)}"),
        (["lint"], "Missing argument 'MODULE:SAGA'; amends --help shows what there is"),
        (["\x1b[31m"], "No such command '\\x1b[31m'; amends --help shows what there is"),
    ],
)
def test_a_wrong_command_is_answered_in_one_line_with_the_nearest_name(
    arguments: list[str], complaint: str
) -> None:
    assert_refused(amends(*arguments), complaint)


def test_version_and_help_say_what_there_is() -> None:
    assert amends("--version").stdout == f"amends {__version__}\n"
    for found in (amends(), amends("--help")):
        assert found.returncode == 0
        assert "Begin with: amends demo order" in found.stdout
        assert all(f"  {verb} " in found.stdout for verb in ("demo", "lint"))
    assert "--directory DIR" in amends("demo", "--help").stdout


def test_the_bare_library_says_which_extra_is_missing(tmp_path: Path) -> None:
    (tmp_path / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    # -S leaves out site-packages: what is there is the library and its one dependency.
    bare = [sys.executable, "-S", "-m", "amends.delivery.cli.main", "demo", "order"]
    env = environment(PYTHONPATH=os.pathsep.join([str(ROOT / "src"), str(tmp_path)]))
    found = subprocess.run(bare, env=env, capture_output=True, text=True, check=False)
    assert_refused(found, 'the command line is an extra of the library: pip install "amends[server]"')


def test_without_the_checkout_it_says_where_the_demos_are(tmp_path: Path) -> None:
    copied = shutil.copytree(ROOT / "src" / "amends", tmp_path / "lib" / "amends")
    found = amends("demo", "order", cwd=tmp_path, env=environment(PYTHONPATH=str(copied.parent)))
    assert_refused(
        found,
        "the demos live in the source checkout, not in the installed library: clone it and run make demo there",
    )


# --- how it ends -----------------------------------------------------------------------------------------------


def test_a_reader_that_went_away_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run(
        [*AMENDS, "--help"], env=environment(), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(closed: str) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *AMENDS]
    for arguments, code in ((["--version"], 0), (["dmo"], 2)):
        found = subprocess.run(
            [*command, *arguments], env=environment(), capture_output=True, text=True, check=False
        )
        assert found.returncode == code
        assert "Traceback" not in found.stderr


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text("import signal\nprint('here', flush=True)\nsignal.pause()\n")
    with subprocess.Popen(
        [*AMENDS, "lint", "waiting:saga"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors.strip()) == (130, "")


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["caf\xe9"], ["--version"]])
def test_a_terminal_of_one_column_and_no_language_gets_plain_text(arguments: list[str]) -> None:
    """Through a real terminal, not a pipe: that is where frames and colours would come from."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*AMENDS, *arguments], env=environment(**PLAIN), stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        output = read_terminal(controller)
    assert process.returncode == (2 if arguments == ["caf\xe9"] else 0)
    assert output
    assert output.isascii()
    assert b"\x1b" not in output
    assert b"Traceback" not in output


def read_terminal(controller: int) -> bytes:
    pieces: list[bytes] = []
    # Linux says OSError when the other side of a terminal has been closed.
    with contextlib.suppress(OSError):
        while piece := os.read(controller, 4096):
            pieces.append(piece)
    os.close(controller)
    return b"".join(pieces)


# --- lint ------------------------------------------------------------------------------------------------------

DEFINITIONS = """
from amends import Command, Participant, Saga, Step, sequence

shop = Participant("shop")

def sell(data: dict) -> Command[None]:
    return Command("sell", data)

sale = Step("sell", shop, do=sell, kind="pivot")
good = Saga("good", version=1, data=dict, body=sequence(sale))
warned = Saga("warned", version=2, data=dict, body=Step("sell", shop, do=sell, no_undo="it is gone"))
bad = Saga("bad", version=1, data=dict, body=sequence(sale, Step("sell", shop, do=sell, kind="pivot")))
number = 7

class Shop:
    saga = good
"""


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(DEFINITIONS)
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('out of\\norder')\n")
    return tmp_path


def test_lint_shows_what_is_wrong_why_and_how_to_mend_it(definitions: Path) -> None:
    found = amends("lint", "shop:good", "shop:bad", cwd=definitions)
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.splitlines() == [
        "good version 1 (shop:good): nothing found",
        "bad version 1 (shop:bad): 2 errors, 0 warnings",
        "  error    AM009  bad/sell: the name 'sell' stands at bad/sell already",
        "           why:  command ids and step paths are made of names, so a name must be there once",
        "           mend: rename one of them",
        "  error    AM004  bad/sell: a second pivot in one path",
        f"           why:  {RULES['AM004'].why}",
        '           mend: keep one pivot and make the later one kind="retriable"',
    ]


def test_lint_warns_without_failing_and_finds_a_saga_inside_a_class(definitions: Path) -> None:
    found = amends("lint", "shop:warned", "shop:Shop.saga", cwd=definitions)
    assert found.returncode == 0
    assert "warned version 2 (shop:warned): 0 errors, 1 warning" in found.stdout


def test_a_module_stands_for_all_its_sagas(definitions: Path) -> None:
    found = amends("lint", "shop", cwd=definitions)
    heads = [line for line in found.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in heads] == ["good", "warned", "bad"]
    assert found.returncode == 1


def test_lint_as_a_document(definitions: Path) -> None:
    found = amends("lint", "--json", "shop:warned", "shop:bad", cwd=definitions)
    document = msgspec.json.decode(found.stdout)
    assert (found.returncode, document["ok"]) == (1, False)
    warned, bad = document["sagas"]
    assert {key: warned[key] for key in ("target", "saga", "version")} == {
        "target": "shop:warned",
        "saga": "warned",
        "version": 2,
    }
    assert [(f["code"], f["severity"], f["place"]) for f in warned["findings"]] == [
        ("AM024", "warning", "warned/sell")
    ]
    assert {finding["severity"] for finding in bad["findings"]} == {"error"}
    assert all(finding[key] for finding in bad["findings"] for key in ("what", "why", "mend"))


def test_the_demos_own_saga_has_no_errors() -> None:
    assert amends("lint", "examples.order.saga:ORDER").returncode == 0


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("", "'' names no sagas; write MODULE or MODULE:SAGAS, such as shop.orders:place_order"),
        (":good", "':good' names no sagas; write MODULE or MODULE:SAGAS, such as shop.orders:place_order"),
        ("amends.core", "amends.core has no saga"),
        ("shop:godo", "shop:godo: godo is not there; did you mean shop:good?"),
        ("shop:x", "shop:x: x is not there; the sagas of shop are good, warned, bad"),
        (
            "shop:number",
            "shop:number: number is of type int, not a Saga; the sagas of shop are good, warned, bad",
        ),
        ("amends:Saga", "amends:Saga: Saga is of type type, not a Saga; amends has no saga"),
        ("nowhere:saga", "nowhere cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("broken:saga", "broken cannot be imported: RuntimeError: out of"),
        ("leaving:saga", "leaving cannot be imported: SystemExit: 3"),
    ],
)
def test_lint_says_why_a_target_cannot_be_looked_at(definitions: Path, target: str, complaint: str) -> None:
    assert_refused(amends("lint", target, cwd=definitions), complaint)
