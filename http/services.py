"""What endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass

from ..fsm.runtime.orchestrator import Orchestrator
from ..projections.listing import Listing
from .health import HealthQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`openapi` and `docs` are the finished documents about the routes."""

    orchestrator: Orchestrator
    listing: Listing
    health: HealthQuestion
    openapi: bytes
    docs: bytes
