"""The ways to start the service, what stops it at once, and the rest of the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.deployment import (
    Deployment,
    Outcome,
    fresh_database,
    orchestrator_process,
    running,
)
from saga_orchestrator.tests.acceptance.process import (
    ROOT,
    SAGA_COMMAND,
    free_port,
    http_client,
    run_to_end,
)
from saga_orchestrator.tests.support.postgres import execute
from saga_orchestrator.tests.support.waiting import TIME_LIMIT, wait_until

pytestmark = pytest.mark.slow

DEFINITION = ROOT / "fsm" / "definitions" / "builtin" / "order_processing.yaml"
UVICORN = (str(Path(sys.executable).with_name("uvicorn")), "server:app", "--port")
NOWHERE = "postgresql://postgres@127.0.0.1:1/saga"  # no server listens on port 1
# They are found wrong at different moments of the start; tests/unit/test_settings.py has all.
WRONG = {
    "SAGA_SLEEP_CAP": "soon",
    "SAGA_DRAINTIME": "8s",
    "SAGA_HOST": "nowhere.invalid",
    "SAGA_DATA_DIR": "/dev/null",
}


def refusal(**settings: str) -> str:
    """The one line that a start ends with."""
    ended = run_to_end(
        *SAGA_COMMAND, "serve", within=TIME_LIMIT, **{"SERVICE_PORT": str(free_port()), **settings}
    )
    assert ended.returncode > 0, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", WRONG)
def test_invalid_setting_stops_the_start_with_one_line_that_names_it(name: str) -> None:
    # If it were accepted, the start would end at the database, and name that instead.
    database = "" if name == "SAGA_DATA_DIR" else NOWHERE

    line = refusal(**{"DATABASE_URL": database, name: WRONG[name]})

    assert line.startswith("saga: ")
    assert name in line


def test_unreachable_database_stops_the_start_with_one_line() -> None:
    assert refusal(DATABASE_URL=NOWHERE).startswith("saga: DATABASE_URL cannot be used: ")


def test_invalid_definition_stops_the_start_with_one_line(
    postgres_server: str, tmp_path: Path
) -> None:
    (tmp_path / "trip.yaml").write_text("saga: trip\nversion: 1\nsteps: []\n")
    with fresh_database(postgres_server, "refused_definition") as url:
        line = refusal(DATABASE_URL=url, SAGA_DEFINITIONS_DIR=str(tmp_path))

    assert line.startswith(f"saga: SAGA_DEFINITIONS_DIR: {tmp_path / 'trip.yaml'} is refused: ")


def test_second_version_of_a_builtin_definition_is_kept(
    session_deployment: Deployment, postgres_server: str, tmp_path: Path
) -> None:
    """Version 2 has an `input:`."""
    own = DEFINITION.read_text().replace("version: 1", "version: 2\ndescription: our own")
    (tmp_path / "order.yaml").write_text(own)
    with fresh_database(postgres_server, f"own_version_{free_port()}") as url:
        program = orchestrator_process(
            tmp_path / "log",
            session_deployment.proxy,
            DATABASE_URL=url,
            SAGA_DEFINITIONS_DIR=str(tmp_path),
        )
        for _ in ("the first start", "the next one"):
            with running(program), http_client(program.url) as web:
                second = web.get("/definitions/order_processing/2").json()
                assert second["description"] == "our own"


def test_second_service_on_the_same_port_stops_with_one_line_and_leaves_the_first_running(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    names = ("SERVICE_PORT", "DATABASE_URL")

    line = refusal(**{name: deployment.service.environ[name] for name in names})

    assert line.startswith("saga: cannot listen on 127.0.0.1 port ")
    assert "SERVICE_PORT" in line
    assert deployment.outcome_of(deployment.new_order()) == undisturbed


@pytest.mark.parametrize(
    "arguments", [(*SAGA_COMMAND, "serve"), (*UVICORN, "0")], ids=["saga serve", "uvicorn"]
)
def test_start_that_fails_for_any_other_reason_ends(
    postgres_server: str, arguments: Sequence[str]
) -> None:
    with fresh_database(postgres_server, f"occupied_{free_port()}") as url:
        execute(url, "create table {} ()", "event")
        ended = run_to_end(*arguments, SERVICE_PORT=str(free_port()), DATABASE_URL=url)

    assert ended.returncode > 0


@pytest.mark.parametrize(
    "arguments",
    [
        UVICORN,
        (sys.executable, "-m", "uvicorn", "server:app", "--port"),
        (sys.executable, "server.py"),
    ],
    ids=["uvicorn", "python -m uvicorn", "python server.py"],
)
def test_service_starts_in_the_root_without_path_settings(
    session_deployment: Deployment, postgres_server: str, tmp_path: Path, arguments: Sequence[str]
) -> None:
    with fresh_database(postgres_server, f"served_{free_port()}") as url:
        program = orchestrator_process(tmp_path / "log", session_deployment.proxy, DATABASE_URL=url)
        port = program.environ["SERVICE_PORT"]
        program.arguments = (*arguments, port) if arguments[-1] == "--port" else arguments
        with running(program), http_client(program.url) as web:
            started = web.post("/sagas/start", json=order_request(1)).json()

    assert started["status"] == "completed"


@pytest.mark.parametrize("verb", [("doctor",), ("projections", "rebuild")])
def test_command_in_a_folder_without_a_database_creates_none(
    verb: Sequence[str], tmp_path: Path
) -> None:
    ended = run_to_end(*SAGA_COMMAND, *verb, SAGA_DATA_DIR=str(tmp_path / "wrong"))

    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"saga: there is no database in {tmp_path / 'wrong' / 'postgresql'}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [("doctor",), ("projections", "rebuild")])
def test_database_without_a_log_is_left_as_it_is(verb: Sequence[str], postgres_server: str) -> None:
    with fresh_database(postgres_server, f"empty_{free_port()}") as url:
        ended = run_to_end(*SAGA_COMMAND, *verb, DATABASE_URL=url)
        with psycopg.connect(url) as connection:
            tables = connection.execute("select from pg_tables where schemaname = 'public'")
            assert tables.fetchall() == []

    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("saga: DATABASE_URL has no log: ")


def test_projections_are_rebuilt_while_the_service_runs(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    assert deployment.outcome_of(entity_id) == undisturbed
    wait_until(lambda: listed(deployment, entity_id) == ["completed"], "the list has folded it")

    rebuilt = run_to_end(
        *SAGA_COMMAND,
        "projections",
        "rebuild",
        DATABASE_URL=deployment.service.environ["DATABASE_URL"],
    )

    assert (rebuilt.returncode, rebuilt.stdout.split()[0]) == (0, "projected"), rebuilt.stderr
    assert listed(deployment, entity_id) == ["completed"]
    assert deployment.outcome_of(deployment.new_order()) == undisturbed


def listed(deployment: Deployment, entity_id: int) -> list[str]:
    page = deployment.api.get("/sagas", params={"entity_id": json.dumps(entity_id)}).json()
    return [saga["status"] for saga in page["sagas"]]
