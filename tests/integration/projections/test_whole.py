"""Log and status view on one PostgreSQL: what one process leaves, the next one takes up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from saga_orchestrator.eventstore import SHARDS, PostgresLog
from saga_orchestrator.fsm.happening import StartRequested
from saga_orchestrator.fsm.runtime.callbacks import Callbacks
from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.runtime.executor import Executor
from saga_orchestrator.fsm.runtime.journal import Journal
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.runtime.recovery import Recovery, Unfinished
from saga_orchestrator.fsm.runtime.registry import Registry
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.audit import verify_log
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.tests.integration.projections.busy_world import rows
from saga_orchestrator.tests.world import (
    ENOUGH,
    ORDER,
    ORDER_PROCESSING,
    TOKENS,
    FakeClock,
    ScriptedCallbacks,
    ScriptedParticipants,
    a_definition,
)

REQUEST = StartRequested(entity_id=1, input={"step_data": ORDER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    log: PostgresLog
    participants: ScriptedParticipants
    driver: Driver
    orchestrator: Orchestrator
    projector: Projector
    resumed: int

    async def start(self) -> Saga:
        return (await self.orchestrator.start("order_processing", REQUEST)).saga


@asynccontextmanager
async def a_process(database_url: str) -> AsyncIterator[Process]:
    """One that is recovered and drives its sagas; it ends without a word, like one that dies."""
    clock, log, tables = FakeClock(), PostgresLog(database_url), Tables(database_url)
    registry, participants = Registry(log, clock), ScriptedParticipants()
    await registry.register(a_definition(ORDER_PROCESSING))
    journal = Journal(log, registry)
    projector = Projector(tables, log, journal.load_many)
    executor, callbacks = (
        Executor(participants, TOKENS, clock, limit=10),
        Callbacks(ScriptedCallbacks(), clock),
    )
    driver = Driver(journal, executor, callbacks, clock, projector.observe)

    async def unfinished(shard_ids: Sequence[int]) -> list[Unfinished]:
        await projector.follow(shard_ids)
        waiting = await tables.unfinished(shard_ids)
        return [Unfinished(one.saga_id, one.is_idle, one.wake_at) for one in waiting]

    resumed = await Recovery(log, journal, driver, clock, unfinished).run(range(SHARDS))
    yield Process(
        log=log,
        participants=participants,
        driver=driver,
        orchestrator=Orchestrator(log, registry, journal, driver, clock),
        projector=projector,
        resumed=resumed,
    )
    await driver.drain(timedelta())
    await tables.close()
    await log.close()


async def test_what_one_process_left_the_next_one_ends(database_url: str) -> None:
    async with a_process(database_url) as first:
        done = await first.orchestrator.rested(await first.start(), ENOUGH)
        first.participants.hold("process_payment")
        left = [await first.start() for _ in range(5)]
        await first.participants.called("process_payment")
        await first.projector.step()
    async with a_process(database_url) as second:
        ended = [await second.orchestrator.rested(one, ENOUGH) for one in left]
        await second.projector.step()

    assert (first.resumed, second.resumed) == (0, 5)
    assert {one.state.status for one in (done, *ended)} == {"completed"}
    assert {(row["status"], row["version"]) for row in rows(database_url)} == {("completed", 8)}


async def test_a_process_that_wrote_no_row_is_recovered_from_the_log_alone(
    database_url: str,
) -> None:
    async with a_process(database_url) as first:
        first.participants.hold("create_order")
        left = await first.start()
        await first.participants.called("create_order")
    assert rows(database_url) == []

    async with a_process(database_url) as second:
        ended = await second.orchestrator.rested(left, ENOUGH)

    assert (second.resumed, ended.state.status) == (1, "completed")


async def test_an_audit_names_the_event_that_somebody_altered(database_url: str) -> None:
    async with a_process(database_url) as process:
        saga = await process.orchestrator.rested(await process.start(), ENOUGH)
        assert (await verify_log(process.log)).first_bad is None
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("alter table event disable trigger all")
            connection.execute(
                "update event set payload = replace(encode(payload, 'escape'), '50', '99')::bytea"
                " where stream_id = %s and version = 1",
                [saga.state.saga_id],
            )

        verdict = await verify_log(process.log)

    assert verdict.first_bad is not None
    assert (verdict.first_bad.stream_id, verdict.first_bad.version) == (saga.state.saga_id, 1)
