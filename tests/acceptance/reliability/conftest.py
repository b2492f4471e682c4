"""A deployment with a database server of its own, behind a proxy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from saga_orchestrator.tests.acceptance.deployment import (
    Deployment,
    orchestrator_process,
    second_deployment,
)
from saga_orchestrator.tests.acceptance.reliability.postgres_server import (
    DATABASE,
    ROLE,
    PostgresServer,
)
from saga_orchestrator.tests.acceptance.reliability.readiness import await_ready
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy


@dataclass(frozen=True, slots=True)
class ProxiedDeployment:
    """A deployment, its database server, and the proxy between them."""

    deployment: Deployment
    server: PostgresServer
    database_proxy: TcpProxy


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not the folder of pytest, which the account of a server started by root may not enter.
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def session_proxied(session_deployment: Deployment, folder: Path) -> Iterator[ProxiedDeployment]:
    home = folder / "one"
    home.mkdir()
    with new_server(home) as server, TcpProxy(server.socket).running() as network:
        url = f"postgresql://{ROLE}@{network.address}/{DATABASE}"
        saga = orchestrator_process(
            folder / "service.log", session_deployment.proxy, DATABASE_URL=url
        )
        with second_deployment(session_deployment, saga, server.database_url) as deployment:
            yield ProxiedDeployment(deployment, server, network)


@pytest.fixture
def proxied(session_proxied: ProxiedDeployment) -> ProxiedDeployment:
    """Return the deployment ready, whatever the test before has done."""
    session_proxied.deployment.proxy.drop_all()
    session_proxied.server.start()
    if not session_proxied.deployment.service.is_alive:
        session_proxied.deployment.service.start()
    await_ready(session_proxied.deployment)
    return session_proxied


@contextmanager
def new_server(home: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(home)
    with ExitStack() as stack:
        stack.callback(server.end)
        server.make()
        yield server
