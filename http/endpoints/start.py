"""Starting a saga, and waiting for its end as long as the client wants to.

From the moment the start is recorded the client is told so, come what may. If it is not known
whether it was, the client is told that, and how to find out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from starlette.responses import Response

from ...fsm.errors import Finding, InvalidInput
from ...fsm.happening import StartRequested
from ...fsm.runtime.errors import DefinitionNotFound, InDoubt
from ...fsm.runtime.orchestrator import Orchestrator, Started, StartKey
from ...fsm.saga import Saga
from ..actor import actor_of
from ..body import json_object
from ..errors import InvalidRequest, StartUnconfirmed, UnknownSagaType
from ..idempotency import start_key
from ..models import NoQuery, StartRequest, query_of, validated
from ..outputs import start_reply
from ..preferences import DEFAULT_WAIT, Preferences, preferences_of
from ..request import Request
from ..services import Services
from ..waiting import RETRY_AFTER, rested


async def start(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    body = await json_object(request)
    key = start_key(request, body)
    preferences = preferences_of(request)
    try:
        wanted = validated(StartRequest, body)
        _refuse_callback(wanted, services)
        _refuse_contradictions(wanted, services.orchestrator.clock.now())
        asked = wanted.as_happening(actor_of(request))
        started = await _start(services.orchestrator, wanted, asked, key)
    except (InvalidInput, InvalidRequest, UnknownSagaType):
        # A key comes first: definitions and settings may have become stricter since it was used.
        # It is looked up only now, since the start of all others finds it by claiming it.
        before = None if key is None else await services.orchestrator.started_before(key)
        if before is None:
            raise
        started = before
    saga = await rested(services.orchestrator, started.saga, preferences.wait_or(DEFAULT_WAIT))
    return await _reply(saga, started, preferences)


async def _start(
    orchestrator: Orchestrator, wanted: StartRequest, asked: StartRequested, key: StartKey | None
) -> Started:
    try:
        return await orchestrator.start(wanted.saga_type, asked, version=wanted.version, key=key)
    except DefinitionNotFound as error:
        raise UnknownSagaType(str(error)) from error
    except InDoubt as error:
        raise StartUnconfirmed(keyed=key is not None) from error


def _refuse_callback(wanted: StartRequest, services: Services) -> None:
    url = wanted.callback_url
    if url is not None and (why := services.callbacks.why_not(url)):
        raise InvalidRequest([Finding(code="bad-callback", pointer="/callback_url", detail=why)])


def _refuse_contradictions(wanted: StartRequest, now: datetime) -> None:
    """Refuse what could not all be done. Raises InvalidRequest."""
    if wanted.step_data is not None and "step_data" in (wanted.input or {}):
        where, code = "/input/step_data", "given-twice"
        why = "is there beside the step_data of the start: leave out one of them"
    elif wanted.deadline is not None and _is_over(wanted.deadline, wanted.start_at, now):
        where, code = "/deadline", "deadline-over"
        why = "is over when the saga begins: leave it out, or write a later one"
    else:
        return
    raise InvalidRequest([Finding(code=code, pointer=where, detail=why)])


def _is_over(deadline: datetime | timedelta, start_at: datetime | None, now: datetime) -> bool:
    if isinstance(deadline, timedelta):
        return deadline <= timedelta()
    return deadline <= max(start_at or now, now)


async def _reply(saga: Saga, started: Started, preferences: Preferences) -> Response:
    # Who did not want to wait for a new saga gets the same answer however fast it was.
    over = saga.state.status.rests and (started.replayed or not preferences.respond_async)
    headers = {"Location": f"/sagas/{saga.state.saga_id}/status"}
    if not over:
        headers["Retry-After"] = RETRY_AFTER
    if preferences.applied and not (over and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return await start_reply(saga, HTTPStatus.OK if over else HTTPStatus.ACCEPTED, headers)
