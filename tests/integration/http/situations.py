"""Sagas in every situation that a person can find one in, each made by what happens to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import Abandon, Compensate, OperatorCommand, Pause, StartSaga
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    InMemoryService,
    definition_from_yaml,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

OFFER = """
saga: offer
version: 1
steps:
  - name: reserve
    participant: stock
    action: {path: /reserve, body: "${input}"}
    compensation: {path: /release, retry: {attempts: 1}}
  - {name: approve, wait_for: {signal: approval, timeout: 24h}}
  - {name: notify, participant: mail, action: {path: /mail}, effect: none}
"""
UNAPPROVED = OFFER.replace("offer", "unapproved").replace("24h}", "24h}, when: '${input.approve}'")
DELIVERY = """
saga: delivery
version: 1
steps:
  - name: reserve
    participant: stock
    action: {path: /reserve}
    compensation: {path: /release}
  - name: ship
    participant: carrier
    action: {path: /ship}
    completion: callback
    compensation: {path: /return}
"""
PURCHASE = """
saga: purchase
version: 1
steps:
  - name: reserve
    participant: stock
    action: {path: /reserve}
    compensation: {path: /release}
  - {name: pay, participant: bank, action: {path: /pay, retry: {attempts: 1}}, pivot: true}
  - {name: thank, participant: mail, action: {path: /mail}}
"""
START: Final[Mapping[str, Any]] = {
    "saga_type": "order_processing",
    "entity_id": 123,
    "step_data": ORDER_STEP_DATA,
}
UNKNOWN_SAGA = "019ca945-0a00-7000-8000-0000000fff01"
SECRET = "ab/cd+ef=Q7zz12345678"  # that a participant is sent with every call
TROUBLE = Response(500, {}, b'{"detail": "out of order"}')
REFUSAL = Response(409, {}, b'{"detail": "gone already"}')
ACCEPTED = Response(202, {}, b"")
Situation = Callable[[InMemoryService], Awaitable[str]]


async def started(service: InMemoryService, document: str, **wanted: object) -> str:
    """A saga of `document`, as far as it comes by itself."""
    definition = definition_from_yaml(document)
    await service.registry.register(definition)
    request = StartSaga(entity_id=1, input={"step_data": ORDER_STEP_DATA}, **wanted)  # type: ignore[arg-type]
    saga_id = (await service.orchestrator.start(definition.name, request)).saga.state.saga_id
    await await_idle(service.driver)
    return saga_id


async def asked(service: InMemoryService, saga_id: str, verb: OperatorCommand) -> str:
    await service.orchestrator.execute(saga_id, verb)
    await await_idle(service.driver)
    return saga_id


async def pending(service: InMemoryService) -> str:
    return await started(service, OFFER, start_at=service.clock.time + timedelta(hours=1))


async def waiting(service: InMemoryService) -> str:
    """`approve` waits for its signal, `notify` is pending."""
    return await started(service, OFFER)


async def backing_off(service: InMemoryService) -> str:
    """`reserve` waits for its second attempt."""
    service.participants.will_reply("reserve", TROUBLE)
    return await started(service, OFFER)


async def accepted(service: InMemoryService) -> str:
    """`ship` waits for the callback of its participant."""
    service.participants.will_reply("ship", ACCEPTED)
    return await started(service, DELIVERY)


async def paused(service: InMemoryService) -> str:
    return await asked(service, await waiting(service), Pause())


async def parked_forward(service: InMemoryService) -> str:
    """Whether the pivot `pay` has happened is unknown."""
    service.participants.will_reply("pay", TROUBLE)
    return await started(service, PURCHASE)


async def compensating(service: InMemoryService) -> str:
    """`reserve` is being undone, and its participant does not answer."""
    saga_id = await waiting(service)
    service.participants.hold("undo reserve")
    await service.orchestrator.execute(saga_id, Compensate())
    await service.participants.await_call("undo reserve")
    return saga_id


async def parked_back(service: InMemoryService) -> str:
    """The compensation of `reserve` was refused."""
    service.participants.will_reply("undo reserve", REFUSAL)
    return await asked(service, await waiting(service), Compensate())


async def completed(service: InMemoryService) -> str:
    """`approve` was skipped."""
    return await started(service, UNAPPROVED)


async def past_pivot(service: InMemoryService) -> str:
    return await started(service, PURCHASE)


async def compensated(service: InMemoryService) -> str:
    return await asked(service, await waiting(service), Compensate())


async def abandoned(service: InMemoryService) -> str:
    return await asked(service, await parked_back(service), Abandon(reason="the stock is sold"))


SITUATIONS: Mapping[str, Situation] = {
    situation.__name__: situation
    for situation in (
        pending,
        waiting,
        backing_off,
        accepted,
        paused,
        parked_forward,
        compensating,
        parked_back,
        completed,
        past_pivot,
        compensated,
        abandoned,
    )
}
