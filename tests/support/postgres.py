"""PostgreSQL for tests: one embedded server a session, one database a test.

A database is cloned from a template that the migrations of all rooms were applied to once.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from saga_orchestrator import projections
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.eventstore.postgres.migrations import MIGRATIONS, migrate

TEMPLATE: Final = "template_of_tests"

_numbers = count(1)


def database_url_of(server_url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of an empty server that lives as long as the session."""
    # Not the folder of pytest, which each run of pytest closes to other accounts.
    with (
        tempfile.TemporaryDirectory(prefix="postgres-") as folder,
        embedded_server(Path(folder)) as server,
    ):
        yield server.url


@pytest.fixture(scope="session")
def migration_folders() -> Sequence[tuple[str, Path]]:
    return [("eventstore", MIGRATIONS), ("projections", projections.MIGRATIONS)]


@pytest.fixture(scope="session")
def template_database(postgres_server: str, migration_folders: Sequence[tuple[str, Path]]) -> str:
    execute(postgres_server, "create database {}", TEMPLATE)
    # In a thread of its own, since this one may have an event loop already.
    with ThreadPoolExecutor(1) as thread:
        migrated = migrate(database_url_of(postgres_server, TEMPLATE), migration_folders)
        thread.submit(asyncio.run, migrated).result()
    return TEMPLATE


@pytest.fixture
def database_url(postgres_server: str, template_database: str) -> Iterator[str]:
    """The URL of a migrated database for one test."""
    name = f"test_{next(_numbers)}"
    execute(postgres_server, "create database {} template {}", name, template_database)
    yield database_url_of(postgres_server, name)
    execute(postgres_server, "drop database {} with (force)", name)


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """The URL of a database without tables for one test."""
    name = f"empty_{next(_numbers)}"
    execute(postgres_server, "create database {}", name)
    yield database_url_of(postgres_server, name)
    execute(postgres_server, "drop database {} with (force)", name)


def execute(server_url: str, command: str, *names: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(*map(sql.Identifier, names)))
