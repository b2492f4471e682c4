"""The status view is a fold of the log, whatever happens to it and to who keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import psycopg
import pytest
from saga_orchestrator.eventstore import (
    SHARDS,
    InMemoryLog,
    LogUnavailable,
    RecordedEvent,
    StreamId,
    shard_of,
)
from saga_orchestrator.fsm.runtime.registry import Registry
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.projector import MOST_DIRTY, Projector
from saga_orchestrator.projections.tables import Overtaken, Tables
from saga_orchestrator.tests.event_builders import an_event
from saga_orchestrator.tests.integration.projections.busy_world import (
    a_busy_world,
    checkpoints,
    fresh_folds,
    heads,
    journal_of,
    live_a_while,
    projected,
    rows,
    rows_as_bytes,
    sagas_of,
)
from saga_orchestrator.tests.integration.projections.failing_tables import FailingTables
from saga_orchestrator.tests.passing_time import quiet, skip_to_next_wake_up
from saga_orchestrator.tests.world import ENOUGH, World


@pytest.mark.parametrize("seed", range(3))
async def test_every_row_is_a_fresh_fold_of_its_stream(
    seed: int, tables: Tables, database_url: str
) -> None:
    random, world = Random(seed), await a_busy_world(seed)
    projector = await projected(world, tables)

    for _ in range(4):
        await live_a_while(world, random, sagas=8)
        await projector.step()
        assert rows(database_url) == await fresh_folds(world)
        assert checkpoints(database_url) == heads(world)

    assert {row["status"] for row in rows(database_url)} >= {"completed", "compensated", "parked"}


async def test_a_rebuild_gives_the_same_bytes(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(1), sagas=30)
    await projector.step()
    kept = rows_as_bytes(database_url)

    events = await Projector(tables, world.log, journal_of(world).load_many).rebuild()

    assert rows_as_bytes(database_url) == kept
    assert (events, checkpoints(database_url)) == (sum(heads(world).values()), heads(world))


async def test_a_rebuild_repairs_what_somebody_has_spoilt(
    world: World, projector: Projector, database_url: str
) -> None:
    await live_a_while(world, Random(1), sagas=10)
    await projector.step()
    with psycopg.connect(database_url) as connection:
        connection.execute("update saga_status set status = 'completed', version = 1000000")
        connection.execute(
            "insert into saga_status select gen_random_uuid(), shard_id, saga_type,"
            " definition_version, entity_id, status, rests, idle, wake_at, current_step, error,"
            " tags, version, created_at, updated_at from saga_status limit 3"
        )

    await projector.rebuild()

    assert rows(database_url) == await fresh_folds(world)


async def test_who_was_told_nothing_folds_it_from_the_log(
    world: World, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(2), sagas=20)

    await Projector(tables, world.log, journal_of(world).load_many).follow(range(SHARDS))

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)


async def test_a_process_that_died_before_it_wrote_is_caught_up_with(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(3), sagas=10)
    await projector.step()
    await live_a_while(world, Random(4), sagas=10)

    restarted = await a_busy_world(seed=5, store=world.log.store)
    await projected(restarted, tables)

    found = rows(database_url)
    assert found == await fresh_folds(restarted)
    unfinished = {
        one.saga_id: (one.is_idle, one.wake_at) for one in await tables.unfinished(range(SHARDS))
    }
    assert unfinished == {
        row["saga_id"]: (row["idle"], row["wake_at"]) for row in found if not row["rests"]
    }
    assert {is_idle for is_idle, _ in unfinished.values()} == {True}


async def test_a_projector_that_was_overtaken_aborts_and_goes_on_from_there(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    other = Tables(database_url)
    await live_a_while(world, Random(6), sagas=10)
    await Projector(other, world.log, journal_of(world).load_many).follow(range(SHARDS))

    await projector.step()

    assert checkpoints(database_url) == heads(world)
    await live_a_while(world, Random(7), sagas=10)
    await projector.step()
    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)
    await other.close()


async def test_a_stale_write_leaves_nothing_behind(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(8), sagas=3)
    before = await tables.checkpoints()
    sagas = [await world.orchestrator.saga(one) for one in sagas_of(world)]

    with pytest.raises(Overtaken):
        await tables.write(sagas, {**before, 5: 99}, {**before, 5: 100})

    assert rows(database_url) == []
    assert await tables.checkpoints() == before


async def test_an_older_fold_never_replaces_a_newer_one(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(9), sagas=10)
    await projector.step()
    newest = rows(database_url)
    old = [await world.orchestrator.saga_as_of(one, version=1) for one in sagas_of(world)]

    await tables.write(old, {}, {})

    assert rows(database_url) == newest


async def test_the_checkpoint_waits_for_what_was_not_told(
    world: World, projector: Projector, database_url: str
) -> None:
    told: list[tuple[Saga, Sequence[RecordedEvent]]] = []
    world.driver.observe = lambda saga, recorded: told.append((saga, recorded))
    await live_a_while(world, Random(10), sagas=1)
    shard_id = told[0][1][0].shard_id
    before = checkpoints(database_url)[shard_id]

    for saga, recorded in told[1:]:
        projector.observe(saga, recorded)
    await projector.step()

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url)[shard_id] == before
    projector.observe(*told[0])
    await projector.step()
    assert checkpoints(database_url) == heads(world)


async def test_what_could_not_be_written_is_written_with_the_next(
    world: World, database_url: str
) -> None:
    tables = FailingTables(database_url)
    projector = await projected(world, tables)
    await live_a_while(world, Random(11), sagas=5)
    tables.failures = 1
    with pytest.raises(psycopg.OperationalError):
        await projector.step()
    await live_a_while(world, Random(12), sagas=5)

    await projector.step()

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)
    await tables.close()


async def test_a_connection_that_was_cut_is_opened_anew(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(13), sagas=5)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like '% projections'"
            " and datname = current_database()"
        )

    await projector.step()

    assert rows(database_url) == await fresh_folds(world)


async def test_who_writes_at_once_writes_one_after_the_other(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    """A write that fails keeps its sagas; the next one must not move the checkpoint past them."""
    await live_a_while(world, Random(19), sagas=5)
    before = checkpoints(database_url)
    write, asked, fails = tables.write, asyncio.Event(), asyncio.Event()

    async def cut(
        sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        tables.write = write  # type: ignore[method-assign]
        asked.set()
        await fails.wait()
        raise psycopg.OperationalError("cut")

    tables.write = cut  # type: ignore[method-assign]
    failing = asyncio.ensure_future(projector.step())
    await asked.wait()
    await live_a_while(world, Random(20), sagas=5)
    following = asyncio.ensure_future(projector.step())
    await asyncio.sleep(0)
    assert checkpoints(database_url) == before
    fails.set()
    with pytest.raises(psycopg.OperationalError):
        await failing

    await following

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)


class SilentLog(InMemoryLog):
    """Cannot be read for as long as it is told to."""

    silent_from = 64

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        if shard_id >= self.silent_from:
            raise LogUnavailable("no database")
        return await super().read_shard(shard_id, after_seq=after_seq, limit=limit)


async def test_nothing_is_lost_if_the_log_fails_while_an_overtaken_projector_catches_up(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    silent = SilentLog(world.log.store)
    projector.log = silent
    await live_a_while(world, Random(14), sagas=10)
    shard_id = min(shard_of(one) for one in sagas_of(world))
    seq = (await tables.checkpoints())[shard_id]
    await tables.write([], {shard_id: seq}, {shard_id: seq + 1})
    silent.silent_from = shard_id + 1
    with pytest.raises(LogUnavailable):
        await projector.step()
    silent.silent_from = 64

    await projector.step()

    assert rows(database_url) == await fresh_folds(world)


class RacingTables(Tables):
    """Somebody else moves a checkpoint just before this one does."""

    races = 0

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.races and len(before) == 1:
            self.races -= 1
            await super().write(sagas, before, after)
        await super().write(sagas, before, after)


async def test_who_is_overtaken_while_catching_up_catches_up_again(
    world: World, database_url: str
) -> None:
    tables = RacingTables(database_url)
    await live_a_while(world, Random(15), sagas=10)
    tables.races = 3

    await projected(world, tables)

    assert tables.races == 0
    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)
    await tables.close()


async def test_a_broken_history_has_no_row_and_stops_no_other(
    world: World, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(16), sagas=5)
    broken = sagas_of(world)[2]
    version = len(world.log.store.streams[StreamId(broken)])
    await world.log.append(StreamId(broken), version, [an_event("Nonsense")])

    await projected(world, tables)

    sound = [one for one in sagas_of(world) if one != broken]
    assert [row["saga_id"] for row in rows(database_url)] == sound
    assert checkpoints(database_url) == heads(world)


async def test_the_loop_writes_what_it_is_told(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    written = asyncio.Event()
    write = tables.write

    async def write_and_tell(
        sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        await write(sagas, before, after)
        if checkpoints(database_url) == heads(world):
            written.set()

    tables.write = write_and_tell  # type: ignore[method-assign]
    running = asyncio.ensure_future(projector.run())

    await live_a_while(world, Random(17), sagas=3)
    async with asyncio.timeout(ENOUGH.total_seconds()):
        await written.wait()
    running.cancel()

    assert rows(database_url) == await fresh_folds(world)


async def test_many_sagas_are_written_at_once(
    world: World, projector: Projector, database_url: str
) -> None:
    for _ in range(MOST_DIRTY + 10):
        await world.start("pivotal")
    await quiet(world.driver)

    assert await projector.step() == MOST_DIRTY + 10

    assert rows(database_url) == await fresh_folds(world)
    while skip_to_next_wake_up(world):
        await quiet(world.driver)
    await projector.step()
    assert all(row["rests"] for row in rows(database_url))


async def test_definitions_of_another_node_are_found_while_folding(
    world: World, tables: Tables, database_url: str
) -> None:
    await live_a_while(world, Random(18), sagas=5)
    journal = journal_of(world)
    journal.registry = Registry(world.log, world.clock)

    await Projector(tables, world.log, journal.load_many).rebuild()

    assert rows(database_url) == await fresh_folds(world)
