"""A world in memory whose status view is in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.tests.integration.projections.busy_world import a_busy_world, projected
from saga_orchestrator.tests.world import World


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Tables]:
    made = Tables(database_url)
    yield made
    await made.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await a_busy_world(seed=1)
    yield made
    await made.driver.drain(timedelta())


@pytest.fixture
async def projector(world: World, tables: Tables) -> Projector:
    """It has caught up, and is told of every commit of the world."""
    return await projected(world, tables)
