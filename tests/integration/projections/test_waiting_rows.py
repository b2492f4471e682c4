"""Rows say which sagas only wait, and until when: a start reads nothing else of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Final

import pytest
from saga_orchestrator.eventstore import SHARDS
from saga_orchestrator.fsm.answer import Answer, NotSent, Reply
from saga_orchestrator.fsm.happening import PauseAsked, StartRequested
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.tables import Tables, Waiting
from saga_orchestrator.tests.integration.projections.busy_world import (
    a_busy_world,
    journal_of,
    live_a_while,
    projected,
    rows,
)
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import NOON, ORDER, World, a_world

HOUR: Final = timedelta(hours=1)
DOCUMENTS: Final = (
    "saga: nap\nversion: 1\nsteps: [{name: doze, sleep: 1h}]",
    "saga: approval\nversion: 1\nsteps: [{name: ok, wait_for: {signal: ok, timeout: 1h}}]",
    "saga: parent\nversion: 1\nsteps: [{name: trip, saga: {type: nap}}]",
    """
saga: trip
version: 1
steps:
  - name: book
    participant: hotel
    action: {path: /book, retry: {first: 2h, cap: 2h}}
    compensation: {path: /unbook}
    completion: callback
    completion_timeout: 1h
""",
)


async def a_waiting_world(answer: Answer) -> World:
    world = await a_world(*DOCUMENTS)
    world.participants.will("book", answer)
    return world


async def start(world: World, saga_type: str, start_at: datetime | None = None) -> str:
    request = StartRequested(entity_id=1, input={"step_data": ORDER}, start_at=start_at)
    saga_id = (await world.orchestrator.start(saga_type, request)).saga.state.saga_id
    await quiet(world.driver)
    return saga_id


@pytest.mark.parametrize(
    ("saga_type", "answer", "start_at", "wake_at"),
    [
        ("nap", Reply(200, {}, b""), None, NOON + HOUR),
        ("approval", Reply(200, {}, b""), None, NOON + HOUR),
        ("trip", Reply(202, {}, b""), None, NOON + HOUR),
        ("trip", NotSent("refused"), None, NOON + HOUR),
        ("trip", Reply(200, {}, b""), NOON + HOUR, NOON + HOUR),
    ],
    ids=["sleeps", "waits for a signal", "waits for a callback", "backs off", "is put off"],
)
async def test_who_waits_is_idle_until_its_time(
    tables: Tables,
    saga_type: str,
    answer: Answer,
    start_at: datetime | None,
    wake_at: datetime,
) -> None:
    world = await a_waiting_world(answer)
    projector = await projected(world, tables)

    saga_id = await start(world, saga_type, start_at)
    await projector.step()

    assert await tables.unfinished(range(SHARDS)) == [Waiting(saga_id, True, wake_at)]


async def test_who_is_paused_waits_for_somebody(tables: Tables) -> None:
    world = await a_waiting_world(Reply(200, {}, b""))
    projector = await projected(world, tables)
    saga_id = await start(world, "nap")

    await world.orchestrator.ask(saga_id, PauseAsked())
    await projector.step()

    assert await tables.unfinished(range(SHARDS)) == [Waiting(saga_id, True, None)]


async def test_who_is_called_or_has_a_child_is_not_idle(tables: Tables) -> None:
    """A crash would lose what only this process knows of: they are read after a start."""
    world = await a_waiting_world(Reply(200, {}, b""))
    projector = await projected(world, tables)
    parent_id = await start(world, "parent")
    world.participants.hold("book")
    called = (await world.start("trip")).state.saga_id
    await world.participants.called("book")

    await projector.step()

    unfinished = {one.saga_id: one.is_idle for one in await tables.unfinished(range(SHARDS))}
    assert (unfinished.pop(parent_id), unfinished.pop(called)) == (False, False)
    assert list(unfinished.values()) == [True]
    await world.driver.drain(timedelta())


async def test_shards_are_told_apart(tables: Tables) -> None:
    world = await a_waiting_world(Reply(200, {}, b""))
    projector = await projected(world, tables)
    sagas = [await start(world, "nap") for _ in range(2 * SHARDS)]
    await projector.step()

    found = [[one.saga_id for one in await tables.unfinished([shard])] for shard in range(SHARDS)]

    assert [len(one) for one in found] == [2] * SHARDS
    assert sorted(saga_id for one in found for saga_id in one) == sorted(sagas)


async def test_a_rebuild_says_the_same_of_who_waits(tables: Tables, database_url: str) -> None:
    world = await a_busy_world(seed=21)
    projector = await projected(world, tables)
    await live_a_while(world, Random(21), sagas=20)
    await projector.step()
    kept = rows(database_url)

    await Projector(tables, world.log, journal_of(world).load_many).rebuild()

    assert rows(database_url) == kept
    assert {row["idle"] for row in kept} == {True, False}
