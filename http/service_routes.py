"""The service itself: whether it is well, whether its log is sound, and what it can be asked."""

from __future__ import annotations

from typing import Final

from ..projections.errors import ProjectionUnavailable
from .api.service import docs, health, live, openapi, ready, verify
from .wire.requests import NoQuery
from .wire.responses import AuditResponse, HealthResponse
from .wire.route import ResponseSpec, RouteSpec

WELL: Final = ResponseSpec("All is well.", HealthResponse)
UNWELL: Final = ResponseSpec("Something is not well.", HealthResponse)

SERVICE_ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/audit/verify",
        endpoint=verify,
        summary="Whether the log is what was written; reads all of it",
        query=NoQuery,
        responses={200: ResponseSpec("Valid, or the first event that is not.", AuditResponse)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/health",
        endpoint=health,
        summary="Is the service well, and what it depends on",
        responses={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/livez",
        endpoint=live,
        summary="Does the process live; asks nobody",
        responses={200: WELL},
    ),
    RouteSpec(
        method="GET",
        path="/readyz",
        endpoint=ready,
        summary="Can it serve; answers within half a second",
        responses={200: WELL, 503: UNWELL},
    ),
    RouteSpec(
        method="GET",
        path="/openapi.json",
        endpoint=openapi,
        summary="This interface as OpenAPI 3.1",
        responses={200: ResponseSpec("The document.")},
    ),
    RouteSpec(
        method="GET",
        path="/docs",
        endpoint=docs,
        summary="This interface as a page to read",
        responses={200: ResponseSpec("A page without scripts.", media_type="text/html")},
    ),
)
