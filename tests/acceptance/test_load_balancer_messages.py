"""What a front makes of bytes, and which requests it may send once more."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request

SAGA = "/sagas/01a20d32-6a31-75db-b50f-aa0dba047c5a"
KEYED = (("idempotency-key", "order-1"),)
GUARDED = (("if-match", '"3"'),)


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
