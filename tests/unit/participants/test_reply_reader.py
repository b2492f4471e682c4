from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.answer import Reply
from saga_orchestrator.http.participants.reply_reader import ReplyReader

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nabcde"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX-A: interim\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-A: trailer\r\n\r\n"
)
WHOLE = {
    LENGTH: Reply(200, {"content-length": "5", "x-a": "1, 2"}, b"abcde"),
    CHUNKED: Reply(200, {"transfer-encoding": "chunked"}, b"abcde"),
}


def reader(max_body: int = 100, *, head_only: bool = False) -> ReplyReader:
    fresh = ReplyReader(max_body)
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
def test_no_beginning_of_a_reply_is_a_reply(data: bytes) -> None:
    for end in range(1, len(data)):
        subject = reader()
        assert subject.feed(data[:end]) is None
        with pytest.raises(httpx.RemoteProtocolError):
            subject.finish()


def test_one_reply_follows_another() -> None:
    subject = reader()
    subject.feed(LENGTH)
    subject.begin(head_only=False)

    assert subject.feed(CHUNKED) == WHOLE[CHUNKED]


def test_a_reply_keeps_its_headers_when_more_arrives_than_was_asked_for() -> None:
    subject = reader()

    reply = subject.feed(LENGTH + b"HTTP/1.1 500 No\r\nX-A: 3\r\n\r\n")

    assert reply == WHOLE[LENGTH]
    assert not subject.keep_alive


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_reply_or_fail(data: bytes) -> None:
    subject = reader()
    try:
        reply = subject.feed(b"HTTP/1.1 200 OK\r\n" + data) or subject.finish()
    except httpx.RemoteProtocolError:
        return
    assert (reply.status, reply.too_large) == (200, len(reply.body) > 100)


def test_a_reply_to_head_is_whole_after_its_head() -> None:
    subject = reader(head_only=True)

    reply = subject.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

    assert reply == Reply(200, {"content-length": "5"}, b"")
    assert not subject.keep_alive
