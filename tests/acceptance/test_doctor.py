"""`saga doctor` from the outside: what it says, and what it returns."""

from __future__ import annotations

from pathlib import Path

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
