"""Fixtures: one house for all tests of a folder. A test may kill the service: the next one finds it
running again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from saga_orchestrator.tests.acceptance.database import Database
from saga_orchestrator.tests.acceptance.house import Ending, House
from saga_orchestrator.tests.acceptance.program import (
    SAGA,
    Program,
    clean_environ,
    free_port,
    participant,
)
from saga_orchestrator.tests.acceptance.relay import Relay
from saga_orchestrator.tests.fix_postgres import database_of, execute


@pytest.fixture(scope="session")
def whole_house(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with fresh_database(postgres_server, folder.name) as url, a_house(folder, url) as house:
        yield house


@pytest.fixture
def house(whole_house: House) -> House:
    whole_house.relay.let_go()
    if not whole_house.service.is_alive:
        whole_house.service.start()
    return whole_house


@pytest.fixture(scope="session")
def undisturbed(whole_house: House) -> Ending:
    """How an order ends that nothing happens to."""
    return whole_house.ending(whole_house.order())


@pytest.fixture(scope="session")
def undisturbed_decline(whole_house: House) -> Ending:
    with whole_house.declining():
        return whole_house.ending(whole_house.order())


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """Empty: the service migrates it."""
    execute(server_url, "create database {}", name)
    yield database_of(server_url, name)
    execute(server_url, "drop database {} with (force)", name)


@contextmanager
def a_house(folder: Path, database_url: str) -> Iterator[House]:
    with ExitStack() as stack:
        orders, payments = (
            stack.enter_context(running(participant(one, folder)))
            for one in ("order_service", "payment_service")
        )
        relay = Relay({"orders": orders.url, "payments": payments.url})
        stack.enter_context(relay.running())
        saga = service(folder / "service.log", relay, DATABASE_URL=database_url)
        stack.enter_context(running(saga))
        database = stack.enter_context(closing(Database(database_url)))
        yield stack.enter_context(closing(House(saga, database, relay, orders.url, payments.url)))


@contextmanager
def house_next_door(house: House, saga: Program, database_url: str) -> Iterator[House]:
    """Another service and another database, with the same participants."""
    urls = (str(one.base_url) for one in (house.orders, house.payments))
    with (
        running(saga),
        closing(Database(database_url)) as database,
        closing(House(saga, database, house.relay, *urls)) as next_door,
    ):
        yield next_door


def service(log: Path, relay: Relay, **settings: str) -> Program:
    """The orchestrator on a free port; it calls participants through the relay, unless `settings`
    say otherwise."""
    port = free_port()
    called = {"ORDER_SERVICE_URL": relay.url, "PAYMENT_SERVICE_URL": relay.url}
    environ = clean_environ(
        **{"SERVICE_PORT": str(port), "SAGA_DRAIN_TIME": "2s", **called, **settings}
    )
    return Program((*SAGA, "serve"), f"http://127.0.0.1:{port}", environ, log)


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """Ready, and gone at the end."""
    try:
        program.start()
        yield program
    finally:
        program.end()
