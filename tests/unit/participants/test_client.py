from __future__ import annotations

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st
from msgspec.structs import replace
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.runtime.calls.participant_settings import ParticipantSettings
from saga_orchestrator.fsm.testing import define, given
from saga_orchestrator.http.participants.call_headers import headers_of
from saga_orchestrator.http.participants.client import Participant

SHOP = "http://shop.test:8001/base"
(CALL,) = given(define("book")).calls


def said(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Its first line, its headers in any order, its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, sorted(lines), body


@given_any(
    call=st.builds(
        lambda method, body, attempt: replace(CALL, method=method, body=body, attempt=attempt),
        st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET"]),
        st.none() | st.binary(max_size=20),
        st.integers(1, 10**9),
    ),
    epoch=st.integers(1, 2**63),
    token=st.none() | st.just("0a" * 32),
    secrets=st.dictionaries(
        st.sampled_from(["authorization", "x-key"]), st.just("hunter2 hunter2")
    ),
)
def test_headers_of_a_call_are_encoded_like_any_others(
    call: CallParticipant, epoch: int, token: str | None, secrets: dict[str, str]
) -> None:
    shop = Participant.create(SHOP, ParticipantSettings(headers=secrets))
    headers = headers_of(call, epoch, token)

    quickly = shop.request(call.method, "/orders", headers, call.body)

    assert said(quickly) == said(shop.request(call.method, "/orders", dict(headers), call.body))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in ("orders", "/a b", "/a\r\nx: y", "/../a", "/é", "/a#b")),
        *((method, "/a") for method in ("PO ST", "", "PUT\r\n")),
    ],
)
def test_method_or_path_that_could_forge_a_call_is_refused(method: str, path: str) -> None:
    shop = Participant.create(SHOP, ParticipantSettings())

    with pytest.raises(ValueError, match=r"path|token"):
        shop.request(method, path, headers_of(CALL, 1), b"{}")


@pytest.mark.parametrize(
    "headers", [{"x": "hunter2\r\ny: z"}, {"x\r\ny": "z"}, {"x": "é"}, {"host": "elsewhere"}]
)
def test_a_header_that_could_forge_every_call_is_refused_at_the_start(
    headers: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match="header"):
        Participant.create(SHOP, ParticipantSettings(headers=headers))
