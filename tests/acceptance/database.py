"""The database of the service, through the eyes of its operator: locks, sessions and events."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import psycopg
from psycopg.rows import class_row
from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.eventstore.hash_chain import find_broken_event
from saga_orchestrator.tests.support.waiting import wait_until

WRITERS = (
    "select pid from pg_stat_activity"
    " where datname = current_database() and application_name like 'node % writer'"
)
BLOCKED_WRITERS = f"{WRITERS} and wait_event_type = 'Lock'"
BLOCKED_MIGRATIONS = (
    WRITERS.replace("node % writer", "eventstore migrations") + " and wait_event_type = 'Lock'"
)
BLOCKED_REPLIES = BLOCKED_WRITERS.replace("node % writer", "node % reader")
CLIENT_SESSIONS = (
    "select pid from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)
EVENTS = (
    "select shard_id, seq, stream_id::text, version, epoch, type, schema_version, recorded_at,"
    " payload, hash from event order by shard_id, seq"
)
STARTS = (
    "select stream_id::text from event_json"
    " where type = 'SagaStarted' and payload -> 'entity_id' = to_jsonb(%s)"
)
STARTED = "select stream_id::text from event where type = 'SagaStarted'"
TYPES = "select type from event where stream_id = %s order by version"


class Database:
    def __init__(self, url: str) -> None:
        self.url = url
        self._operator = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._operator.close()

    @contextmanager
    def locked(self) -> Iterator[Lock]:
        """Block every append; what is sent meanwhile waits in the database."""
        with psycopg.connect(self.url) as holder:
            holder.execute("lock table event in share row exclusive mode")
            yield Lock(holder)

    @contextmanager
    def migrations_locked(self) -> Iterator[Lock]:
        """Block the migrations of a service that starts."""
        with psycopg.connect(self.url) as holder:
            holder.execute("lock table migration in access exclusive mode")
            yield Lock(holder)

    @contextmanager
    def replies_locked(self) -> Iterator[Lock]:
        """Block every reply and every new command between nodes."""
        with psycopg.connect(self.url) as holder:
            holder.execute("lock table message in share mode")
            yield Lock(holder)

    def await_blocked_replies(self) -> list[int]:
        """Return the process ids of the sessions that wait with a reply."""
        return wait_until(lambda: self.pids(BLOCKED_REPLIES), "a reply waits for the lock")

    def await_blocked_migration(self) -> None:
        wait_until(lambda: self.pids(BLOCKED_MIGRATIONS), "a migration waits for the lock")

    def await_blocked_writers(self, number: int = 1) -> list[int]:
        """Return the process ids of the sessions that wait with an append."""
        what = f"{number} appends wait for the lock"
        wait_until(lambda: len(self.pids(BLOCKED_WRITERS)) >= number, what)
        return self.pids(BLOCKED_WRITERS)

    def terminate(self, pids: list[int]) -> None:
        """End sessions; return when they are gone, and what they had not committed with them."""
        for pid in pids:
            self._operator.execute("select pg_terminate_backend(%s)", (pid,))
        self.await_end_of(pids)

    def await_end_of(self, pids: list[int]) -> None:
        wait_until(
            lambda: not set(pids) & set(self.pids(CLIENT_SESSIONS)), f"backends {pids} have ended"
        )

    def terminate_all_clients(self) -> int:
        """End all sessions of the service at once; return how many."""
        pids = self.pids(CLIENT_SESSIONS)
        for pid in pids:
            self._operator.execute("select pg_terminate_backend(%s)", (pid,))
        return len(pids)

    def pids(self, query: str) -> list[int]:
        return [pid for (pid,) in self._operator.execute(query.encode()).fetchall()]

    def event_types(self, saga_id: str) -> list[str]:
        """Return the types of the recorded events of a saga, in order."""
        return [kind for (kind,) in self._operator.execute(TYPES, (saga_id,)).fetchall()]

    def sagas_of(self, entity_id: int) -> list[str]:
        return [saga_id for (saga_id,) in self._operator.execute(STARTS, (entity_id,)).fetchall()]

    def sagas(self) -> set[str]:
        """Return the ids of all sagas."""
        return {saga_id for (saga_id,) in self._operator.execute(STARTED.encode()).fetchall()}

    def broken_event(self) -> RecordedEvent | None:
        """Return the first event that breaks the hash chain of its shard, if any."""
        with (
            psycopg.connect(self.url) as connection,
            connection.cursor(row_factory=class_row(RecordedEvent)) as cursor,
        ):
            events = cursor.execute(EVENTS.encode()).fetchall()
        assert events, "the log is not empty"
        shards = groupby(events, key=lambda event: event.shard_id)
        return next((bad for _, shard in shards if (bad := find_broken_event(shard))), None)


class Lock:
    def __init__(self, holder: psycopg.Connection) -> None:
        self._holder = holder

    def release(self) -> None:
        self._holder.rollback()


@contextmanager
def frozen_processes(pids: list[int]) -> Iterator[None]:
    """Stop these processes while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
