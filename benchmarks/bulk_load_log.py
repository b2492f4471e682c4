"""Fill a log in bulk: whole streams by COPY, with valid hashes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
from saga_orchestrator.benchmarks.recorded_sagas import record_orders
from saga_orchestrator.eventstore.event import (
    EMPTY_HEAD,
    SHARD_COUNT,
    Head,
    NewEvent,
    RecordedEvent,
    StreamId,
)
from saga_orchestrator.eventstore.hash_chain import chain_events
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.runtime.clock import saga_id

COPY = (
    b"copy event (shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at,"
    b" payload, hash) from stdin"
)
STREAMS_PER_MILLISECOND = 4  # by their ids


async def fill(database_url: str, streams: int) -> list[StreamId]:
    """Add completed three-step orders; return their streams.

    Every shard must have had an owner, and must not have one now.
    """
    log = PostgresLog(database_url)
    heads = dict(await log.heads())
    await log.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            names = [_copied(copy, rows) for rows in _histories(heads, streams)]
        connection.execute(b"analyze event")
        connection.execute(b"checkpoint")
    return names


def _copied(copy: psycopg.Copy, rows: list[RecordedEvent]) -> StreamId:
    copy.write("".join(map(_line, rows)))
    return rows[0].stream_id


def _histories(heads: dict[int, Head], streams: int) -> Iterator[list[RecordedEvent]]:
    now = datetime.now(UTC)
    events = _events(now)
    first = int((now - timedelta(days=1)).timestamp() * 1000)
    for number in range(streams):
        shard_id = number % SHARD_COUNT
        started = first + number // STREAMS_PER_MILLISECOND
        name = StreamId(saga_id(started, number << 8, shard_id, SHARD_COUNT))
        rows = chain_events(heads.get(shard_id, EMPTY_HEAD), shard_id, name, 0, events)
        heads[shard_id] = Head(rows[-1].seq, rows[-1].epoch, rows[-1].hash)
        yield rows


def _events(now: datetime) -> list[NewEvent]:
    (appends,) = record_orders(1, SHARD_COUNT, now)
    return [
        NewEvent(type=event.type_name, schema_version=1, recorded_at=now, payload=encode(event))
        for append in appends
        for event in append.events
    ]


def _line(row: RecordedEvent) -> str:
    payload, digest = f"\\\\x{row.payload.hex()}", f"\\\\x{row.hash.hex()}"
    return "\t".join((*map(str, row[:8]), payload, digest)) + "\n"
