"""Start a saga, and wait for its end as long as the client wants to.

Once the start is recorded, the client gets a response that says so, whatever happens. If it is not
known whether the start was recorded, the response says that, and how to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ...fsm.definitions.findings import Finding, InvalidInput
from ...fsm.inputs import StartSaga
from ...fsm.runtime.errors import (
    DefinitionNotFound,
    IdempotencyKeyReused,
    OutcomeUnknown,
    Unavailable,
)
from ...fsm.runtime.orchestrator import IdempotencyKey, Orchestrator, StartResult
from ...fsm.saga import Saga
from ..participants.webhook_sender import WebhookPolicy
from ..state import Request
from ..wire.body import read_json_object
from ..wire.errors import InvalidIdempotencyKey, InvalidRequest, SagaTypeNotFound, StartUnconfirmed
from ..wire.headers import (
    ACTOR_HEADER,
    DEFAULT_WAIT,
    Preferences,
    read_actor,
    read_preferences,
    read_start_key,
)
from ..wire.requests import NoQuery, StartRequest, read_query, validate_body
from ..wire.responses import StartResponse
from ..wire.route import ResponseSpec, RouteSpec
from ..wire.saga_response import start_response
from .waiting import RETRY_AFTER_SECONDS, wait_for_rest


async def start(request: Request) -> Response:
    orchestrator = request.state["orchestrator"]
    read_query(NoQuery, request)
    body = await read_json_object(request)
    key = read_start_key(request, body)
    preferences = read_preferences(request)
    try:
        start_request = validate_body(StartRequest, body)
        _check_callback_url(start_request, request.state["webhook_policy"])
        _check_consistency(start_request, orchestrator.clock.now)
        start_input = start_request.to_input(read_actor(request))
        started = await _start_saga(orchestrator, start_request, start_input, key)
    except (InvalidInput, InvalidRequest, SagaTypeNotFound):
        # A key wins: definitions and settings may have become stricter since it was used. It is
        # looked up only now, because any other start finds it by claiming it.
        earlier = None if key is None else await orchestrator.find_started(key)
        if earlier is None:
            raise
        started = earlier
    saga = await wait_for_rest(orchestrator, started.saga, preferences.wait_or(DEFAULT_WAIT))
    return await _start_response(saga, started, preferences)


async def _start_saga(
    orchestrator: Orchestrator,
    start_request: StartRequest,
    start_input: StartSaga,
    key: IdempotencyKey | None,
) -> StartResult:
    saga_type, version = start_request.saga_type, start_request.version
    try:
        return await orchestrator.start(saga_type, start_input, version=version, key=key)
    except DefinitionNotFound as error:
        raise SagaTypeNotFound(str(error)) from error
    except OutcomeUnknown as error:
        raise StartUnconfirmed(keyed=key is not None) from error


def _check_callback_url(start_request: StartRequest, policy: WebhookPolicy) -> None:
    """Raises InvalidRequest."""
    url = start_request.callback_url
    if url is not None and (reason := policy.refusal_reason(url)):
        raise InvalidRequest([Finding(code="bad-callback", pointer="/callback_url", detail=reason)])


def _check_consistency(start_request: StartRequest, now: Callable[[], datetime]) -> None:
    """Raises InvalidRequest for parts of the request that contradict each other."""
    deadline = start_request.deadline
    if start_request.step_data is not None and "step_data" in (start_request.input or {}):
        pointer, code = "/input/step_data", "given-twice"
        detail = "is there beside the step_data of the start: leave out one of them"
    elif deadline is not None and _is_past(deadline, start_request.start_at, now()):
        pointer, code = "/deadline", "deadline-over"
        detail = "is over when the saga begins: leave it out, or write a later one"
    else:
        return
    raise InvalidRequest([Finding(code=code, pointer=pointer, detail=detail)])


def _is_past(deadline: datetime | timedelta, start_at: datetime | None, now: datetime) -> bool:
    if isinstance(deadline, timedelta):
        return deadline <= timedelta()
    return deadline <= max(start_at or now, now)


async def _start_response(saga: Saga, started: StartResult, preferences: Preferences) -> Response:
    # A new saga that the client does not wait for gets the same response however fast it was.
    is_final = saga.state.status.is_at_rest and (started.replayed or not preferences.respond_async)
    headers = {"Location": f"/sagas/{saga.state.saga_id}/status"}
    if not is_final:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if preferences.applied and not (is_final and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return await start_response(saga, HTTPStatus.OK if is_final else HTTPStatus.ACCEPTED, headers)


HEADERS: Final = ("Idempotency-Replayed", "Location", "Preference-Applied")

ROUTES: Final = (
    RouteSpec(
        method="POST",
        path="/sagas/start",
        endpoint=start,
        summary="Start a saga, and wait for its end",
        query=NoQuery,
        body=StartRequest,
        headers=("Idempotency-Key", "Prefer", ACTOR_HEADER),
        responses={
            200: ResponseSpec(
                "The saga is at rest: completed, compensated or parked.",
                StartResponse,
                headers=HEADERS,
            ),
            202: ResponseSpec(
                "The start is recorded, and the saga goes on.",
                StartResponse,
                headers=(*HEADERS, "Retry-After"),
            ),
        },
        problems=(
            SagaTypeNotFound,
            InvalidInput,
            InvalidIdempotencyKey,
            IdempotencyKeyReused,
            Unavailable,
            StartUnconfirmed,
        ),
    ),
)
