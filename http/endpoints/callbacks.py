"""Callbacks of participants: a step that was accepted is done, or will not be.

Whoever brings the token of the call is believed. A callback that comes twice, or too late, is
answered like the first one: the saga records that it was ignored. What becomes of the saga is not
the participant's concern, so the answer is 200 even if the saga now goes back.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from ...fsm.happening import StepReported
from ...fsm.runtime.tokens import HEADER
from ...fsm.secrecy import Redaction
from ...fsm.strict_json import Json
from ..actor import actor_of
from ..body import json_object
from ..errors import WrongCallbackToken
from ..models import CompleteRequest, FailRequest, NoQuery, query_of, validated
from ..outputs import status_reply
from ..request import Request
from ..services import Services
from .verbs import headers_of

NAME: Final = HEADER.lower().encode()


async def complete(request: Request, services: Services) -> Response:
    _demand_token(request, services)
    wanted = validated(CompleteRequest, await json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    output = _redacted(wanted.output, request, services)
    report = StepReported(step=step, done=True, output=output, actor=actor_of(request))
    return await _reported(request, services, report)


async def fail(request: Request, services: Services) -> Response:
    _demand_token(request, services)
    wanted = validated(FailRequest, await json_object(request, may_be_empty=True))
    step: str = request.path_params["step"]
    reason = _redacted(wanted.reason, request, services)
    error = str(reason) if reason else "the participant reported a failure"
    report = StepReported(step=step, done=False, error=error, actor=actor_of(request))
    return await _reported(request, services, report)


def _demand_token(request: Request, services: Services) -> None:
    query_of(NoQuery, request)
    given = request.header(NAME) or ""
    saga_id, step = request.path_params["saga_id"], request.path_params["step"]
    if not services.tokens.fits(saga_id, step, given):
        raise WrongCallbackToken


def _redacted(value: Json, request: Request, services: Services) -> Json:
    """`value` without the secrets of participants and the token of the call."""
    token = Redaction([request.header(NAME) or ""])
    return token.of_json(services.redaction.of_json(value))


async def _reported(request: Request, services: Services, report: StepReported) -> Response:
    saga = await services.orchestrator.report(request.path_params["saga_id"], report)
    return await status_reply(saga, headers=headers_of(saga))
