"""Signs of life, for load balancers and for people."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.runtime.vital_signs import Check
from ...fsm.strict_json import Json
from ..reply import json_reply
from ..request import Request
from ..services import Services

HEALTH_LIMIT: Final = timedelta(seconds=5)
READY_LIMIT: Final = timedelta(milliseconds=500)
NEVER_KEPT: Final = {"Cache-Control": "no-store"}


async def health(request: Request, services: Services) -> Response:
    return await _asked(services, HEALTH_LIMIT)


async def ready(request: Request, services: Services) -> Response:
    return await _asked(services, READY_LIMIT)


async def live(request: Request, services: Services) -> Response:
    """Asks nobody: it says that the event loop turns, and a restart cures nothing else."""
    return json_reply({"status": "pass", "checks": {}}, headers=NEVER_KEPT)


async def _asked(services: Services, within: timedelta) -> Response:
    checks = await services.health.ask(within)
    words = {name: _word(check) for name, check in checks.items()}
    worst = next((word for word in ("fail", "warn") if word in words.values()), "pass")
    answer: dict[str, Json] = {
        "status": worst,
        "checks": {
            name: {"status": words[name], "detail": check.detail} for name, check in checks.items()
        },
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst == "fail" else HTTPStatus.OK
    return json_reply(answer, status, NEVER_KEPT)


def _word(check: Check) -> str:
    if not check.ok:
        return "fail"
    return "warn" if check.warns else "pass"
