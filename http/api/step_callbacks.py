"""Callbacks of participants: a step that was accepted is done, or has failed.

The token of the call authenticates the callback. A callback that comes twice, or too late, gets the
same response as the first one: the saga records that it was ignored. The response is 200 even if
the saga now compensates, since that does not concern the participant.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

from ...fsm.errors import StepNotFound
from ...fsm.formats.redaction import Redaction
from ...fsm.formats.strict_json import Json
from ...fsm.inputs import StepCallback
from ...fsm.runtime.errors import OutcomeUnknown
from ..participants.call_headers import CALLBACK_TOKEN_HEADER
from ..state import Request
from ..wire.body import read_json_object
from ..wire.errors import WrongCallbackToken
from ..wire.headers import ACTOR_HEADER, read_actor
from ..wire.requests import CompleteRequest, FailRequest, NoQuery, read_query, validate_body
from ..wire.responses import SagaStatusResponse
from ..wire.route import Endpoint, ResponseSpec, RouteSpec
from ..wire.saga_response import saga_headers, status_response
from .sagas import SAGA_PROBLEMS


async def complete(request: Request) -> Response:
    _require_token(request)
    body = validate_body(CompleteRequest, await read_json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    output = _redact(body.output, request)
    return await _deliver(
        request, StepCallback(step=step, done=True, output=output, actor=read_actor(request))
    )


async def fail(request: Request) -> Response:
    _require_token(request)
    body = validate_body(FailRequest, await read_json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    reason = _redact(body.reason, request)
    error = str(reason) if reason else "the participant reported a failure"
    return await _deliver(
        request, StepCallback(step=step, done=False, error=error, actor=read_actor(request))
    )


def _require_token(request: Request) -> None:
    """Raises WrongCallbackToken, InvalidQuery."""
    read_query(NoQuery, request)
    saga_id, step = request.path_params["saga_id"], request.path_params["step"]
    if not request.state["tokens"].verify(saga_id, step, _token(request)):
        raise WrongCallbackToken


def _token(request: Request) -> str:
    return request.headers.get(CALLBACK_TOKEN_HEADER, "")


def _redact(value: Json, request: Request) -> Json:
    """Return `value` without the secrets of participants and the token of the call."""
    return Redaction([_token(request)]).redact_json(request.state["redaction"].redact_json(value))


async def _deliver(request: Request, report: StepCallback) -> Response:
    orchestrator = request.state["orchestrator"]
    saga = await orchestrator.complete_step(request.path_params["saga_id"], report)
    return await status_response(saga, headers=saga_headers(saga))


def _callback_route(
    path: str, endpoint: Endpoint, summary: str, body: type[BaseModel]
) -> RouteSpec:
    return RouteSpec(
        method="POST",
        path=f"/sagas/{{saga_id}}/steps/{{step}}/{path}",
        endpoint=endpoint,
        summary=summary,
        body=body,
        body_required=False,
        query=NoQuery,
        headers=("Saga-Callback-Token", ACTOR_HEADER),
        responses={
            200: ResponseSpec(
                "The callback was received.", SagaStatusResponse, headers=("ETag", "Location")
            )
        },
        problems=(*SAGA_PROBLEMS, StepNotFound, WrongCallbackToken, OutcomeUnknown),
    )


ROUTES: Final = (
    _callback_route("complete", complete, "Report that a step is done", CompleteRequest),
    _callback_route("fail", fail, "Report that a step has failed", FailRequest),
)
