"""What endpoints work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..fsm.formats.redaction import Redaction
from ..fsm.runtime.bulk import BulkJobs
from ..fsm.runtime.calls.callback_tokens import CallbackTokens
from ..fsm.runtime.calls.executor import Executor
from ..fsm.runtime.concurrency import WorkerThread
from ..fsm.runtime.metrics import EventMetrics
from ..fsm.runtime.orchestrator import Orchestrator
from ..projections.audit.chain import ChainVerdict
from ..projections.feed import Feed
from ..projections.listing import Listing
from ..projections.stats import Statistics
from .health import HealthQuestion
from .participants.webhook_sender import WebhookPolicy

Audit: TypeAlias = Callable[[], Awaitable[ChainVerdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """`openapi` and `docs` are the finished documents about the routes, made with the app.

    `participants` are the base URLs by name, and hold no credentials: a call that needs some has
    them in its headers, as secrets. `redaction` removes these from what participants report.
    """

    orchestrator: Orchestrator
    listing: Listing
    health: HealthQuestion
    callbacks: WebhookPolicy
    audit: Audit
    tokens: CallbackTokens
    bulk: BulkJobs
    feed: Feed
    statistics: Statistics
    executor: Executor
    event_counts: EventMetrics
    participants: Mapping[str, str]
    workroom: WorkerThread = field(default_factory=WorkerThread)
    redaction: Redaction = field(default_factory=lambda: Redaction(()))
    openapi: bytes = b""
    docs: bytes = b""
