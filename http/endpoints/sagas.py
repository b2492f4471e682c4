"""One saga: its status now and then, everything about it, its events."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.errors import Finding
from ...fsm.runtime.errors import VersionNotReached
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...fsm.strict_json import Json, parse
from ...fsm.verb import allowed_actions
from ...projections.event_view import event_view
from ...projections.status import status_view
from ..entity_tag import etag, is_known
from ..errors import InvalidQuery, NoSuchVersion
from ..models import EventsQuery, NoQuery, StatusQuery, query_of
from ..preferences import DEFAULT_WAIT, Preferences, preferences_of
from ..reply import json_reply
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
    return json_reply(status_view(saga), headers=headers)


async def everything(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    saga = await services.orchestrator.saga(_id(request))
    headers = {"ETag": etag(saga.state.version)}
    if is_known(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return json_reply(_everything_of(saga), headers=headers)


async def events(request: Request, services: Services) -> Response:
    query = query_of(EventsQuery, request)
    # One more than a page, to know whether there is a next one.
    found = await services.orchestrator.entries(
        _id(request), after=query.after, limit=query.limit + 1
    )
    page = found[: query.limit]
    headers = {}
    if len(found) > len(page):
        place = f"{_id(request)}/events?after={page[-1].recorded.version}&limit={query.limit}"
        headers["Link"] = f'</sagas/{place}>; rel="next"'
    return json_reply(
        {"events": [event_view(one.recorded, one.event) for one in page]}, headers=headers
    )


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
    try:
        return await orchestrator.saga_as_of(saga_id, version=query.at_version, at=query.at)
    except VersionNotReached as error:
        raise NoSuchVersion(str(error)) from error


def _refuse_more_than_one(query: StatusQuery) -> None:
    given = sorted(query.model_fields_set)
    if len(given) > 1:
        detail = f"give only one of {', '.join(given)}"
        raise InvalidQuery([Finding(code="too-many", pointer=f"/{given[1]}", detail=detail)])


def _everything_of(saga: Saga) -> dict[str, Json]:
    state = saga.state
    return {
        **status_view(saga),
        "definition": parse(saga.definition.source),
        "input": state.input,
        "outputs": saga.outputs,
        "tags": dict(state.tags),
        "allowed_actions": list(allowed_actions(saga)),
        "start_at": None if state.start_at is None else format_time(state.start_at),
    }


def _id(request: Request) -> str:
    saga_id: str = request.path_params["saga_id"]
    return saga_id
