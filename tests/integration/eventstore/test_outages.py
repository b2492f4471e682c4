"""What callers of the log get while the database goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore import append_batch as arrivals
from saga_orchestrator.eventstore.errors import (
    ClaimFailed,
    Fenced,
    LogOverloaded,
    LogUnavailable,
    ValueRefused,
)
from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.eventstore.hash_chain import find_broken_event
from saga_orchestrator.eventstore.postgres import writer_session as session
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

FROZEN_AFTER = timedelta(seconds=0.5)
WRITERS = "select pid from pg_stat_activity where application_name like 'node % writer'"
WAITING_WRITERS = f"{WRITERS} and wait_event = 'SyncRep'"
BACKENDS = "select pid from pg_stat_activity where application_name like 'node %'"

OpenLog = Callable[[str], PostgresLog]


@pytest.fixture
async def open_log() -> AsyncIterator[OpenLog]:
    opened: list[PostgresLog] = []

    def open_one(url: str) -> PostgresLog:
        opened.append(PostgresLog(url, statement_timeout=FROZEN_AFTER))
        return opened[-1]

    yield open_one
    for log in opened:
        await log.close()


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Return a connection that causes the failures of the database."""
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    yield connection
    await connection.close()


async def pids(operator: psycopg.AsyncConnection, query: str) -> list[int]:
    cursor = await operator.execute(f"{query} and datname = current_database()".encode())
    return [pid for (pid,) in await cursor.fetchall()]


async def terminate(operator: psycopg.AsyncConnection, query: str) -> None:
    for pid in await pids(operator, query):
        await operator.execute("select pg_terminate_backend(%s)", (pid,))


async def until_found(operator: psycopg.AsyncConnection, query: str) -> None:
    """Wait until the query returns a row."""
    async with asyncio.timeout(10):
        while await (await operator.execute(query.encode())).fetchone() is None:
            await turns_of_the_loop(1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await turns_of_the_loop(1)


async def turns_of_the_loop(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@contextmanager
def frozen(*processes: int) -> Iterator[None]:
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def missing_standby(operator: psycopg.AsyncConnection) -> AsyncIterator[None]:
    """Let commits wait for a standby that does not exist, after they have taken effect."""
    await operator.execute("set synchronous_commit = local")
    await operator.execute("alter system set synchronous_standby_names = 'nobody'")
    await operator.execute("select pg_reload_conf()")
    try:
        yield
    finally:
        await operator.execute("alter system reset synchronous_standby_names")
        await operator.execute("select pg_reload_conf()")


@asynccontextmanager
async def undecided_row(operator: psycopg.AsyncConnection) -> AsyncIterator[None]:
    """Occupy the next position of shard 1 by a row that is never committed."""
    async with operator.transaction(force_rollback=True):
        await operator.execute(
            "insert into event select shard_id, seq + 1, gen_random_uuid(), 1, epoch, type,"
            " schema_version, recorded_at, payload, hash from event where shard_id = 1"
        )
        yield


async def test_appends_land_exactly_once_although_the_writer_is_cut_again_and_again(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim(range(4), recorded_at=NOON)
    confirmed: list[RecordedEvent] = []

    async def work(number: int) -> None:
        for version in range(0, 20, 2):
            stream = make_stream_id(number % 4, number)
            confirmed.extend(await log.append(stream, version, [make_event(), make_event()]))

    async def disturb() -> None:
        while True:
            await terminate(operator, WRITERS)
            enough = len(confirmed) + 16
            await until(partial(lambda enough: len(confirmed) >= enough, enough))

    disturbing = asyncio.create_task(disturb())
    await asyncio.gather(*(work(number) for number in range(32)))
    disturbing.cancel()
    with suppress(asyncio.CancelledError):
        await disturbing

    stored = [event for shard in range(4) for event in await log.read_shard(shard)]
    happened = [event for event in stored if event.type == "Happened"]
    assert len(happened) == 32 * 20
    assert {event.hash for event in happened} == {event.hash for event in confirmed}
    assert all([find_broken_event(await log.read_shard(shard)) is None for shard in range(4)])


async def test_append_recorded_before_its_answer_was_lost_is_confirmed_once(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    confirmed: list[RecordedEvent] = []
    stopping = asyncio.Event()

    async def work() -> None:
        while not stopping.is_set():
            confirmed.extend(await log.append(make_stream_id(1), len(confirmed), [make_event()]))

    working = asyncio.create_task(work())
    async with missing_standby(operator):
        await until_found(operator, f"{WRITERS} and wait_event = 'SyncRep'")
        await terminate(operator, WRITERS)
    stopping.set()
    await working

    assert list(await log.read_stream(make_stream_id(1))) == confirmed


async def test_append_is_not_confirmed_before_the_standby_has_it_though_its_session_was_ended(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    async with missing_standby(operator):
        appending = await append_that_waits(log, operator)
        waiting = await pids(operator, WAITING_WRITERS)
        await terminate(operator, WRITERS)
        again = f"{WAITING_WRITERS} and not pid = any('{{{','.join(map(str, waiting))}}}'::int[])"
        await until_found(operator, again)

        assert not appending.done()

    (event,) = await appending
    assert list(await log.read_stream(make_stream_id(1)))[-1] == event


async def append_that_waits(
    log: PostgresLog, operator: psycopg.AsyncConnection
) -> asyncio.Future[Sequence[RecordedEvent]]:
    """Return an append that waits for the standby, once the server knows that it has one."""
    version = 0
    while True:
        appending = asyncio.ensure_future(log.append(make_stream_id(1), version, [make_event()]))
        while not appending.done():
            if await pids(operator, WAITING_WRITERS):
                return appending
        version += 1


async def test_append_after_a_takeover_is_fenced(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log, heir = open_log(database_url), open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    with frozen(*await pids(operator, WRITERS)):
        appending = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
        await heir.claim([1], recorded_at=NOON)

    with pytest.raises(Fenced):
        await appending

    assert [event.type for event in await heir.read_shard(1)] == ["ShardOwned"] * 2


async def test_a_frozen_server_is_noticed_and_outlived(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    await log.ping()
    assert log.stalled_for is None
    with frozen(*await pids(operator, BACKENDS)):
        appending = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
        reading = asyncio.create_task(log.read_shard(1))
        await until(lambda: log.stalled_for is not None)

        assert len(await appending) == 1
        assert len(await reading) in (1, 2)

    assert log.stalled_for is None


async def test_cancelled_append_does_not_disturb_the_others(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    with frozen(*await pids(operator, WRITERS)):
        sent = asyncio.ensure_future(log.append(make_stream_id(1, 0), 0, [make_event()]))
        await turns_of_the_loop(5)
        waiting = asyncio.ensure_future(log.append(make_stream_id(1, 1), 0, [make_event()]))
        staying = asyncio.ensure_future(log.append(make_stream_id(1, 2), 0, [make_event()]))
        await turns_of_the_loop(1)
        sent.cancel()
        waiting.cancel()

    (event,) = await staying

    assert event.stream_id == make_stream_id(1, 2)
    assert list(await log.read_stream(make_stream_id(1, 1))) == []
    assert find_broken_event(await log.read_shard(1)) is None


async def test_too_many_waiting_appends_are_turned_away(
    database_url: str,
    open_log: OpenLog,
    operator: psycopg.AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "MAX_QUEUED_APPENDS", 3)
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    with frozen(*await pids(operator, WRITERS)):
        results = await asyncio.gather(
            *(log.append(make_stream_id(1, number), 0, [make_event()]) for number in range(10)),
            return_exceptions=True,
        )

    turned_away = [result for result in results if isinstance(result, LogOverloaded)]
    assert len(turned_away) == 7
    assert len(await log.read_shard(1)) == 1 + 3


async def test_an_append_waits_for_an_undecided_rival(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    async with undecided_row(operator):
        appending = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
        await until_found(operator, f"{WRITERS} and wait_event_type = 'Lock'")

    assert [event.seq for event in await appending] == [2]


async def test_a_claim_gives_up_behind_an_undecided_row(
    database_url: str,
    open_log: OpenLog,
    operator: psycopg.AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", timedelta(milliseconds=20))
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    async with undecided_row(operator):
        with pytest.raises(ClaimFailed):
            await log.claim([1], recorded_at=NOON)

    assert await log.claim([1], recorded_at=NOON) == {1: 2}


async def test_reads_survive_the_loss_of_every_connection(
    database_url: str, open_log: OpenLog, operator: psycopg.AsyncConnection
) -> None:
    log = open_log(database_url)
    await asyncio.gather(*(log.heads() for _ in range(20)))
    await terminate(operator, BACKENDS)

    assert await asyncio.gather(*(log.heads() for _ in range(20))) == [{}] * 20


async def test_log_without_a_database_ends_every_request_when_it_is_closed(
    open_log: OpenLog, tmp_path: Path
) -> None:
    log = open_log(f"postgresql://postgres@/postgres?host={tmp_path}")
    claiming = asyncio.create_task(log.claim([1], recorded_at=NOON))
    await until(lambda: log.stalled_for is not None)
    waiting = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
    with pytest.raises(LogUnavailable):
        await log.ping()

    await log.close()

    with pytest.raises(LogUnavailable):
        await claiming
    with pytest.raises(Fenced):  # what it waited for has failed, so that much is certain
        await waiting


async def test_closing_finishes_waiting_appends(database_url: str, open_log: OpenLog) -> None:
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    appends = [
        asyncio.ensure_future(log.append(make_stream_id(1, number), 0, [make_event()]))
        for number in range(600)
    ]
    await asyncio.sleep(0)

    await log.close()

    assert len(await asyncio.gather(*appends)) == 600


async def test_a_cancelled_read_leaves_the_connections_usable(
    database_url: str, open_log: OpenLog
) -> None:
    log = open_log(database_url)
    await log.ping()
    reads = [asyncio.create_task(log.heads()) for _ in range(8)]
    await asyncio.sleep(0)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)

    assert await asyncio.gather(*(log.heads() for _ in range(8))) == [{}] * 8


@pytest.mark.parametrize("key", ["", "k" * 2_001, "a\x00b"])
async def test_a_key_that_the_database_cannot_keep_is_refused(
    database_url: str, open_log: OpenLog, key: str
) -> None:
    log = open_log(database_url)

    with pytest.raises(ValueRefused):
        await log.claim_key(key, digest=b"", stream_id=make_stream_id(1), claimed_at=NOON)


async def test_end_of_the_writer_is_reported_to_the_service(
    open_log: OpenLog, database_url: str
) -> None:
    """The failure is an unexpected one: a payload that is not bytes."""
    log = open_log(database_url)
    await log.claim([1], recorded_at=NOON)
    failure = asyncio.create_task(log.wait_for_failure())

    with pytest.raises(LogUnavailable):
        await log.append(make_stream_id(1), 0, [make_event(payload="{}")])  # type: ignore[arg-type]

    with pytest.raises(LogUnavailable, match="the writer has ended"):
        await asyncio.wait_for(failure, timeout=10)
