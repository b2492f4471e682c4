"""Starting a saga, and waiting for its end as long as the client wants to.

From the moment the start is recorded the client is told so, come what may: a wait that fails is an
answer that the saga is still running, never an error, or the client would start it again.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ...fsm.runtime.errors import DefinitionNotFound, NotServing
from ...fsm.runtime.orchestrator import Orchestrator, Started, StartKey
from ...fsm.saga import Saga
from ...projections.status import answer_view
from ..body import json_object
from ..errors import StartUnconfirmed, UnknownSagaType
from ..idempotency import start_key
from ..models import NoQuery, StartRequest, query_of, validated
from ..preferences import DEFAULT_WAIT, Preferences, preferences_of
from ..reply import json_reply
from ..services import Services

START_SECONDS: Final = 20.0  # a log that takes longer to record a start is in trouble
RETRY_AFTER: Final = "1"  # seconds


async def start(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    body = await json_object(request)
    key = start_key(request, body)
    preferences = preferences_of(request)
    started = await _start(services.orchestrator, validated(StartRequest, body), key)
    saga = await _rested(services.orchestrator, started.saga, preferences.wait_or(DEFAULT_WAIT))
    return _reply(saga, started, preferences)


async def _start(orchestrator: Orchestrator, wanted: StartRequest, key: StartKey | None) -> Started:
    try:
        async with asyncio.timeout(START_SECONDS):
            return await orchestrator.start(
                wanted.saga_type, wanted.as_happening(), version=wanted.version, key=key
            )
    except DefinitionNotFound as error:
        raise UnknownSagaType(str(error)) from error
    except TimeoutError as error:
        raise StartUnconfirmed(keyed=key is not None) from error


async def _rested(orchestrator: Orchestrator, saga: Saga, wait: timedelta) -> Saga:
    if not wait or saga.state.status.rests:
        return saga
    try:
        return await orchestrator.rested(saga, wait)
    except NotServing:
        return saga


def _reply(saga: Saga, started: Started, preferences: Preferences) -> Response:
    rests = saga.state.status.rests
    headers = {"Location": f"/sagas/{saga.state.saga_id}/status"}
    if not rests:
        headers["Retry-After"] = RETRY_AFTER
    if preferences.applied and not (rests and preferences.respond_async):
        headers["Preference-Applied"] = preferences.applied
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_reply(answer_view(saga), HTTPStatus.OK if rests else HTTPStatus.ACCEPTED, headers)
