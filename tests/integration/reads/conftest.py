"""The whole service over PostgreSQL, with sagas that need no participant to complete or to park."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode
from saga_orchestrator.http.state import AppState
from saga_orchestrator.settings import Settings
from saga_orchestrator.tests.integration.http.clients import served_app
from saga_orchestrator.wiring import open_service
from starlette.types import ASGIApp

Answer: TypeAlias = dict[str, Any]

DEFINITIONS: Mapping[str, Answer] = {
    "quick": {"steps": [{"name": "nap", "sleep": "1ms"}]},
    "stuck": {
        "steps": [
            {"name": "nap", "sleep": "1ms"},
            {
                "name": "approval",
                "wait_for": {"signal": "go", "timeout": "1ms", "on_timeout": "park"},
            },
        ]
    },
    "refused": {
        "steps": [
            {
                "name": "pay",
                "participant": "nobody-service",
                "action": {"path": "/", "retry": {"attempts": 1}},
                "compensation": {"path": "/undo"},
            }
        ]
    },
}


@dataclass(frozen=True, slots=True)
class Service:
    client: httpx.AsyncClient
    state: AppState
    app: ASGIApp
    database_url: str

    async def start(self, saga_type: str) -> str:
        """The id of a saga that rests."""
        body = {"saga_type": saga_type, "entity_id": 1, "input": {}}
        answer = await self.client.post("/sagas/start", json=body)
        assert answer.status_code == 200, answer.text
        saga_id: str = answer.json()["saga_id"]
        return saga_id

    async def get(self, path: str, **query: str | int) -> Answer:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: Answer = answer.json()
        return found


@pytest.fixture
def database_mode() -> DatabaseMode:
    """A test that is for the other mode overrides it."""
    return "postgresql"


@pytest.fixture
async def service(empty_database_url: str, database_mode: DatabaseMode) -> AsyncIterator[Service]:
    participants = {"nobody-service": "http://127.0.0.1:9"}
    settings = Settings(
        database_url=empty_database_url,
        saga_database_mode=database_mode,
        saga_participants=participants,
        saga_allowed_hosts=("saga",),
    )
    async with open_service(settings) as state:
        app = served_app(state)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://saga") as client:
            await register(client, DEFINITIONS)
            yield Service(client, state, app, empty_database_url)


async def register(client: httpx.AsyncClient, definitions: Mapping[str, Answer]) -> None:
    for name, members in definitions.items():
        document = {"saga": name, "version": 1, **members}
        answer = await client.put(f"/definitions/{name}/1", json=document)
        assert answer.status_code == 201, answer.text
