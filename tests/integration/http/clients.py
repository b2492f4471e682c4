"""Clients of an application without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.services import AppContext
from saga_orchestrator.tests.support.in_memory_service import TIME_LIMIT


@asynccontextmanager
async def client_of(services: AppContext) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(services, version="1.2.3", hosts=("saga",)))
    limit = TIME_LIMIT.total_seconds()
    async with httpx.AsyncClient(
        transport=transport, base_url="http://saga", timeout=limit
    ) as client:
        yield client
