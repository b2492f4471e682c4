"""One saga: its status now and then, everything about it, an output, its events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.errors import Finding, NoSuchStep
from ...fsm.runtime.errors import VersionNotReached
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...fsm.strict_json import Json, parse
from ...projections.event_view import event_view
from ...projections.status import OutputLink, outputs_view, status_view
from ..entity_tag import etag, is_known
from ..errors import InvalidQuery, NoOutput, NoSuchVersion
from ..models import EventsQuery, NoQuery, OutputQuery, StatusQuery, query_of
from ..outputs import status_reply, written
from ..page_entries import PageEntries
from ..preferences import DEFAULT_WAIT, Preferences, preferences_of
from ..reply import JsonReply, json_reply
from ..request import Request
from ..services import Services


async def status(request: Request, services: Services) -> Response:
    query = query_of(StatusQuery, request)
    preferences = preferences_of(request)
    saga = await _asked_for(services.orchestrator, _id(request), query, preferences)
    headers = {"ETag": etag(saga.state.version)}
    if query.min_version is not None and preferences.wait is not None:
        headers["Preference-Applied"] = preferences.applied or ""
    if is_known(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    is_past = query.at is not None or query.at_version is not None
    return await status_reply(saga, headers=headers, as_of=is_past)


async def everything(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    saga = await services.orchestrator.saga(_id(request))
    headers = {"ETag": etag(saga.state.version)}
    if is_known(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    allowed = await services.orchestrator.allowed_actions(saga)
    view = partial(_everything_of, allowed_actions=allowed)
    return JsonReply(await written(view, saga), HTTPStatus.OK, headers)


async def output(request: Request, services: Services) -> Response:
    query, saga_id = query_of(OutputQuery, request), _id(request)
    step: str = request.path_params["step"]
    if query.at_version is None:
        saga = await services.orchestrator.saga(saga_id)
    else:
        saga = await _as_of(services.orchestrator, saga_id, version=query.at_version)
    if step not in saga.definition.by_name:
        raise NoSuchStep(saga_id, step)
    state = saga.state.step(step)
    if not state.has_output:
        raise NoOutput(step)
    return json_reply(state.output)


async def events(request: Request, services: Services) -> Response:
    query, entries = query_of(EventsQuery, request), PageEntries()
    saga_id, after = _id(request), query.after
    found, has_more = await services.orchestrator.entries(saga_id, after=after, limit=query.limit)
    for one in found:
        if not await entries.add(event_view(one.recorded, one.event)):
            break
        after = one.recorded.version
    headers = {}
    if has_more or len(entries) < len(found):
        place = f"{saga_id}/events?after={after}&limit={query.limit}"
        headers["Link"] = f'</sagas/{place}>; rel="next"'
    return entries.reply("events", {}, headers)


async def _asked_for(
    orchestrator: Orchestrator, saga_id: str, query: StatusQuery, preferences: Preferences
) -> Saga:
    """Raises InvalidQuery, SagaNotFound, NoSuchVersion, VersionNotReached."""
    _refuse_more_than_one(query)
    if query.min_version is not None:
        wait = preferences.wait_or(DEFAULT_WAIT)
        return await orchestrator.saga_from(saga_id, query.min_version, wait)
    if query.at is None and query.at_version is None:
        return await orchestrator.saga(saga_id)
    return await _as_of(orchestrator, saga_id, version=query.at_version, at=query.at)


async def _as_of(
    orchestrator: Orchestrator,
    saga_id: str,
    *,
    version: int | None = None,
    at: datetime | None = None,
) -> Saga:
    """Raises SagaNotFound, NoSuchVersion."""
    try:
        return await orchestrator.saga_as_of(saga_id, version=version, at=at)
    except VersionNotReached as error:
        raise NoSuchVersion(str(error)) from error


def _refuse_more_than_one(query: StatusQuery) -> None:
    given = sorted(query.model_fields_set)
    if len(given) > 1:
        detail = f"give only one of {', '.join(given)}"
        raise InvalidQuery([Finding(code="too-many", pointer=f"/{given[1]}", detail=detail)])


def _everything_of(
    saga: Saga, links: Mapping[str, OutputLink], *, allowed_actions: list[str]
) -> dict[str, Json]:
    state = saga.state
    return {
        **status_view(saga, links),
        "definition": parse(saga.definition.source),
        "input": state.input,
        **outputs_view(saga, links),
        "tags": dict(state.tags),
        "allowed_actions": list(allowed_actions),
        "start_at": None if state.start_at is None else format_time(state.start_at),
    }


def _id(request: Request) -> str:
    saga_id: str = request.path_params["saga_id"]
    return saga_id
