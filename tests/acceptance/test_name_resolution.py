"""Participants by name, in the whole service: a silent name server costs other names nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from saga_orchestrator.tests.acceptance.deployment import (
    Deployment,
    Outcome,
    fresh_database,
    orchestrator_process,
    second_deployment,
)
from saga_orchestrator.tests.chaos.participant_addresses import NAME_SERVICE
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 30
TO_UNRESOLVED = """
saga: to_unresolved
version: 1
steps:
  - {name: ask, participant: silent-service, effect: none, action: {path: /ask}}
"""


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each name leads."""
    file = tmp_path_factory.mktemp("names") / "names.json"
    file.write_text(json.dumps({"shop.test": ["127.0.0.1"], "silent.test": None}))
    return file


@pytest.fixture(scope="module")
def deployment_of_names(
    session_deployment: Deployment,
    postgres_server: str,
    names: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment_of_names")
    (folder / "to_unresolved.yaml").write_text(TO_UNRESOLVED)
    port = urlsplit(session_deployment.proxy.url).port
    with fresh_database(postgres_server, folder.name) as url:
        saga = orchestrator_process(
            folder / "service.log",
            session_deployment.proxy,
            DATABASE_URL=url,
            ORDER_SERVICE_URL=f"http://shop.test:{port}",
            PAYMENT_SERVICE_URL=f"http://shop.test:{port}",
            SILENT_SERVICE_URL=f"http://silent.test:{port}",
            SAGA_DEFINITIONS_DIR=str(folder),
            PYTHONPATH=str(NAME_SERVICE),
            NAMES_FILE=str(names),
        )
        with second_deployment(session_deployment, saga, url) as deployment:
            yield deployment


def test_silent_name_server_costs_sagas_of_other_participants_no_attempt(
    deployment_of_names: Deployment, undisturbed: Outcome
) -> None:
    deployment = deployment_of_names
    asked = [
        deployment.api.post(
            "/sagas/start",
            json={"saga_type": "to_unresolved", "entity_id": number},
            headers={"Prefer": "respond-async"},
        )
        for number in range(MANY)
    ]

    assert deployment.outcome_of(deployment.new_order()) == undisturbed

    saga_id = asked[0].json()["saga_id"]
    why = wait_until(
        lambda: deployment.status(saga_id)["steps"][0]["last_error"], "the first try is over"
    )
    assert "its name server did not answer" in why
