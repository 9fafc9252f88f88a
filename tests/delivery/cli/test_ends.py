"""Every verb that asks a service: how it ends when the question is wrong, nobody answers, or nobody reads."""

import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amends.delivery.cli.app import VERBS
from tests.delivery.api.serving import PATIENCE, ROOT, environment, until
from tests.delivery.cli.asking import MAIN, PLAIN, Place, at_file

VERBS_THAT_ASK = {
    "start": ["start", "order", "--data", "{}"],
    "show": ["show", "x"],
    "list": ["list"],
    "watch": ["watch"],
    "events": ["events", "x"],
    "signal": ["signal", "x", "y"],
    "cancel": ["cancel", "x", "--reason", "y"],
    "pause": ["pause", "x", "--reason", "y"],
    "resume": ["resume", "x", "--reason", "y"],
    "retry": ["retry", "x", "step", "--reason", "y"],
    "resolve": ["resolve", "x", "step", "--reason", "y", "--reply", "null"],
    "skip": ["skip", "x", "step", "--reason", "y"],
    "abandon": ["abandon", "x", "--reason", "y"],
    "definitions": ["definitions"],
    "participants": ["participants"],
    "parked": ["parked"],
    "replay": ["replay", "x", "--reason", "y"],
    "discard": ["discard", "x", "--reason", "y"],
    "diagram": ["diagram", "order"],
}
OTHERS = {
    *("demo", "serve", "migrate", "archive", "restore", "lint", "export", "bench", "config", "completion"),
}


def test_every_verb_is_here() -> None:
    assert set(VERBS_THAT_ASK) | OTHERS == set(VERBS)


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def speaking(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that says something of its own to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=PATIENCE)


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)

    return answer


# --- the question --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS_THAT_ASK)
def test_a_wrong_option_is_answered_with_the_nearest(verb: str) -> None:
    said = Place().ask(*VERBS_THAT_ASK[verb], "--jsn")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("amends: No such option: --jsn (Possible options: --json")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_almost_right_is_named(verb: str) -> None:
    said = Place().ask(f"{verb}s" if verb != "events" else "event")
    assert (said.code, f"'{verb}'" in said.err, said.err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_help(verb: str) -> None:
    said = Place().ask(verb, "--help", env=PLAIN)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: amends {verb}"[:20])


# --- nobody answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS_THAT_ASK)
def test_without_a_server_it_ends_with_3_and_one_line(refusing: str, verb: str) -> None:
    said = Place().ask(*VERBS_THAT_ASK[verb], env={"AMENDS_URL": refusing, **PLAIN})
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        f"amends: nothing listens at {refusing}; start it with amends serve, or name another with --url\n"
    )


@pytest.mark.parametrize("verb", VERBS_THAT_ASK)
def test_with_streams_closed_it_ends_the_same_way(refusing: str, verb: str) -> None:
    for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *MAIN, *VERBS_THAT_ASK[verb]]
        ended = subprocess.run(
            command, env=environment(AMENDS_URL=refusing), capture_output=True, text=True, check=False
        )
        assert (ended.returncode, "Traceback" in ended.stderr) == (3, False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("127.0.0.1:8095", "is no URL of a service; write --url http://HOST:PORT"),
        ("ftp://127.0.0.1", "is no URL of a service"),
        ("http://", "is no URL of a service"),
        ("http://127.0.0.1:99999", "is no URL of a service"),
        ("http://127.0.0.1 :80/\r\nX: y", "is no URL of a service"),
        ("http://no-such-host.invalid", "the host of http://no-such-host.invalid is not known"),
        ("http://ann:secret@127.0.0.1:1", "must not carry a user"),
        ("http://127.0.0.1:1/?key=secret", "must not carry a user"),
    ],
)
def test_a_url_that_leads_nowhere_is_said_without_what_is_secret_in_it(url: str, says: str) -> None:
    said = Place().ask("list", "--url", url)
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert says in said.err
    assert "secret" not in said.err


@pytest.mark.parametrize("key", ["sec ret", "sec\nret", "secretß"])
def test_a_key_that_cannot_be_one_is_not_shown(refusing: str, key: str) -> None:
    for said in (Place().ask("list", "--api-key", key), Place().ask("list", env={"AMENDS_API_KEY": key})):
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
        assert "API key" in said.err
        assert "ret" not in said.err.replace("secret", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP as it should (BadStatusLine)"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
            "is not Amends (200, text/html)",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
            "is not Amends (404",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n",
            "is somewhere else now (302)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
            "is not Amends (not an object)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
            "IncompleteRead",
        ),
    ],
)
def test_what_is_not_amends_is_said(text: bytes, says: str) -> None:
    with speaking(saying(text)) as port:
        said = Place().ask("show", "x", "--url", f"http://127.0.0.1:{port}")
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert says in said.err


def problem(status: int, document: object, header: str = "") -> bytes:
    body = json.dumps(document).encode()
    fields = f"Content-Type: application/problem+json\r\n{header}Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (problem(409, {"detail": "it has ended"}), 1, "it has ended"),
        (problem(401, {"title": "no key"}), 1, "no key; give the key with --api-key or AMENDS_API_KEY"),
        (problem(429, {"detail": "too much"}, "Retry-After: 2\r\n"), 1, "too much; try again in 2 s"),
        (problem(503, {"detail": "going down"}), 3, "going down"),
        (problem(422, {"detail": "no", "errors": [{"pointer": "/a", "reason": "b"}]}), 1, "no (/a: b)"),
        (problem(409, {"detail": "a\x1b[31mb\nc\u202e\x9bd"}), 1, "a\\x1b[31mb c\\u202e\\x9bd"),
    ],
)
def test_a_problem_is_one_safe_line(answer: bytes, code: int, says: str) -> None:
    with speaking(saying(answer)) as port:
        said = Place().ask("show", "x", "--url", f"http://127.0.0.1:{port}")
    assert (said.code, said.out, said.err) == (code, "", f"amends: {says}\n")


def test_tls_that_is_wrong_is_one_line(tmp_path: Path) -> None:
    with speaking(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        said = Place().ask("list", "--url", f"https://127.0.0.1:{port}")
    assert (said.code, said.err.count("\n"), "does not speak TLS" in said.err) == (3, 1, True), said.err
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-days",
        "1",
    ]
    subprocess.run(
        [*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, capture_output=True, check=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def shake(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as held:
                held.recv(1)
        except OSError:
            pass

    with speaking(shake) as port:
        said = Place().ask("list", "--url", f"https://127.0.0.1:{port}")
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "is not trusted" in said.err
    assert "SSL_CERT_FILE" in said.err


# --- nobody reads, or not as text ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = at_file(tmp_path_factory.mktemp("ends") / "sagas.db", "tests.delivery.api.errands:APPROVAL")
    data = json.dumps({"name": "\x1b[31mred\x07 \u202edlrow \x9b31m 資 é"})
    assert place.act("start", "approval", "--data", data, "--id", "s").code == 0
    hostile = "\x1b]0;title\x07\x1b[2J\r\n\u2028forged"
    assert place.act("pause", "s", "--by", hostile, "--reason", hostile).code == 0
    return place


READING = {
    "show": ["show", "s"],
    "list": ["list"],
    "events": ["events", "s"],
    "definitions": ["definitions", "approval"],
    "diagram": ["diagram", "approval"],
}


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("plain", [True, False], ids=["C", "UTF-8"])
def test_nothing_from_an_instance_reaches_the_terminal_as_it_is(
    file: Place, verb: str, json_too: list[str], *, plain: bool
) -> None:
    encoding = PLAIN if plain else {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    said = file.ask(*READING[verb], *json_too, env=encoding)
    assert (said.code, said.err) == (0, "")
    wrong = [character for character in said.out if character != "\n" and not character.isprintable()]
    assert wrong == []
    assert said.out.isascii() or not plain
    if json_too:
        json.loads(said.out)
    if verb == "show" and json_too:
        assert json.loads(said.out)["data"]["name"] == "\x1b[31mred\x07 \u202edlrow \x9b31m 資 é"


@pytest.mark.parametrize("verb", READING)
def test_a_reader_that_went_away_is_no_fault(file: Place, verb: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*MAIN, *READING[verb], *file.options]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [["watch"], ["watch", "s"], ["events", "s", "--follow"]])
def test_ctrl_c_ends_what_goes_on(file: Place, arguments: list[str]) -> None:
    with file.begun(*arguments, "--json") as process:
        assert process.stdout
        if len(arguments) > 1:
            assert process.stdout.readline()
        else:
            # It says nothing before something happens: it is ready when it has opened the file.
            _wait_for_open(process.pid, str(file.options[1]))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.strip()) == (130, "")


def _wait_for_open(pid: int, path: str) -> None:
    def look() -> bool:
        folder = Path(f"/proc/{pid}/fd")
        return any(os.path.realpath(link) == path for link in folder.iterdir() if link.is_symlink())

    until(look, f"{path} open in {pid}")


@pytest.mark.parametrize("verb", ["show", "list"])
@pytest.mark.parametrize(
    ("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_only_in_a_terminal_that_wants_them(
    file: Place, verb: str, more: dict[str, str], *, coloured: bool
) -> None:
    text = _in_terminal(file, READING[verb], {"TERM": "xterm", **more})
    assert (b"\x1b[" in text) == coloured
    assert "\x1b" not in file.ask(*READING[verb], env={"TERM": "xterm"}).out


def test_a_list_fits_into_eighty_columns_and_a_pipe_has_everything(file: Place) -> None:
    whole = file.ask("list").lines
    assert max(map(len, whole)) > 80
    headings = {
        columns: _in_terminal(file, ["list"], {"TERM": "dumb", "COLUMNS": str(columns)}).decode().splitlines()
        for columns in (200, 100, 80, 1)
    }
    assert headings[200] == whole
    for columns in (100, 80):
        assert max(map(len, headings[columns])) <= columns
    assert headings[100][0].split() == ["id", "saga", "version", "status", "position", "started", "updated"]
    assert headings[80][0].split() == ["id", "saga", "version", "status", "position", "updated"]
    assert headings[1][0].split() == ["id", "saga", "status", "updated"]
    assert headings[1][1].split()[-2].endswith("Z")
    assert "paused" in headings[1][1]


def test_a_terminal_shows_a_picture_that_ends_with_the_saga(file: Place, tmp_path: Path) -> None:
    place = at_file(tmp_path / "sagas.db", "tests.delivery.api.errands:APPROVAL")
    place.act("start", "approval", "--data", '{"name":"\\u001b[31mx"}', "--id", "p").well()
    place.act("abandon", "p", "--reason", "enough").well()
    for columns in ("1", "40", "120"):
        text = _in_terminal(place, ["watch", "p"], {"TERM": "xterm", "COLUMNS": columns, "LINES": "24"})
        assert b"\x1b[31m" not in text
        lines = text.replace(b"\x1b[2K", b"").replace(b"\x1b[J", b"").decode().splitlines()
        assert all(len(line) <= int(columns) for line in lines)
        assert ("abandoned" in text.decode()) == (columns != "1")


def _in_terminal(place: Place, arguments: list[str], env: dict[str, str]) -> bytes:
    leader, follower = pty.openpty()
    kept = {
        name: value for name, value in environment(**env).items() if name != "NO_COLOR" or "NO_COLOR" in env
    }
    with subprocess.Popen(
        [*MAIN, *arguments, *place.options],
        cwd=ROOT, env=kept, stdin=follower, stdout=follower, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(follower)
        text = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        assert process.wait(timeout=PATIENCE) == 0
    os.close(leader)
    return text


# --- what a verb pays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS_THAT_ASK)
def test_a_verb_imports_only_what_it_needs(refusing: str, verb: str) -> None:
    look = (
        "import sys; from amends.delivery.cli.app import run; "
        f"code = run({VERBS_THAT_ASK[verb]!r}); "
        "print(code, sorted(m for m in ('aiohttp', 'httptools', 'rich', 'sqlite3', 'yaml', 'amends.delivery.bench', "
        "'amends.delivery.api', 'amends.settings') if m in sys.modules))"
    )
    ended = subprocess.run(
        [MAIN[0], "-c", look],
        cwd=ROOT,
        env=environment(AMENDS_URL=refusing),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "3 []\n"


def test_bash_completes_verbs_and_options(tmp_path: Path) -> None:
    program = tmp_path / "amends"
    program.write_text(f'#!/bin/sh\nexec {" ".join(MAIN)} "$@"\n')
    program.chmod(0o755)
    script = Place().ask("completion", "bash").out

    def completed(*words: str) -> set[str]:
        asked = "\n".join(
            [
                script,
                f"COMP_WORDS=({' '.join(repr(word) for word in words)})",
                "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))",
                "_amends_completion amends",
                'printf "%s\\n" "${COMPREPLY[@]}"',
            ]
        )
        env = environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
        ended = subprocess.run(
            ["bash", "--norc", "-c", asked], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        return set(ended.stdout.split())

    assert completed("amends", "re") == {"resume", "retry", "resolve", "restore", "replay"}
    assert completed("amends", "") == set(VERBS)
    assert completed("amends", "show", "--st") == {"--store"}
    assert "stuck" in completed("amends", "list", "--status", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_of_its_shell(shell: str) -> None:
    script = Place().ask("completion", shell)
    assert (script.code, f"_AMENDS_COMPLETE=complete_{shell}" in script.out) == (0, True)
    assert Place().ask("completion", "powershel").code == 2
