"""The statements of jobs read what they need by an index, however large a job is.

Each is explained as it is executed: with no statistics of the table, those from before the large
job came, and current ones; with a plan for its parameters or for any. A plan that is cheap in some
of these states only would make a job of 100,000 tasks quadratic in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster import postgres_jobs
from saga_orchestrator.eventstore.cluster.jobs import MAX_TASKS_PER_READ, Job
from saga_orchestrator.eventstore.cluster.postgres_jobs import TASKS_PER_STATEMENT, PostgresJobs
from saga_orchestrator.eventstore.event import SHARD_COUNT, StreamId
from saga_orchestrator.eventstore.postgres.connection import Parameters, connect
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import statement

TASKS: Final = 100_000
FINISHED: Final = range(1, 4)
CANCELLED, RUNNING, SMALL = 4, 5, 6
PRUNABLE: Final = range(10, 16)  # one for each state of the planner
UNSETTLED: Final = 3 + len(PRUNABLE)  # and some more, since plans show rounded averages
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER: Final = NOON + timedelta(hours=1)
PAGE: Final = 100
# Nine tenths of the running job are done; of a finished job the last task was refused.
ADD_TASKS: Final = """
    insert into job_task (job_id, stream_id, shard_id, begun_at, ended_at, refusal)
    select
      %(job_id)s::uuid,
      (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n %% 64), 12, '0'))::uuid,
      n %% 64,
      case when n <= %(ended)s then %(now)s::timestamptz end,
      case when n <= %(ended)s then %(now)s::timestamptz end,
      case when n <= %(ended)s and n %% %(tasks)s = 0 then 'no' end
    from generate_series(1, %(tasks)s) n
"""
ADD_JOB: Final = """
    insert into job (job_id, content, matched, started_at, finished_at, cancelled, done, refused)
    values (%s, '{}', %s, %s, %s, %s, %s, %s)
"""
FINISH_LONG_AGO: Final = "update job set finished_at = '2026-01-01' where job_id = %s"
FORGET_STATISTICS: Final = "delete from pg_statistic where starelid = 'job_task'::regclass"
MOST_BLOCKS_OF_ONE_TASK: Final = 20
MOST_ROWS: Final[Mapping[str, int]] = {
    "insert_job_tasks": 0,
    "insert_job": 0,
    "read_pending_jobs": UNSETTLED,
    "read_pending_tasks": MAX_TASKS_PER_READ,
    "begin_job_task": 1,
    "end_job_task": 1,
    "finish_jobs": UNSETTLED,
    "cancel_job": 0,
    "read_job": TASKS,  # counted, as long as they change
    "read_jobs": TASKS + UNSETTLED,
    "read_job_of_key": 2,
    "read_job_tasks": PAGE,
    "read_refused_tasks": len(FINISHED),
    "read_prunable_jobs": PRUNABLE.stop,
    "delete_job_tasks": 2 * TASKS_PER_STATEMENT,
    "delete_jobs": 0,
}

Row = TypeVar("Row")
Plans = dict[str, list[dict[str, Any]]]  # by statement, the nodes that read tasks


class ExplainedReaders(ReaderPool):
    """Explains each statement before it executes it, and keeps the plans by name."""

    def __init__(self, url: str, explaining: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        super().__init__(url, timedelta(seconds=10))
        self._explaining = explaining
        self.plans: Plans = {}

    async def fetch(
        self, row: type[Row], name: str, parameters: Parameters, within: timedelta | None = None
    ) -> list[Row]:
        await self._explain(name, parameters)
        return await super().fetch(row, name, parameters, within)

    async def execute(self, name: str, parameters: Parameters) -> int:
        await self._explain(name, parameters)
        return await super().execute(name, parameters)

    async def _explain(self, name: str, parameters: Parameters) -> None:
        query = b"explain (analyze, buffers, timing off, format json) " + statement(name)
        async with self._explaining.transaction(force_rollback=True):
            cursor = await self._explaining.execute(query, parameters, prepare=True)
            ((plan,),) = await cursor.fetchall()
        self.plans.setdefault(name, []).extend(scans(plan[0]["Plan"]))  # type: ignore[index]


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read tasks."""
    if node.get("Relation Name") == "job_task" and node["Node Type"] != "ModifyTable":
        yield node
    for child in node.get("Plans", ()):
        yield from scans(child)


def reads_many_blocks(node: dict[str, Any]) -> bool:
    """True if a look-up of one task reads more of an index than the way to it."""
    return bool(node["Shared Hit Blocks"] + node["Shared Read Blocks"] > MOST_BLOCKS_OF_ONE_TASK)


def rows_read(node: dict[str, Any]) -> float:
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return float(rows * node["Actual Loops"])


def job_id_of(number: int) -> str:
    return f"{number:08x}-0000-7000-8000-00000000000a"


def stream(number: int) -> StreamId:
    return StreamId(f"{number:08x}-0000-7000-8000-{number % SHARD_COUNT:012x}")


def add(
    operator: psycopg.Connection[tuple[object, ...]],
    number: int,
    tasks: int,
    ended: int,
    *,
    is_cancelled: bool = False,
) -> None:
    row = {"job_id": job_id_of(number), "tasks": tasks, "ended": ended, "now": NOON}
    operator.execute(ADD_TASKS, row)
    is_settled = is_cancelled or ended == tasks
    counts = (ended - 1, 1) if ended == tasks else (ended, 0)
    settled = (NOON, is_cancelled, *counts) if is_settled else (None, False, None, None)
    operator.execute(ADD_JOB, [job_id_of(number), tasks, NOON, *settled])


async def test_statement_reads_a_bounded_number_of_tasks_by_an_index(database_url: str) -> None:
    numbers = iter(PRUNABLE)
    with psycopg.connect(database_url, autocommit=True) as operator:
        operator.execute("alter table job_task set (autovacuum_enabled = false)")
        for number in FINISHED:
            add(operator, number, TASKS, TASKS)
        add(operator, CANCELLED, TASKS, 0, is_cancelled=True)
        for statistics in ("of the jobs before", "current", "none"):
            match statistics:
                case "of the jobs before":
                    operator.execute("vacuum analyze job_task")
                    add(operator, RUNNING, TASKS, TASKS * 9 // 10)
                    add(operator, SMALL, 2, 1)
                case "current":
                    operator.execute("vacuum analyze job_task")
                case "none":
                    operator.execute(FORGET_STATISTICS)
            for plan_mode in ("force_custom_plan", "force_generic_plan"):
                number = next(numbers)
                add(operator, number, TASKS_PER_STATEMENT + 1, TASKS_PER_STATEMENT + 1)
                operator.execute(FINISH_LONG_AGO, [job_id_of(number)])
                plans = await plans_of_every_statement(database_url, plan_mode, number)
                assert excesses(plans) == {}, (statistics, plan_mode)


async def plans_of_every_statement(url: str, plan_mode: str, number: int) -> Plans:
    async with await connect(url, "explains") as explaining:
        await explaining.execute(f"set plan_cache_mode = {plan_mode}".encode())
        readers = ExplainedReaders(url, explaining)
        try:
            await use_every_method(PostgresJobs(clients=readers, node=readers), number)
            return readers.plans
        finally:
            await readers.close()


def excesses(plans: Plans) -> dict[str, float]:
    """Return the rows read by statements that read too much, or without an index."""
    assert set(plans) == set(MOST_ROWS)
    most = {name: max(map(rows_read, nodes), default=0) for name, nodes in plans.items()}
    return {
        name: most[name]
        for name, nodes in plans.items()
        if most[name] > MOST_ROWS[name]
        or "Seq Scan" in {node["Node Type"] for node in nodes}
        or (MOST_ROWS[name] == 1 and any(map(reads_many_blocks, nodes)))
    }


async def use_every_method(store: PostgresJobs, number: int) -> None:
    """Add a job of that number and read it, work on the large one, and prune one of that number."""
    running, owned = job_id_of(RUNNING), range(1, SHARD_COUNT, 2)
    await store.pending_jobs(owned)
    first, *_, last = await store.pending(running, owned)
    await store.pending(running, owned, last.stream_id)
    await store.begin(first, begun_at=LATER)
    await store.end(first, None, ended_at=LATER)
    await store.finish(finished_at=LATER)
    await store.get(running)
    await store.newest(None, PAGE)
    await store.tasks(running, stream(TASKS // 2), PAGE)
    await store.refused_tasks([job_id_of(number) for number in FINISHED], None, PAGE)
    new = Job(
        job_id=job_id_of(PRUNABLE.stop + number), content=b"{}", content_version=1, matched=1,
        started_at=NOON, key=f"recall-{number}", digest=b"1",
    )  # fmt: skip
    await store.add(new, [stream(1)])
    await store.find(f"recall-{number}")
    await store.cancel(new.job_id, cancelled_by=None, finished_at=LATER)
    await store.prune(finished_before=NOON, unknown_before=job_id_of(PRUNABLE.stop))


async def test_prune_deletes_page_by_page_what_finished_and_what_never_was_a_job(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_jobs, "TASKS_PER_STATEMENT", 3)
    finished, running, young = 1, 2, 8
    readers = ReaderPool(database_url, timedelta(seconds=10))
    store = PostgresJobs(clients=readers, node=readers)
    with psycopg.connect(database_url, autocommit=True) as operator:
        add(operator, finished, 7, 7)
        add(operator, running, 7, 3)
        for never_recorded in (3, young):
            row = {"job_id": job_id_of(never_recorded), "tasks": 7, "ended": 0, "now": NOON}
            operator.execute(ADD_TASKS, row)

        await store.prune(finished_before=LATER, unknown_before=job_id_of(young))

        tasks = operator.execute(
            "select job_id::text, count(*) from job_task group by 1 order by 1"
        )
        assert tasks.fetchall() == [(job_id_of(running), 7), (job_id_of(young), 7)]
        jobs = operator.execute("select job_id::text from job").fetchall()
        assert jobs == [(job_id_of(running),)]
    await readers.close()


async def test_prune_deletes_a_bounded_number_of_tasks_and_goes_on_the_next_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_jobs, "TASKS_PER_STATEMENT", 3)
    monkeypatch.setattr(postgres_jobs, "MAX_TASKS_PER_PRUNE", 9)
    readers = ReaderPool(database_url, timedelta(seconds=10))
    store = PostgresJobs(clients=readers, node=readers)
    left = []
    with psycopg.connect(database_url, autocommit=True) as operator:
        for number in (1, 2):
            add(operator, number, 7, 7)

        for _ in range(2):
            await store.prune(finished_before=LATER, unknown_before=job_id_of(8))
            counts = "select (select count(*) from job), (select count(*) from job_task)"
            left.append(operator.execute(counts).fetchone())
    await readers.close()

    assert left == [(1, 4), (0, 0)]
