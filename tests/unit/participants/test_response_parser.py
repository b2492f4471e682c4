from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.http.participants.response_parser import ResponseHeadCache, ResponseParser

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nabcde"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX-A: interim\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-A: trailer\r\n\r\n"
)
WHOLE = {
    LENGTH: Response(200, {"content-length": "5", "x-a": "1, 2"}, b"abcde"),
    CHUNKED: Response(200, {"transfer-encoding": "chunked"}, b"abcde"),
}


def reader(
    max_body: int = 100, *, head_only: bool = False, known: ResponseHeadCache | None = None
) -> ResponseParser:
    fresh = ResponseParser(max_body, ResponseHeadCache() if known is None else known)
    fresh.begin(head_only=head_only)
    return fresh


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
@given(cuts=st.lists(st.integers(0, 200)))
def test_a_reply_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    subject = reader()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    replies = [subject.feed(data[a:b]) for a, b in pairwise(edges) if a < b]

    assert replies == [None] * (len(replies) - 1) + [WHOLE[data]]
    assert subject.keep_alive


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
def test_incomplete_reply_is_no_reply(data: bytes) -> None:
    for end in range(1, len(data)):
        subject = reader()
        assert subject.feed(data[:end]) is None
        with pytest.raises(httpx.RemoteProtocolError):
            subject.finish()


def test_replies_follow_one_another() -> None:
    subject = reader()
    subject.feed(LENGTH)
    subject.begin(head_only=False)

    assert subject.feed(CHUNKED) == WHOLE[CHUNKED]


def test_reply_keeps_its_headers_when_surplus_bytes_arrive() -> None:
    subject = reader()

    reply = subject.feed(LENGTH + b"HTTP/1.1 500 No\r\nX-A: 3\r\n\r\n")

    assert reply == WHOLE[LENGTH]
    assert not subject.keep_alive


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_an_error(data: bytes) -> None:
    subject = reader()
    try:
        reply = subject.feed(b"HTTP/1.1 200 OK\r\n" + data) or subject.finish()
    except httpx.RemoteProtocolError:
        return
    assert (reply.status, reply.too_large) == (200, len(reply.body) > 100)


def test_a_reply_to_head_is_whole_after_its_head() -> None:
    subject = reader(head_only=True)

    reply = subject.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

    assert reply == Response(200, {"content-length": "5"}, b"")
    assert not subject.keep_alive


LINES = st.sampled_from(
    [
        b"Content-Length: 2",
        b"content-length:5",
        b"Content-Length: %d" % len(LENGTH),
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"X-A:\r\n 2",
        b": nonsense",
    ]
)
STATUSES = st.sampled_from([b"1.1 200 OK", b"1.0 200 OK", b"1.1 204 No", b"1.1 100 Go", b"1"])
HEADS = st.builds(
    lambda status, lines, end: b"\r\n".join([b"HTTP/" + status, *lines]) + end,
    STATUSES,
    st.lists(LINES, max_size=2),
    st.sampled_from([b"\r\n\r\n", b"\n\n", b""]),
)
BODIES = st.sampled_from([b"", b"ab", b"cd", b"abcde", b"2\r\nab\r\n0\r\n\r\n", LENGTH])
CUTS = st.sampled_from(["head", "body", "nowhere"])


class ForgetfulHeads(ResponseHeadCache):
    def add(self, head: bytes, reply: Response) -> None:
        """Every reply is parsed."""


@settings(max_examples=300)
@given(HEADS, st.lists(st.tuples(BODIES, st.booleans(), CUTS), min_size=2, max_size=8))
@example(LENGTH[:-5], [(b"abcde", False, "nowhere"), (b"abcdefg", False, "nowhere")])
@example(LENGTH[:-5], [(b"abcde", False, "nowhere"), (b"abcde", True, "nowhere")])
def test_cached_head_equals_the_parsed_one(
    head: bytes, replies: list[tuple[bytes, bool, str]]
) -> None:
    known = ResponseHeadCache()
    reader(known=known).feed(LENGTH)
    knowing, parsing = reader(known=known), reader(known=ForgetfulHeads())
    for body, head_only, cut in replies:
        pieces = {
            "head": [head[:9], head[9:] + body],
            "body": [head, body],
            "nowhere": [head + body],
        }
        knowing.begin(head_only=head_only)
        parsing.begin(head_only=head_only)

        for data in filter(None, pieces[cut]):
            reply = fed(parsing, data)
            assert fed(knowing, data) == reply
            if reply is not None:
                break
        assert knowing.keep_alive == parsing.keep_alive
        if not parsing.keep_alive:
            knowing, parsing = reader(known=known), reader(known=ForgetfulHeads())


def fed(subject: ResponseParser, data: bytes) -> Response | str | None:
    try:
        return subject.feed(data)
    except httpx.RemoteProtocolError as error:
        return str(error)


def test_head_of_a_complete_reply_is_cached_if_the_connection_stays_open() -> None:
    known = ResponseHeadCache()

    for data in (CHUNKED, LENGTH + b"x", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"):
        reader(known=known).feed(data)
    assert not known

    reader(known=known).feed(LENGTH)
    assert reader(known=known).feed(LENGTH.replace(b"abcde", b"fghij")) == Response(
        200, {"content-length": "5", "x-a": "1, 2"}, b"fghij"
    )
    assert [head + b"abcde" for head in known] == [LENGTH]


def test_cached_head_alone_is_no_reply() -> None:
    known = ResponseHeadCache()
    reader(known=known).feed(LENGTH)
    subject = reader(known=known)

    assert subject.feed(LENGTH[:-1]) is None
    assert subject.feed(b"e") == WHOLE[LENGTH]


def test_cache_of_heads_is_bounded_in_number_and_size() -> None:
    known = ResponseHeadCache()
    for number in range(ResponseHeadCache.MAX_ENTRIES + 1):
        reader(known=known).feed(LENGTH.replace(b"OK", b"%d" % number))
    assert len(known) == 1

    reader(known=known).feed(LENGTH.replace(b"OK", b"x" * ResponseHeadCache.MAX_ENTRY_BYTES))
    assert len(known) == 1
