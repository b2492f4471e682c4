"""Read sagas: one by its id, its outputs and events, and many by a filter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.codec import format_time
from ...fsm.definitions.findings import Finding
from ...fsm.errors import StepNotFound
from ...fsm.formats.strict_json import Json, parse
from ...fsm.runtime.errors import VersionNotReached
from ...fsm.runtime.orchestrator import Orchestrator
from ...fsm.saga import Saga
from ...projections.errors import InvalidCursor
from ...projections.feed import event_view
from ...projections.listing import Listing, PageCursor, SagaFilter, summary_view
from ...projections.status import OutputLink, outputs_view, status_view
from ..services import AppContext
from ..wire.errors import InvalidQuery, OutputNotFound, SagaVersionNotFound
from ..wire.headers import DEFAULT_WAIT, Preferences, etag, matches_if_none_match, read_preferences
from ..wire.json_response import JsonBytesResponse, JsonPage, json_response
from ..wire.request import Request
from ..wire.requests import (
    EventsQuery,
    NoQuery,
    OutputQuery,
    SagasQuery,
    StatusQuery,
    read_query,
    unique_parameters,
    validate_query,
)
from ..wire.saga_response import status_response, written
from ..wire.types import MAX_TAG_CHARS, MAX_TAG_NAME_CHARS, MAX_TAGS


async def status(request: Request, services: AppContext) -> Response:
    query = read_query(StatusQuery, request)
    preferences = read_preferences(request)
    saga = await _requested_state(services.orchestrator, _saga_id(request), query, preferences)
    headers = {"ETag": etag(saga.state.version)}
    if query.min_version is not None and preferences.wait is not None:
        headers["Preference-Applied"] = preferences.applied or ""
    if matches_if_none_match(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    is_past = query.at is not None or query.at_version is not None
    return await status_response(saga, headers=headers, as_of=is_past)


async def everything(request: Request, services: AppContext) -> Response:
    read_query(NoQuery, request)
    saga = await services.orchestrator.saga(_saga_id(request))
    headers = {"ETag": etag(saga.state.version)}
    if matches_if_none_match(request, saga.state.version):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    allowed = await services.orchestrator.allowed_actions(saga)
    view = partial(_saga_view, allowed_actions=allowed)
    return JsonBytesResponse(await written(view, saga), HTTPStatus.OK, headers)


async def output(request: Request, services: AppContext) -> Response:
    query, saga_id = read_query(OutputQuery, request), _saga_id(request)
    step: str = request.path_params["step"]
    if query.at_version is None:
        saga = await services.orchestrator.saga(saga_id)
    else:
        saga = await _as_of(services.orchestrator, saga_id, version=query.at_version)
    if step not in saga.definition.by_name:
        raise StepNotFound(saga_id, step)
    state = saga.state.step(step)
    if not state.has_output:
        raise OutputNotFound(step)
    return json_response(state.output)


async def events(request: Request, services: AppContext) -> Response:
    query, entries = read_query(EventsQuery, request), JsonPage()
    saga_id, after = _saga_id(request), query.after
    found, has_more = await services.orchestrator.read_events_page(
        saga_id, after=after, limit=query.limit
    )
    for one in found:
        if not await entries.add(event_view(one.recorded, one.event)):
            break
        after = one.recorded.version
    headers = {}
    if has_more or len(entries) < len(found):
        place = f"{saga_id}/events?after={after}&limit={query.limit}"
        headers["Link"] = f'</sagas/{place}>; rel="next"'
    return entries.to_response("events", {}, headers)


async def _requested_state(
    orchestrator: Orchestrator, saga_id: str, query: StatusQuery, preferences: Preferences
) -> Saga:
    """Raises InvalidQuery, SagaNotFound, NoSuchVersion, VersionNotReached."""
    _check_single_selector(query)
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
        raise SagaVersionNotFound(str(error)) from error


def _check_single_selector(query: StatusQuery) -> None:
    given = sorted(query.model_fields_set)
    if len(given) > 1:
        detail = f"give only one of {', '.join(given)}"
        raise InvalidQuery([Finding(code="too-many", pointer=f"/{given[1]}", detail=detail)])


def _saga_view(
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


def _saga_id(request: Request) -> str:
    saga_id: str = request.path_params["saga_id"]
    return saga_id


TAG_PREFIX: Final = "tag."
READ_BATCH_SAGAS: Final = 250  # sagas, of some 60 KB at most


async def list_sagas(request: Request, services: AppContext) -> Response:
    given = unique_parameters(request)
    tags = _tags(given)
    plain = {name: value for name, value in given.items() if not name.startswith(TAG_PREFIX)}
    query = validate_query(SagasQuery, plain)
    wanted = _filter(query, tags)
    await services.listing.refresh()
    entries = JsonPage()
    end = await _fill(entries, services.listing, wanted, _start_of_page(query, wanted), query.limit)
    cursor = None if end is None else end.encode()
    return entries.to_response("sagas", {"next_cursor": cursor}, _next_link(given, cursor))


async def _fill(
    entries: JsonPage, listing: Listing, wanted: SagaFilter, after: PageCursor | None, limit: int
) -> PageCursor | None:
    """Where the page ends, if there are more. Few are read at a time: tags make one large."""
    while True:
        # One more than are wanted, to know whether there is a next page.
        asked = min(READ_BATCH_SAGAS, limit + 1 - len(entries))
        found = await listing.page(wanted, after, asked)
        for one in found:
            if len(entries) == limit or not await entries.add(summary_view(one)):
                return after
            after = wanted.cursor_after(one)
        if len(found) < asked:
            return None


def _tags(given: dict[str, str]) -> dict[str, str]:
    """Raises InvalidQuery for tags that no saga can have."""
    tags = {
        name.removeprefix(TAG_PREFIX): value
        for name, value in given.items()
        if name.startswith(TAG_PREFIX)
    }
    wrong = [name for name, value in tags.items() if not _is_tag(name, value)]
    if wrong or len(tags) > MAX_TAGS:
        place = f"/{TAG_PREFIX}{wrong[0]}" if wrong else ""
        raise InvalidQuery([Finding(code="bad-tag", pointer=place, detail="no saga can have it")])
    return tags


def _is_tag(name: str, value: str) -> bool:
    in_bounds = 1 <= len(name) <= MAX_TAG_NAME_CHARS and len(value) <= MAX_TAG_CHARS
    return in_bounds and "\0" not in name + value


def _filter(query: SagasQuery, tags: dict[str, str]) -> SagaFilter:
    return SagaFilter(
        saga_type=query.type,
        status=query.status,
        paused=query.paused,
        step=query.step,
        entity_id=query.entity_id,
        tags=tags,
        started_after=query.started_after,
        started_before=query.started_before,
        error=query.error,
    )


def _start_of_page(query: SagasQuery, wanted: SagaFilter) -> PageCursor | None:
    """Raises InvalidQuery."""
    if query.cursor is None:
        return None
    try:
        return PageCursor.decode(query.cursor, in_queue=wanted.is_parked_queue)
    except InvalidCursor as error:
        finding = Finding(code="bad-cursor", pointer="/cursor", detail=str(error))
        raise InvalidQuery([finding]) from error


def _next_link(given: dict[str, str], cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    return {"Link": f'</sagas?{urlencode({**given, "cursor": cursor})}>; rel="next"'}
