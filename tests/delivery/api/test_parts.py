"""The parts of the door that need no process: shares of descriptors, cursors, log lines, what a client takes."""

import io
import json
import logging
import stat
from pathlib import Path

import pytest

from amends.delivery.api.cursor import KEY_BYTES, Cursors, Forged, KeyUnusable, key_beside
from amends.delivery.api.descriptors import Share, TooFew, split
from amends.delivery.api.exposition import escaped
from amends.delivery.api.logs import JsonLines, TextLines
from amends.delivery.api.problem import Problem
from amends.delivery.api.rates import MOST_CLIENTS, TELL_EVERY, Rates
from amends.wire.trace_parent import trace_of

# --- descriptors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "connections", "participants", "share"),
    [
        (2_000, 1_000, 4, Share(clients=1_000, per_participant=100)),
        (600, 1_000, 4, Share(clients=300, per_participant=75)),
        (30, 1_000, 4, Share(clients=18, per_participant=3)),
        (8, 1_000, 4, Share(clients=4, per_participant=1)),
        (30, 1_000, 0, Share(clients=30, per_participant=1)),
        (2_000, 3, 1, Share(clients=3, per_participant=100)),
    ],
)
def test_descriptors_are_shared(free: int, connections: int, participants: int, share: Share) -> None:
    found = split(free, connections=connections, participants=participants, lane_width=100)
    assert found == share
    assert found.clients + participants * found.per_participant <= free


def test_too_few_descriptors_are_refused_with_how_many_are_missing() -> None:
    with pytest.raises(TooFew, match="raise it by at least 2"):
        split(6, connections=1_000, participants=4, lane_width=100)


# --- cursors ---------------------------------------------------------------------------------------------------


def test_a_cursor_comes_back_for_its_query_and_its_key_alone() -> None:
    cursors = Cursors(b"k" * KEY_BYTES)
    cursor = cursors.write(b"place", b"query")
    assert cursors.read(cursor, b"query") == b"place"
    for forged in ("", "A", cursor[:-1], cursor + "A", cursor + "=", f" {cursor}", cursor.lower(), "ü"):
        with pytest.raises(Forged):
            cursors.read(forged, b"query")
    with pytest.raises(Forged):
        cursors.read(cursor, b"another")
    with pytest.raises(Forged):
        Cursors(b"l" * KEY_BYTES).read(cursor, b"query")


def test_the_key_is_made_once_for_its_owner_alone_and_anew_when_it_is_broken(tmp_path: Path) -> None:
    store = str(tmp_path / "sagas.db")
    first = key_beside(store)
    path = tmp_path / "sagas.db.cursor-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key_beside(store) == first
    path.write_bytes(b"half")
    assert len(key_beside(store)) == KEY_BYTES
    assert key_beside(None) != key_beside(None)
    with pytest.raises(KeyUnusable, match="cursor-key"):
        key_beside(str(tmp_path / "none" / "sagas.db"))


# --- logs ------------------------------------------------------------------------------------------------------

NASTY = "a\r\n2026 ERROR forged\x1b[31m\u202e\u2028\ud800"


def written(formatter: logging.Formatter, **extra: str) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    record = logging.LogRecord("amends.engine", logging.WARNING, "", 0, "saga %s", (NASTY,), None)
    vars(record).update(extra)
    handler.emit(record)
    return stream.getvalue()


def test_a_text_line_is_one_line_with_its_fields() -> None:
    line = written(TextLines(), saga=NASTY, request="7f")
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    assert " WARNING amends.engine: saga a\\r\\n2026 ERROR forged\\x1b[31m\\u202e\\u2028\\ud800 [" in line
    assert line.endswith("request=7f]\n")


def test_a_json_line_is_one_document() -> None:
    line = written(JsonLines(), saga=NASTY)
    assert line.count("\n") == 1
    document = json.loads(line)
    assert (document["level"], document["logger"]) == ("warning", "amends.engine")
    assert document["saga"].isprintable()
    assert "request" not in document


def test_a_trace_stands_below_its_line_indented() -> None:
    with pytest.raises(ValueError, match="forged") as broken:
        int(NASTY)
    told = (broken.type, broken.value, broken.tb)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "broke", (), told)
    first, *rest = TextLines().format(record).splitlines()
    assert first.endswith("ERROR x: broke")
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert "ValueError" in json.loads(JsonLines().format(record))["exception"]


# --- rates ---------------------------------------------------------------------------------------------------


def test_a_bucket_holds_a_second_and_fills_up_again() -> None:
    now = [100.0]
    rates = Rates(3, now=lambda: now[0])
    for _ in range(3):
        rates.check("a")
    with pytest.raises(Problem):
        rates.check("a")
    with pytest.raises(Problem) as refused:
        rates.check("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    rates.check("b")
    now[0] += 0.4
    rates.check("a")
    with pytest.raises(Problem):
        rates.check("a")
    now[0] += 1_000
    for _ in range(3):
        rates.check("a")
    with pytest.raises(Problem):
        rates.check("a")


def test_refusals_are_told_in_one_line_now_and_then() -> None:
    now = [0.0]
    rates = Rates(1, now=lambda: now[0])
    told: list[int] = []
    for _ in range(5):
        try:
            rates.check("a")
        except Problem:
            told.append(rates.untold())
    assert told == [1, 0, 0, 0]
    now[0] += TELL_EVERY
    assert rates.untold() == 3


def test_clients_are_not_remembered_for_ever_and_no_limit_is_no_limit() -> None:
    rates = Rates(1, now=lambda: 0.0)
    for number in range(MOST_CLIENTS + 1):
        rates.check(f"client-{number}")
    rates.check("client-0")
    with pytest.raises(Problem):
        rates.check(f"client-{MOST_CLIENTS}")
    free = Rates(0, now=lambda: 0.0)
    for _ in range(1_000):
        free.check("a")


# --- the rest --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "trace"),
    [
        ("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", "ab" * 16),
        ("00-" + "AB" * 16 + "-" + "cd" * 8 + "-01", ""),
        ("ff-" + "ab" * 16 + "-" + "cd" * 8 + "-01", ""),
        ("00-" + "00" * 16 + "-" + "cd" * 8 + "-01", ""),
        ("00-" + "ab" * 16 + "-" + "00" * 8 + "-01", ""),
        ("", ""),
    ],
)
def test_a_traceparent_is_good_or_it_is_nothing(parent: str, trace: str) -> None:
    assert trace_of(parent) == trace


def test_a_label_cannot_break_out() -> None:
    assert escaped('a"} 1\nb\\') == 'a\\"} 1\\nb\\\\'
