"""Undoing a saga because somebody asks for it, or only saying what that would do."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from starlette.responses import Response

from ...fsm.command import CallParticipant, UndoChild
from ...fsm.happening import CompensationAsked
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...fsm.strict_json import Json, parse
from ..actor import actor_of
from ..body import json_object
from ..models import CompensateQuery, VerbRequest, query_of, validated
from ..outputs import status_reply
from ..preferences import Preferences, preferences_of
from ..reply import json_reply
from ..request import Request
from ..services import Services
from ..waiting import RETRY_AFTER, rested
from .verbs import expected_version, headers_of


async def compensate(request: Request, services: Services) -> Response:
    query = query_of(CompensateQuery, request)
    wanted = validated(VerbRequest, await json_object(request, may_be_empty=True))
    asked = CompensationAsked(actor=actor_of(request), reason=wanted.reason)
    saga_id: str = request.path_params["saga_id"]
    expected = await expected_version(request, services)
    if query.dry_run:
        return await _dry_run(services.orchestrator, saga_id)
    preferences = preferences_of(request)
    saga = await services.orchestrator.ask(saga_id, asked, expected_version=expected)
    saga = await rested(services.orchestrator, saga, preferences.wait_or(timedelta()))
    return await _reply(saga, preferences)


async def _dry_run(orchestrator: Orchestrator, saga_id: str) -> Response:
    plan = await orchestrator.undo_plan(saga_id)
    return json_reply(
        {
            "calls": [_planned(call) for call in plan.calls],
            "cannot_undo": list(plan.cannot_undo),
        }
    )


def _planned(call: CallParticipant | UndoChild) -> dict[str, Json]:
    """A child saga undoes itself: what is sent to it is its own plan."""
    if isinstance(call, UndoChild):
        path = f"/sagas/{call.child_id}/compensate"
        return {"step": call.parent.step, "method": "POST", "path": path, "body": None}
    return {
        "step": call.step,
        "method": call.method,
        "path": call.path,
        "body": None if call.body is None else parse(call.body),
    }


async def _reply(saga: Saga, preferences: Preferences) -> Response:
    rests = saga.state.status.rests
    headers = headers_of(saga)
    if not rests:
        headers["Retry-After"] = RETRY_AFTER
    if preferences.applied and not (rests and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    return await status_reply(saga, HTTPStatus.OK if rests else HTTPStatus.ACCEPTED, headers)
