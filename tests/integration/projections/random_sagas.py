"""Random sagas with all kinds of outcomes, and the rows that the status table must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import psycopg
from psycopg.rows import dict_row
from saga_orchestrator.eventstore.event import SHARD_COUNT, shard_of
from saga_orchestrator.eventstore.memory import MemoryStore
from saga_orchestrator.fsm.call_outcome import CallResult, NotSent, Response, ResponseLost
from saga_orchestrator.fsm.decider.decide import is_idle
from saga_orchestrator.fsm.errors import NotAllowed, NotCompensatable
from saga_orchestrator.fsm.inputs import Compensate, Pause, StartSaga
from saga_orchestrator.fsm.instructions import CallParticipant, needs_no_recovery, next_wakeup
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status import current_step, parked_view
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.support.in_memory_service import (
    OK_REPLY,
    ORDER_STEP_DATA,
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import advance_to_next_wakeup, await_idle

ANSWERS: Sequence[CallResult] = (
    *[OK_REPLY] * 8,
    Response(402, {}, b'{"detail": "declined"}'),
    Response(500, {}, b""),
    Response(429, {"retry-after": "3"}, b""),
    Response(425, {}, b""),
    Response(200, {}, b"not json"),
    ResponseLost("reset"),
    NotSent("refused"),
)
PIVOTAL = """
saga: pivotal
version: 3
steps:
  - {name: book, participant: hotel, action: {path: /book}, compensation: {path: /undo}}
  - {name: pay, participant: bank, action: {path: /pay, retry: {attempts: 2}}, pivot: true}
  - {name: ship, participant: post, action: {path: /ship, retry: {attempts: 2}}}
"""
TYPES = ("order_processing", "pivotal")
Row = Mapping[str, object]


@dataclass(slots=True)
class RandomParticipants(ScriptedParticipants):
    """Participants that reply at random."""

    random: Random = field(default_factory=lambda: Random(0))

    async def send(self, call: CallParticipant, epoch: int, token: str | None) -> CallResult:
        return self.random.choice(ANSWERS)


async def random_service(seed: int, store: MemoryStore | None = None) -> InMemoryService:
    return await in_memory_service(
        PIVOTAL, store=store, participants=RandomParticipants(random=Random(seed))
    )


async def caught_up_projector(service: InMemoryService, status_table: StatusTable) -> Projector:
    """Return a projector that has caught up and observes every commit of the service."""
    projector = Projector(status_table, service.log, repository_of(service).load_many)
    await projector.acquire_shards(range(SHARD_COUNT))
    service.driver.observe = projector.observe
    return projector


def repository_of(service: InMemoryService) -> SagaRepository:
    return service.orchestrator.repository


async def run_random_sagas(service: InMemoryService, random: Random, sagas: int) -> None:
    """Start `sagas`, let some of them end, compensate a few, and pause a few."""
    for number in range(sagas):
        request = StartSaga(
            entity_id=random.choice([number, str(number), None]),
            input={"step_data": ORDER_STEP_DATA},
            tags=random.choice([{}, {"shop": "north"}, {"shop": "south", "vip": "yes"}]),
        )
        await service.orchestrator.start(random.choice(TYPES), request)
        if random.random() < 0.5:
            await await_idle(service.driver)
            advance_to_next_wakeup(service)
        if random.random() < 0.2:
            await compensate(service, random.choice(saga_ids_of(service)))
        if random.random() < 0.2:
            await pause(service, random.choice(saga_ids_of(service)))
    await await_idle(service.driver)


async def compensate(service: InMemoryService, saga_id: str) -> None:
    try:
        await service.orchestrator.execute(saga_id, Compensate(reason="random"))
    except NotCompensatable:
        return


async def pause(service: InMemoryService, saga_id: str) -> None:
    try:
        await service.orchestrator.execute(saga_id, Pause())
    except NotAllowed:
        return


def saga_ids_of(service: InMemoryService) -> list[str]:
    streams = service.log.store.streams.items()
    return sorted(stream_id for stream_id, events in streams if events[0].type == "SagaStarted")


async def replayed_rows(service: InMemoryService) -> list[Row]:
    """Return the rows that the table must have: each saga replayed from its stream."""
    sagas = [await service.orchestrator.saga_as_of(saga_id) for saga_id in saga_ids_of(service)]
    return [_replayed_row(saga) for saga in sagas]


def _replayed_row(saga: Saga) -> Row:
    state = saga.state
    return {
        "saga_id": state.saga_id,
        "shard_id": shard_of(state.saga_id),
        "saga_type": state.saga_type,
        "definition_version": state.definition_version,
        "entity_id": state.entity_id,
        "status": state.status.value,
        "rests": needs_no_recovery(saga),
        "idle": is_idle(saga),
        "wake_at": next_wakeup(saga),
        "current_step": current_step(saga),
        "error": state.error,
        "parked_at": state.parked and state.parked.since,
        "parked": parked_view(saga),
        "paused": state.paused_at is not None,
        "tags": dict(state.tags),
        "version": state.version,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
    }


def rows(database_url: str) -> Sequence[Row]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("set timezone = 'UTC'")
        table = connection.execute("select * from saga_status order by saga_id").fetchall()
    return [{**row, "saga_id": str(row["saga_id"])} for row in table]


def rows_as_bytes(database_url: str) -> Sequence[tuple[object, ...]]:
    """Return the rows as the database itself renders them."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "select saga_status::text from saga_status order by saga_id"
        ).fetchall()


def checkpoints(database_url: str) -> dict[int, int]:
    with psycopg.connect(database_url) as connection:
        table = connection.execute("select shard_id, seq from projection_checkpoint").fetchall()
    return dict(table)


def heads(service: InMemoryService) -> dict[int, int]:
    return {shard_id: len(events) for shard_id, events in service.log.store.shards.items()}
