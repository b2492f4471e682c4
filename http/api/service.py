"""The service itself: health, audit of the log, and the documents about the interface."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.formats.strict_json import Json
from ...fsm.runtime.health import CheckResult
from ...projections.audit.chain import ChainVerdict
from ..services import AppContext
from ..wire.json_response import JSON, json_response
from ..wire.request import Request
from ..wire.requests import NoQuery, read_query

HEALTH_LIMIT: Final = timedelta(seconds=5)
READY_LIMIT: Final = timedelta(milliseconds=500)
NO_STORE: Final = {"Cache-Control": "no-store"}


async def health(request: Request, services: AppContext) -> Response:
    return await _health_response(services, HEALTH_LIMIT)


async def ready(request: Request, services: AppContext) -> Response:
    return await _health_response(services, READY_LIMIT)


async def live(request: Request, services: AppContext) -> Response:
    """Asks nobody: it says that the event loop turns, and a restart cures nothing else."""
    return json_response({"status": "pass", "checks": {}}, headers=NO_STORE)


async def _health_response(services: AppContext, within: timedelta) -> Response:
    checks = await services.health.ask(within)
    words = {name: _check_status(check) for name, check in checks.items()}
    worst = next((word for word in ("fail", "warn") if word in words.values()), "pass")
    answer: dict[str, Json] = {
        "status": worst,
        "checks": {
            name: {"status": words[name], "detail": check.detail} for name, check in checks.items()
        },
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst == "fail" else HTTPStatus.OK
    return json_response(answer, status, NO_STORE)


def _check_status(check: CheckResult) -> str:
    if not check.ok:
        return "fail"
    return "warn" if check.warns else "pass"


async def verify(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    return json_response(_audit_view(await services.audit()))


def _audit_view(verdict: ChainVerdict) -> dict[str, Json]:
    bad = verdict.first_bad
    if bad is None:
        heads: Json = {
            str(shard_id): {"seq": head.seq, "epoch": head.epoch, "hash": head.hash.hex()}
            for shard_id, head in verdict.heads.items()
        }
        return {"valid": True, "events": verdict.events, "heads": heads}
    why = "it, or what stood before it, is not what was written"
    place: Json = {"shard_id": bad.shard_id, "seq": bad.seq, "saga_id": bad.stream_id, "why": why}
    return {"valid": False, "first_bad": place}


# The page has its style inside and needs nothing else from anywhere.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


async def openapi(request: Request, services: AppContext) -> Response:
    return Response(services.openapi, media_type=JSON)


async def docs(request: Request, services: AppContext) -> Response:
    return Response(services.docs, media_type="text/html", headers=PAGE_HEADERS)
