"""The database itself protects recorded events from changes."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import CheckViolation, RestrictViolation, UniqueViolation
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

CHANGES = [
    "update event set payload = ''",
    "update event set payload = '' where false",
    "delete from event",
    "truncate event",
    "update document set content = ''",
    "delete from document",
    "truncate document",
]


@pytest.fixture
async def recorded(database_url: str) -> str:
    """A database with three events of shard 1 and a document."""
    log = PostgresLog(database_url)
    await log.claim([1], recorded_at=NOON)
    await log.append(
        make_stream_id(1), 0, [make_event(payload=b'{"n":1}'), make_event(payload=b'{"n":2}')]
    )
    await log.put_document("definition", "order", 1, b"one", put_at=NOON)
    await log.close()
    return database_url


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_recorded_events_cannot_be_changed(recorded: str, change: str, role: str) -> None:
    with psycopg.connect(recorded, autocommit=True) as connection:
        connection.execute(f"set session_replication_role = {role}".encode())
        with pytest.raises(RestrictViolation, match="is append-only"):
            connection.execute(change.encode())


async def test_only_the_privileges_to_add_and_to_look_remain(recorded: str) -> None:
    with psycopg.connect(recorded) as connection:
        rows = connection.execute(
            "select table_name, privilege_type from information_schema.table_privileges"
            " where table_name in ('event', 'document')"
            " and privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE')"
        ).fetchall()

    assert rows == []


async def test_a_place_in_the_log_is_taken_once(recorded: str) -> None:
    copy = "insert into event select * from event where seq = 2"

    with psycopg.connect(recorded) as connection, pytest.raises(UniqueViolation):
        connection.execute(copy.encode())


async def test_numbers_start_at_one(recorded: str) -> None:
    row = "insert into event values (1, 0, gen_random_uuid(), 1, 1, 'A', 1, now(), '', %s)"

    with psycopg.connect(recorded) as connection, pytest.raises(CheckViolation) as refusal:
        connection.execute(row, (bytes(32),))

    assert refusal.value.diag.constraint_name == "seq_starts_at_one"


async def test_the_view_shows_every_payload(database_url: str) -> None:
    payloads = [b'{"a":"b"}', b'{"nul":"\\u0000"}', b"\xff", b"{", b"[" * 100_000]
    log = PostgresLog(database_url)
    await log.claim([1], recorded_at=NOON)
    await log.append(make_stream_id(1), 0, [make_event(payload=payload) for payload in payloads])
    await log.close()

    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select payload from event_json where version > 0 and type = 'Happened' order by seq"
        ).fetchall()

    shown = [payload for (payload,) in rows]
    assert shown[0] == {"a": "b"}
    assert [list(payload) for payload in shown[1:]] == [["unreadable_base64"]] * 4
