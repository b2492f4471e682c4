"""The whole service in portable mode, on a database without PostgreSQL's own features."""

from __future__ import annotations

import pytest
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode
from saga_orchestrator.tests.integration.reads.conftest import Service


@pytest.fixture
def database_mode() -> DatabaseMode:
    return "portable"


@pytest.fixture
def empty_database_url(empty_portable_database_url: str) -> str:
    return empty_portable_database_url


async def test_sagas_are_driven_listed_and_counted(service: Service) -> None:
    quick, stuck = await service.start("quick"), await service.start("stuck")
    await service.state["listing"].refresh()

    listed = (await service.get("/sagas"))["sagas"]
    parked = (await service.get("/sagas", status="parked"))["sagas"]
    feed = (await service.get("/events"))["events"]
    stats = await service.get("/stats")

    assert [entry["saga_id"] for entry in listed] == [stuck, quick]
    assert [entry["saga_id"] for entry in parked] == [stuck]
    assert {entry["saga_id"] for entry in feed} == {quick, stuck}
    assert stats
    assert (await service.get("/audit/verify"))["valid"] is True
