from __future__ import annotations

import httpx
from msgspec.structs import replace
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.testing import action_answer, define, given
from saga_orchestrator.fsm.testing.replies import DONE, REJECTED
from saga_orchestrator.http.participants.call_headers import CALLBACK_TOKEN_HEADER, headers_of
from saga_orchestrator.http.participants.client import ParticipantsClient

TRIP = define("book", "pay")
BOOKED = given(TRIP).when(action_answer("book", DONE))
(ACTION,) = given(TRIP).calls
(COMPENSATION,) = BOOKED.when(action_answer("pay", REJECTED)).calls


def test_headers_identify_the_call() -> None:
    headers = dict(headers_of(ACTION, epoch=7))

    trace = headers.pop("traceparent")
    assert headers == {
        "idempotency-key": f"{ACTION.saga_id}/book/action",
        "saga-id": ACTION.saga_id,
        "saga-step": "book",
        "saga-attempt": "1",
        "saga-epoch": "7",
    }
    assert trace.startswith(f"00-{ACTION.saga_id.replace('-', '')}-")
    assert [len(part) for part in trace.split("-")] == [2, 32, 16, 2]


def test_compensation_has_a_key_and_a_span_of_its_own() -> None:
    action, compensation = headers_of(ACTION, 1), headers_of(COMPENSATION, 1)

    assert compensation["idempotency-key"].endswith("/book/compensation")
    assert action["traceparent"].split("-")[1] == compensation["traceparent"].split("-")[1]
    assert action["traceparent"] != compensation["traceparent"]


async def test_header_of_a_definition_never_replaces_that_of_the_saga() -> None:
    call = replace(ACTION, headers={"saga-id": "mine", "x-shop": "north"})

    headers = await sent_headers(call, None)

    assert (headers["saga-id"], headers["x-shop"]) == (call.saga_id, "north")


async def test_callback_token_is_sent_if_there_is_one() -> None:
    assert (await sent_headers(ACTION, "0a" * 32))[CALLBACK_TOKEN_HEADER] == "0a" * 32
    assert CALLBACK_TOKEN_HEADER not in await sent_headers(ACTION, None)


async def sent_headers(call: CallParticipant, token: str | None) -> httpx.Headers:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    urls = {call.participant: "http://shop.test"}
    await ParticipantsClient(urls, httpx.MockTransport(handle)).send(call, 7, token)
    return requests[0].headers
