"""A file that is not what it should be: each is refused with its place, on one line, and quickly."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from amends.settings import examine
from amends.settings.document import MOST_ALIASES, MOST_BYTES, MOST_DEPTH, MOST_NODES

LARGEST = b"log: [" + b"a, " * (MOST_NODES - 10) + b"]"
"""About as much as is read of any file."""
QUICK = 2.5
"""A refusal may take so many times as long as that: slow machines are slow with both."""


def faults_of(content: bytes, folder: Path) -> list[str]:
    (folder / "a.yaml").write_bytes(content)
    examined = examine(str(folder / "a.yaml"), {})
    assert all(str(fault).isprintable() for fault in examined.faults)
    return [str(fault).removeprefix(f"{folder}/") for fault in examined.faults]


@dataclass(frozen=True)
class Case:
    name: str
    content: bytes
    said: str


NOT_YAML = [
    Case("tab", b"server:\n\tport: 1\n", "a.yaml:2:1: a tab: YAML is indented with spaces"),
    Case("tab behind", b"server: 1\n\tport: 1\n", "a.yaml:2:1: a tab: YAML is indented with spaces"),
    Case(
        "BOM", b"\xef\xbb\xbfserver:\n", "a.yaml:1:1: begins with a byte order mark (UTF-8): save it as UTF-8"
    ),
    Case("UTF-16", "server:".encode("utf-16"), "a.yaml:1:1: begins with a byte order mark (UTF-16)"),
    Case("Latin-1", "log:\n  ä".encode("latin-1"), "a.yaml:2:3: byte 0xe4 is not UTF-8"),
    Case("Latin-1 behind text", "log: öä\r\n# ü: \xff".encode()[:-1], "a.yaml:2:6: byte 0xc3 is not UTF-8"),
    Case("NUL", b"log: \0", "a.yaml:1:6: the character U+0000 may not stand here"),
    Case("escape", b"log:\n a: \x1b[31m", "a.yaml:2:5: the character U+001B may not stand here"),
    Case("BOM inside", "log: \ufeff1".encode(), "a.yaml:1:6: the character U+FEFF may not stand here"),
    Case("bracket", b"server: [1", "a.yaml:2:1: is not YAML: did not find expected"),
    Case("quote", b'log: "x\nb: 1\n', "a.yaml:3:1: is not YAML: found unexpected end of stream"),
    Case(
        "indent",
        b"log:\n  level: info\n   format: text\n",
        "a.yaml:3:10: is not YAML: mapping values are not",
    ),
    Case(
        "colon",
        b"log: level: info\n",
        "a.yaml:1:11: is not YAML: mapping values are not allowed in this context",
    ),
    Case(
        "surrogate", b'log: "\\ud800"', "a.yaml:1:9: is not YAML: found invalid Unicode character escape code"
    ),
    Case("anchor", b"log: *nothing", "a.yaml:1:6: the alias *nothing has no anchor &nothing before it"),
    Case("own anchor", b"log: &a [*a]", "a.yaml:1:10: the alias *a has no anchor &a before it"),
    Case("two documents", b"log:\n---\nlog:\n", "a.yaml:2:1: a second document: one file is one document"),
    Case("version", b"%YAML 3.0\n---\nlog:\n", "a.yaml:1:1: is not YAML: found incompatible YAML document"),
    Case("list", b"- server\n", "a.yaml:1:1: keys and values are expected: KEY: VALUE"),
    Case("text", b"server\n", "a.yaml:1:1: keys and values are expected: KEY: VALUE"),
    Case("binary", bytes(range(128, 256)), "a.yaml:1:1: byte 0x80 is not UTF-8"),
]


@pytest.mark.parametrize("case", NOT_YAML, ids=lambda case: case.name)
def test_what_is_not_yaml_is_told_with_line_and_column(case: Case, tmp_path: Path) -> None:
    (found,) = faults_of(case.content, tmp_path)
    assert found.startswith(case.said)


INSIDE = [
    Case(
        "tag",
        b"log: !!python/object/apply:os.system ['x']",
        "a.yaml:1:6: the tag tag:yaml.org,2002:python/object/ap",
    ),
    Case(
        "harmless tag", b"log: {level: !!str info}", "a.yaml:1:14: the tag tag:yaml.org,2002:str is not taken"
    ),
    Case(
        "merge", b"log: {<<: {level: info}}", "a.yaml:1:7: merge keys (<<) are not taken: write the keys out"
    ),
    Case("complex key", b"? [a]\n: 1\n", "a.yaml:1:3: a key is a word, not a list or a mapping"),
    Case(
        "twice",
        b"log:\n  level: info\n\n  level: debug\n",
        "a.yaml:4:3: the key level is there twice, first in line 2",
    ),
    Case("section twice", b"log:\nsaga:\nlog:\n", "a.yaml:3:1: the key log is there twice, first in line 1"),
    Case(
        "two spellings",
        b"server:\n  max_wait: 1s\n  max-wait: 1s\n",
        "a.yaml:3:3: the key max-wait is there twice, first in line 2",
    ),
]


@pytest.mark.parametrize("case", INSIDE, ids=lambda case: case.name)
def test_what_is_refused_inside_is_told_with_line_and_column(case: Case, tmp_path: Path) -> None:
    assert any(found.startswith(case.said) for found in faults_of(case.content, tmp_path))


def laughs() -> bytes:
    """Each line ten times the one before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


BOMBS = [
    Case("laughs", laughs(), f"more than {MOST_NODES:,} values, keys and lists"),
    Case("aliases", b"a: &a 1\nb: [" + b"*a, " * 5_000 + b"]", f"more than {MOST_ALIASES} aliases"),
    Case("3,000 deep", b"a: " + b"[" * 3_000, f"is more than {MOST_DEPTH} levels deep"),
    Case("100,000 deep", b"[" * 100_000, f"is more than {MOST_DEPTH} levels deep"),
    Case("deep mappings", b"{a: " * 3_000, f"is more than {MOST_DEPTH} levels deep"),
    Case("deep blocks", b"- " * 3_000, f"is more than {MOST_DEPTH} levels deep"),
    Case("question marks", b"? " * 3_000, f"is more than {MOST_DEPTH} levels deep"),
    Case(
        "many keys",
        b"".join(b"k%d: 1\n" % n for n in range(20_000)),
        f"more than {MOST_NODES:,} values, keys",
    ),
    Case("long", b"#" * (MOST_BYTES + 1), f"is longer than {MOST_BYTES:,} bytes"),
    Case("long key", b"a" * (MOST_BYTES - 10) + b": 1", "mapping values are not allowed in this context"),
    Case("unclosed", b'"' + b"a " * 100_000, "found unexpected end of stream"),
    Case("many unknown", b"".join(b"k%d: 1\n" % n for n in range(2_400)), "unknown key k0"),
]


@pytest.mark.parametrize("case", BOMBS, ids=lambda case: case.name)
def test_a_bomb_is_refused_at_once(case: Case, tmp_path: Path) -> None:
    found = faults_of(case.content, tmp_path)
    assert case.said in found[0]
    assert len(found[0]) < 500
    took, largest = spent(case.content, tmp_path), spent(LARGEST, tmp_path)
    assert took <= QUICK * largest, f"{took * 1000:.0f} ms, the largest file {largest * 1000:.0f} ms"


def spent(content: bytes, folder: Path) -> float:
    """Return the reader's own time: the garbage of other tests may be collected meanwhile, so the best of three."""
    took: list[float] = []
    for _try in range(3):
        began = time.process_time()
        faults_of(content, folder)
        took.append(time.process_time() - began)
    return min(took)


def test_what_is_at_its_bound_is_read(tmp_path: Path) -> None:
    names = ", ".join(["*n"] * (MOST_ALIASES - 1))
    content = f"kafka: {{bootstrap-servers: [&n 'a:1', {names}]}}\n"
    content += "#" * (MOST_BYTES - len(content.encode()))
    assert faults_of(content.encode(), tmp_path) == []


def test_aliases_give_their_anchors_value(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("redis: {port: &p 7000}\nserver: {port: *p}\n")
    assert examine(str(tmp_path / "a.yaml"), {}).use().server.port == 7000


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"# nothing\n", b"---\n", b"server:\n", b"server: {}\n", b"--- {}\n...\n"]
)
def test_nothing_is_the_defaults(content: bytes, tmp_path: Path) -> None:
    assert faults_of(content, tmp_path) == []


def test_a_file_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.yaml")
    said = {
        str(tmp_path): "is a directory, not a file",
        absent: "there is no such file",
        f"{absent}/below": "there is no such file",
        "a\0b": "cannot be read: embedded null byte",
        "a" * 5_000: "cannot be read: File name too long",
    }
    for name, expected in said.items():
        (fault,) = examine(name, {}).faults
        assert fault.message == expected
        assert str(fault).isprintable()


def test_a_file_that_may_not_be_read_is_told_in_one_line() -> None:
    """Nobody may read another process's memory this way, not even root: its first page is not there."""
    (fault,) = examine("/proc/self/mem", {}).faults
    assert fault.message.startswith(("cannot be read: ", "may not be read"))


def test_a_pipe_may_be_the_file(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"server: {port: 81}\n")
    os.close(write)
    assert examine(f"/dev/fd/{read}", {}).use().server.port == 81
    os.close(read)
