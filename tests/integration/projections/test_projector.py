"""The status table equals the replay of the log, whatever happens to it and to its projectors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import SHARD_COUNT, RecordedEvent, StreamId, shard_of
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.errors import CheckpointConflict
from saga_orchestrator.projections.projector import MAX_DIRTY_SAGAS, Projector
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
    checkpoints,
    heads,
    random_service,
    replayed_rows,
    repository_of,
    rows,
    rows_as_bytes,
    run_random_sagas,
    saga_ids_of,
)
from saga_orchestrator.tests.support.event_builders import make_event
from saga_orchestrator.tests.support.in_memory_service import TIME_LIMIT, InMemoryService
from saga_orchestrator.tests.support.virtual_time import advance_to_next_wakeup, await_idle


@pytest.mark.parametrize("seed", range(3))
async def test_every_row_equals_the_replay_of_its_stream(
    seed: int, status_table: StatusTable, database_url: str
) -> None:
    random, service = Random(seed), await random_service(seed)
    projector = await caught_up_projector(service, status_table)

    for _ in range(4):
        await run_random_sagas(service, random, sagas=8)
        await projector.flush()
        assert rows(database_url) == await replayed_rows(service)
        assert checkpoints(database_url) == heads(service)

    assert {row["status"] for row in rows(database_url)} >= {"completed", "compensated", "parked"}


async def test_rebuild_produces_the_same_bytes(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(1), sagas=30)
    await projector.flush()
    kept = rows_as_bytes(database_url)

    events = await Projector(status_table, service.log, repository_of(service).load_many).rebuild()

    assert rows_as_bytes(database_url) == kept
    assert (events, checkpoints(database_url)) == (sum(heads(service).values()), heads(service))


async def test_rebuild_repairs_a_damaged_table(
    service: InMemoryService, projector: Projector, database_url: str
) -> None:
    await run_random_sagas(service, Random(1), sagas=10)
    await projector.flush()
    with psycopg.connect(database_url) as connection:
        connection.execute("update saga_status set status = 'completed', version = 1000000")
        connection.execute(
            "insert into saga_status select gen_random_uuid(), shard_id, saga_type,"
            " definition_version, entity_id, status, rests, idle, wake_at, current_step, error,"
            " tags, version, created_at, updated_at from saga_status limit 3"
        )

    await projector.rebuild()

    assert rows(database_url) == await replayed_rows(service)


async def test_rows_that_a_dead_process_did_not_write_are_caught_up(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(3), sagas=10)
    await projector.flush()
    await run_random_sagas(service, Random(4), sagas=10)

    restarted = await random_service(seed=5, store=service.log.store)
    await caught_up_projector(restarted, status_table)

    table = rows(database_url)
    assert table == await replayed_rows(restarted)
    sagas = await status_table.unfinished_sagas(range(SHARD_COUNT))
    unfinished = {saga.saga_id: (saga.is_idle, saga.wake_at) for saga in sagas}
    assert unfinished == {
        row["saga_id"]: (row["idle"], row["wake_at"]) for row in table if not row["rests"]
    }
    assert {is_idle for is_idle, _ in unfinished.values()} == {True}


async def test_projector_continues_from_the_other_s_checkpoint_after_a_conflict(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    other = StatusTable(database_url)
    await run_random_sagas(service, Random(6), sagas=10)
    await Projector(other, service.log, repository_of(service).load_many).acquire_shards(
        range(SHARD_COUNT)
    )

    await projector.flush()

    assert checkpoints(database_url) == heads(service)
    await run_random_sagas(service, Random(7), sagas=10)
    await projector.flush()
    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)
    await other.close()


async def test_stale_write_changes_nothing(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(8), sagas=3)
    before = await status_table.checkpoints()
    sagas = [await service.orchestrator.saga(saga_id) for saga_id in saga_ids_of(service)]

    with pytest.raises(CheckpointConflict):
        await status_table.write(sagas, {**before, 5: 99}, {**before, 5: 100})

    assert rows(database_url) == []
    assert await status_table.checkpoints() == before


async def test_older_row_never_replaces_a_newer_one(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(9), sagas=10)
    await projector.flush()
    newest = rows(database_url)
    old = [
        await service.orchestrator.saga_as_of(saga_id, version=1)
        for saga_id in saga_ids_of(service)
    ]

    await status_table.write(old, {}, {})

    assert rows(database_url) == newest


async def test_checkpoint_waits_for_an_unreported_append(
    service: InMemoryService, projector: Projector, database_url: str
) -> None:
    commits: list[tuple[Saga, Sequence[RecordedEvent]]] = []
    service.driver.observe = lambda saga, recorded: commits.append((saga, recorded))
    await run_random_sagas(service, Random(10), sagas=1)
    shard_id = commits[0][1][0].shard_id
    before = checkpoints(database_url)[shard_id]

    for saga, recorded in commits[1:]:
        projector.observe(saga, recorded)
    await projector.flush()

    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url)[shard_id] == before
    projector.observe(*commits[0])
    await projector.flush()
    assert checkpoints(database_url) == heads(service)


async def test_a_connection_that_was_cut_is_opened_anew(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(13), sagas=5)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like '% projections'"
            " and datname = current_database()"
        )

    await projector.flush()

    assert rows(database_url) == await replayed_rows(service)


async def test_concurrent_flushes_run_one_after_the_other(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    """A write that fails keeps its sagas; the next one must not move the checkpoint past them."""
    await run_random_sagas(service, Random(19), sagas=5)
    before = checkpoints(database_url)
    write, asked, fails = status_table.write, asyncio.Event(), asyncio.Event()

    async def cut(
        sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        status_table.write = write  # type: ignore[method-assign]
        asked.set()
        await fails.wait()
        raise psycopg.OperationalError("cut")

    status_table.write = cut  # type: ignore[method-assign]
    failing = asyncio.ensure_future(projector.flush())
    await asked.wait()
    await run_random_sagas(service, Random(20), sagas=5)
    following = asyncio.ensure_future(projector.flush())
    await asyncio.sleep(0)
    assert checkpoints(database_url) == before
    fails.set()
    with pytest.raises(psycopg.OperationalError):
        await failing

    await following

    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)


class FailingLog(InMemoryLog):
    """A log whose shards cannot be read from `fails_from_shard` on."""

    fails_from_shard = 64

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        if shard_id >= self.fails_from_shard:
            raise LogUnavailable("no database")
        return await super().read_shard(shard_id, after_seq=after_seq, limit=limit)


async def test_rows_survive_a_log_failure_while_catching_up(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    silent = FailingLog(service.log.store)
    projector.log = silent
    await run_random_sagas(service, Random(14), sagas=10)
    shard_id = min(map(shard_of, saga_ids_of(service)))
    seq = (await status_table.checkpoints())[shard_id]
    await status_table.write([], {shard_id: seq}, {shard_id: seq + 1})
    silent.fails_from_shard = shard_id + 1
    with pytest.raises(LogUnavailable):
        await projector.flush()
    silent.fails_from_shard = 64

    await projector.flush()

    assert rows(database_url) == await replayed_rows(service)


class RacingStatusTable(StatusTable):
    """A status table in which another projector moves each checkpoint first."""

    races = 0

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.races and len(before) == 1:
            self.races -= 1
            await super().write(sagas, before, after)
        await super().write(sagas, before, after)


async def test_checkpoint_conflict_while_catching_up_is_repeated(
    service: InMemoryService, database_url: str
) -> None:
    status_table = RacingStatusTable(database_url)
    await run_random_sagas(service, Random(15), sagas=10)
    status_table.races = 3

    await caught_up_projector(service, status_table)

    assert status_table.races == 0
    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)
    await status_table.close()


async def test_broken_history_has_no_row_and_stops_no_other(
    service: InMemoryService, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(16), sagas=5)
    broken = saga_ids_of(service)[2]
    version = len(service.log.store.streams[StreamId(broken)])
    await service.log.append(StreamId(broken), version, [make_event("Nonsense")])

    await caught_up_projector(service, status_table)

    sound = [saga_id for saga_id in saga_ids_of(service) if saga_id != broken]
    assert [row["saga_id"] for row in rows(database_url)] == sound
    assert checkpoints(database_url) == heads(service)


async def test_loop_writes_reported_sagas(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    written = asyncio.Event()
    write = status_table.write

    async def write_and_tell(
        sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        await write(sagas, before, after)
        if checkpoints(database_url) == heads(service):
            written.set()

    status_table.write = write_and_tell  # type: ignore[method-assign]
    running = asyncio.ensure_future(projector.run())

    await run_random_sagas(service, Random(17), sagas=3)
    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        await written.wait()
    running.cancel()

    assert rows(database_url) == await replayed_rows(service)


async def test_many_dirty_sagas_are_written_in_one_flush(
    service: InMemoryService, projector: Projector, database_url: str
) -> None:
    for _ in range(MAX_DIRTY_SAGAS + 10):
        await service.start("pivotal")
    await await_idle(service.driver)

    assert await projector.flush() == MAX_DIRTY_SAGAS + 10

    assert rows(database_url) == await replayed_rows(service)
    while advance_to_next_wakeup(service):
        await await_idle(service.driver)
    await projector.flush()
    assert all(row["rests"] for row in rows(database_url))


async def test_definitions_of_another_node_are_loaded_during_a_rebuild(
    service: InMemoryService, status_table: StatusTable, database_url: str
) -> None:
    await run_random_sagas(service, Random(18), sagas=5)
    journal = repository_of(service)
    journal.registry = DefinitionRegistry(service.log, service.clock)

    await Projector(status_table, service.log, journal.load_many).rebuild()

    assert rows(database_url) == await replayed_rows(service)
