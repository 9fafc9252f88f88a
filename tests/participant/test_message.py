"""What can be read of a command, and what is refused before anything is done."""

import pytest

from amends.participant import BadMessage, strict_json
from amends.participant.handlers import PayloadUnfit, do, handlers
from amends.participant.message import Command, parse_command
from tests.participant.counter import Change, act, command, handler

HEADERS = {
    "Idempotency-Key": "shop:s1/reserve[1]/do/1",
    "Amends-Saga-Id": "s1",
    "Amends-Namespace": "shop",
    "Amends-Step": "reserve[%C3%A4%25]",
    "Amends-Direction": "do",
    "Amends-Round": "1",
    "Amends-Attempt": "3",
    "Amends-Reply-To": "http://localhost/replies",
    "traceparent": "garbage",
}


def parsed(**changed: str | None) -> Command:
    named = {name.lower().replace("-", "_"): name for name in HEADERS}
    headers = {**HEADERS, **{named[key]: value for key, value in changed.items()}}
    present = [(name, value) for name, value in headers.items() if value is not None]
    return parse_command(name="add", headers=present, body=b'{"by": 1}')


def test_a_command_is_read_from_headers_and_body() -> None:
    assert parsed() == Command(
        command_id="shop:s1/reserve[1]/do/1",
        namespace="shop",
        saga_id="s1",
        step="reserve[ä%]",
        direction="do",
        round=1,
        attempt=3,
        name="add",
        payload={"by": 1},
        reply_to="http://localhost/replies",
        traceparent="garbage",
    )


def test_the_namespace_defaults() -> None:
    assert parsed(amends_namespace=None).namespace == "default"


@pytest.mark.parametrize(
    "changed",
    [
        {"idempotency_key": None},
        {"idempotency_key": ""},
        {"idempotency_key": "x" * 10_000},
        {"idempotency_key": "ä"},
        {"amends_saga_id": None},
        {"amends_step": None},
        {"amends_step": "%ff"},
        {"amends_direction": "redo"},
        {"amends_round": "0"},
        {"amends_round": "-1"},
        {"amends_round": "1.0"},
        {"amends_round": "²"},
        {"amends_attempt": "9" * 5000},
        {"amends_attempt": None},
    ],
)
def test_bad_headers_are_named(changed: dict[str, str | None]) -> None:
    (name,) = changed
    with pytest.raises(BadMessage, match=name.replace("_", "-").title()):
        parsed(**changed)


def test_a_header_that_stands_twice_is_refused() -> None:
    twice = [*HEADERS.items(), ("idempotency-key", "another")]
    with pytest.raises(BadMessage, match="stands twice"):
        parse_command(name="add", headers=twice, body=b"{}")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b'{"a": ', "line 1, column"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e400}', "out of range"),
        (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"a": 1, "a": 2}', 'the key "a" stands twice'),
        (b"[" * 100_000, "64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "64 levels"),
        (b'{"a": [{"b": "\\u0000"}]}', "NUL at /a/0/b"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
    ],
)
def test_bad_json_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        strict_json.parse(body)


@pytest.mark.parametrize(
    "body", [b'{"[[[{{{": "]]\\"}}[[["}', b"[[1, 2.5], null, true]", b'"\\ud83d\\ude00"']
)
def test_good_json_is_read(body: bytes) -> None:
    assert strict_json.parse(body) is not None


def test_a_payload_that_does_not_fit_is_told_apart_from_bad_json() -> None:
    with pytest.raises(PayloadUnfit, match="unknown field `of`"):
        handler("add").read({"by": 1, "of": 2})


def test_a_direction_that_is_not_the_commands_is_refused() -> None:
    with pytest.raises(BadMessage, match="add is do"):
        handler("add").act_on(command("undo"))


def test_two_handlers_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="same name"):
        handlers(do("add", Change, act), do("add", Change, act))
