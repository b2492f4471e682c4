"""What endpoints work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..fsm.runtime.bulk import BulkJobs
from ..fsm.runtime.event_counts import EventCounts
from ..fsm.runtime.executor import Executor
from ..fsm.runtime.orchestrator import Orchestrator
from ..fsm.runtime.tokens import CallbackTokens
from ..fsm.runtime.workroom import Workroom
from ..fsm.secrecy import Redaction
from ..projections.audit import AuditVerdict
from ..projections.feed import Feed
from ..projections.listing import Listing
from ..projections.stats import Statistics
from .health import HealthQuestion
from .participants.callback import CallbackPolicy

Audit: TypeAlias = Callable[[], Awaitable[AuditVerdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`openapi` and `docs` are the finished documents about the routes, made with the app.

    `participants` are the base URLs by name, and hold no credentials: a call that needs some has
    them in its headers, as secrets. `redaction` removes these from what participants report.
    """

    orchestrator: Orchestrator
    listing: Listing
    health: HealthQuestion
    callbacks: CallbackPolicy
    audit: Audit
    tokens: CallbackTokens
    bulk: BulkJobs
    feed: Feed
    statistics: Statistics
    executor: Executor
    event_counts: EventCounts
    participants: Mapping[str, str]
    workroom: Workroom = field(default_factory=Workroom)
    redaction: Redaction = field(default_factory=lambda: Redaction(()))
    openapi: bytes = b""
    docs: bytes = b""
