"""Numbers through the whole service: to participants and back, into answers, over a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.formats.strict_json import serialize
from saga_orchestrator.projections.status import status_view
from saga_orchestrator.tests.integration.http.clients import client_of
from saga_orchestrator.tests.support.asgi_requests import JSON
from saga_orchestrator.tests.support.in_memory_service import (
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)

from .conftest import ScriptedHealth, ScriptedListing, bulk_jobs, state_of

MONEY = """
saga: money
version: 1
steps:
  - name: quote
    participant: order-service
    effect: none
    action:
      path: "/quotes/${input.amount}"
      body: {amount: "${input.amount}", note: "of ${input.amount}"}
  - {name: approval, wait_for: {signal: go, timeout: 1h}}
  - name: ask
    saga: {type: part, input: {amount: "${input.amount}", fixed: FIXED}}
  - name: pay
    participant: payment-service
    pivot: true
    action:
      path: /payments
      body:
        amount: "${input.amount}"
        rate: "${steps.quote.output.rate}"
        limit: "${steps.approval.output.limit}"
        part: "${steps.ask.output.fetch.part}"
        total: "${sum([input.amount, steps.quote.output.rate, `LITERAL`])}"
        more: "${input.amount > steps.quote.output.rate}"
        fixed: FIXED
"""
PART = """
saga: part
version: 1
steps:
  - name: fetch
    participant: order-service
    effect: none
    action: {path: /parts, body: "${input}"}
"""
CASES = [
    "50",
    "50.00",
    "100.10",
    "0.1",
    "-0.0",
    "12345678901234567.89",
    "123456789.123456789",
    "0.1234567890123456789",
    "9007199254740993",
    "1E5",
    "1e16",
    "1e22",
    "5e-324",
    "1e-400",
    "1e399",
    "-" + "9" * 399,
    "1." + "3" * 400,
]
literals = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


def exact(data: bytes | str | None) -> Any:
    """JSON with each number as the fraction that it is."""
    assert data is not None
    return json.loads(data, parse_float=Fraction, parse_int=Fraction)


@pytest.mark.parametrize("literal", CASES)
def test_a_number_has_the_same_value_everywhere(literal: str) -> None:
    asyncio.run(goes_through(literal, literal, literal))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(literals, literals, literals)
def test_any_number_has_the_same_value_everywhere(amount: str, rate: str, limit: str) -> None:
    asyncio.run(goes_through(amount, rate, limit))


async def goes_through(amount: str, rate: str, limit: str) -> None:
    documents = [
        document.replace("FIXED", rate).replace("LITERAL", limit) for document in (PART, MONEY)
    ]
    service = await in_memory_service(*documents)
    sent, replies = service.participants.sent, service.participants
    replies.will_reply("quote", Response(200, JSON, b'{"rate": %b}' % rate.encode()))
    replies.will_reply("fetch", Response(200, JSON, b'{"part": %b}' % limit.encode()))
    body = f'{{"saga_type": "money", "entity_id": 1, "input": {{"amount": {amount}}}}}'
    async with client_of_service(service) as client:
        started = await client.post("/sagas/start", content=body, headers=AT_ONCE)
        assert started.status_code == 202, started.text
        saga_id = started.json()["saga_id"]
        await service.orchestrator.saga_from(saga_id, 4, TIME_LIMIT)
        at_rest = [await seen(client, saga_id)]
    await service.driver.drain(timedelta())

    restarted = await in_memory_service(
        *documents, store=service.log.store, participants=service.participants, clock=service.clock
    )
    await restarted.recover()
    async with client_of_service(restarted) as client:
        at_rest.append(await seen(client, saga_id))
        signal = await client.post(
            f"/sagas/{saga_id}/signals/go", content=f'{{"limit": {limit}}}', headers=JSON
        )
        assert signal.status_code == 200, signal.text
        saga = await restarted.await_rest(saga_id)
        ended = await seen(client, saga_id)
    await restarted.driver.drain(timedelta())

    a, b, c = Fraction(amount), Fraction(rate), Fraction(limit)
    text = sent[0].path.rpartition("/")[2]
    assert Fraction(text) == a
    assert "e" not in text.lower()
    assert exact(sent[0].body) == {"amount": a, "note": f"of {text}"}
    assert exact(sent[1].body) == {"amount": a, "fixed": b}
    assert exact(sent[2].body) == {
        "amount": a,
        "rate": b,
        "limit": c,
        "part": c,
        "total": a + b + c,
        "more": a > b,
        "fixed": b,
    }
    assert at_rest[0] == at_rest[1]
    assert at_rest[0]["input"] == {"amount": a}
    assert at_rest[0]["outputs"] == {"quote": {"rate": b}}
    assert ended["outputs"]["approval"] == {"limit": c}
    assert {"rate": b} in [event["data"].get("output") for event in ended["events"]]
    assert exact(serialize(status_view(saga)))["steps"][0]["output"] == {"rate": b}


AT_ONCE = {**JSON, "Prefer": "respond-async"}


def client_of_service(service: InMemoryService) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    state = state_of(service, ScriptedListing(), ScriptedHealth(), bulk_jobs(service))
    return client_of(state)


async def seen(client: httpx.AsyncClient, saga_id: str) -> Mapping[str, Any]:
    """The saga and its events as a client reads them."""
    saga = await client.get(f"/sagas/{saga_id}")
    events = await client.get(f"/sagas/{saga_id}/events")
    return {**exact(saga.text), **exact(events.text)}
