"""What a front makes of bytes, and which requests it may send once more."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request, ResponseReader

SAGA = "/sagas/01a20d32-6a31-75db-b50f-aa0dba047c5a"
KEYED = (("idempotency-key", "order-1"),)
GUARDED = (("if-match", '"3"'),)
SENT = (
    b"PUT /definitions/a/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n"
)
ANSWERED = b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"status": "up"'


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", f"{SAGA}/status"),
        Request("GET", f"{SAGA}/status", GUARDED),
        Request("HEAD", "/health"),
        Request("PUT", "/definitions/order/1"),
        Request("DELETE", "/sagas/start"),
        Request("POST", "/sagas/start", KEYED),
        Request("POST", f"{SAGA}/signals/approved", KEYED),
        Request("POST", f"{SAGA}/compensate"),
        Request("POST", f"{SAGA}/compensate?dry_run=true"),
        Request("POST", f"{SAGA}/steps/pay/complete"),
        Request("POST", f"{SAGA}/steps/pay/fail"),
        Request("POST", "/definitions/verify?explore=true"),
        Request("POST", "/definitions/order/1/replay"),
    ],
    ids=str,
)
def test_idempotent_request_may_be_repeated(request_: Request) -> None:
    assert request_.may_be_repeated


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/sagas/start"),
        Request("POST", "/bulk"),
        Request("POST", f"{SAGA}/signals/approved"),
        *(Request("POST", f"{SAGA}/{verb}") for verb in ("retry", "pause", "resume", "cancel")),
        Request("POST", f"{SAGA}/abandon"),
        Request("POST", f"{SAGA}/steps/pay/skip"),
        Request("POST", f"{SAGA}/steps/pay/resolve"),
        Request("POST", f"{SAGA}/compensate", GUARDED),
        Request("PUT", "/definitions/order/1", GUARDED),
        Request("POST", f"{SAGA}/compensate/more"),
        Request("PATCH", SAGA),
    ],
    ids=str,
)
def test_other_request_may_not_be_repeated(
    request_: Request,
) -> None:
    assert not request_.may_be_repeated


def test_response_is_complete_with_its_last_byte() -> None:
    answer = ResponseReader()

    answer.feed(ANSWERED)
    assert (answer.began, answer.is_whole, answer.status) == (True, False, 200)
    answer.feed(b"}")

    assert (answer.is_whole, answer.json_object) == (True, {"status": "up"})


def test_response_without_a_body_is_complete_with_its_head() -> None:
    to_head, unchanged = ResponseReader(head_only=True), ResponseReader()

    to_head.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n")
    unchanged.feed(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    assert (to_head.is_whole, unchanged.is_whole) == (True, True)


def test_response_that_is_not_http_is_never_complete() -> None:
    answer = ResponseReader()

    answer.feed(b"this is not HTTP\r\n\r\n")

    assert (answer.began, answer.is_whole, answer.json_object) == (True, False, {})
