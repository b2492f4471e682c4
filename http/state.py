"""The objects that the lifespan of the application passes to its endpoints, as Starlette's
`request.state`.

An endpoint takes out of it the two or three things that it works with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeAlias, TypedDict

from starlette import requests

from ..fsm.formats.redaction import Redaction
from ..fsm.runtime.bulk import BulkJobs
from ..fsm.runtime.calls.callback_tokens import CallbackTokens
from ..fsm.runtime.calls.executor import Executor
from ..fsm.runtime.concurrency import SharedTimeout, WorkerThread
from ..fsm.runtime.health import SingleFlightHealthCheck
from ..fsm.runtime.metrics import EventMetrics
from ..fsm.runtime.orchestrator import Orchestrator
from ..projections.audit.chain import ChainVerdict
from ..projections.feed import Feed
from ..projections.listing import Listing
from ..projections.stats import Statistics
from .participants.webhook_sender import WebhookPolicy

Audit: TypeAlias = Callable[[], Awaitable[ChainVerdict]]


class AppState(TypedDict):
    """The state of the application. `participants` are base URLs by name. They hold no credentials:
    a call that needs some has them in its headers, and `redaction` removes these from what
    participants send.

    `allowed_hosts` are names of this service, `allowed_origins` those of pages that may call it.
    """

    orchestrator: Orchestrator
    listing: Listing
    health: SingleFlightHealthCheck
    webhook_policy: WebhookPolicy
    audit: Audit
    tokens: CallbackTokens
    bulk: BulkJobs
    feed: Feed
    statistics: Statistics
    executor: Executor
    event_counts: EventMetrics
    participants: Mapping[str, str]
    worker_thread: WorkerThread
    body_timeout: SharedTimeout
    redaction: Redaction
    allowed_hosts: Collection[str]
    allowed_origins: Collection[str]


Request: TypeAlias = requests.Request[AppState]
