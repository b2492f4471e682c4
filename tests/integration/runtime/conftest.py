"""A world whose log can be troubled; whatever a test leaves running is dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.world import World, a_world


@pytest.fixture
def log() -> TroubledLog:
    return TroubledLog()


@pytest.fixture
async def world(log: TroubledLog) -> AsyncIterator[World]:
    made = await a_world(log=log)
    yield made
    await made.driver.drain(timedelta())
