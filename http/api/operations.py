"""Operator commands on one saga. Each is recorded, with actor and reason, before the response."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from msgspec.structs import replace
from pydantic import BaseModel
from starlette.responses import Response

from ...fsm.definitions.findings import Finding
from ...fsm.definitions.schema import NAME_PATTERN
from ...fsm.errors import (
    ChildrenUnderWay,
    DrivenByParent,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
)
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
from ...fsm.runtime.errors import OutcomeUnknown, VersionConflict
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ..state import Request
from ..wire.body import read_json, read_json_object
from ..wire.errors import InvalidIdempotencyKey, InvalidRequest, InvalidSignalName
from ..wire.headers import (
    ACTOR_HEADER,
    Preferences,
    has_if_match,
    read_actor,
    read_idempotency_key,
    read_preferences,
    satisfies_if_match,
)
from ..wire.json_response import json_response
from ..wire.requests import (
    AbandonRequest,
    CompensateQuery,
    NoQuery,
    OperatorRequest,
    ResolveRequest,
    RetryRequest,
    SignalBody,
    read_query,
    validate_body,
)
from ..wire.responses import CompensateResponse, SagaStatusResponse
from ..wire.route import Endpoint, ResponseSpec, RouteSpec
from ..wire.saga_response import saga_headers, status_response
from .sagas import SAGA_PROBLEMS
from .waiting import RETRY_AFTER_SECONDS, wait_for_rest


async def retry(request: Request) -> Response:
    body = validate_body(RetryRequest, await read_json_object(request, may_be_empty=True))
    return await execute_command(request, Retry(step=body.step, reason=body.reason))


async def pause(request: Request) -> Response:
    return await execute_command(request, Pause(reason=await _read_reason(request)))


async def resume(request: Request) -> Response:
    return await execute_command(request, Resume(reason=await _read_reason(request)))


async def cancel(request: Request) -> Response:
    return await execute_command(request, Cancel(reason=await _read_reason(request)))


async def abandon(request: Request) -> Response:
    body = validate_body(AbandonRequest, await read_json_object(request, may_be_empty=True))
    return await execute_command(request, Abandon(reason=body.reason, children=body.children))


async def skip(request: Request) -> Response:
    reason = await _read_reason(request)
    step: str = request.path_params["step"]
    return await execute_command(request, SkipStep(step=step, reason=reason))


async def resolve(request: Request) -> Response:
    body = validate_body(ResolveRequest, await read_json_object(request))
    if body.output is not None and body.outcome != "done":
        detail = f"is only of a step that is done, and this one is {body.outcome}: leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/output", detail=detail)])
    command = ResolveStep(
        step=request.path_params["step"],
        verdict=Resolution(body.outcome),
        evidence=body.evidence,
        output=body.output,
        output_is_null=body.output is None and "output" in body.model_fields_set,
        reason=body.reason,
    )
    return await execute_command(request, command)


async def signal(request: Request) -> Response:
    name: str = request.path_params["name"]
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSignalName
    # The sender may be a participant, which has the secrets of its calls.
    body = request.state["redaction"].redact_json(await read_json(request))
    command = SendSignal(name=name, body=body, key=read_idempotency_key(request))
    return await execute_command(request, command)


async def execute_command(request: Request, command: OperatorCommand) -> Response:
    """Return the status after the command: 202 if the saga compensates, or will once the outcome of
    its pivot is known."""
    orchestrator = request.state["orchestrator"]
    read_query(NoQuery, request)
    expected = await expected_version(request)
    preferences = read_preferences(request)
    saga_id: str = request.path_params["saga_id"]
    with_actor = replace(command, actor=read_actor(request))
    saga = await orchestrator.execute(saga_id, with_actor, expected_version=expected)
    saga = await wait_for_rest(orchestrator, saga, preferences.wait_or(timedelta()))
    return await _command_response(saga, command, preferences.applied)


async def expected_version(request: Request) -> int | None:
    """Return the version that If-Match demands, if any. Raises SagaNotFound, VersionConflict."""
    if not has_if_match(request):
        return None
    saga_id: str = request.path_params["saga_id"]
    version = (await request.state["orchestrator"].saga(saga_id)).state.version
    if not satisfies_if_match(request, version):
        raise VersionConflict(saga_id, version)
    return version


async def _command_response(saga: Saga, command: OperatorCommand, applied: str | None) -> Response:
    state = saga.state
    is_going_back = (
        state.status is SagaStatus.COMPENSATING or state.compensation_requested is not None
    )
    # A pause and a resumption are complete as soon as they are recorded.
    is_going_back = is_going_back and not isinstance(command, Pause | Resume)
    headers = saga_headers(saga)
    if applied:
        headers["Preference-Applied"] = applied
    if is_going_back:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    return await status_response(
        saga, HTTPStatus.ACCEPTED if is_going_back else HTTPStatus.OK, headers
    )


async def _read_reason(request: Request) -> str | None:
    body = await read_json_object(request, may_be_empty=True)
    return validate_body(OperatorRequest, body).reason


async def compensate(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    query = read_query(CompensateQuery, request)
    reason = await _read_reason(request)
    command = Compensate(actor=read_actor(request), reason=reason)
    saga_id: str = request.path_params["saga_id"]
    expected = await expected_version(request)
    if query.dry_run:
        return await _dry_run(orchestrator, saga_id)
    preferences = read_preferences(request)
    saga = await orchestrator.execute(saga_id, command, expected_version=expected)
    saga = await wait_for_rest(orchestrator, saga, preferences.wait_or(timedelta()))
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
    if isinstance(call, CompensateChild):
        # A child saga compensates itself: its calls are in its own plan.
        path = f"/sagas/{call.child_id}/compensate"
        return {"step": call.parent.step, "method": "POST", "path": path, "body": None}
    return {
        "step": call.step,
        "method": call.method,
        "path": call.path,
        "body": None if call.body is None else parse(call.body),
    }


async def _compensate_response(saga: Saga, preferences: Preferences) -> Response:
    is_at_rest = saga.state.status.is_at_rest
    headers = saga_headers(saga)
    if not is_at_rest:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if preferences.applied and not (is_at_rest and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    return await status_response(
        saga, HTTPStatus.OK if is_at_rest else HTTPStatus.ACCEPTED, headers
    )


HEADERS: Final = ("ETag", "Location", "Preference-Applied")
HEADERS_OF_202: Final = (*HEADERS, "Retry-After")
COMMAND_PROBLEMS: Final = (
    *SAGA_PROBLEMS,
    NotAllowed,
    DrivenByParent,
    VersionConflict,
    OutcomeUnknown,
)


def _command_route(
    path: str,
    endpoint: Endpoint,
    summary: str,
    body: type[BaseModel] = OperatorRequest,
    *,
    body_required: bool = False,
    headers: tuple[str, ...] = (),
    problems: tuple[type[Exception], ...] = (),
) -> RouteSpec:
    return RouteSpec(
        method="POST",
        path=f"/sagas/{{saga_id}}/{path}",
        endpoint=endpoint,
        summary=summary,
        body=body,
        body_required=body_required,
        query=NoQuery,
        headers=("If-Match", "Prefer", ACTOR_HEADER, *headers),
        responses={
            200: ResponseSpec("The status after the command.", SagaStatusResponse, headers=HEADERS),
            202: ResponseSpec(
                "The saga compensates because of the command.",
                SagaStatusResponse,
                headers=HEADERS_OF_202,
            ),
        },
        problems=(*COMMAND_PROBLEMS, *problems),
    )


ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/sagas/{saga_id}/compensate",
        endpoint=compensate,
        summary="Compensate a saga, or list the calls that this would make",
        body=OperatorRequest,
        body_required=False,
        query=CompensateQuery,
        headers=("If-Match", "Prefer", ACTOR_HEADER),
        responses={
            200: ResponseSpec(
                "The saga is at rest; or the plan of a dry run.",
                CompensateResponse,
                headers=HEADERS,
            ),
            202: ResponseSpec("The saga compensates.", SagaStatusResponse, headers=HEADERS_OF_202),
        },
        problems=(
            *SAGA_PROBLEMS,
            NotCompensatable,
            DrivenByParent,
            VersionConflict,
            OutcomeUnknown,
        ),
    ),
    _command_route(
        "retry",
        retry,
        "Retry a parked saga, or skip the current back-off; of one step, or of all",
        RetryRequest,
        problems=(StepNotFound,),
    ),
    _command_route("pause", pause, "Pause a saga: send no new calls, and stop its clocks"),
    _command_route("resume", resume, "Resume a paused saga"),
    _command_route(
        "cancel", cancel, "Cancel a running saga: compensate it", problems=(NotCompensatable,)
    ),
    _command_route(
        "abandon",
        abandon,
        "Abandon a saga, and record what stays done",
        AbandonRequest,
        body_required=True,
        problems=(ChildrenUnderWay,),
    ),
    _command_route(
        "signals/{name}",
        signal,
        "Send a signal; it is kept until a step waits for it",
        SignalBody,
        headers=("Idempotency-Key",),
        problems=(InvalidIdempotencyKey, InvalidSignalName, TooManySignals, UnknownSignal),
    ),
    _command_route("steps/{step}/skip", skip, "Skip a pending step", problems=(StepNotFound,)),
    _command_route(
        "steps/{step}/resolve",
        resolve,
        "Record an operator's verdict on a step",
        ResolveRequest,
        body_required=True,
        problems=(StepNotFound,),
    ),
)
