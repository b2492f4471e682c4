"""What endpoints work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..fsm.runtime.orchestrator import Orchestrator
from ..projections.audit import AuditVerdict
from ..projections.listing import Listing
from .health import HealthQuestion
from .participants.callback import CallbackPolicy

Audit: TypeAlias = Callable[[], Awaitable[AuditVerdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`openapi` and `docs` are the finished documents about the routes."""

    orchestrator: Orchestrator
    listing: Listing
    health: HealthQuestion
    callbacks: CallbackPolicy
    audit: Audit
    openapi: bytes
    docs: bytes
