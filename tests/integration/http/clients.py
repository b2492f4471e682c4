"""Clients of an application without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.state import AppState
from saga_orchestrator.tests.support.in_memory_service import TIME_LIMIT
from starlette.types import ASGIApp, Receive, Scope, Send


def served_app(state: AppState) -> ASGIApp:
    """Return the application whose requests have `state`, as after its lifespan has begun."""
    app = build_app(version="1.2.3")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {**state}}, receive, send)

    return serve


@asynccontextmanager
async def client_of(state: AppState) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(served_app(state))
    limit = TIME_LIMIT.total_seconds()
    async with httpx.AsyncClient(
        transport=transport, base_url="http://saga", timeout=limit
    ) as client:
        yield client
