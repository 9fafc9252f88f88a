"""How a response is read: the same answer in whatever pieces it comes, and nothing that is not HTTP."""

import gc
import gzip
import zlib
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from amends.adapters.http.answers import HttpAnswer
from amends.adapters.http.content_encoding import Undecodable
from amends.adapters.http.response import BrokeOff, NoAnswer, NotHttp, Response

LIMIT = 1000
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_GZIP = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"

LONG_LINES = (b"1;" + b"y" * 100 + b"\r\nx\r\n") * 999


def gzipped(body: bytes, encoding: bytes = b"gzip") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
        + body
    )


def deflated(text: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(text) + made.flush()


class Good(NamedTuple):
    """A response, its body, and what becomes of its connection."""

    about: str
    sent: bytes
    body: bytes | None
    connection: Literal["stays", "closes"]


GOOD = [
    Good("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", "stays"),
    Good("no words", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}", "stays"),
    Good("a length of nothing", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", "stays"),
    Good("no body", b"HTTP/1.1 204 No Content\r\n\r\n", b"", "stays"),
    Good("no body, whatever it says", b"HTTP/1.1 304 X\r\nContent-Length: 5000\r\n\r\n", b"", "stays"),
    Good(
        "no body, in chunks",
        b"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n",
        b"",
        "stays",
    ),
    Good("chunks", CHUNKS + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", b"{}", "stays"),
    Good("chunks and trailers", CHUNKS + b"2\r\n{}\r\n0\r\nX: y\r\nZ: z\r\n\r\n", b"{}", "stays"),
    Good(
        "what comes before",
        b"HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
        b"1",
        "stays",
    ),
    Good(
        "what comes before, with headers of its own",
        b"HTTP/1.1 103 X\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\n"
        + CHUNKS
        + b"1\r\n1\r\n0\r\n\r\n",
        b"1",
        "stays",
    ),
    Good("chunks with long lines", CHUNKS + LONG_LINES + b"0\r\n\r\n", b"x" * 999, "stays"),
    Good("gzip", gzipped(gzip.compress(b"{}")), b"{}", "stays"),
    Good("deflate", gzipped(zlib.compress(b"{}"), b"deflate"), b"{}", "stays"),
    Good("deflate without a head", gzipped(deflated(b"{}"), b"Deflate"), b"{}", "stays"),
    Good(
        "nothing, compressed",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
        b"",
        "stays",
    ),
    Good("as it is", gzipped(b"{}", b"identity"), b"{}", "stays"),
    Good("closing", b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", b"{}", "closes"),
    Good(
        "closing, in two lines",
        b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
        "closes",
    ),
    Good(
        "closing, among others",
        b"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
        "closes",
    ),
    Good("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", "closes"),
    Good(
        "HTTP/1.0 that stays",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
        "stays",
    ),
    Good("too long", b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", None, "closes"),
    Good("chunks that are too long", CHUNKS + b"3e9\r\n" + b"x" * 1001, None, "closes"),
    Good("chunks of gzip that are too long", CHUNKED_GZIP + b"3e9\r\n" + b"x" * 1001, None, "closes"),
    Good("gzip that is too long", gzipped(gzip.compress(b" " * 1001)), None, "closes"),
    Good("as long as may be", gzipped(gzip.compress(b" " * 1000)), b" " * 1000, "stays"),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.about)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_a_response_is_read_in_whatever_pieces_it_comes(case: Good, size: int) -> None:
    response = Response(LIMIT)
    answers = [
        answer
        for at in range(0, len(case.sent), size)
        if (answer := response.feed(case.sent[at : at + size])) is not None
    ]
    assert answers[0].body == case.body
    assert response.reusable == (case.connection == "stays")
    assert len(answers) == 1 or case.body is None


def test_what_the_table_of_answers_looks_at_is_there() -> None:
    sent = (
        b"HTTP/1.1 429 Slow\r\nCONTENT-TYPE: \tapplication/json \r\nretry-after: 7\r\nLocation: /x\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    assert Response(LIMIT).feed(sent) == HttpAnswer(429, "application/json", b"{}", "7", "/x")


def test_what_stands_behind_the_chunks_is_no_header() -> None:
    sent = CHUNKS + b"2\r\n{}\r\n0\r\nContent-Type: x\r\nRetry-After: 9\r\n\r\n"
    assert Response(LIMIT).feed(sent) == HttpAnswer(200, "", b"{}")


@pytest.mark.parametrize(
    ("sent", "body"),
    [(b"HTTP/1.1 200 OK\r\n\r\n{", b"{"), (b"HTTP/1.1 200 OK\r\n\r\n", b"")],
    ids=["something", "nothing"],
)
def test_without_a_length_the_end_of_the_connection_is_the_end(sent: bytes, body: bytes) -> None:
    response = Response(LIMIT)
    assert response.feed(sent) is None
    assert response.end().body == body
    assert not response.reusable


@pytest.mark.parametrize(
    "behind",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 404 X\r\nLocation: /x\r\nContent-Length: 1\r\n\r\n1\r\n",
        b"\r\n",
        b"\n",
        b"x",
        b"\0 no HTTP",
    ],
)
@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\r\n", b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (CHUNKS + b"2\r\n{}\r\n0\r\n\r\n", b"{}"),
    ],
    ids=["a length", "ends of lines", "closing", "nothing", "chunks"],
)
def test_what_stands_behind_a_response_spoils_its_connection(sent: bytes, body: bytes, behind: bytes) -> None:
    response = Response(LIMIT)
    assert response.feed(sent + behind) == HttpAnswer(200, "", body)
    assert not response.reusable


BAD = [
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"SSH-2.0-",
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/0.9 200 OK\r\n\r\n",
    b"HTTP/1.2 200 OK\r\n\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 103 X\r\n\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 200 O\0K\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0000000000000000001\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: \xd9\xa1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    CHUNKS + b"x\r\n",
    CHUNKS + b"-1\r\n",
    CHUNKS + b"1\r\n{}\r\n",
    CHUNKS + b"1" * 5000,
    CHUNKS + b"1;" + b"x" * 70_000,
    CHUNKS + b"1\n{\n0\n\n",
    CHUNKS + b"0\r\n" + b"X: y\r\n" * 20_000,
]


@pytest.mark.parametrize("sent", BAD, ids=lambda sent: repr(sent[-40:]))
def test_what_is_not_http_is_refused(sent: bytes) -> None:
    with pytest.raises(NotHttp) as refused:
        Response(LIMIT).feed(sent)
    assert len(str(refused.value)) < 150
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "sent",
    [
        gzipped(b"no gzip"),
        gzipped(gzip.compress(b"{}")[:-4]),
        gzipped(gzip.compress(b"{}") + b"more"),
        gzipped(gzip.compress(b"{}"), b"br"),
    ],
    ids=["other", "early", "late", "unknown"],
)
def test_what_is_not_encoded_as_it_says_is_told(sent: bytes) -> None:
    with pytest.raises(Undecodable):
        Response(LIMIT).feed(sent)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", NoAnswer),
        (b"HT", BrokeOff),
        (b"HTTP/1.1 100 Continue\r\n\r\n", NoAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", BrokeOff),
        (CHUNKS + b"2\r\n{}\r\n", BrokeOff),
        (CHUNKS + b"2\r\n{}\r\n0\r\n", BrokeOff),
    ],
)
def test_an_end_that_comes_too_early_is_told(sent: bytes, error: type[Exception]) -> None:
    response = Response(LIMIT)
    if sent:
        assert response.feed(sent) is None
    with pytest.raises(error):
        response.end()
    assert not response.reusable


def test_what_stands_behind_a_body_that_is_too_long_does_not_matter() -> None:
    sent = CHUNKS + b"3e9\r\n" + b"x" * 1001 + b"no chunk"
    assert outcome([sent]) == outcome([sent[at : at + 1] for at in range(len(sent))])
    assert outcome([sent]) == HttpAnswer(200, "", None)


def test_a_response_that_is_whole_leaves_nothing_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            assert Response(LIMIT).feed(CHUNKS + b"0\r\n\r\n") is not None
        assert gc.collect() < 100
    finally:
        gc.enable()


@settings(max_examples=300, deadline=None)
@given(
    scraps=st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"Content-Length: 2\r\n",
                b"Content-Encoding: gzip\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"\r\n",
                b"2\r\n",
                b"0\r\n",
                b"{}",
                b" ",
                b"\xff\0",
                b":",
            ]
        )
        | st.binary(max_size=9),
        max_size=12,
    )
)
def test_anything_is_an_answer_or_one_of_the_four_errors(scraps: list[bytes]) -> None:
    assert outcome([b"".join(scraps)]) == outcome(scraps)


def outcome(pieces: list[bytes]) -> object:
    response = Response(LIMIT)
    try:
        for piece in pieces:
            if piece and (answer := response.feed(piece)) is not None:
                return answer
        return response.end()
    except (NoAnswer, BrokeOff, NotHttp, Undecodable) as error:
        return type(error).__name__
