"""The service itself: whether it is well, whether its log is sound, and what it can be asked."""

from __future__ import annotations

from typing import Final

from ..projections.errors import ProjectionUnavailable
from .answers import AuditAnswer, HealthAnswer
from .endpoints.audit import verify
from .endpoints.documents import docs, openapi
from .endpoints.health import health, live, ready
from .models import NoQuery
from .route import Reply, RouteSpec

WELL: Final = Reply("All is well.", HealthAnswer)
UNWELL: Final = Reply("Something is not well.", HealthAnswer)

SERVICE_ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/audit/verify",
        endpoint=verify,
        summary="Whether the log is what was written; reads all of it",
        query=NoQuery,
        replies={200: Reply("Valid, or the first event that is not.", AuditAnswer)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/health",
        endpoint=health,
        summary="Is the service well, and what it depends on",
        replies={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/livez",
        endpoint=live,
        summary="Does the process live; asks nobody",
        replies={200: WELL},
    ),
    RouteSpec(
        method="GET",
        path="/readyz",
        endpoint=ready,
        summary="Can it serve; answers within half a second",
        replies={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/openapi.json",
        endpoint=openapi,
        summary="This interface as OpenAPI 3.1",
        replies={200: Reply("The document.")},
    ),
    RouteSpec(
        method="GET",
        path="/docs",
        endpoint=docs,
        summary="This interface as a page to read",
        replies={200: Reply("A page without scripts.", media_type="text/html")},
    ),
)
