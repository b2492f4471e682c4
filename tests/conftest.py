"""Fixtures of all tests."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "saga_orchestrator.tests.support.postgres",
    "saga_orchestrator.tests.support.portable_postgres",
]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": False})
