"""An orchestrator under test: one or more nodes on a database of their own."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from saga_orchestrator.tests.blackbox.database_proxy import DatabaseProxy
from saga_orchestrator.tests.blackbox.node import Node, NotReady, is_port_in_use

POSTGRESQL_PORT = 5432


@dataclass(frozen=True, slots=True)
class Target:
    """What to test: a command to run, perhaps on a database server; or the `url` of a service."""

    command: str | None
    url: str
    database_url: str | None


class Installation:
    """The nodes that some scenarios share; the first is `n1`."""

    def __init__(self, target: Target, home: Path, env: Mapping[str, str]) -> None:
        self.target, self.home, self.env = target, home, dict(env)
        self.nodes: dict[str, Node] = {}
        self._reviving = asyncio.Lock()
        self._database_proxy: DatabaseProxy | None = None
        self._database = f"acceptance_{secrets.token_hex(4)}"

    async def start(self, ports: Sequence[int]) -> None:
        """Start a node at each port. Raises NotReady."""
        if self.target.command:
            self.env["SAGA_DATA_DIR"] = str(self.home / "data")
            await self._create_database()
        for number, port in enumerate(ports, 1):
            if self.target.command and is_port_in_use(port):
                raise NotReady(f"port {port} is in use: choose others with --ports")
            url = f"http://127.0.0.1:{port}" if self.target.command else self.target.url
            env = {**self.env, "SERVICE_PORT": str(port)}
            node = Node(url, self.target.command, env, self.home / f"n{number}")
            self.nodes[f"n{number}"] = node
            await node.start()

    async def heal(self) -> None:
        """Reverse what scenarios do to the database and to the nodes, short of killing."""
        await self.set_database("up")
        for node in self.nodes.values():
            if node.process and node.is_alive:
                node.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        await self.heal()
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        if self._database_proxy:
            self._database_proxy.down()
            await self._execute(f"DROP DATABASE IF EXISTS {self._database} WITH (FORCE)")

    def kill(self, connected_at: float) -> None:
        """Kill the first node, unless it was started after the caller connected."""
        node = self.nodes["n1"]
        if node.is_alive and node.started_at < connected_at:
            node.send_signal(signal.SIGKILL)

    async def restart_dead_nodes(self) -> None:
        async with self._reviving:
            for node in self.nodes.values():
                if not node.is_alive:
                    await node.start()

    async def set_database(self, state: str) -> None:
        """Make the database `up`, `down` or `frozen`, where a server was given."""
        match self._database_proxy, state:
            case DatabaseProxy() as proxy, "up":
                await proxy.up()
            case DatabaseProxy() as proxy, "down":
                proxy.down()
            case DatabaseProxy() as proxy, "frozen":
                proxy.freeze()

    async def _create_database(self) -> None:
        """Create a database where a server is given; else the orchestrator embeds its own."""
        if not self.target.database_url:
            return
        await self._execute(f"CREATE DATABASE {self._database}")
        parts = urlsplit(self.target.database_url)
        proxy = DatabaseProxy(parts.hostname or "127.0.0.1", parts.port or POSTGRESQL_PORT)
        await proxy.up()
        login, at, _ = parts.netloc.rpartition("@")
        proxied = parts._replace(
            netloc=f"{login}{at}127.0.0.1:{proxy.port}", path=f"/{self._database}"
        )
        self._database_proxy = proxy
        self.env["DATABASE_URL"] = urlunsplit(proxied)

    async def _execute(self, statement: str) -> None:
        import psycopg  # only where a database server is given

        url = str(self.target.database_url)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(statement.encode())
