"""`saga doctor` from the outside: what it says, and what it returns."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.tests.acceptance.deployment import Deployment
from saga_orchestrator.tests.acceptance.doctor_run import run_doctor
from saga_orchestrator.tests.acceptance.process import clean_environ

pytestmark = pytest.mark.slow


def test_serving_deployment_has_no_findings(deployment: Deployment) -> None:
    deployment.outcome_of(deployment.new_order())
    with deployment.declining():
        deployment.outcome_of(deployment.new_order())

    examination = deployment.run_doctor()

    # Other tests have frozen nodes of this deployment, whose late calls are noticed.
    assert examination.violations == []
    assert examination.exit_code == 0
    assert examination.summary.endswith("events, 0 violations")


def test_each_finding_is_one_line(deployment: Deployment, database_url: str) -> None:
    unknown = "018f0000-0000-7000-8000-000000000001"
    with psycopg.connect(database_url) as operator:
        operator.execute(
            "insert into stream_key select 'key-' || number, '', %s, now()"
            " from generate_series(1, 2) as number",
            (unknown,),
        )

    said = run_doctor(clean_environ(DATABASE_URL=database_url))

    assert said.stdout == f"{unknown}: 2 keys stand for it [I13]\n"
    assert said.stderr == "0 sagas, 0 events, 1 violations\n"
    assert said.returncode == 10


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("nonsense\n", "line 1: it is not JSON"),
        ('{"at": "2026-03-01T12:00:00Z"}\n', "line 1: /saga_id is missing"),
    ],
)
def test_unreadable_file_is_named(
    database_url: str, tmp_path: Path, line: str, trouble: str
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(line)

    said = run_doctor(clean_environ(DATABASE_URL=database_url), "--answers", str(file))

    assert said.stderr.startswith(f"saga: {file}: {trouble}")
    assert (said.returncode, said.stdout) == (2, "")


def test_database_without_a_log_is_named(empty_database_url: str) -> None:
    said = run_doctor(clean_environ(DATABASE_URL=empty_database_url))

    assert said.returncode == 2
    assert said.stderr.startswith("saga: DATABASE_URL has no log")
