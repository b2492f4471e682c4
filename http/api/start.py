"""Starting a saga, and waiting for its end as long as the client wants to.

From the moment the start is recorded the client is told so, come what may. If it is not known
whether it was, the client is told that, and how to find out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from starlette.responses import Response

from ...fsm.definitions.findings import Finding, InvalidInput
from ...fsm.inputs import StartSaga
from ...fsm.runtime.errors import DefinitionNotFound, OutcomeUnknown
from ...fsm.runtime.orchestrator import IdempotencyKey, Orchestrator, StartResult
from ...fsm.saga import Saga
from ..services import AppContext
from ..wire.body import read_json_object
from ..wire.errors import InvalidRequest, SagaTypeNotFound, StartUnconfirmed
from ..wire.headers import DEFAULT_WAIT, Preferences, read_actor, read_preferences, read_start_key
from ..wire.request import Request
from ..wire.requests import NoQuery, StartRequest, read_query, validate_body
from ..wire.saga_response import start_response
from .waiting import RETRY_AFTER_SECONDS, wait_for_rest


async def start(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    body = await read_json_object(request)
    key = read_start_key(request, body)
    preferences = read_preferences(request)
    try:
        wanted = validate_body(StartRequest, body)
        _check_callback_url(wanted, services)
        _check_consistency(wanted, services.orchestrator.clock.now())
        asked = wanted.to_input(read_actor(request))
        started = await _start_saga(services.orchestrator, wanted, asked, key)
    except (InvalidInput, InvalidRequest, SagaTypeNotFound):
        # A key comes first: definitions and settings may have become stricter since it was used.
        # It is looked up only now, since the start of all others finds it by claiming it.
        before = None if key is None else await services.orchestrator.find_started(key)
        if before is None:
            raise
        started = before
    saga = await wait_for_rest(
        services.orchestrator, started.saga, preferences.wait_or(DEFAULT_WAIT)
    )
    return await _start_response(saga, started, preferences)


async def _start_saga(
    orchestrator: Orchestrator, wanted: StartRequest, asked: StartSaga, key: IdempotencyKey | None
) -> StartResult:
    try:
        return await orchestrator.start(wanted.saga_type, asked, version=wanted.version, key=key)
    except DefinitionNotFound as error:
        raise SagaTypeNotFound(str(error)) from error
    except OutcomeUnknown as error:
        raise StartUnconfirmed(keyed=key is not None) from error


def _check_callback_url(wanted: StartRequest, services: AppContext) -> None:
    url = wanted.callback_url
    if url is not None and (why := services.callbacks.refusal_reason(url)):
        raise InvalidRequest([Finding(code="bad-callback", pointer="/callback_url", detail=why)])


def _check_consistency(wanted: StartRequest, now: datetime) -> None:
    """Refuse what could not all be done. Raises InvalidRequest."""
    if wanted.step_data is not None and "step_data" in (wanted.input or {}):
        where, code = "/input/step_data", "given-twice"
        why = "is there beside the step_data of the start: leave out one of them"
    elif wanted.deadline is not None and _is_past(wanted.deadline, wanted.start_at, now):
        where, code = "/deadline", "deadline-over"
        why = "is over when the saga begins: leave it out, or write a later one"
    else:
        return
    raise InvalidRequest([Finding(code=code, pointer=where, detail=why)])


def _is_past(deadline: datetime | timedelta, start_at: datetime | None, now: datetime) -> bool:
    if isinstance(deadline, timedelta):
        return deadline <= timedelta()
    return deadline <= max(start_at or now, now)


async def _start_response(saga: Saga, started: StartResult, preferences: Preferences) -> Response:
    # Who did not want to wait for a new saga gets the same answer however fast it was.
    over = saga.state.status.is_at_rest and (started.replayed or not preferences.respond_async)
    headers = {"Location": f"/sagas/{saga.state.saga_id}/status"}
    if not over:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if preferences.applied and not (over and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return await start_response(saga, HTTPStatus.OK if over else HTTPStatus.ACCEPTED, headers)
