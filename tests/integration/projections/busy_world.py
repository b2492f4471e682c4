"""Sagas with all sorts of fates, and what their status rows must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import psycopg
from psycopg.rows import dict_row
from saga_orchestrator.eventstore import SHARDS, MemoryStore, shard_of
from saga_orchestrator.fsm.answer import Answer, Lost, NotSent, Reply
from saga_orchestrator.fsm.command import is_over, wake_up
from saga_orchestrator.fsm.decide import is_idle
from saga_orchestrator.fsm.errors import NotAllowed, NotCompensatable
from saga_orchestrator.fsm.happening import CompensationAsked, PauseAsked, StartRequested
from saga_orchestrator.fsm.runtime.journal import Journal
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status import current_step, parked_view
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.tests.passing_time import quiet, skip_to_next_wake_up
from saga_orchestrator.tests.world import ORDER, YES, ScriptedParticipants, World, a_world

ANSWERS: Sequence[Answer] = (
    *[YES] * 8,
    Reply(402, {}, b'{"detail": "declined"}'),
    Reply(500, {}, b""),
    Reply(429, {"retry-after": "3"}, b""),
    Reply(425, {}, b""),
    Reply(200, {}, b"not json"),
    Lost("reset"),
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
class ChancyParticipants(ScriptedParticipants):
    """Answer what comes to their mind."""

    random: Random = field(default_factory=lambda: Random(0))

    async def send(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        within: timedelta,
    ) -> Answer:
        return self.random.choice(ANSWERS)


async def a_busy_world(seed: int, store: MemoryStore | None = None) -> World:
    return await a_world(PIVOTAL, store=store, participants=ChancyParticipants(random=Random(seed)))


async def projected(world: World, tables: Tables) -> Projector:
    """A projector that has caught up and is told of every commit of the world."""
    projector = Projector(tables, world.log, journal_of(world).load_many)
    await projector.follow(range(SHARDS))
    world.driver.observe = projector.observe
    return projector


def journal_of(world: World) -> Journal:
    return world.orchestrator.journal


async def live_a_while(world: World, random: Random, sagas: int) -> None:
    """Start `sagas`, let some of them end, turn a few round, and pause a few."""
    for number in range(sagas):
        request = StartRequested(
            entity_id=random.choice([number, str(number), None]),
            input={"step_data": ORDER},
            tags=random.choice([{}, {"shop": "north"}, {"shop": "south", "vip": "yes"}]),
        )
        await world.orchestrator.start(random.choice(TYPES), request)
        if random.random() < 0.5:
            await quiet(world.driver)
            skip_to_next_wake_up(world)
        if random.random() < 0.2:
            await turn_round(world, random.choice(sagas_of(world)))
        if random.random() < 0.2:
            await pause(world, random.choice(sagas_of(world)))
    await quiet(world.driver)


async def turn_round(world: World, saga_id: str) -> None:
    try:
        await world.orchestrator.ask(saga_id, CompensationAsked(reason="a whim"))
    except NotCompensatable:
        return


async def pause(world: World, saga_id: str) -> None:
    try:
        await world.orchestrator.ask(saga_id, PauseAsked())
    except NotAllowed:
        return


def sagas_of(world: World) -> list[str]:
    streams = world.log.store.streams.items()
    return sorted(one for one, events in streams if events[0].type == "SagaStarted")


async def fresh_folds(world: World) -> list[Row]:
    """What the rows must be: each stream folded anew."""
    folded = [await world.orchestrator.saga_as_of(one) for one in sagas_of(world)]
    return [_row_of(saga) for saga in folded]


def _row_of(saga: Saga) -> Row:
    state = saga.state
    return {
        "saga_id": state.saga_id,
        "shard_id": shard_of(state.saga_id),
        "saga_type": state.saga_type,
        "definition_version": state.definition_version,
        "entity_id": state.entity_id,
        "status": state.status.value,
        "rests": is_over(saga),
        "idle": is_idle(saga),
        "wake_at": wake_up(saga),
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
        found = connection.execute("select * from saga_status order by saga_id").fetchall()
    return [{**row, "saga_id": str(row["saga_id"])} for row in found]


def rows_as_bytes(database_url: str) -> Sequence[tuple[object, ...]]:
    """As the database itself writes them."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "select saga_status::text from saga_status order by saga_id"
        ).fetchall()


def checkpoints(database_url: str) -> dict[int, int]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("select shard_id, seq from projection_checkpoint").fetchall()
    return dict(found)


def heads(world: World) -> dict[int, int]:
    return {shard_id: len(events) for shard_id, events in world.log.store.shards.items()}
