"""The strict reader: each thing that two readers could understand differently, and where it is said to be."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from amends.wire.strict_json import BadJson, NotAnObject, check_document, read_object


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body is empty"),
        (b" \r\n\t", "body is empty"),
        (b'{"a": NaN}', "NaN is not JSON at /a"),
        (b'{"a": [1, -Infinity]}', "-Infinity is not JSON at /a/1"),
        (b'{"a": 1e400}', "number out of range at /a"),
        (b'{"a": -1e400}', "number out of range at /a"),
        (b'{"a": {"b": %s}}' % (b"9" * 5_000), "number out of range at /a/b"),
        (b'{"a": 1, "b": 2, "a": 3}', 'the key "a" stands twice at /a'),
        (b'{"x": [{"a": 1, "\\u0061": 3}]}', 'the key "a" stands twice at /x/0/a'),
        (b'{"a/b~c": NaN}', "NaN is not JSON at /a~1b~0c"),
        (b'{"a": ["x\\u0000y"]}', "a string contains the character NUL at /a/0"),
        (b'{"a\\u0000": 1}', "a string contains the character NUL at /a\\x00"),
        (b'{"a": "\\ud800"}', "a string contains half a surrogate pair at /a"),
        (b'{"a": "\\uDC00\\uD800"}', "a string contains half a surrogate pair at /a"),
        (b'{"a": 1,\n "b": "\xff"}', "not UTF-8 at line 2, column 8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8 at line 1, column 8"),
        (b"\xef\xbb\xbf{}", "a byte order mark stands before the document at line 1, column 1"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64 levels"),
        (b"[" + b"[{}]," * 100 + b"[" * 64 + b"]" * 65, "nested deeper than 64 levels"),
    ],
)
def test_what_is_refused_and_where(body: bytes, reason: str) -> None:
    with pytest.raises(BadJson) as refused:
        read_object(body)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b'{"a": 1', 1, 8),
        (b'{\n  "a": 1,\n}', 3, 1),
        (b'{"a": 01}', 1, 8),
        (b"{} {}", 1, 4),
        (b"<html>", 1, 1),
        (b'{"a": "x\ny"}', 1, 9),
        (b"{" + b'"a":[],' * 200, 1, 1402),
    ],
)
def test_a_fault_of_syntax_has_a_line_and_a_column(body: bytes, line: int, column: int) -> None:
    with pytest.raises(BadJson) as refused:
        read_object(body)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert refused.value.pointer is None


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true"])
def test_only_an_object_will_do(body: bytes) -> None:
    with pytest.raises(NotAnObject, match="object expected"):
        read_object(body)


@pytest.mark.parametrize("body", ["{}".encode("utf-16"), "{}".encode("utf-32")])
def test_other_encodings_are_refused(body: bytes) -> None:
    with pytest.raises(BadJson):
        read_object(body)


def test_the_echo_of_foreign_text_is_bounded() -> None:
    key = b"k" * 5_000
    with pytest.raises(BadJson) as refused:
        read_object(b'{"%s": 1, "%s": 2}' % (key, key))
    assert len(refused.value.reason) <= 130
    assert len(refused.value.pointer or "") <= 100


def test_brackets_in_strings_are_no_nesting() -> None:
    text = "[" * 500 + '\\"' + "{" * 500
    assert read_object(json.dumps({"a": text, "b": '"[' * 100}).encode())["a"] == text


def test_64_levels_are_taken() -> None:
    for body in (b'{"a":' * 64 + b"1" + b"}" * 64, b'{"b":[],"a":' + b"[" * 63 + b"]" * 63 + b"}"):
        read_object(body)
        check_document(body)


def test_pairs_of_surrogates_are_taken() -> None:
    assert read_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def acceptable(value: object) -> bool:
    return "\\u0000" not in json.dumps(value)


@settings(max_examples=50)
@given(document=st.dictionaries(st.text(), values).filter(acceptable), ascii_only=st.booleans())
def test_good_json_is_read_as_it_is(*, document: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert read_object(body) == document
    check_document(body)


@given(st.binary())
def test_whatever_comes_only_bad_json_is_raised(body: bytes) -> None:
    for read in (read_object, check_document):
        said = ""
        try:
            read(body)
        except BadJson as refused:
            said = str(refused)
        assert said.isprintable()
        assert len(said) <= 200


@given(st.text(alphabet='[]{}",:\\u0d8ceNa1. \n', max_size=200))
def test_the_two_readers_agree(text: str) -> None:
    """All that the thorough one takes the quick one takes; what only the quick one takes has a key twice."""
    body = text.encode()
    thorough = quick = True
    reason = ""
    try:
        read_object(body)
    except NotAnObject:
        pass
    except BadJson as refused:
        thorough, reason = False, refused.reason
    try:
        check_document(body)
    except BadJson:
        quick = False
    assert thorough == quick or "twice" in reason
