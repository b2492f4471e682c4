"""One house whose database is at the end of a wire, for all faults that it survives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from saga_orchestrator.tests.acceptance.fix_house import house_next_door, service
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.reliability.own_server import DATABASE, ROLE, OwnServer
from saga_orchestrator.tests.acceptance.reliability.signs import await_well
from saga_orchestrator.tests.acceptance.reliability.wire import Wire


@dataclass(frozen=True, slots=True)
class Exposed:
    """A house, and what stands behind it."""

    house: House
    server: OwnServer
    wire: Wire


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not pytest's own: root's server runs under another account, which may not enter that one.
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def exposed_house(whole_house: House, folder: Path) -> Iterator[Exposed]:
    home = folder / "one"
    home.mkdir()
    with a_server(home) as server, Wire(server.socket).running() as wire:
        url = f"postgresql://{ROLE}@{wire.address}/{DATABASE}"
        saga = service(folder / "service.log", whole_house.relay, DATABASE_URL=url)
        with house_next_door(whole_house, saga, server.database_url) as house:
            yield Exposed(house, server, wire)


@pytest.fixture
def exposed(exposed_house: Exposed) -> Exposed:
    """Well, whatever the test before has done."""
    exposed_house.house.relay.let_go()
    exposed_house.server.start()
    if not exposed_house.house.service.is_alive:
        exposed_house.house.service.start()
    await_well(exposed_house.house)
    return exposed_house


@contextmanager
def a_server(home: Path) -> Iterator[OwnServer]:
    server = OwnServer(home)
    with ExitStack() as stack:
        stack.callback(server.end)
        server.make()
        yield server
