"""A database that temporarily refuses writes, or the rights for them: requests are repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event_log import KeyClaim
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

READ_ONLY = (
    "alter role {} set default_transaction_read_only = on",
    "alter role {} reset default_transaction_read_only",
)
WITHOUT_RIGHTS = (
    "revoke insert, select on all tables in schema public from {}",
    "grant insert, select on all tables in schema public to {}",
)
Restriction = tuple[str, str]


class DatabaseAdmin:
    """Gives an account that is no superuser its rights, and takes them away."""

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._name = f"clerk_of_{parts.path.lstrip('/')}"
        self.url = database_url.replace("postgres@", f"{self._name}@", 1)
        self._operator = psycopg.connect(database_url, autocommit=True)
        self._do("create role {} login")
        self._do(WITHOUT_RIGHTS[1])

    def close(self) -> None:
        self._do("drop owned by {}")
        self._do("drop role {}")
        self._operator.close()

    @contextmanager
    def restricted(self, restriction: Restriction) -> Iterator[None]:
        """Execute the commands, and end all connections: the new ones are restricted too."""
        restrict, relax = restriction
        self._change(restrict)
        yield
        self._change(relax)

    def _change(self, command: str) -> None:
        self._do(command)
        self._operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s",
            (self._name,),
        )

    def _do(self, command: str) -> None:
        self._operator.execute(command.format(self._name).encode())


@pytest.fixture
def clerk(database_url: str) -> Iterator[DatabaseAdmin]:
    clerk = DatabaseAdmin(database_url)
    yield clerk
    clerk.close()


@pytest.fixture
async def log(clerk: DatabaseAdmin) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(clerk.url)
    await log.claim([1], recorded_at=NOON)
    yield log
    await log.close()


async def turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def claimed(log: PostgresLog) -> KeyClaim:
    return await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)


@pytest.mark.parametrize("restriction", [READ_ONLY, WITHOUT_RIGHTS])
async def test_write_that_is_refused_now_succeeds_later(
    log: PostgresLog,
    clerk: DatabaseAdmin,
    restriction: Restriction,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with clerk.restricted(restriction):
        appending = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
        async with asyncio.timeout(10):
            while "no certain answer from the database" not in caplog.messages:
                await turn_of_the_loop()
        with pytest.raises(LogUnavailable):
            await claimed(log)
        assert not appending.done()

    assert [result.seq for result in await appending] == [2]
    assert (await claimed(log)).digest == b"d"


async def test_a_database_that_takes_no_writes_is_not_well(
    log: PostgresLog, clerk: DatabaseAdmin
) -> None:
    with clerk.restricted(READ_ONLY), pytest.raises(LogUnavailable, match="takes no writes"):
        await log.ping()

    await log.ping()


async def test_read_that_is_refused_now_succeeds_later(
    log: PostgresLog, clerk: DatabaseAdmin
) -> None:
    with clerk.restricted(WITHOUT_RIGHTS), pytest.raises(LogUnavailable, match="denied"):
        await log.read_shard(1)

    assert len(await log.read_shard(1)) == 1
