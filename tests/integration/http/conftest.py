"""The application over a world in memory, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import httpx
import pytest
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.fsm.runtime.event_counts import EventCounts
from saga_orchestrator.fsm.runtime.vital_signs import Check
from saga_orchestrator.fsm.secrecy import Redaction
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.health import HealthQuestion
from saga_orchestrator.http.participants.callback import CallbackPolicy
from saga_orchestrator.http.services import Services
from saga_orchestrator.projections.audit import verify_log
from saga_orchestrator.projections.cursor import Cursor
from saga_orchestrator.projections.feed import FeedFilter, FeedPage, Take, take_any
from saga_orchestrator.projections.listing import SagaFilter, SagaSummary
from saga_orchestrator.projections.place import Place
from saga_orchestrator.projections.stats import SagaCount, Stats
from saga_orchestrator.tests.integration.http.clients import client_of
from saga_orchestrator.tests.world import TOKENS, World, a_world
from starlette.types import ASGIApp

from .situations import SECRET

PARTICIPANT = "http://127.0.0.1:9001/api"


@dataclass(slots=True)
class ScriptedListing:
    sagas: list[SagaSummary] = field(default_factory=list)
    asked: list[tuple[SagaFilter, Place | None, int]] = field(default_factory=list)
    refreshed: int = 0

    async def refresh(self) -> None:
        """It is always as new as the test has made it."""
        self.refreshed += 1

    async def page(
        self, wanted: SagaFilter, after: Place | None, limit: int
    ) -> Sequence[SagaSummary]:
        """They are in the order that the test has given them."""
        self.asked.append((wanted, after, limit))
        places = [wanted.place_of(one) for one in self.sagas]
        first = 0 if after is None else places.index(after) + 1
        return self.sagas[first : first + limit]


@dataclass(slots=True)
class ScriptedHealth:
    checks: dict[str, Check] = field(default_factory=lambda: {"log": Check(True, "2 ms")})
    asked: int = 0

    async def check(self) -> Mapping[str, Check]:
        self.asked += 1
        return self.checks


class EmptyFeed:
    async def page(
        self, wanted: FeedFilter, after: Cursor, limit: int, take: Take = take_any
    ) -> FeedPage:
        return FeedPage(events=[], next=after, has_more=False)


class NoStatistics:
    async def stats(self, now: datetime) -> Stats:
        return Stats(since=now, counts=[], sagas=[], steps=[])

    async def unsettled(self) -> Sequence[SagaCount]:
        return []


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
async def bulk(world: World) -> AsyncIterator[BulkJobs]:
    made = BulkJobs(world.orchestrator, world.clock)
    yield made
    await made.close()


@pytest.fixture
def services(
    world: World, listing: ScriptedListing, health: ScriptedHealth, bulk: BulkJobs
) -> Services:
    return services_of(world, listing, health, bulk)


def services_of(
    world: World, listing: ScriptedListing, health: ScriptedHealth, bulk: BulkJobs
) -> Services:
    return Services(
        orchestrator=world.orchestrator,
        listing=listing,
        health=HealthQuestion(health),
        callbacks=CallbackPolicy([PARTICIPANT], loopback=False),
        audit=partial(verify_log, world.log),
        tokens=TOKENS,
        bulk=bulk,
        feed=EmptyFeed(),
        statistics=NoStatistics(),
        executor=world.driver.executor,
        event_counts=EventCounts(),
        redaction=Redaction([SECRET]),
        participants=dict.fromkeys(("order-service", "payment-service", "airline"), PARTICIPANT),
    )


@pytest.fixture
def app(services: Services) -> ASGIApp:
    return build_app(services, version="1.2.3", hosts=("saga",))


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services) as made:
        yield made
