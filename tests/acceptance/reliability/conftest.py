"""One house whose database is at the end of a wire, for all faults that it survives."""

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
    """A house, and what stands behind it."""

    deployment: Deployment
    server: PostgresServer
    database_proxy: TcpProxy


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not pytest's own: root's server runs under another account, which may not enter that one.
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def exposed_house(whole_house: Deployment, folder: Path) -> Iterator[ProxiedDeployment]:
    home = folder / "one"
    home.mkdir()
    with new_server(home) as server, TcpProxy(server.socket).running() as wire:
        url = f"postgresql://{ROLE}@{wire.address}/{DATABASE}"
        saga = orchestrator_process(folder / "service.log", whole_house.proxy, DATABASE_URL=url)
        with second_deployment(whole_house, saga, server.database_url) as house:
            yield ProxiedDeployment(house, server, wire)


@pytest.fixture
def exposed(exposed_house: ProxiedDeployment) -> ProxiedDeployment:
    """Well, whatever the test before has done."""
    exposed_house.deployment.proxy.drop_all()
    exposed_house.server.start()
    if not exposed_house.deployment.service.is_alive:
        exposed_house.deployment.service.start()
    await_ready(exposed_house.deployment)
    return exposed_house


@contextmanager
def new_server(home: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(home)
    with ExitStack() as stack:
        stack.callback(server.end)
        server.make()
        yield server
