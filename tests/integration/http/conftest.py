"""The application over a service in memory, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import httpx
import pytest
from saga_orchestrator.eventstore.cluster.memory_jobs import InMemoryJobs
from saga_orchestrator.fsm.formats.redaction import Redaction
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout, WorkerThread
from saga_orchestrator.fsm.runtime.health import CheckResult, SingleFlightHealthCheck
from saga_orchestrator.fsm.runtime.metrics import EventMetrics
from saga_orchestrator.http.participants.webhook_sender import WebhookPolicy
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.wire.body import MAX_BODY_SECONDS
from saga_orchestrator.projections.audit.chain import verify_log
from saga_orchestrator.projections.feed import (
    AcceptEvent,
    FeedCursor,
    FeedFilter,
    FeedPage,
    accept_all,
)
from saga_orchestrator.projections.listing import PageCursor, SagaFilter, SagaSummary
from saga_orchestrator.projections.stats import SagaCount, Stats
from saga_orchestrator.tests.integration.http.clients import client_of, served_app
from saga_orchestrator.tests.support.in_memory_service import (
    TOKENS,
    InMemoryService,
    in_memory_service,
)
from starlette.types import ASGIApp

from .situations import SECRET

PARTICIPANT = "http://127.0.0.1:9001/api"


@dataclass(slots=True)
class ScriptedListing:
    sagas: list[SagaSummary] = field(default_factory=list)
    asked: list[tuple[SagaFilter, PageCursor | None, int]] = field(default_factory=list)
    refreshed: int = 0

    async def refresh(self) -> None:
        """It is always as new as the test has made it."""
        self.refreshed += 1

    async def page(
        self, wanted: SagaFilter, after: PageCursor | None, limit: int
    ) -> Sequence[SagaSummary]:
        """They are in the order that the test has given them."""
        self.asked.append((wanted, after, limit))
        places = [wanted.cursor_after(summary) for summary in self.sagas]
        first = 0 if after is None else places.index(after) + 1
        return self.sagas[first : first + limit]


@dataclass(slots=True)
class ScriptedHealth:
    checks: dict[str, CheckResult] = field(
        default_factory=lambda: {"log": CheckResult(True, "2 ms")}
    )
    asked: int = 0

    async def check(self) -> Mapping[str, CheckResult]:
        self.asked += 1
        return self.checks


class EmptyFeed:
    async def page(
        self, wanted: FeedFilter, after: FeedCursor, limit: int, take: AcceptEvent = accept_all
    ) -> FeedPage:
        return FeedPage(events=[], next=after, has_more=False)


class NoStatistics:
    async def stats(self, now: datetime) -> Stats:
        return Stats(since=now, counts=[], sagas=[], steps=[])

    async def open_counts(self) -> Sequence[SagaCount]:
        return []


@pytest.fixture
async def service() -> AsyncIterator[InMemoryService]:
    made = await in_memory_service()
    yield made
    await made.driver.drain(timedelta())


@pytest.fixture
def listing() -> ScriptedListing:
    return ScriptedListing()


@pytest.fixture
def health() -> ScriptedHealth:
    return ScriptedHealth()


@pytest.fixture
async def bulk(service: InMemoryService) -> BulkJobs:
    return bulk_jobs(service)


def bulk_jobs(service: InMemoryService) -> BulkJobs:
    local_sagas = service.orchestrator.local_sagas
    return BulkJobs(InMemoryJobs(), local_sagas, lambda: service.driver.shards, service.clock)


@pytest.fixture
async def state(
    service: InMemoryService, listing: ScriptedListing, health: ScriptedHealth, bulk: BulkJobs
) -> AppState:
    return state_of(service, listing, health, bulk)


def state_of(
    service: InMemoryService, listing: ScriptedListing, health: ScriptedHealth, bulk: BulkJobs
) -> AppState:
    return AppState(
        orchestrator=service.orchestrator,
        listing=listing,
        health=SingleFlightHealthCheck(health),
        webhook_policy=WebhookPolicy([PARTICIPANT], loopback=False),
        audit=partial(verify_log, service.log),
        tokens=TOKENS,
        bulk=bulk,
        feed=EmptyFeed(),
        statistics=NoStatistics(),
        executor=service.driver.executor,
        event_counts=EventMetrics(),
        worker_thread=WorkerThread(),
        body_timeout=SharedTimeout(timedelta(seconds=MAX_BODY_SECONDS)),
        redaction=Redaction([SECRET]),
        allowed_hosts=("saga",),
        allowed_origins=(),
        participants=dict.fromkeys(("order-service", "payment-service", "airline"), PARTICIPANT),
    )


@pytest.fixture
def app(state: AppState) -> ASGIApp:
    return served_app(state)


@pytest.fixture
async def client(state: AppState) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(state) as made:
        yield made
