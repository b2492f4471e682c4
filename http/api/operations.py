"""Operator commands on one saga. Each is recorded, with actor and reason, before the response."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus

from msgspec.structs import replace
from starlette.responses import Response

from ...fsm.definitions.findings import Finding
from ...fsm.definitions.schema import NAME_PATTERN
from ...fsm.events import Resolution
from ...fsm.formats.strict_json import Json, parse
from ...fsm.inputs import (
    Abandon,
    Cancel,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
)
from ...fsm.instructions import CallParticipant, CompensateChild
from ...fsm.machines import SagaStatus
from ...fsm.runtime.errors import VersionConflict
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ..services import AppContext
from ..wire.body import read_json, read_json_object
from ..wire.errors import InvalidRequest, InvalidSignalName
from ..wire.headers import (
    Preferences,
    has_if_match,
    read_actor,
    read_idempotency_key,
    read_preferences,
    satisfies_if_match,
)
from ..wire.json_response import json_response
from ..wire.request import Request
from ..wire.requests import (
    AbandonRequest,
    CompensateQuery,
    NoQuery,
    OperatorRequest,
    ResolveRequest,
    RetryRequest,
    read_query,
    validate_body,
)
from ..wire.saga_response import saga_headers, status_response
from .waiting import RETRY_AFTER_SECONDS, wait_for_rest


async def retry(request: Request, services: AppContext) -> Response:
    wanted = validate_body(RetryRequest, await read_json_object(request, may_be_empty=True))
    return await ask(request, services, Retry(step=wanted.step, reason=wanted.reason))


async def pause(request: Request, services: AppContext) -> Response:
    return await ask(
        request, services, Pause(reason=(await _read_operator_request(request)).reason)
    )


async def resume(request: Request, services: AppContext) -> Response:
    return await ask(
        request, services, Resume(reason=(await _read_operator_request(request)).reason)
    )


async def cancel(request: Request, services: AppContext) -> Response:
    return await ask(
        request, services, Cancel(reason=(await _read_operator_request(request)).reason)
    )


async def abandon(request: Request, services: AppContext) -> Response:
    wanted = validate_body(AbandonRequest, await read_json_object(request, may_be_empty=True))
    return await ask(request, services, Abandon(reason=wanted.reason, children=wanted.children))


async def skip(request: Request, services: AppContext) -> Response:
    wanted = await _read_operator_request(request)
    step: str = request.path_params["step"]
    return await ask(request, services, SkipStep(step=step, reason=wanted.reason))


async def resolve(request: Request, services: AppContext) -> Response:
    wanted = validate_body(ResolveRequest, await read_json_object(request))
    if wanted.output is not None and wanted.outcome != "done":
        why = f"is only of a step that is done, and this one is {wanted.outcome}: leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/output", detail=why)])
    asked = ResolveStep(
        step=request.path_params["step"],
        verdict=Resolution(wanted.outcome),
        evidence=wanted.evidence,
        output=wanted.output,
        output_is_null=wanted.output is None and "output" in wanted.model_fields_set,
        reason=wanted.reason,
    )
    return await ask(request, services, asked)


async def signal(request: Request, services: AppContext) -> Response:
    name: str = request.path_params["name"]
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSignalName
    body = services.redaction.redact_json(
        await read_json(request)
    )  # a participant may have sent it
    asked = SendSignal(name=name, body=body, key=read_idempotency_key(request))
    return await ask(request, services, asked)


async def ask(request: Request, services: AppContext, verb: OperatorCommand) -> Response:
    """The status after it; 202 if the saga goes back, or will once its pivot has an outcome."""
    read_query(NoQuery, request)
    expected = await expected_version(request, services)
    orchestrator, preferences = services.orchestrator, read_preferences(request)
    saga_id: str = request.path_params["saga_id"]
    asked = replace(verb, actor=read_actor(request))
    saga = await orchestrator.execute(saga_id, asked, expected_version=expected)
    saga = await wait_for_rest(orchestrator, saga, preferences.wait_or(timedelta()))
    return await _command_response(saga, verb, preferences.applied)


async def expected_version(request: Request, services: AppContext) -> int | None:
    """That If-Match demands, if there is one. Raises SagaNotFound, VersionMoved."""
    if not has_if_match(request):
        return None
    saga_id: str = request.path_params["saga_id"]
    version = (await services.orchestrator.saga(saga_id)).state.version
    if not satisfies_if_match(request, version):
        raise VersionConflict(saga_id, version)
    return version


async def _command_response(saga: Saga, verb: OperatorCommand, applied: str | None) -> Response:
    """A pause, and its end, are done as soon as they are recorded."""
    state = saga.state
    going_back = state.status is SagaStatus.COMPENSATING or state.compensation_requested is not None
    going_back = going_back and not isinstance(verb, Pause | Resume)
    headers = saga_headers(saga)
    if applied:
        headers["Preference-Applied"] = applied
    if going_back:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    status = HTTPStatus.ACCEPTED if going_back else HTTPStatus.OK
    return await status_response(saga, status, headers)


async def _read_operator_request(request: Request) -> OperatorRequest:
    return validate_body(OperatorRequest, await read_json_object(request, may_be_empty=True))


async def compensate(request: Request, services: AppContext) -> Response:
    query = read_query(CompensateQuery, request)
    wanted = validate_body(OperatorRequest, await read_json_object(request, may_be_empty=True))
    asked = Compensate(actor=read_actor(request), reason=wanted.reason)
    saga_id: str = request.path_params["saga_id"]
    expected = await expected_version(request, services)
    if query.dry_run:
        return await _dry_run(services.orchestrator, saga_id)
    preferences = read_preferences(request)
    saga = await services.orchestrator.execute(saga_id, asked, expected_version=expected)
    saga = await wait_for_rest(services.orchestrator, saga, preferences.wait_or(timedelta()))
    return await _compensate_response(saga, preferences)


async def _dry_run(orchestrator: Orchestrator, saga_id: str) -> Response:
    plan = await orchestrator.compensation_plan(saga_id)
    return json_response(
        {
            "calls": [_planned_call_view(call) for call in plan.calls],
            "cannot_undo": list(plan.cannot_undo),
        }
    )


def _planned_call_view(call: CallParticipant | CompensateChild) -> dict[str, Json]:
    """A child saga undoes itself: what is sent to it is its own plan."""
    if isinstance(call, CompensateChild):
        path = f"/sagas/{call.child_id}/compensate"
        return {"step": call.parent.step, "method": "POST", "path": path, "body": None}
    return {
        "step": call.step,
        "method": call.method,
        "path": call.path,
        "body": None if call.body is None else parse(call.body),
    }


async def _compensate_response(saga: Saga, preferences: Preferences) -> Response:
    rests = saga.state.status.is_at_rest
    headers = saga_headers(saga)
    if not rests:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if preferences.applied and not (rests and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    return await status_response(saga, HTTPStatus.OK if rests else HTTPStatus.ACCEPTED, headers)
