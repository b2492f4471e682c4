"""One service for all tests of this folder, with every participant that the examples name.

A demo participant plays most roles, at the URLs of the participants file. The file also has a wrong
URL of order-service, which ORDER_SERVICE_URL overrides.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from saga_orchestrator import examples
from saga_orchestrator.tests.acceptance.examples import demo_participant
from saga_orchestrator.tests.acceptance.examples.example_deployment import ExampleDeployment
from saga_orchestrator.tests.acceptance.process import (
    ServerProcess,
    clean_environ,
    free_port,
    participant_process,
)
from saga_orchestrator.tests.support.postgres import database_url_of, execute

ROLES = (
    "account", "budget", "card", "carrier", "clearing", "customs", "dtm-bank", "flight",
    "gift-card", "hotel", "insurance", "mail", "seat", "statement", "subscription", "ticket",
    "warehouse",
)  # fmt: skip
NOWHERE = "http://127.0.0.1:1"
CARD_TOKEN = "Bearer a-very-secret-token"
SLEEP_CAP = "200ms"


@pytest.fixture(scope="session")
def whole_stage(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleDeployment]:
    folder = tmp_path_factory.mktemp("examples")
    execute(postgres_server, "create database {}", "examples")
    with ExitStack() as stack:
        others = (
            demo(folder),
            *(participant_process(f"{name}_service", folder) for name in ("order", "payment")),
        )
        service = orchestrator(folder, database_url_of(postgres_server, "examples"), others)
        for program in (*others, service):
            stack.enter_context(running(program))
        yield ExampleDeployment.of(stack, service, *others)
    execute(postgres_server, "drop database {} with (force)", "examples")


@pytest.fixture
def stage(whole_stage: ExampleDeployment) -> ExampleDeployment:
    whole_stage.reset()
    return whole_stage


def demo(folder: Path) -> ServerProcess:
    port = free_port()
    arguments = (sys.executable, demo_participant.__file__, "--port", str(port))
    return ServerProcess(
        arguments, f"http://127.0.0.1:{port}", clean_environ(), folder / "demo.log"
    )


def orchestrator(folder: Path, database_url: str, others: Sequence[ServerProcess]) -> ServerProcess:
    demo_url, orders, payments = (participant.url for participant in others)
    port = free_port()
    environ = clean_environ(
        SERVICE_PORT=str(port),
        DATABASE_URL=database_url,
        ORDER_SERVICE_URL=orders,
        PAYMENT_SERVICE_URL=payments,
        SAGA_PARTICIPANTS_FILE=str(participants_file(folder, demo_url)),
        SAGA_DEFINITIONS_DIR=str(Path(examples.__file__).parent / "definitions"),
        SAGA_SLEEP_CAP=SLEEP_CAP,
        SAGA_LOG_LEVEL="debug",
        CARD_TOKEN=CARD_TOKEN,
    )
    arguments = (sys.executable, "-m", "saga_orchestrator.cli", "serve")
    return ServerProcess(arguments, f"http://127.0.0.1:{port}", environ, folder / "service.log")


def participants_file(folder: Path, demo_url: str) -> Path:
    entries = {f"{role}-service": {"url": f"{demo_url}/{role}-service"} for role in ROLES}
    terms = {
        "order-service": {"url": NOWHERE},
        "dtm-bank-service": {"profile": "dtm", "calls_at_a_time": 2, "connect_timeout": "500ms"},
        "card-service": {"headers": {"Authorization": {"secret": "CARD_TOKEN"}}},
    }
    for name, entry in terms.items():
        entries[name] = {**entries.get(name, {}), **entry}  # type: ignore[dict-item]
    file = folder / "participants.yaml"
    file.write_text(yaml.safe_dump(entries))
    return file


@contextmanager
def running(program: ServerProcess) -> Iterator[ServerProcess]:
    try:
        program.start()
        yield program
    finally:
        program.end()
