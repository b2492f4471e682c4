"""A service whose log can be troubled; what a test leaves running is dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service


@pytest.fixture
def log() -> TroubledLog:
    return TroubledLog()


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(log=log)
    yield made
    await made.driver.drain(timedelta())
