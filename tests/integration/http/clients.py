"""Clients of an application without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.services import Services
from saga_orchestrator.tests.world import ENOUGH


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(services, version="1.2.3", hosts=("saga",)))
    limit = ENOUGH.total_seconds()
    async with httpx.AsyncClient(
        transport=transport, base_url="http://saga", timeout=limit
    ) as client:
        yield client
