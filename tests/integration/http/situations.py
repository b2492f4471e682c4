"""Sagas in every situation that a person can find one in, each made by what happens to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from saga_orchestrator.fsm.answer import Reply
from saga_orchestrator.fsm.happening import (
    AbandonAsked,
    CompensationAsked,
    PauseAsked,
    StartRequested,
    Verb,
)
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import ORDER, World, a_definition

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
SECRET = "ab/cd+ef=Q7zz12345678"  # that a participant is sent with every call
TROUBLE = Reply(500, {}, b'{"detail": "out of order"}')
REFUSAL = Reply(409, {}, b'{"detail": "gone already"}')
ACCEPTED = Reply(202, {}, b"")
Situation = Callable[[World], Awaitable[str]]


async def started(world: World, document: str, **wanted: object) -> str:
    """A saga of `document`, as far as it comes by itself."""
    definition = a_definition(document)
    await world.registry.register(definition)
    request = StartRequested(entity_id=1, input={"step_data": ORDER}, **wanted)  # type: ignore[arg-type]
    saga_id = (await world.orchestrator.start(definition.name, request)).saga.state.saga_id
    await quiet(world.driver)
    return saga_id


async def asked(world: World, saga_id: str, verb: Verb) -> str:
    await world.orchestrator.ask(saga_id, verb)
    await quiet(world.driver)
    return saga_id


async def pending(world: World) -> str:
    return await started(world, OFFER, start_at=world.clock.time + timedelta(hours=1))


async def waiting(world: World) -> str:
    """`approve` waits for its signal, `notify` is pending."""
    return await started(world, OFFER)


async def backing_off(world: World) -> str:
    """`reserve` waits for its second attempt."""
    world.participants.will("reserve", TROUBLE)
    return await started(world, OFFER)


async def accepted(world: World) -> str:
    """`ship` waits for the callback of its participant."""
    world.participants.will("ship", ACCEPTED)
    return await started(world, DELIVERY)


async def paused(world: World) -> str:
    return await asked(world, await waiting(world), PauseAsked())


async def parked_forward(world: World) -> str:
    """Whether the pivot `pay` has happened is unknown."""
    world.participants.will("pay", TROUBLE)
    return await started(world, PURCHASE)


async def compensating(world: World) -> str:
    """`reserve` is being undone, and its participant does not answer."""
    saga_id = await waiting(world)
    world.participants.hold("undo reserve")
    await world.orchestrator.ask(saga_id, CompensationAsked())
    await world.participants.called("undo reserve")
    return saga_id


async def parked_back(world: World) -> str:
    """The compensation of `reserve` was refused."""
    world.participants.will("undo reserve", REFUSAL)
    return await asked(world, await waiting(world), CompensationAsked())


async def completed(world: World) -> str:
    """`approve` was skipped."""
    return await started(world, UNAPPROVED)


async def past_pivot(world: World) -> str:
    return await started(world, PURCHASE)


async def compensated(world: World) -> str:
    return await asked(world, await waiting(world), CompensationAsked())


async def abandoned(world: World) -> str:
    return await asked(world, await parked_back(world), AbandonAsked(reason="the stock is sold"))


SITUATIONS: Mapping[str, Situation] = {
    one.__name__: one
    for one in (
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
