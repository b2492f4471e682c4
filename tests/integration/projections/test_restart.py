"""Log and status table on one PostgreSQL: a new process continues where the last one stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.runtime.completion_webhooks import CompletionWebhooks
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.runtime.local_sagas import LocalSagas
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.fsm.runtime.sharding.recovery import Recovery, UnfinishedSaga
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import rows
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_PROCESSING,
    ORDER_STEP_DATA,
    TIME_LIMIT,
    TOKENS,
    FakeClock,
    ScriptedParticipants,
    ScriptedWebhooks,
    definition_from_yaml,
)

REQUEST = StartSaga(entity_id=1, input={"step_data": ORDER_STEP_DATA})


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
async def running_process(database_url: str) -> AsyncIterator[Process]:
    """Run a process that has recovered and drives its sagas; it ends like a killed process."""
    clock, log, status_table = FakeClock(), PostgresLog(database_url), StatusTable(database_url)
    registry, participants = DefinitionRegistry(log, clock), ScriptedParticipants()
    await registry.register(definition_from_yaml(ORDER_PROCESSING))
    journal = SagaRepository(log, registry)
    projector = Projector(status_table, log, journal.load_many)
    executor, callbacks = (
        Executor(participants, TOKENS, clock, limit=10),
        CompletionWebhooks(ScriptedWebhooks(), clock),
    )
    driver = Driver(journal, executor, callbacks, clock, projector.observe)

    async def unfinished(shard_ids: Sequence[int]) -> Sequence[UnfinishedSaga]:
        await projector.acquire_shards(shard_ids)
        return await status_table.unfinished_sagas(shard_ids)

    resumed = await Recovery(log, driver, clock, unfinished).run(range(SHARD_COUNT))
    yield Process(
        log=log,
        participants=participants,
        driver=driver,
        orchestrator=Orchestrator(log, registry, LocalSagas(journal, driver), clock),
        projector=projector,
        resumed=resumed,
    )
    await driver.drain(timedelta())
    await status_table.close()
    await log.close()


async def test_next_process_ends_the_sagas_of_the_one_before(database_url: str) -> None:
    async with running_process(database_url) as first:
        done = await first.orchestrator.wait_until_rest(await first.start(), TIME_LIMIT)
        first.participants.hold("process_payment")
        left = [await first.start() for _ in range(5)]
        await first.participants.await_call("process_payment")
        await first.projector.flush()
    async with running_process(database_url) as second:
        ended = [await second.orchestrator.wait_until_rest(saga, TIME_LIMIT) for saga in left]
        await second.projector.flush()

    assert (first.resumed, second.resumed) == (0, 5)
    assert {saga.state.status for saga in (done, *ended)} == {"completed"}
    assert {(row["status"], row["version"]) for row in rows(database_url)} == {("completed", 8)}


async def test_process_that_wrote_no_row_is_recovered_from_the_log(
    database_url: str,
) -> None:
    async with running_process(database_url) as first:
        first.participants.hold("create_order")
        left = await first.start()
        await first.participants.await_call("create_order")
    assert rows(database_url) == []

    async with running_process(database_url) as second:
        ended = await second.orchestrator.wait_until_rest(left, TIME_LIMIT)

    assert (second.resumed, ended.state.status) == (1, "completed")
