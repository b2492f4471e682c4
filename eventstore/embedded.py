"""A PostgreSQL of one's own, without installing anything.

    with embedded_server(Path(".state")) as server:
        await migrate(server.url, ...)

The data is kept and the settings are PostgreSQL's durable defaults: it is a real server, reached
through a unix socket that only its own account (and root) can open.

* The server outlives a process that is killed; the next one finds it running and uses it.
* Every user holds a shared lock on a file, which the kernel takes back even after kill -9. A user
  who leaves and can turn it into an exclusive lock was the last one, and stops the server.
* The cluster is made beside its place and moved there when complete: no crash leaves half a one.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .cluster import Cluster


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    data_dir: Path
    url: str


def has_embedded_server(data_dir: Path) -> bool:
    """Whether that folder holds a server's data. Nothing is made."""
    return Cluster(data_dir.expanduser().resolve()).is_made


@contextmanager
def embedded_server(data_dir: Path, *, tcp_port: int | None = None) -> Iterator[EmbeddedServer]:
    """The server of that folder, started if it is not running. Blocks while it starts or stops.

    Raises EmbeddedServerFailed.
    """
    home = data_dir.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(home, tcp_port)
    with (home / "users.lock").open("a") as users:
        with _turn(home):
            cluster.ensure_running()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield EmbeddedServer(home, cluster.url)
        finally:
            with _turn(home):
                if _is_last(users):
                    cluster.stop()


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    """One process at a time starts or stops the server."""
    with (home / "turn.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
