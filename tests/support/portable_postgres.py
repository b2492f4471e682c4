"""A database without the features that only PostgreSQL has, as far as they can be removed.

Tests connect with a role without privileges, there is no procedural language, and every statement
is serializable: conflicting transactions are refused (40001).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.postgres.migrations import migrate
from saga_orchestrator.tests.support.postgres import database_url_of, execute

TEMPLATE: Final = "portable_template_of_tests"
MIGRATED: Final = "migrated_portable_template_of_tests"
UNPRIVILEGED_ROLE: Final = "nobody_special"

# All versions of each of these functions.
REVOKED_FUNCTIONS: Final = (
    "select oid::regprocedure::text from pg_proc where proname ~ "
    "'^(pg_(try_)?advisory|pg_notify|pg_terminate_backend|pg_cancel_backend|hashtext)'"
)

_numbers = count(1)


@pytest.fixture(scope="session")
def portable_template(postgres_server: str, migration_folders: Sequence[tuple[str, Path]]) -> str:
    execute(postgres_server, "create role {} login", UNPRIVILEGED_ROLE)
    execute(
        postgres_server,
        "alter role {} set default_transaction_isolation = serializable",
        UNPRIVILEGED_ROLE,
    )
    execute(postgres_server, "create database {} owner {}", TEMPLATE, UNPRIVILEGED_ROLE)
    template = database_url_of(postgres_server, TEMPLATE)
    _remove_features(template)
    return TEMPLATE


@pytest.fixture(scope="session")
def migrated_portable_template(
    postgres_server: str, portable_template: str, migration_folders: Sequence[tuple[str, Path]]
) -> str:
    copy = "create database {} template {} owner {}"
    execute(postgres_server, copy, MIGRATED, portable_template, UNPRIVILEGED_ROLE)
    with ThreadPoolExecutor(1) as thread:
        url = _as_unprivileged_role(database_url_of(postgres_server, MIGRATED))
        thread.submit(asyncio.run, migrate(url, migration_folders, "portable")).result()
    return MIGRATED


@pytest.fixture
def portable_database_url(postgres_server: str, migrated_portable_template: str) -> Iterator[str]:
    """The URL of a migrated database for one test in the portable mode."""
    yield from _copy_of(postgres_server, migrated_portable_template)


@pytest.fixture
def empty_portable_database_url(postgres_server: str, portable_template: str) -> Iterator[str]:
    """The URL of a database without tables for one test in the portable mode."""
    yield from _copy_of(postgres_server, portable_template)


def _copy_of(server_url: str, template: str) -> Iterator[str]:
    name = f"portable_{next(_numbers)}"
    execute(
        server_url, "create database {} template {} owner {}", name, template, UNPRIVILEGED_ROLE
    )
    yield _as_unprivileged_role(database_url_of(server_url, name))
    execute(server_url, "drop database {} with (force)", name)


def _as_unprivileged_role(database_url: str) -> str:
    parts = urlsplit(database_url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{UNPRIVILEGED_ROLE}@{host}").geturl()


def _remove_features(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop extension plpgsql cascade")
        for (function,) in connection.execute(REVOKED_FUNCTIONS.encode()).fetchall():
            connection.execute(f"revoke execute on function {function} from public".encode())
        connection.execute("revoke all on pg_locks, pg_stat_activity from public")
