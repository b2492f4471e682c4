"""The application over a world in memory, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import httpx
import pytest
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.health import Check
from saga_orchestrator.http.participants.callback import CallbackPolicy
from saga_orchestrator.projections.audit import verify_log
from saga_orchestrator.projections.listing import SagaFilter, SagaSummary
from saga_orchestrator.tests.world import ENOUGH, World, a_world
from starlette.routing import Router


@dataclass(slots=True)
class ScriptedListing:
    sagas: list[SagaSummary] = field(default_factory=list)
    asked: list[tuple[SagaFilter, str | None, int]] = field(default_factory=list)

    async def page(
        self, wanted: SagaFilter, after: str | None, limit: int
    ) -> Sequence[SagaSummary]:
        self.asked.append((wanted, after, limit))
        return [one for one in self.sagas if after is None or one.saga_id < after][:limit]


@dataclass(slots=True)
class ScriptedHealth:
    checks: dict[str, Check] = field(default_factory=lambda: {"log": Check(True, "2 ms")})
    asked: int = 0

    async def check(self) -> Mapping[str, Check]:
        self.asked += 1
        return self.checks


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await a_world()
    yield made
    await made.driver.drain(timedelta())


@pytest.fixture
def listing() -> ScriptedListing:
    return ScriptedListing()


@pytest.fixture
def health() -> ScriptedHealth:
    return ScriptedHealth()


@pytest.fixture
def app(world: World, listing: ScriptedListing, health: ScriptedHealth) -> Router:
    callbacks = CallbackPolicy([], loopback=False)
    audit = partial(verify_log, world.log)
    return build_app(world.orchestrator, listing, health, callbacks, audit, version="1.2.3")


@pytest.fixture
async def client(app: Router) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    limit = ENOUGH.total_seconds()
    async with httpx.AsyncClient(
        transport=transport, base_url="http://saga", timeout=limit
    ) as made:
        yield made
