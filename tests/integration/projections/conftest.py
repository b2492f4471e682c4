"""An in-memory service whose status table is in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
    random_service,
)
from saga_orchestrator.tests.support.in_memory_service import InMemoryService


@pytest.fixture
async def status_table(database_url: str) -> AsyncIterator[StatusTable]:
    made = StatusTable(database_url)
    yield made
    await made.close()


@pytest.fixture
async def service() -> AsyncIterator[InMemoryService]:
    made = await random_service(seed=1)
    yield made
    await made.driver.drain(timedelta())


@pytest.fixture
async def projector(service: InMemoryService, status_table: StatusTable) -> Projector:
    """A projector that has caught up and observes every commit of the service."""
    return await caught_up_projector(service, status_table)
