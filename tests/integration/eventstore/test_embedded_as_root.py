"""Root runs the embedded server under an account of its own, which must reach data and programs.

Folders that others have made keep their modes. Only a data directory itself, and folders for
temporary files, are opened for the account to pass.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore import embedded
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.eventstore.errors import EmbeddedServerFailed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account"),
]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody can enter, and that does not count as temporary."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        (folder / "temporary").mkdir(mode=0o777)
        monkeypatch.setattr(embedded, "REACHABLE_FOLDER", folder / "reachable")
        yield folder


@pytest.fixture
def closed(folder: Path) -> Path:
    """A folder like the home of root."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    return closed


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def create_table(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table kept (n integer)")


def kept_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("select * from kept").rowcount


def test_data_below_a_closed_folder_are_kept_elsewhere_behind_a_link(
    folder: Path, closed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = closed / "data"
    with embedded_server(home) as server:
        create_table(server.url)
    with embedded_server(home) as again:
        assert kept_rows(again.url) == 0

    assert mode(closed) == 0o700
    assert (home / "cluster").resolve().is_relative_to(folder / "reachable")
    (logged,) = caplog.records
    assert (logged.levelno, vars(logged)["closed"]) == (logging.WARNING, str(closed))


def test_data_directory_that_was_made_before_is_opened_and_its_parents_are_not(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = folder / "data"
    home.mkdir(mode=0o700)

    with embedded_server(home):
        pass

    assert (mode(home), mode(folder)) == (0o701, 0o755)
    assert [vars(record)["path"] for record in caplog.records] == [str(home)]


def test_data_directory_is_made_passable_whatever_the_umask_is(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.umask(0o077)
    try:
        with embedded_server(folder / "state" / "data"):
            pass
    finally:
        os.umask(before)

    assert (mode(folder / "state"), mode(folder / "state" / "data")) == (0o701, 0o701)
    assert caplog.records == []


def test_temporary_folder_is_opened(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    temporary = Path(tempfile.mkdtemp())

    with embedded_server(temporary / "data"):
        pass

    assert mode(temporary) == 0o701
    assert [vars(record)["path"] for record in caplog.records] == [str(temporary)]


def test_data_whose_folder_was_closed_afterwards_are_refused_with_what_to_do(folder: Path) -> None:
    parent = folder / "parent"
    with embedded_server(parent / "data"):
        pass
    parent.chmod(0o700)

    with (
        pytest.raises(EmbeddedServerFailed, match=rf"\(chmod o\+x {parent}\)"),
        embedded_server(parent / "data"),
    ):
        pass

    assert mode(parent) == 0o700


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (None, "useradd: No such file or directory"),
        ("echo 'useradd: cannot lock /etc/passwd' >&2; exit 1", "useradd: cannot lock /etc/passwd"),
        ("exit 10", "useradd exited with 10"),
    ],
)
def test_account_that_cannot_be_made_is_reported_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, reason: str
) -> None:
    monkeypatch.setattr(embedded, "SERVER_ACCOUNT", "embedded_postgres_of_a_test")
    monkeypatch.setenv("PATH", str(folder))
    if program is not None:
        (folder / "useradd").write_text(f"#!/bin/sh\n{program}\n")
        (folder / "useradd").chmod(0o755)

    with (
        pytest.raises(EmbeddedServerFailed, match=rf"\({reason}\): make a system account"),
        embedded_server(folder / "data"),
    ):
        pass


def test_link_to_data_that_are_gone_is_refused(folder: Path, closed: Path) -> None:
    (closed / "data").mkdir()
    (closed / "data" / "cluster").symlink_to(folder / "reachable" / "gone" / "cluster")

    with (
        pytest.raises(EmbeddedServerFailed, match="which is gone"),
        embedded_server(closed / "data"),
    ):
        pass


def test_programs_below_a_closed_folder_are_copied_once(
    folder: Path, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = embedded.installation().parent
    for installed in (package, package.with_suffix(".libs")):
        (closed / installed.name).symlink_to(installed)
    moved = closed / package.name / "pginstall"
    monkeypatch.setattr(embedded, "installation", lambda: moved)

    with embedded_server(folder / "data") as server:
        create_table(server.url)
    with embedded_server(folder / "data") as again:
        assert kept_rows(again.url) == 0

    assert mode(closed) == 0o700
    assert len(list((folder / "reachable").glob("*"))) == 1
