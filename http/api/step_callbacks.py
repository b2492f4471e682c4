"""Callbacks of participants: a step that was accepted is done, or will not be.

Whoever brings the token of the call is believed. A callback that comes twice, or too late, is
answered like the first one: the saga records that it was ignored. What becomes of the saga is not
the participant's concern, so the answer is 200 even if the saga now goes back.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from ...fsm.formats.redaction import Redaction
from ...fsm.formats.strict_json import Json
from ...fsm.inputs import StepCallback
from ...fsm.runtime.calls.callback_tokens import HEADER
from ..services import AppContext
from ..wire.body import read_json_object
from ..wire.errors import WrongCallbackToken
from ..wire.headers import read_actor
from ..wire.request import Request
from ..wire.requests import CompleteRequest, FailRequest, NoQuery, read_query, validate_body
from ..wire.saga_response import saga_headers, status_response

TOKEN_FIELD: Final = HEADER.lower().encode()


async def complete(request: Request, services: AppContext) -> Response:
    _require_token(request, services)
    wanted = validate_body(CompleteRequest, await read_json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    output = _redacted(wanted.output, request, services)
    report = StepCallback(step=step, done=True, output=output, actor=read_actor(request))
    return await _deliver(request, services, report)


async def fail(request: Request, services: AppContext) -> Response:
    _require_token(request, services)
    wanted = validate_body(FailRequest, await read_json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    reason = _redacted(wanted.reason, request, services)
    error = str(reason) if reason else "the participant reported a failure"
    report = StepCallback(step=step, done=False, error=error, actor=read_actor(request))
    return await _deliver(request, services, report)


def _require_token(request: Request, services: AppContext) -> None:
    read_query(NoQuery, request)
    given = request.header(TOKEN_FIELD) or ""
    saga_id, step = request.path_params["saga_id"], request.path_params["step"]
    if not services.tokens.verify(saga_id, step, given):
        raise WrongCallbackToken


def _redacted(value: Json, request: Request, services: AppContext) -> Json:
    """`value` without the secrets of participants and the token of the call."""
    token = Redaction([request.header(TOKEN_FIELD) or ""])
    return token.redact_json(services.redaction.redact_json(value))


async def _deliver(request: Request, services: AppContext, report: StepCallback) -> Response:
    saga = await services.orchestrator.complete_step(request.path_params["saga_id"], report)
    return await status_response(saga, headers=saga_headers(saga))
