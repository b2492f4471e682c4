"""Undoing a saga because somebody asks for it, or only saying what that would do."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from ...fsm.command import CallParticipant
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...fsm.strict_json import Json, parse
from ...projections.status import status_view
from ..body import json_object
from ..entity_tag import etag, is_expected
from ..errors import VersionMismatch
from ..models import CompensateQuery, CompensateRequest, query_of, validated
from ..preferences import Preferences, preferences_of
from ..reply import json_reply
from ..services import Services
from ..waiting import RETRY_AFTER, rested


async def compensate(request: Request, services: Services) -> Response:
    query = query_of(CompensateQuery, request)
    wanted = validated(CompensateRequest, await json_object(request, may_be_empty=True))
    saga_id: str = request.path_params["saga_id"]
    await _check_version(request, services.orchestrator, saga_id)
    if query.dry_run:
        return await _dry_run(services.orchestrator, saga_id)
    preferences = preferences_of(request)
    saga = await services.orchestrator.compensate(saga_id, wanted.as_happening())
    saga = await rested(services.orchestrator, saga, preferences.wait_or(timedelta()))
    return _reply(saga, preferences)


async def _check_version(request: Request, orchestrator: Orchestrator, saga_id: str) -> None:
    """Raises SagaNotFound, VersionMismatch."""
    if "if-match" not in request.headers:
        return
    version = (await orchestrator.saga(saga_id)).state.version
    if not is_expected(request, version):
        raise VersionMismatch(saga_id, version)


async def _dry_run(orchestrator: Orchestrator, saga_id: str) -> Response:
    plan = await orchestrator.undo_plan(saga_id)
    return json_reply(
        {
            "calls": [_planned(call) for call in plan.calls],
            "cannot_undo": list(plan.cannot_undo),
        }
    )


def _planned(call: CallParticipant) -> dict[str, Json]:
    return {
        "step": call.step,
        "method": call.method,
        "path": call.path,
        "body": None if call.body is None else parse(call.body),
    }


def _reply(saga: Saga, preferences: Preferences) -> Response:
    rests = saga.state.status.rests
    headers = {
        "ETag": etag(saga.state.version),
        "Location": f"/sagas/{saga.state.saga_id}/status",
    }
    if not rests:
        headers["Retry-After"] = RETRY_AFTER
    if preferences.applied and not (rests and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    return json_reply(status_view(saga), HTTPStatus.OK if rests else HTTPStatus.ACCEPTED, headers)
