"""The service itself: its health, the audit of its log, and the documents about its interface."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.formats.strict_json import Json
from ...fsm.runtime.health import CheckResult, SingleFlightHealthCheck
from ...projections.audit.chain import ChainVerdict
from ...projections.errors import ProjectionUnavailable
from ..state import Request
from ..wire.json_response import JSON, json_response
from ..wire.requests import NoQuery, read_query
from ..wire.responses import AuditResponse, HealthResponse
from ..wire.route import ResponseSpec, RouteSpec

HEALTH_LIMIT: Final = timedelta(seconds=5)
READY_LIMIT: Final = timedelta(milliseconds=500)
NO_STORE: Final = {"Cache-Control": "no-store"}
# The page has its style inside and loads nothing.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


async def health(request: Request) -> Response:
    return await _health_response(request.state["health"], HEALTH_LIMIT)


async def ready(request: Request) -> Response:
    return await _health_response(request.state["health"], READY_LIMIT)


async def live(request: Request) -> Response:
    """Check nothing: the response proves that the event loop runs, and a restart would mend nothing
    else."""
    return json_response({"status": "pass", "checks": {}}, headers=NO_STORE)


async def _health_response(health: SingleFlightHealthCheck, limit: timedelta) -> Response:
    checks = await health.check(limit)
    statuses = {name: _check_status(check) for name, check in checks.items()}
    worst = next((status for status in ("fail", "warn") if status in statuses.values()), "pass")
    body: dict[str, Json] = {
        "status": worst,
        "checks": {
            name: {"status": statuses[name], "detail": check.detail}
            for name, check in checks.items()
        },
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst == "fail" else HTTPStatus.OK
    return json_response(body, status, NO_STORE)


def _check_status(check: CheckResult) -> str:
    if not check.ok:
        return "fail"
    return "warn" if check.warns else "pass"


async def verify(request: Request) -> Response:
    read_query(NoQuery, request)
    return json_response(_audit_view(await request.state["audit"]()))


def _audit_view(verdict: ChainVerdict) -> dict[str, Json]:
    first_bad = verdict.first_bad
    if first_bad is None:
        heads: Json = {
            str(shard_id): {"seq": head.seq, "epoch": head.epoch, "hash": head.hash.hex()}
            for shard_id, head in verdict.heads.items()
        }
        return {"valid": True, "events": verdict.events, "heads": heads}
    event: Json = {
        "shard_id": first_bad.shard_id,
        "seq": first_bad.seq,
        "saga_id": first_bad.stream_id,
        "why": "this event, or the one before it, is not as it was recorded",
    }
    return {"valid": False, "first_bad": event}


async def openapi(request: Request) -> Response:
    return Response(request.app.state.openapi, media_type=JSON)


async def docs(request: Request) -> Response:
    return Response(request.app.state.docs, media_type="text/html", headers=PAGE_HEADERS)


PASSING: Final = ResponseSpec("Every check passes, or warns.", HealthResponse)
FAILING: Final = ResponseSpec("A check fails.", HealthResponse)

ROUTES: Final = (
    RouteSpec(
        method="GET",
        path="/audit/verify",
        endpoint=verify,
        summary="Verify the hash chain of the whole log",
        query=NoQuery,
        responses={200: ResponseSpec("Valid, or the first event that is not.", AuditResponse)},
        problems=(ProjectionUnavailable,),
    ),
    RouteSpec(
        method="GET",
        path="/health",
        endpoint=health,
        summary="Health of the service and its dependencies",
        responses={200: PASSING, 503: FAILING},
    ),
    RouteSpec(
        method="GET",
        path="/livez",
        endpoint=live,
        summary="Liveness; checks no dependency",
        responses={200: PASSING},
    ),
    RouteSpec(
        method="GET",
        path="/readyz",
        endpoint=ready,
        summary="Readiness; responds within half a second",
        responses={200: PASSING, 503: FAILING},
    ),
    RouteSpec(
        method="GET",
        path="/openapi.json",
        endpoint=openapi,
        summary="This interface as an OpenAPI 3.1 document",
        responses={200: ResponseSpec("The document.")},
    ),
    RouteSpec(
        method="GET",
        path="/docs",
        endpoint=docs,
        summary="This interface as a page",
        responses={200: ResponseSpec("A page without scripts.", media_type="text/html")},
    ),
)
