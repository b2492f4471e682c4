"""Settings of the user, the database and the environment that change what bytes mean."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from saga_orchestrator.eventstore.cluster.postgres import PostgresMembership
from saga_orchestrator.eventstore.postgres.connection import connect
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

SETTINGS = {
    "client_encoding": ("LATIN1", "SQL_ASCII", "EUC_JP", "WIN1252"),
    "DateStyle": ("German, DMY", "SQL, MDY", "Postgres, YMD"),
    "IntervalStyle": ("sql_standard", "iso_8601", "postgres_verbose"),
    "TimeZone": ("Asia/Kathmandu", "America/St_Johns"),
    "bytea_output": ("escape",),
    "extra_float_digits": ("-15",),
    "standard_conforming_strings": ("off",),
    "array_nulls": ("off",),
    "transform_null_equals": ("on",),
    "exit_on_error": ("on",),
    "default_transaction_isolation": ("serializable",),
    "default_transaction_deferrable": ("on",),
    "synchronous_commit": ("off",),
}
CASES = [(name, value) for name, values in SETTINGS.items() for value in values]
ENVIRONMENT = {
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "German",
    "PGTZ": "Asia/Kathmandu",
    "PGOPTIONS": "-c client_encoding=SQL_ASCII -c IntervalStyle=iso_8601",
}
TEXT = "Größe, 日本, 𝄞, \\ ' “”"
NODE = "00000001-0000-4000-8000-000000000001"


@pytest.fixture
def user_url(database_url: str) -> Iterator[str]:
    """Return the URL of the database for a user of its own."""
    name = f"user_of_{urlsplit(database_url).path.lstrip('/')}"
    user = sql.Identifier(name)
    with psycopg.connect(database_url, autocommit=True) as operator:
        operator.execute(sql.SQL("create role {} login").format(user))
        rights = "grant select, insert, update, delete on all tables in schema public to {}"
        operator.execute(sql.SQL(rights).format(user))
        yield database_url.replace("postgres@", f"{name}@", 1)
        operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (name,)
        )
        operator.execute(sql.SQL("drop owned by {}").format(user))
        operator.execute(sql.SQL("drop role {}").format(user))


def set_for(url: str, whom: str, name: str, value: str) -> None:
    """Change a setting of a user or a database."""
    parts = urlsplit(url)
    names = {"role": parts.username or "", "database": parts.path.lstrip("/")}
    command = sql.SQL("alter {} {} set {} = {}").format(
        sql.SQL(whom), sql.Identifier(names[whom]), sql.Identifier(name), value
    )
    operator = url.replace(f"{parts.username}@", "postgres@", 1)
    with psycopg.connect(operator, autocommit=True) as connection:
        connection.execute(command)


async def what_was_written_is_read(url: str) -> None:
    log, readers = PostgresLog(url), ReaderPool(url, timedelta(seconds=10))
    membership = PostgresMembership(url, readers, NODE)
    await log.claim([1], recorded_at=NOON)
    (event,) = await log.append(make_stream_id(1), 0, [make_event(payload=TEXT.encode())])
    await log.put_document("definition", TEXT, 1, TEXT.encode(), put_at=NOON)

    assert list(await log.read_stream(make_stream_id(1))) == [event]
    (document,) = await log.list_documents("definition")
    assert (document.name, document.content, document.put_at) == (TEXT, TEXT.encode(), NOON)
    claim = await log.claim_key(
        "k", digest=bytes(256), stream_id=make_stream_id(1), claimed_at=NOON
    )
    assert claim.digest == bytes(256)
    assert (await membership.heartbeat()).staying_nodes == [NODE]
    assert await membership.acquire([1], []) == [1]  # and forgets nodes by an interval
    for resource in (membership, readers, log):
        await resource.close()


@pytest.mark.parametrize("whom", ["role", "database"])
@pytest.mark.parametrize(("name", "value"), CASES)
async def test_values_survive_any_session_setting_of_the_user(
    user_url: str, whom: str, name: str, value: str
) -> None:
    set_for(user_url, whom, name, value)

    await what_was_written_is_read(user_url)

    async with await connect(user_url, "tests") as connection:
        cursor = await connection.execute("select current_setting(%s)", (name,))
        assert await cursor.fetchall() != [(value,)]


@pytest.mark.parametrize(("name", "value"), ENVIRONMENT.items())
async def test_values_survive_any_environment_of_libpq(
    database_url: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    await what_was_written_is_read(database_url)
