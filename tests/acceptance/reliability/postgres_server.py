"""A PostgreSQL server of its own, for faults of whole servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import sql
from saga_orchestrator.eventstore.embedded import PostgresDataDirectory, _ensure_private, _run
from saga_orchestrator.tests.acceptance.database import frozen_processes
from saga_orchestrator.tests.support.waiting import wait_until

DATABASE, ROLE = "sagas", "saga"


class PostgresServer:
    """`home` is an existing folder. The service owns one database, and is no superuser."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._cluster = PostgresDataDirectory(home)

    @property
    def url(self) -> str:
        """The URL for a superuser."""
        return self._cluster.url

    @property
    def data(self) -> Path:
        return self.home / "cluster"

    @property
    def socket(self) -> str:
        """The socket file that the server listens on."""
        query = parse_qs(urlsplit(self.url).query)
        return f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"

    @property
    def database_url(self) -> str:
        """The URL of the database of the service, for a superuser."""
        return urlsplit(self.url)._replace(path=f"/{DATABASE}").geturl()

    def start(self) -> None:
        self._cluster.ensure_running()

    def make(self) -> None:
        """Start a new server, with an empty database for the service."""
        self.start()
        with psycopg.connect(self.url, autocommit=True) as operator:
            operator.execute(sql.SQL("create role {} login").format(sql.Identifier(ROLE)))
            names = map(sql.Identifier, (DATABASE, ROLE))
            operator.execute(sql.SQL("create database {} owner {}").format(*names))

    def make_standby_of(self, primary: PostgresServer) -> None:
        """Start a streaming copy of `primary`."""
        _ensure_private(self.data)
        source = f"{primary.url}&application_name=standby"
        _run(*("pg_basebackup", "-N", "-R", "-c", "fast", "-d", source, "-D", str(self.data)))
        for lock in self.data.glob(".s.PGSQL.*.lock"):
            lock.unlink()  # copied from the primary, whose socket is in its data folder
        self.start()
        primary.await_row("select from pg_stat_replication where state = 'streaming'")

    def stop(self) -> None:
        """Stop in fast mode: end sessions, keep what is committed."""
        self._cluster.stop()

    def end(self) -> None:
        """End the server, whatever state it is in."""
        if self.is_running:
            self.crash()

    def crash(self) -> None:
        """Kill all processes of the server with -9, as in a power cut."""
        os.kill(self._postmaster, signal.SIGSTOP)  # so that it starts no child meanwhile
        family = [self._postmaster, *children_of(self._postmaster)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(process_exists, family)), "the server has ended")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all processes of the server while the block runs."""
        with frozen_processes([self._postmaster]), frozen_processes(children_of(self._postmaster)):
            yield

    @property
    def is_running(self) -> bool:
        return (self.data / "postmaster.pid").exists() and process_exists(self._postmaster)

    def set(self, name: str, value: str) -> None:
        """Change a setting for all sessions, and wait until it applies."""
        command = sql.SQL("alter system set {} = {}").format(sql.Identifier(name), value)
        with psycopg.connect(self.url, autocommit=True) as operator:
            operator.execute("set default_transaction_read_only = off")
            operator.execute(command)
            operator.execute("select pg_reload_conf()")
        self.await_row(f"select where current_setting('{name}') = '{value}'")

    def promote(self) -> None:
        """Promote a standby; return when it accepts writes."""
        with psycopg.connect(self.url, autocommit=True) as operator:
            operator.execute("select pg_promote(wait => true, wait_seconds => 60)")

    def await_row(self, query: str) -> None:
        """Wait until the query has a row, in a new session each time."""
        wait_until(lambda: self._has_row(query), query)

    def _has_row(self, query: str) -> bool:
        with psycopg.connect(self.url) as operator:
            return operator.execute(query.encode()).fetchone() is not None

    @property
    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])


def children_of(parent: int) -> list[int]:
    return [pid for pid in map(int, pids()) if parent_of(pid) == parent]


def parent_of(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def pids() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def process_exists(pid: int) -> bool:
    """True also for a zombie, which a new server would mistake for a running process."""
    return Path(f"/proc/{pid}").exists()
