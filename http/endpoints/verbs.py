"""What people ask of a saga. Each verb is recorded, with who and why, before it is answered."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus

from msgspec.structs import replace
from starlette.responses import Response

from ...fsm.errors import Finding
from ...fsm.events import Resolution
from ...fsm.happening import (
    AbandonAsked,
    CancelAsked,
    PauseAsked,
    ResolveAsked,
    ResumeAsked,
    RetryAsked,
    SignalSent,
    SkipAsked,
    Verb,
)
from ...fsm.language import NAME
from ...fsm.machines import SagaStatus
from ...fsm.runtime.errors import VersionMoved
from ...fsm.saga import Saga
from ..actor import actor_of
from ..body import json_object, json_value
from ..entity_tag import demands_version, etag, is_expected
from ..errors import InvalidRequest, InvalidSignalName
from ..idempotency import header_key
from ..models import (
    AbandonRequest,
    NoQuery,
    ResolveRequest,
    RetryRequest,
    VerbRequest,
    query_of,
    validated,
)
from ..outputs import status_reply
from ..preferences import preferences_of
from ..request import Request
from ..services import Services
from ..waiting import RETRY_AFTER, rested


async def retry(request: Request, services: Services) -> Response:
    wanted = validated(RetryRequest, await json_object(request, may_be_empty=True))
    return await ask(request, services, RetryAsked(step=wanted.step, reason=wanted.reason))


async def pause(request: Request, services: Services) -> Response:
    return await ask(request, services, PauseAsked(reason=(await _asked(request)).reason))


async def resume(request: Request, services: Services) -> Response:
    return await ask(request, services, ResumeAsked(reason=(await _asked(request)).reason))


async def cancel(request: Request, services: Services) -> Response:
    return await ask(request, services, CancelAsked(reason=(await _asked(request)).reason))


async def abandon(request: Request, services: Services) -> Response:
    wanted = validated(AbandonRequest, await json_object(request, may_be_empty=True))
    return await ask(
        request, services, AbandonAsked(reason=wanted.reason, children=wanted.children)
    )


async def skip(request: Request, services: Services) -> Response:
    wanted = await _asked(request)
    step: str = request.path_params["step"]
    return await ask(request, services, SkipAsked(step=step, reason=wanted.reason))


async def resolve(request: Request, services: Services) -> Response:
    wanted = validated(ResolveRequest, await json_object(request))
    if wanted.output is not None and wanted.outcome != "done":
        why = f"is only of a step that is done, and this one is {wanted.outcome}: leave it out"
        raise InvalidRequest([Finding(code="not-wanted", pointer="/output", detail=why)])
    asked = ResolveAsked(
        step=request.path_params["step"],
        verdict=Resolution(wanted.outcome),
        evidence=wanted.evidence,
        output=wanted.output,
        output_is_null=wanted.output is None and "output" in wanted.model_fields_set,
        reason=wanted.reason,
    )
    return await ask(request, services, asked)


async def signal(request: Request, services: Services) -> Response:
    name: str = request.path_params["name"]
    if not re.fullmatch(NAME, name):
        raise InvalidSignalName
    body = services.redaction.of_json(await json_value(request))  # a participant may have sent it
    asked = SignalSent(name=name, body=body, key=header_key(request))
    return await ask(request, services, asked)


async def ask(request: Request, services: Services, verb: Verb) -> Response:
    """The status after it; 202 if the saga goes back, or will once its pivot has an outcome."""
    query_of(NoQuery, request)
    expected = await expected_version(request, services)
    orchestrator, preferences = services.orchestrator, preferences_of(request)
    saga_id: str = request.path_params["saga_id"]
    asked = replace(verb, actor=actor_of(request))
    saga = await orchestrator.ask(saga_id, asked, expected_version=expected)
    saga = await rested(orchestrator, saga, preferences.wait_or(timedelta()))
    return await _reply(saga, verb, preferences.applied)


async def expected_version(request: Request, services: Services) -> int | None:
    """That If-Match demands, if there is one. Raises SagaNotFound, VersionMoved."""
    if not demands_version(request):
        return None
    saga_id: str = request.path_params["saga_id"]
    version = (await services.orchestrator.saga(saga_id)).state.version
    if not is_expected(request, version):
        raise VersionMoved(saga_id, version)
    return version


def headers_of(saga: Saga) -> dict[str, str]:
    """Its version, and where to ask for it again."""
    return {
        "ETag": etag(saga.state.version),
        "Location": f"/sagas/{saga.state.saga_id}/status",
    }


async def _reply(saga: Saga, verb: Verb, applied: str | None) -> Response:
    """A pause, and its end, are done as soon as they are recorded."""
    state = saga.state
    going_back = state.status is SagaStatus.COMPENSATING or state.asked_back is not None
    going_back = going_back and not isinstance(verb, PauseAsked | ResumeAsked)
    headers = headers_of(saga)
    if applied:
        headers["Preference-Applied"] = applied
    if going_back:
        headers["Retry-After"] = RETRY_AFTER
    status = HTTPStatus.ACCEPTED if going_back else HTTPStatus.OK
    return await status_reply(saga, status, headers)


async def _asked(request: Request) -> VerbRequest:
    return validated(VerbRequest, await json_object(request, may_be_empty=True))
